"""RabbitMQ brokers for tests: ordinary processes with ports and a folder of their own."""

import os
import shutil
import signal
import socket
import subprocess
import time
from pathlib import Path

from .services import free_port, missing

# Debian's script around it insists on another user, and on the system's folders.
PROGRAM = "/usr/lib/rabbitmq/bin/rabbitmq-server"


class Broker:
    """A broker without plugins; ``folder`` is an empty one of its own, ``settings`` are lines of its configuration."""

    host = "127.0.0.1"

    def __init__(self, folder, *settings):
        if not Path(PROGRAM).exists() or not shutil.which("erl"):
            missing("There is no RabbitMQ: apt-get install rabbitmq-server")
        self.port, self._names_port = free_port(), free_port()
        self._folder = folder
        self._log_file = folder / "broker.log"
        node = f"test{self.port}@localhost"
        configuration, plugins = folder / "rabbitmq.conf", folder / "plugins"
        lines = [f"listeners.tcp.1 = {self.host}:{self.port}", *settings]
        configuration.write_text("".join(f"{line}\n" for line in lines))
        plugins.write_text("[].\n")
        self.environment = {
            **os.environ,
            "HOME": str(folder),
            "ERL_EPMD_ADDRESS": self.host,
            "ERL_EPMD_PORT": str(self._names_port),
            "RABBITMQ_NODENAME": node,
            "RABBITMQ_DIST_PORT": str(free_port()),
            "RABBITMQ_CONFIG_FILE": str(configuration),
            "RABBITMQ_ENABLED_PLUGINS_FILE": str(plugins),
            "RABBITMQ_MNESIA_BASE": str(folder),
            "RABBITMQ_LOG_BASE": str(folder),
            "RABBITMQ_LOGS": "-",
            # With more threads than that it does nothing faster here, and takes turns from others.
            "RABBITMQ_SERVER_ADDITIONAL_ERL_ARGS": "+S 2 +sbwt none +sbwtdcpu none +sbwtdio none",
            # Has the script become the broker, instead of its parent.
            "NOTIFY_SOCKET": str(folder / "nobody"),
        }

    @property
    def url(self):
        return f"amqp://guest:guest@{self.host}:{self.port}/"

    @property
    def log(self):
        return self._log_file.read_text(errors="replace")

    def __enter__(self):
        self._names = subprocess.Popen(["epmd"], env=self.environment, stdout=subprocess.DEVNULL)
        self.start()
        return self

    def __exit__(self, *exception):
        self.kill()
        self._names.kill()
        self._names.wait()

    def start(self):
        with self._log_file.open("ab") as log:
            before = log.tell()
            options = {"stdin": subprocess.DEVNULL, "stdout": log, "stderr": subprocess.STDOUT}
            self.process = subprocess.Popen([PROGRAM], env=self.environment, start_new_session=True, **options)
        deadline = time.monotonic() + 60
        while "Server startup complete" not in self.log[before:]:
            assert self.process.poll() is None, self.log[before:]
            assert time.monotonic() < deadline, self.log[before:]
            time.sleep(0.05)

    def kill(self):
        """Kill the broker with all that it has started."""
        if self.process.poll() is None:
            os.killpg(self.process.pid, signal.SIGKILL)
        self.process.wait()

    def ctl(self, *arguments):
        """Run ``rabbitmqctl`` and return what it prints."""
        command = ["/usr/lib/rabbitmq/bin/rabbitmqctl", "--quiet", *arguments]
        return subprocess.run(command, env=self.environment, check=True, capture_output=True, text=True).stdout


def is_open(port):
    """Say whether somebody listens on a port."""
    with socket.socket() as probe:
        return probe.connect_ex(("127.0.0.1", port)) == 0
