from benchmarks.figures import derive, median, one_line, summarise, typical_probe_us

ECHO = {
    "round": 1,
    "stack": "ours",
    "workload": "echo",
    "ops": 1000,
    "seconds": 2.0,
    "cpu_s": 0.5,
    "cpu_s_by_role": {"server": 0.3, "worker": 0.2},
    "load_cpu_s": 0.4,
    "other_cpu_s": 0.1,
    "probe_us": 3000.0,
}


def test_rates_costs_and_shares_follow_from_a_measurement():
    figures = derive(ECHO)

    assert figures["rate"] == 500
    assert figures["cpu_us"] == 500
    assert figures["cpu_us_by_role"] == {"server": 300, "worker": 200}
    assert figures["cpu_share"] == {"server": 0.15, "worker": 0.1}
    assert (figures["load_share"], figures["other_share"]) == (0.2, 0.05)


def test_costs_are_scaled_to_the_speed_of_the_machine():
    slow = {**ECHO, "probe_us": 6000.0}

    assert derive(slow, probe_us=3000)["cpu_us"] == 250
    assert derive(slow, probe_us=3000)["cpu_us_by_role"] == {"server": 150, "worker": 100}


def test_costs_stay_as_they_are_where_no_speed_is_known():
    unknown = {**ECHO, "probe_us": None}

    assert derive(unknown, probe_us=3000)["cpu_us"] == 500


def test_nothing_is_derived_where_nothing_was_done():
    assert "cpu_us" not in derive({**ECHO, "ops": 0})
    assert derive({"round": 1, "stack": "ours", "workload": "idle"}) == {
        "round": 1,
        "stack": "ours",
        "workload": "idle",
    }


def test_the_brokers_commands_are_counted_by_the_second():
    assert derive({**ECHO, "redis_calls": 420, "redis_us": 900})["redis_calls_per_s"] == 210


def test_a_median_is_taken_of_numbers_and_of_dicts_by_key():
    assert median([3, 1, 2, None]) == 2
    assert median([1, 2]) == 1.5
    assert median([{"a": 1, "b": 5}, {"a": 3}]) == {"a": 2, "b": 5}
    assert median(["first", "last"]) == "last"
    assert median([None]) is None


def test_the_typical_speed_is_the_median_of_a_run():
    assert typical_probe_us([{"probe_us": 2.0}, {"error": "broke"}, {"probe_us": 4.0}, {"probe_us": 3.0}]) == 3


def test_a_summary_has_medians_and_ranges_by_workload_and_stack():
    lines = [ECHO, {**ECHO, "round": 2, "ops": 3000}, {**ECHO, "round": 3, "ops": 2000}]

    summary = summarise(lines)["echo"]["ours"]

    assert (summary["rate"], summary["rate_range"], summary["rounds"]) == (1000, [500, 1500], 3)
    assert (summary["cpu_us"], summary["cpu_us_range"]) == (250, [166.7, 500])


def test_a_failed_round_is_kept_and_no_figure():
    failed = {"round": 2, "stack": "ours", "workload": "echo", "error": "no answer"}

    summary = summarise([ECHO, failed])["echo"]["ours"]

    assert (summary["rounds"], summary["rate"], summary["failed_rounds"]) == (1, 500, ["no answer"])


def test_requests_that_failed_are_no_failed_round():
    wrk = {**ECHO, "workload": "http", "failed": 3, "errors": {"connect": 0, "read": 3, "write": 0, "timeout": 0}}

    summary = summarise([wrk])["http"]["ours"]

    assert (summary["rounds"], summary["failed"], summary["errors"]["read"]) == (1, 3, 3)
    assert "failed_rounds" not in summary


def test_a_measurement_fits_in_a_line():
    line = one_line(ECHO)

    assert line.startswith("rate=500 cpu_us=500 cpu_share=server:0.15,worker:0.1 ")
    assert one_line({"error": "a\nb"}) == "FAILED a | b"
