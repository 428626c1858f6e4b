import pytest

from benchmarks.tables import layers_table, page, targets_table, with_layers_table, workload_table
from benchmarks.targets import Outcome, Round, Target

RATE = Target("echo", "rate, to Channels 4", "echo", "rate", "channels4-{server}", at_least=1.2)
LATENCY = Target("echo", "p50", "echo_paced", "p50_us", at_most=2.5, unit="ms")
LOST = Target("burst", "lost", "burst", "missing", at_most=0, every_round=True)


def test_a_target_is_shown_with_limit_value_and_verdict():
    outcomes = [
        Outcome(RATE, "daphne", [Round(1.3), Round(1.1), Round(1.25)]),
        Outcome(LATENCY, "uvicorn", [Round(3, disturbed=True)]),
        Outcome(LOST, "daphne", [Round(0)]),
        Outcome(RATE, "uvicorn", []),
    ]

    assert targets_table(outcomes).splitlines() == [
        "|  | server | figure | target | measured | each round | met |",
        "| --- | ---: | ---: | ---: | ---: | ---: | ---: |",
        "| echo | daphne | rate, to Channels 4 | at least 1.2 times | 1.25 times | 1.30, 1.10, 1.25 | yes |",
        "| echo | uvicorn | p50 | at most 2.5 ms | 3.00 ms | 3.00* | **no** |",
        "| burst | daphne | lost | at most 0 | 0 | 0 | yes |",
        "| echo | uvicorn | rate, to Channels 4 | at least 1.2 times |  |  | not measured |",
    ]


def test_a_table_has_its_rows_in_order_and_no_empty_column():
    by_stack = {
        "b": {"kib_per_socket": 12.34, "dropped": 0, "rounds": 3},
        "a": {"kib_per_socket": 1234.5, "dropped": 2, "rounds": 2, "failed_rounds": ["no answer"]},
    }

    assert workload_table("idle", by_stack, ["a", "b", "c"]).splitlines() == [
        "| stack | KiB per socket | sockets dropped | rounds |",
        "| --- | ---: | ---: | ---: |",
        "| `a` | 1,234.5 | 2 | 2, 1 failed |",
        "| `b` | 12.3 | 0 | 3 |",
    ]


def test_a_room_of_many_is_shown_with_its_sockets_memory_and_pauses():
    figures = {
        "connects_per_s": 812.3,
        "connect_pause_us": 45_600,
        "kib_per_socket": 23.4,
        "pause_us": 8000,
        "rounds": 3,
    }

    assert workload_table("scale15000", {"a": figures}, ["a"]).splitlines() == [
        "| stack | opened per s | pause while opening, ms | KiB per socket | pause while speaking, ms | rounds |",
        "| --- | ---: | ---: | ---: | ---: | ---: |",
        "| `a` | 812 | 45.60 | 23.4 | 8.00 | 3 |",
    ]


def test_what_failed_in_every_round_is_shown_as_that():
    table = workload_table("echo", {"a": {"rounds": 0, "failed_rounds": ["no answer"]}}, ["a"])

    assert table.splitlines()[-1] == "| `a` | 0, 1 failed |"


def test_failed_requests_are_no_failed_rounds():
    wrk = {"failed": 0, "errors": {"connect": 0, "read": 0, "write": 0, "status": 0, "timeout": 0}, "rounds": 3}

    assert workload_table("http", {"a": wrk}, ["a"]).splitlines()[-1] == "| `a` | 0 | 3 |"


def test_other_programs_use_nothing_at_least():
    shares = {"a": {"other_share": -0.076, "rounds": 3}, "b": {"other_share": 0.02, "rounds": 3}}

    assert workload_table("quiet", shares, ["a", "b"]).splitlines()[2:] == ["| `a` | 0.0% | 3 |", "| `b` | 2.0% | 3 |"]


