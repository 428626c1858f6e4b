import pytest

from benchmarks.plans import is_needed
from benchmarks.stacks import all_stacks
from benchmarks.targets import OURS, PAIRED, TARGETS, Outcome, Round, Target, judge, targets_of
from benchmarks.workloads import WORKLOADS

TWICE = Target("echo", "rate", "echo", "rate", "peer-{server}", at_least=2, servers=["daphne"])


def line(stack, rate, number=1, workload="echo", **more):
    return {"round": number, "stack": stack, "workload": workload, "ops": rate, "seconds": 1, **more}


def ours(rate, number=1, **more):
    return line("ours-1w-daphne", rate, number, **more)


def peer(rate, number=1, **more):
    return line("peer-daphne", rate, number, **more)


def outcome(lines, target=TWICE):
    [only] = judge(lines, [target])
    return only


def test_a_ratio_is_that_of_the_same_round():
    found = outcome([ours(300), peer(100), ours(40, 2), peer(10, 2)])

    assert found.rounds == [Round(3), Round(4)]
    assert found.value == 3.5
    assert found.is_met


def test_the_median_of_the_rounds_counts():
    lines = [ours(100), peer(100), ours(300, 2), peer(100, 2), ours(220, 3), peer(100, 3)]

    assert outcome(lines).value == 2.2


def test_a_target_may_be_missed():
    assert outcome([ours(199), peer(100)]).is_met is False


@pytest.mark.parametrize(("limit", "met"), [({"at_most": 3}, True), ({"at_most": 2.9}, False), ({"at_least": 3}, True)])
def test_a_limit_is_part_of_what_is_allowed(limit, met):
    assert outcome([ours(3)], Target("", "", "echo", "rate", servers=["daphne"], **limit)).is_met is met


def test_disturbed_rounds_count_only_where_there_is_no_better_one():
    calm = [ours(300), peer(100)]
    busy = [ours(100, 2), peer(100, 2, other_cpu_s=0.9)]

    assert outcome(calm + busy).value == 3
    assert outcome(calm + busy).rounds == [Round(3), Round(1, disturbed=True)]
    assert outcome(busy).value == 1
    assert outcome(busy).is_disturbed


def test_the_worst_round_counts_where_nothing_may_ever_happen():
    nothing_lost = Target("burst", "lost", "echo", "missing", at_most=0, every_round=True, servers=["daphne"])
    lines = [ours(1, missing=0), ours(1, 2, missing=7), ours(1, 3, missing=0)]

    assert outcome(lines, nothing_lost).value == 7
    assert outcome(lines, nothing_lost).is_met is False


def test_a_failed_measurement_is_not_met():
    found = outcome([ours(100), {"round": 1, "stack": "peer-daphne", "workload": "echo", "error": "no answer"}])

    assert (found.value, found.is_met) == (None, None)


def test_what_was_not_tried_is_not_judged():
    assert judge([ours(100, workload="http")], [TWICE]) == []


def test_a_figure_may_be_a_part_and_have_a_unit():
    idle = Target("idle", "CPU", "echo", "cpu_share.worker", at_most=1, servers=["daphne"], scale=100)
    lines = [ours(1, cpu_s=0.5, cpu_s_by_role={"worker": 0.25, "server": 0.25})]

    assert outcome(lines, idle).value == 25


def test_a_figure_may_be_compared_with_another_workload_of_the_same_stack():
    same = Target("rooms", "rate", "large", "rate", OURS, "small", at_most=1, servers=["daphne"])
    lines = [ours(30, workload="large"), ours(10, workload="small")]

    assert outcome(lines, same).value == 3


def test_a_target_may_be_about_another_stack_of_ours_than_the_bare_one():
    site = Target(
        "site", "rate", "site_echo", "rate", OURS, "echo", at_least=0.8, servers=["daphne"], stack="s-{server}"
    )
    lines = [ours(100), line("s-daphne", 90, workload="site_echo"), ours(1, workload="site_echo")]

    assert outcome(lines, site).value == 0.9
    assert judge([ours(1, workload="site_echo")], [site]) == []


def test_a_layer_is_compared_with_redis_on_the_same_server_and_alone_with_itself():
    lines = [
        *(ours(100), line("ours-ipc-1w-daphne", 170)),
        *(
            line("ours-layer-ipc", 1, workload=f"layer_group{members}", cpu_s=cpu)
            for members, cpu in [(10, 2), (1000, 3)]
        ),
    ]

    found = [(found.target.subject, found.server, found.value, found.is_met) for found in judge(lines) if found.rounds]

    assert found == [
        ("echo over IPC", "daphne", 1.7, True),
        ("broadcast over IPC to 1,000 members", "", 1.5, False),
    ]


def test_an_engine_is_compared_with_another_one_where_that_was_measured():
    lines = [ours(98), line("against-1w-daphne", 100), ours(96, 2), line("against-1w-daphne", 100, 2)]

    [rate] = [found for found in judge(lines) if found.target.of == "against-1w-{server}" and found.rounds]

    assert (rate.target.subject, rate.server, rate.value, rate.is_met) == ("echo", "daphne", 0.97, True)
    assert targets_of([ours(98)]) == TARGETS


def test_echo_room_and_pages_are_compared_with_another_engine():
    assert {target.workload for target in PAIRED} == {"echo", "room1000", "http"}
    assert {target.figure for target in PAIRED} == {"rate", "cpu_us"}


def test_an_outcome_without_rounds_has_no_value():
    assert Outcome(TWICE, "daphne", []).value is None


@pytest.mark.parametrize("target", TARGETS, ids=lambda target: f"{target.subject}: {target.what}")
def test_everything_a_target_needs_is_measured_by_default(target, tmp_path):
    (tmp_path / "channels").mkdir()
    (tmp_path / "channels" / "__init__.py").touch()
    stacks = all_stacks(tmp_path)
    assert (target.at_least is None) != (target.at_most is None)

    for server in target.servers:
        for name, workload in target.sides:
            stack = stacks[name.format(server=server)]
            assert workload in WORKLOADS
            assert stack.runs(workload)
            assert is_needed(stack, workload, "targets")
