"""A project on the IPC layer: its processes find each other, wherever each was started from."""

import contextlib
import subprocess
import sys

from ..baking import clean_environment, run
from ..services import free_port
from .serving import serve


def test_the_interface_server_and_the_worker_are_processes_of_their_own_and_nothing_was_installed(bake, tmp_path):
    project, port = bake(channel_layer="ipc"), free_port()
    run(project, "manage.py", "migrate", "--verbosity", "0")
    run(project, "manage.py", "check", "--fail-level", "WARNING")
    worker = [sys.executable, project / "manage.py", "runworker", "--processes", "2"]
    with contextlib.ExitStack() as stack:
        workers = stack.enter_context(subprocess.Popen(worker, cwd=tmp_path, env=clean_environment()))
        stack.callback(workers.terminate)
        command = f"exec python manage.py runserver --noworker {port}"
        server = stack.enter_context(serve(command, project, port, clean_environment()))

        assert server.fetch("/").status == 200
        assert server.fetch("/").status == 200
    assert workers.returncode == 0
    assert (project / ".ipc" / "channels" / "data.mdb").is_file()
