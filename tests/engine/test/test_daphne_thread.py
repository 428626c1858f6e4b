import subprocess
import sys
import urllib.error
import urllib.request
from pathlib import Path

import pytest

import channels
from channels.test.daphne_thread import daphne_thread

FORKED = """
import os
import daphne.server
from channels.test.daphne_thread import daphne_thread

loop = daphne.server.twisted_loop
if os.fork() == 0:
    daphne_thread().listen("localhost")
    import daphne.server
    os._exit(0 if daphne.server.twisted_loop is not loop else 3)
print(os.waitstatus_to_exitcode(os.wait()[1]))
"""


def test_a_forked_process_shares_no_loop_with_the_others():
    command = [sys.executable, "-c", FORKED]
    environment = {"PYTHONPATH": str(Path(channels.__file__).parents[1])}
    done = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=60)

    assert done.stdout == "0\n", done.stderr


def test_between_tests_it_refuses_whoever_comes():
    port = daphne_thread().listen("localhost")
    with pytest.raises(urllib.error.HTTPError) as refused:
        urllib.request.urlopen(f"http://localhost:{port}/", timeout=10)

    assert refused.value.code == 503
    assert b"has ended" in refused.value.read()


def test_it_listens_once_on_each_host():
    daphne = daphne_thread()

    assert daphne.listen("localhost") == daphne.listen("localhost")
    assert daphne.listen("127.0.0.1") != daphne.listen("localhost")