def test_lost_messages_are_a_share_of_those_wanted():
    burst = {"ops": 900, "wanted": 1000, "missing": 100, "rounds": 1}
    room = {"ops": 75, "missing": 25, "rounds": 1}

    assert "| 10.0% |" in workload_table("burst", {"a": burst}, ["a"])
    assert "| 25.0% |" in workload_table("room1000", {"a": room}, ["a"])


LAYERS = {
    "echo": {
        "ours-1w-daphne": {"rate": 1000, "cpu_us": 400},
        "ours-1w-uvicorn": {"rate": 2000, "cpu_us": 200},
        "ours-ipc-1w-daphne": {"rate": 1800, "cpu_us": 200},
        "ours-ipc-1w-uvicorn": {"rate": 3000, "cpu_us": 120},
        "ours-rabbitmq-1w-daphne": {"rounds": 0, "failed_rounds": ["no answer"]},
    },
    "layer_wake_up": {"ours-layer-redis": {"p50_us": 400}, "ours-layer-ipc": {"p50_us": 100}},
}


def test_layers_are_shown_next_to_redis_on_both_servers_or_alone():
    assert layers_table(LAYERS).splitlines() == [
        "|  | echoes per second | CPU time of an echo | time until a sleeping worker has a message |",
        "| --- | ---: | ---: | ---: |",
        "| in-memory |  |  |  |",
        "| IPC | 1.80, 1.50 | 0.50, 0.60 | 0.25 |",
        "| Redis | 1.00, 1.00 | 1.00, 1.00 | 1.00 |",
        "| RabbitMQ |  |  |  |",
    ]


def test_figures_of_a_busy_machine_say_so_themselves():
    echoes = {**LAYERS["echo"], "ours-ipc-1w-daphne": {"rate": 1800, "cpu_us": 200, "other_share": 1.96}}

    *table, _, sentence = layers_table({**LAYERS, "echo": echoes}).splitlines()

    assert table == layers_table(LAYERS).splitlines()
    assert sentence == "Other programs used up to 2.0 CPUs meanwhile, so this is a trial: ratios may be far off."


def test_a_document_gets_the_table_of_layers_in_its_place_and_stays_as_it_is_otherwise():
    page = "Above.\n\n<!-- measured: -->\n\n| old |\n\n<!-- end of what was measured -->\n\nBelow.\n"

    text = with_layers_table(page, LAYERS)

    assert text == page.replace("| old |", layers_table(LAYERS))
    with pytest.raises(LookupError, match="no place for the table of layers"):
        with_layers_table("Above.\n", LAYERS)


def test_a_page_names_its_conditions_shows_its_pictures_and_explains_its_stacks():
    conditions = {
        "rounds": 3,
        "cpus": 2,
        "python": "3.13.0",
        "brokers": "Redis 7.0.15",
        "engine": "c100981",
        "readme": "../README.md",
    }
    summary = {"quiet": {"a": {"redis_calls_per_s": 12, "rounds": 3}}}
    charts = {"quiet": "quiet.svg", "A room by the number of its sockets": "scale.svg"}

    text = page(conditions, [], summary, {"a": "the first", "b": "the second"}, charts)

    assert "in up to 3 rounds, medians, 2 CPUs, Python 3.13.0, Redis 7.0.15." in text
    assert "The engine is that of commit c100981." in text
    assert "![No connection at all, 20 s](quiet.svg)" in text
    assert "![A room by the number of its sockets](scale.svg)" in text
    assert "| `a` | the first |" in text
    assert "the second" not in text


@pytest.mark.parametrize(
    ("described", "words"),
    [
        ("c100981", "commit c100981."),
        ("c100981-dirty", "commit c100981, with changes not committed."),
        ("", "an unknown commit."),
    ],
)
def test_a_page_names_the_commit_that_was_measured(described, words):
    conditions = {"rounds": 3, "cpus": 2, "python": "3.13.0", "brokers": "", "engine": described, "readme": ""}

    assert f"The engine is that of {words}" in page(conditions, [], {}, {}, {})
