"""The commands a new project shows, in its README and at its birth, typed as they stand."""

import re
import subprocess
import sys
import sysconfig
from pathlib import Path

from ..baking import FOLDER, clean_environment
from ..docs.pages import blocks_of
from ..services import free_port
from .serving import serve

# Everything is installed already, so pip has nothing to fetch.
ENVIRONMENT = clean_environment() | {"PIP_NO_INDEX": "1", "PIP_DISABLE_PIP_VERSION_CHECK": "1"}


def test_the_commands_of_the_readme_start_and_test_the_site(bake):
    project = bake()
    make_environment(project)
    start, check = (block.text for block in blocks_of(f"{FOLDER}/README.md", "console"))

    assert page_served_by(start, project).status == 200
    activate = start.splitlines()[0]
    subprocess.run(["bash", "-e", "-c", f"{activate}\n{check}"], cwd=project, env=ENVIRONMENT, check=True)


def test_the_commands_shown_at_the_end_start_the_site(bake, capfd):
    project = bake()
    make_environment(project)
    commands = re.findall(r"^    (.+)$", capfd.readouterr().out, re.MULTILINE)

    assert len(commands) == 3
    assert page_served_by("\n".join(commands), project.parent).status == 200


def make_environment(project):
    """Make the project's virtual environment beforehand, so that it sees the packages of this one."""
    subprocess.run([sys.executable, "-m", "venv", project / ".venv"], check=True)
    packages = sysconfig.get_path("purelib", vars={"base": str(project / ".venv")})
    Path(packages, "these-tests.pth").write_text(sysconfig.get_path("purelib"))


def page_served_by(commands, folder):
    port = free_port()
    commands = commands.replace("manage.py runserver", f"manage.py runserver {port}")
    with serve(commands, folder, port, ENVIRONMENT) as server:
        return server.fetch("/")
