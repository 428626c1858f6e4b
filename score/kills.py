"""Processes of the IPC layer that are killed at random moments while they send and read: S-10."""

import json
import os
import subprocess
import sys

from tests.baking import FOLDER, REPOSITORY


def kill_processes(session):
    """Do so in processes that are forked from one that does nothing else (S-10)."""
    kills, folder = session.size(200, 20), session.folder / "kills"
    folder.mkdir()
    command = [sys.executable, "-m", "tests.engine.layers.ipc.killing", folder, "--kills", str(kills)]
    path = os.pathsep.join(map(str, (REPOSITORY, REPOSITORY / FOLDER)))
    done = subprocess.run(command, env=os.environ | {"PYTHONPATH": path}, check=True, capture_output=True, text=True)
    found = json.loads(done.stdout)
    return {
        "kills": kills,
        # Those that are running at last are killed, too.
        "ends": found["kills"],
        "sent": found["sent"],
        "repeated": len(found["twice"]) + len(found["never sent"]),
        "lost": found["missing"],
        "unfinished": found["unfinished"],
        "slowest": found["slowest"],
    }
