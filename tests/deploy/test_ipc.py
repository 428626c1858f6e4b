"""A site without any server: its processes share the IPC layer. Deploys are noticed by nobody, and kills by few."""

from . import test_deploy, test_kills


def test_a_deploy_is_noticed_by_nobody(ipc_site, monkeypatch):
    monkeypatch.setattr(test_deploy, "DEPLOYS", 1)
    test_deploy.test_a_deploy_is_noticed_by_nobody(ipc_site)


def test_what_killed_workers_lose_is_at_most_what_they_worked_on_and_all_of_it_is_counted(ipc_site, monkeypatch):
    monkeypatch.setattr(test_kills, "KILLS", 2)
    test_kills.test_what_killed_workers_lose_is_at_most_what_they_worked_on_and_all_of_it_is_counted(ipc_site)


def test_consumers_hear_once_of_every_connection_of_a_killed_interface_server(ipc_site):
    test_kills.test_consumers_hear_once_of_every_connection_of_a_killed_interface_server(ipc_site)
