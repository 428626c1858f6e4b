"""A site for a row to play on: the site of the deploy tests, with consumers and views of the scorecard's own."""

import contextlib
import itertools
import shutil
import sys
from pathlib import Path

from tests.baking import FOLDER, REPOSITORY
from tests.deploy.conftest import Site

SITE = Path(__file__).parent / "site"
if str(REPOSITORY / FOLDER) not in sys.path:
    # The engine, for the rows that look into the store.
    sys.path.insert(0, str(REPOSITORY / FOLDER))


class Stage(Site):
    """
    The processes of one site.

    ``url`` is that of the channel layer if it is another one than Redis, ``options`` go into it, and ``environment``
    into that of the processes.
    """

    def __init__(self, folder, valkey, stack, url=None, options="", environment=()):
        folder.mkdir()
        super().__init__(folder, valkey, stack, url)
        shutil.copytree(SITE, folder / "site_code", dirs_exist_ok=True)
        self._url += options
        self.environment["CHANNEL_LAYER_URL"] = self._url
        self.environment.update(environment)
        self._numbers = itertools.count(1)

    def _start(self, name, command, listens):
        # A free port is no unique name when hundreds of workers are started.
        return super()._start(f"{name}-{next(self._numbers)}", command, listens)

    def start_workers(self, count, *arguments):
        """Start worker processes, one after the other."""
        return [self.work(*arguments) for _ in range(count)]

    def keys(self):
        """Return the names of all that lies in the store."""
        if self.valkey is None:
            layer = self.layer()
            keys = layer.store.visit(layer, lambda visit: visit.keys(b""))
            # Who has left a group is known for a minute.
            return [key.decode() for key in keys if not key.startswith(b"l")]
        client = self.valkey.client()
        with contextlib.closing(client):
            return [key.decode() for key in client.scan_iter(f"{self.folder.name}:*", count=1000)]

    def ends(self):
        """Return what the disconnect consumers have written down: pairs of reply channel and close code."""
        return [tuple(line.split()[1:3]) for line in self.notes if line.startswith("disconnect ")]


@contextlib.contextmanager
def on_stage(folder, valkey, url=None, options="", **environment):
    """Make a site, and end its processes afterwards."""
    with contextlib.ExitStack() as stack:
        yield Stage(folder, valkey, stack, url, options, environment)
