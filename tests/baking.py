"""Makes projects from the template, and runs their commands the way their owner would."""

import os
import shutil
import subprocess
import sys
from pathlib import Path

import environ
from cookiecutter.main import cookiecutter

REPOSITORY = Path(__file__).parents[1]
FOLDER = "{{cookiecutter.project_slug}}"


def repository_files():
    """Return the paths git knows or would add: no caches, no databases, nothing deleted."""
    command = ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"]
    listing = subprocess.run(command, cwd=REPOSITORY, check=True, capture_output=True).stdout
    paths = [Path(name) for name in sorted(set(listing.decode().split("\0"))) if name]
    return [path for path in paths if (REPOSITORY / path).is_file()]


def copy_repository(target):
    for path in repository_files():
        (target / path).parent.mkdir(parents=True, exist_ok=True)
        shutil.copy2(REPOSITORY / path, target / path)
    return target


class Baker:
    """Bakes into a folder of its own, without the defaults and the replay files of this machine's user."""

    def __init__(self, template, folder):
        self.template = template
        self.folder = folder
        self.config = folder / "cookiecutter.yaml"
        self.output = folder / "output"
        self.output.mkdir()
        self.config.write_text(f'replay_dir: "{folder}/replay"\ncookiecutters_dir: "{folder}/cookiecutters"\n')

    def __call__(self, template=None, accept_hooks=True, replay=None, **answers):
        project = cookiecutter(
            str(template or self.template),
            no_input=replay is None,
            replay=replay,
            extra_context=answers or None,
            output_dir=str(self.output),
            config_file=str(self.config),
            accept_hooks=accept_hooks,
        )
        return Path(project)


def literal(answer):
    """Protect an answer's braces: cookiecutter renders what it gets without asking, but not what is typed."""
    return f"{{% raw %}}{answer}{{% endraw %}}"


def run(project, *arguments, check=True, **environment):
    """Run Python in a project, in an environment that holds nothing of this test run."""
    done = subprocess.run(
        [sys.executable, *arguments],
        cwd=project,
        env=clean_environment() | environment,
        text=True,
        encoding="utf-8",
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        timeout=300,
    )
    assert not check or done.returncode == 0, done.stdout
    return done


def clean_environment():
    kept = {name: os.environ[name] for name in ("HOME", "LANG", "SYSTEMROOT", "TMPDIR") if name in os.environ}
    path = os.pathsep.join([str(Path(sys.executable).parent), os.environ["PATH"]])
    return kept | {"PATH": path, "PYTHONUTF8": "1"}


def read_env(path):
    """Return the variables of an env file, read as the settings read it."""

    class Env(environ.Env):
        ENVIRON = {}

    Env.read_env(path)
    return dict(Env.ENVIRON)
