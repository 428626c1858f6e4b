import pytest

from benchmarks.plans import choose, plan
from benchmarks.stacks import all_stacks
from benchmarks.workloads import WORKLOADS


def names(stacks):
    return [stack.name for stack in stacks]


@pytest.mark.parametrize("workload", ["echo", "room1000", "http"])
def test_two_engines_are_measured_one_right_after_the_other(workload, engine):
    chosen = choose(all_stacks(engine, against=engine), "ours-1w-*,against-1w-*")

    assert [stack.name for _, stack in plan(chosen, [workload])] == [
        *("ours-1w-daphne", "against-1w-daphne"),
        *("ours-1w-uvicorn", "against-1w-uvicorn"),
    ]


def test_stacks_are_chosen_by_names_and_patterns_each_once(stacks):
    assert names(choose(stacks, "bare-daphne,bare-*,ours-1w-daphne")) == [
        "ours-1w-daphne",
        "bare-daphne",
        "bare-uvicorn",
    ]
    assert names(choose(stacks, "all")) == list(stacks)


def test_the_targets_need_few_stacks(stacks):
    assert names(choose(stacks, "targets")) == [
        "ours-1w-daphne",
        "ours-ipc-1w-daphne",
        "ours-rabbitmq-1w-daphne",
        "ours-1w-uvicorn",
        "ours-ipc-1w-uvicorn",
        "ours-rabbitmq-1w-uvicorn",
        "ours-site-read-daphne",
        "ours-site-read-uvicorn",
        "ours-site-user-daphne",
        "ours-site-user-uvicorn",
        "ours-site-changed-daphne",
        "ours-site-changed-uvicorn",
        "ours-site-user-postgres-daphne",
        "ours-site-user-postgres-uvicorn",
        "ours-layer-ipc",
        "ours-layer-rabbitmq",
        "channels4-site-connect-daphne",
        "channels4-site-connect-uvicorn",
        "channels4-site-connect-postgres-daphne",
        "channels4-site-connect-postgres-uvicorn",
        "channels4-site-fresh-daphne",
        "channels4-site-fresh-uvicorn",
        "channels4-site-fresh-postgres-daphne",
        "channels4-site-fresh-postgres-uvicorn",
        "channels4-async-redis-daphne",
        "channels4-async-redis-uvicorn",
        "channels4-async-pubsub-daphne",
        "bare-daphne",
        "bare-uvicorn",
        "ceiling",
    ]


def test_an_unknown_stack_is_refused_with_those_there_are(stacks):
    with pytest.raises(LookupError, match="No stack is named 'nginx'; there are ours-1w-daphne, "):
        choose(stacks, "nginx")


def test_the_stacks_of_a_workload_are_measured_one_after_the_other(stacks):
    chosen = choose(stacks, "django-daphne,bare-*")

    planned = [(workload, stack.name) for workload, stack in plan(chosen, ["http", "echo"])]

    assert planned == [
        ("http", "django-daphne"),
        ("http", "bare-daphne"),
        ("http", "bare-uvicorn"),
        ("echo", "bare-daphne"),
        ("echo", "bare-uvicorn"),
    ]


def test_what_no_target_needs_can_be_left_out(stacks):
    chosen = choose(stacks, "targets")

    assert len(plan(chosen, WORKLOADS, "targets")) < len(plan(chosen, WORKLOADS)) * 0.7
    assert ("storm_room", stacks["ours-1w-daphne"]) not in plan(chosen, WORKLOADS, "targets")


def test_one_run_compares_all_layers_on_both_servers_and_alone(stacks):
    planned = plan(choose(stacks, "layers"), WORKLOADS, "layers")

    def measured(workload):
        return [stack.name for name, stack in planned if name == workload]

    servers = ("daphne", "uvicorn")
    whole = [f"ours-{layer}-{server}" for server in servers for layer in ("1w", "memory-0w", "ipc-1w", "rabbitmq-1w")]
    for workload in ("echo", "echo_paced", "room1000"):
        assert measured(workload) == whole
    assert len(measured("site_echo")) == len(whole)
    assert measured("layer_wake_up") == [f"ours-layer-{layer}" for layer in ("redis", "memory", "ipc", "rabbitmq")]
    assert measured("http") == []
