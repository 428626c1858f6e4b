"""RabbitMQ brokers for tests: ordinary processes with ports and a folder of their own."""

import contextlib
import fcntl
import os
import pickle
import shutil
import signal
import subprocess
import time
from pathlib import Path

from benchmarks import rabbitmq

from .services import free_port, missing
from .stores import make_certificates

# It takes no turns from others, and costs least to start. (More threads do nothing faster for one test at a time.)
ERLANG = "+S 1:1 +SDcpu 1:1 +SDio 1 +sbwt none +sbwtdcpu none +sbwtdio none"


class Broker:
    """A broker without plugins; ``folder`` is an empty one of its own."""

    host = rabbitmq.ADDRESS

    def __init__(self, folder):
        if not rabbitmq.PROGRAM.exists() or not shutil.which("erl"):
            missing("There is no RabbitMQ: apt-get install rabbitmq-server")
        self.port, self.tls_port = free_port(), free_port()
        self.authority, certificate, key = make_certificates(folder)
        self._folder = folder
        self._log_file = folder / "broker.log"
        configuration = folder / "rabbitmq.conf"
        configuration.write_text(
            f"listeners.tcp.1 = {self.host}:{self.port}\n"
            f"listeners.ssl.1 = {self.host}:{self.tls_port}\n"
            f"ssl_options.certfile = {certificate}\nssl_options.keyfile = {key}\n"
        )
        own = rabbitmq.variables(str(folder), str(free_port()), str(free_port()), f"test{self.port}")
        self._node = own["RABBITMQ_NODENAME"]
        self._environment = {
            **os.environ,
            **own,
            "RABBITMQ_CONFIG_FILE": str(configuration),
            "RABBITMQ_SERVER_ADDITIONAL_ERL_ARGS": ERLANG,
        }

    @property
    def url(self):
        return f"amqp://guest:guest@{self.host}:{self.port}/"

    @property
    def log(self):
        return self._log_file.read_text(errors="replace")

    def start(self):
        options = {"env": self._environment, "start_new_session": True, "stdin": subprocess.DEVNULL}
        names = subprocess.Popen(["epmd"], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, **options)
        with self._log_file.open("wb") as log:
            broker = subprocess.Popen([str(rabbitmq.PROGRAM)], stdout=log, stderr=subprocess.STDOUT, **options)
        self._processes = names.pid, broker.pid
        deadline = time.monotonic() + 120
        while "Server startup complete" not in self.log:
            assert broker.poll() is None, self.log
            assert time.monotonic() < deadline, self.log
            time.sleep(0.05)

    def kill(self):
        """Kill the broker with all that it has started."""
        for process in self._processes:
            with contextlib.suppress(ProcessLookupError):
                os.killpg(process, signal.SIGKILL)
            with contextlib.suppress(ChildProcessError):
                os.waitpid(process, 0)

    def evaluate(self, erlang):
        """Have the broker evaluate a term, and return what it prints of the value: ``rabbitmqctl`` in a hundredth."""
        program = next(Path("/usr/lib/erlang").glob("erts-*/bin/erl_call"))
        cookie = (self._folder / ".erlang.cookie").read_text()
        command = [program, "-sname", self._node, "-c", cookie, "-timeout", "30", "-e"]
        done = subprocess.run(
            command, input=f"{erlang}.\n", env=self._environment, check=True, capture_output=True, text=True
        )
        assert done.stdout.startswith("{ok, "), done.stdout
        return done.stdout.removeprefix("{ok, ").removesuffix("}")

    def have_virtual_host(self, name):
        """Have a virtual host that the user "guest" may use."""
        self.evaluate(f'rabbit_vhost:add(<<"{name}">>, <<"me">>)')
        self.permit("guest", ".*", ".*", ".*", name)

    def empty(self, name):
        """Cut all connections to a virtual host, and throw away all that lies in it."""
        self.evaluate(f'rabbit_vhost:delete(<<"{name}">>, <<"me">>)')
        self.have_virtual_host(name)

    def cut(self):
        """Cut all connections."""
        self.evaluate(
            '[rabbit_networking:close_connection(Pid, "cut") || Pid <- rabbit_networking:local_connections()]'
        )

    def restart(self):
        """Stop the broker for a second. What is declared as durable is there again, without messages."""
        self.evaluate("rabbit:stop()")
        time.sleep(1)
        self.evaluate("rabbit:start()")

    def have_user(self, user):
        """Have a user, whose password is "secret"."""
        self.evaluate(f'rabbit_auth_backend_internal:add_user(<<"{user}">>, <<"secret">>, <<"me">>)')

    def permit(self, user, configure, write, read, virtual_host="/"):
        """Say what a user may do in a virtual host."""
        arguments = ", ".join(f'<<"{text}">>' for text in (user, virtual_host, configure, write, read, "me"))
        self.evaluate(f"rabbit_auth_backend_internal:set_permissions({arguments})")


@contextlib.contextmanager
def own_broker(folder):
    """Run a broker for tests that stop it or take its memory."""
    broker = Broker(folder)
    try:
        broker.start()
        yield broker
    finally:
        broker.kill()


@contextlib.contextmanager
def shared_broker(folder):
    """
    Give the broker that all processes of a test run share, each of which passes the same folder.

    It takes seconds of processor time to start: the first who needs it does that, and the last one ends it.
    """
    folder.mkdir(exist_ok=True)
    description = folder / "broker"
    with (folder / "turn").open("w") as turn, (folder / "users").open("w") as users:
        fcntl.flock(turn, fcntl.LOCK_EX)
        fcntl.flock(users, fcntl.LOCK_SH)
        if not description.exists():
            broker = Broker(folder)
            broker.start()
            description.write_bytes(pickle.dumps(broker))
        fcntl.flock(turn, fcntl.LOCK_UN)
        yield pickle.loads(description.read_bytes())
        fcntl.flock(turn, fcntl.LOCK_EX)
        with contextlib.suppress(BlockingIOError):
            fcntl.flock(users, fcntl.LOCK_EX | fcntl.LOCK_NB)
            pickle.loads(description.read_bytes()).kill()
            description.unlink()
