"""What the programs around the benchmarks print, and what is read from it."""

import pytest

from benchmarks.commandstats import parse_commands, spent
from benchmarks.load.latencies import longest_us, percentiles
from benchmarks.procstat import cpu_ticks, parse_machine, parse_pss, parse_stat
from benchmarks.profiling import count_frames, redis_section, section, short
from benchmarks.workloads import WorkloadError, parse_result

COMMANDSTATS = """\
# Commandstats\r
cmdstat_evalsha:calls=120,usec=900,usec_per_call=7.50,rejected_calls=0,failed_calls=0\r
cmdstat_client|setname:calls=2,usec=3,usec_per_call=1.50,rejected_calls=0,failed_calls=0\r
"""
STAT = "7 (a (strange) name) S 1 7 7 0 -1 4194560 500 600 0 0 30 12 5 3 20 0 1 0 100 0 0"


def test_the_brokers_counts_are_read():
    assert parse_commands(COMMANDSTATS) == {"evalsha": (120, 900), "client|setname": (2, 3)}


def test_what_a_broker_did_lies_between_two_counts_without_our_own_question():
    before = {"get": (5, 50), "info": (1, 90), "set": (2, 20)}
    after = {"get": (7, 60), "info": (2, 180), "set": (2, 20), "evalsha": (1, 30)}

    assert list(spent(before, after).items()) == [("evalsha", (1, 30)), ("get", (2, 10))]


def test_cpu_time_is_that_of_a_process_and_its_ended_children():
    assert cpu_ticks(parse_stat(STAT)) == 30 + 12 + 5 + 3
    assert parse_stat(STAT)[1] == "1"


def test_memory_counts_shared_pages_in_part():
    assert parse_pss("Rss:  900 kB\nPss:   400 kB\nPss_Dirty: 300 kB\n") == 400


def test_the_machine_is_busy_with_everything_but_waiting():
    busy, stolen = parse_machine("cpu  100 200 300 9999 8888 10 20 40 0 0\ncpu0 1 2 3\n")

    assert busy / stolen == pytest.approx(630 / 40)


def test_latencies_are_reported_by_percentiles_in_microseconds():
    assert percentiles([1_000 * number for number in range(100, 0, -1)]) == {
        "p50_us": 51.0,
        "p99_us": 100.0,
        "max_us": 100.0,
    }
    assert percentiles([]) == {}


def test_the_longest_round_trip_of_some_time_is_found_be_it_begun_before():
    round_trips = [(0, 9_000), (10_000, 5_000), (20_000, 1_000), (30_000, 8_000)]

    assert longest_us(round_trips, began=14_000, ended=30_000) == 5
    assert longest_us(round_trips, began=15_000, ended=30_000) == 1
    assert longest_us(round_trips, began=50_000, ended=60_000) is None


def test_a_result_is_found_among_other_output():
    assert parse_result('Running 1s test\nRESULT {"ops": 3}\n') == {"ops": 3}


def test_output_without_a_result_is_an_error_that_shows_it():
    with pytest.raises(WorkloadError, match="no result in: it broke"):
        parse_result("it broke")


def test_a_frame_is_shortened_to_file_and_folder():
    assert short("read (/usr/lib/python3.13/asyncio/streams.py:9)") == "read (asyncio/streams.py:9)"
    assert short("serve (site-packages/daphne/server.py)") == "serve (daphne/server.py)"
    assert short("main (app.py:1)") == "main (app.py:1)"


def test_samples_of_waiting_threads_are_left_out_of_a_profile():
    own, inclusive = count_frames(
        [
            "run (w.py);turn (w.py);EpollSelector.select (selectors.py:4) 90",
            "run (w.py);turn (w.py) 4",
            "run (w.py);turn (w.py);turn (w.py) 6",
        ]
    )

    assert own == {"turn (w.py)": 10}
    assert inclusive == {"run (w.py)": 10, "turn (w.py)": 10}


def test_a_profile_is_readable_text():
    assert "100.0%  100.0%  turn (w.py)" in section("worker", ["run (w.py);turn (w.py) 4"])
    assert "## worker: 0 samples" in section("worker", [])
    assert "     1,200   75.0%  evalsha" in redis_section({"evalsha": (1200, 300), "get": (5, 100)})
