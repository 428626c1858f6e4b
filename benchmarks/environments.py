"""The virtual environments of what is measured, made in build/bench/, and the programs it takes besides."""

import shutil
import subprocess
import sys
from pathlib import Path

BENCHMARKS = Path(__file__).resolve().parent
REPOSITORY = BENCHMARKS.parent
BUILD = REPOSITORY / "build" / "bench"
ENVIRONMENTS = BUILD / "environments"
REQUIREMENTS = BENCHMARKS / "requirements"

# Environments that this Python does not make: what makes them.
_OTHER_MAKERS = {"channels1": "python3.6", "node": "npm"}
_DEBIAN_PACKAGES = {"wrk": "wrk", "redis-server": "redis-server"}


class MissingProgram(Exception):
    """Something has to be installed; the message says what and how."""


def environment(name):
    return ENVIRONMENTS / name


def require_programs():
    """Raise ``MissingProgram`` unless everything that pip cannot install is there."""
    missing = [package for program, package in _DEBIAN_PACKAGES.items() if shutil.which(program) is None]
    if missing:
        raise MissingProgram(
            f"The benchmarks need {' and '.join(missing)}. On Debian or Ubuntu: apt-get install {' '.join(missing)}"
        )


def install(name):
    """Make an environment, unless it is there as its requirements want it. Raises ``MissingProgram``."""
    maker = _maker(name)
    folder, wanted = environment(name), _wanted(name, maker)
    stamp = folder / "installed.txt"
    if stamp.exists() and stamp.read_text("utf-8") == wanted:
        return
    print(f"Installing {folder.relative_to(REPOSITORY)}", flush=True)
    shutil.rmtree(folder, ignore_errors=True)
    folder.parent.mkdir(parents=True, exist_ok=True)
    _install_node(folder) if name == "node" else _install_python(folder, maker, REQUIREMENTS / f"{name}.txt")
    stamp.write_text(wanted, "utf-8")


def _maker(name):
    """Return the program that makes an environment."""
    program = _OTHER_MAKERS.get(name)
    if program is None:
        return sys.executable
    # A stand-in of a version manager may be found and yet not run.
    if shutil.which(program) is None or subprocess.run([program, "--version"], capture_output=True).returncode:
        raise MissingProgram(f"The environment {name!r} is made by {program}, which is not installed.")
    return program


def _wanted(name, maker):
    """Return all that an environment depends on, as text."""
    if name == "node":
        return (BENCHMARKS / "apps" / "node" / "package.json").read_text("utf-8")
    return maker + "\n" + requirements(name)


def requirements(name):
    """Return the text of a requirements file, with those of the files it names."""
    lines = []
    for line in (REQUIREMENTS / f"{name}.txt").read_text("utf-8").splitlines():
        included = line.removeprefix("-r ").removesuffix(".txt")
        lines += requirements(included).splitlines() if line.startswith("-r ") else [line]
    return "\n".join(lines) + "\n"


def _install_python(folder, python, file):
    subprocess.run([python, "-m", "venv", folder], check=True)
    pip = [folder / "bin" / "python", "-m", "pip", "--quiet", "--disable-pip-version-check"]
    if python != sys.executable:
        subprocess.run([*pip, "install", "pip==21.3.1", "setuptools==59.6.0", "wheel==0.37.1"], check=True)
    # Warnings about places to look in are no news; errors are shown.
    subprocess.run([*pip, "--quiet", "install", "-r", file], check=True)


def _install_node(folder):
    folder.mkdir()
    shutil.copy(BENCHMARKS / "apps" / "node" / "package.json", folder)
    subprocess.run(["npm", "install", "--no-audit", "--no-fund", "--silent"], cwd=folder, check=True)
