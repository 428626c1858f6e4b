import os
import re

import pytest

from benchmarks.stacks import PORTS, all_stacks, copy_engine, engine_folder
from benchmarks.workloads import WORKLOADS

# Sites, and the stacks whose processes they have.
SITES_LIKE = {
    "ours-site-user-daphne": "ours-1w-daphne",
    "channels4-site-fresh-uvicorn": "channels4-sync-redis-uvicorn",
}


def test_an_engine_is_found_in_a_checkout_and_in_a_project(engine):
    project = engine / "{{cookiecutter.project_slug}}"

    assert engine_folder(engine) == engine_folder(project) == project


def test_a_folder_without_an_engine_is_refused_in_a_sentence(tmp_path):
    with pytest.raises(FileNotFoundError, match="There is no engine in"):
        engine_folder(tmp_path)


def test_an_engine_is_measured_from_a_copy(engine, tmp_path):
    copy = copy_engine(engine, tmp_path / "copy")

    assert engine_folder(copy) == copy
    assert (copy / "channels" / "__init__.py").is_file()


def test_our_stacks_load_the_engine_they_are_given(engine, stacks):
    *_, worker, server = stacks["ours-1w-uvicorn"].processes

    for process in (worker, server):
        assert process.variables["PYTHONPATH"].endswith(str(engine / "{{cookiecutter.project_slug}}"))


def test_a_second_engine_is_measured_next_to_the_first(engine):
    against = [name for name in all_stacks(engine, against=engine) if name.startswith("against")]

    assert against == [
        *("against-1w-daphne", "against-memory-0w-daphne", "against-ipc-1w-daphne", "against-rabbitmq-1w-daphne"),
        *("against-1w-uvicorn", "against-memory-0w-uvicorn", "against-ipc-1w-uvicorn", "against-rabbitmq-1w-uvicorn"),
        *("against-2w-daphne", "against-2w-uvicorn"),
        *("against-site-read-daphne", "against-site-read-uvicorn"),
        *(
            f"against{layer}-site-user-{server}"
            for server in ("daphne", "uvicorn")
            for layer in ("", "-memory", "-ipc", "-rabbitmq")
        ),
        *("against-site-changed-daphne", "against-site-changed-uvicorn"),
        *("against-site-read-postgres-daphne", "against-site-read-postgres-uvicorn"),
        *("against-site-user-postgres-daphne", "against-site-user-postgres-uvicorn"),
        *("against-site-changed-postgres-daphne", "against-site-changed-postgres-uvicorn"),
        *("against-layer-redis", "against-layer-memory", "against-layer-ipc", "against-layer-rabbitmq"),
    ]


def test_workers_of_the_in_memory_layer_are_threads_of_its_only_process(stacks):
    [server] = stacks["ours-memory-0w-daphne"].processes
    [_, server_of_ipc] = stacks["ours-ipc-1w-daphne"].processes

    assert [process.variables["WORKER_THREADS"] for process in (server, server_of_ipc)] == ["4", "0"]


def test_a_layer_of_ones_own_is_measured_like_ours(engine, monkeypatch):
    monkeypatch.setenv("PYTHONPATH", "/where/it/lies")

    own = all_stacks(engine, own_layer="mylayer.MyLayer")["own-layer"]

    assert [process.role for process in own.processes] == ["reader"]
    assert list(own.load.command[-2:]) == ["benchmarks.layer", "mylayer.MyLayer"]
    assert own.load.variables["PYTHONPATH"].endswith(f"{os.pathsep}/where/it/lies")
    assert [workload for workload in WORKLOADS if own.runs(workload)] == [
        workload for workload in WORKLOADS if all_stacks(engine)["ours-layer-ipc"].runs(workload)
    ]


@pytest.mark.parametrize("kind", ["site", "layer"])
def test_only_sites_run_what_needs_a_visitor_and_only_layers_alone_what_needs_nothing_else(kind, stacks):
    special = [workload for workload in WORKLOADS if workload.startswith(f"{kind}_")]
    for name, stack in stacks.items():
        runs = [workload for workload in WORKLOADS if stack.runs(workload)]
        assert runs == special if f"-{kind}-" in name else not set(runs) & set(special)


@pytest.mark.parametrize("name", ["ours-site-user-daphne", "channels4-site-fresh-uvicorn"])
def test_a_site_has_the_processes_of_its_engine_after_its_database_is_prepared(name, stacks):
    site, bare = stacks[name], stacks[SITES_LIKE[name]]
    redis, prepare, *others = site.processes

    assert (redis.role, prepare.role, prepare.ends) == ("redis", "prepare", True)
    assert [(process.role, process.command) for process in others] == [
        (process.role, process.command) for process in bare.processes[1:]
    ]
    for process in (prepare, *others):
        own, shared, *engine = process.variables["PYTHONPATH"].split(os.pathsep)
        assert [os.path.isdir(folder) for folder in (own, shared)] == [True, True]
        assert engine == bare.processes[1].variables["PYTHONPATH"].split(os.pathsep)[1:]


def test_a_site_on_postgresql_has_a_server_of_its_own_that_is_ready_before_its_database_is_prepared(stacks):
    site, on_sqlite = stacks["ours-site-user-postgres-daphne"], stacks["ours-site-user-daphne"]

    assert [process.role for process in site.processes] == ["redis", "postgresql", "prepare", "worker", "server"]
    assert site.processes[1].ready == [*site.processes[1].command, "--accepts"]
    assert (site.echo, site.headers) == (on_sqlite.echo, on_sqlite.headers)
    assert "postgresql" not in on_sqlite.roles


def test_a_site_on_rabbitmq_has_the_broker_and_what_knows_its_name(stacks):
    processes = stacks["ours-rabbitmq-site-user-daphne"].processes

    assert [process.role for process in processes] == ["rabbitmq", "rabbitmq", "prepare", "worker", "server"]


def test_only_ports_and_a_folder_are_left_open(stacks):
    for stack in stacks.values():
        for process in stack.processes:
            texts = [*process.command, *process.ready, *process.variables.values(), process.listens]
            texts.append(str(process.folder))
            rest = [re.sub(rf"\{{({'|'.join(PORTS)}|folder)\}}", "", text) for text in texts]
            assert [text for text in rest if "{" in text and "{{cookiecutter" not in text] == []
