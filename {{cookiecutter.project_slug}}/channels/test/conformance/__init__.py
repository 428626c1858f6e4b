"""
Prove that a channel layer keeps its contract: one suite for every layer, run by pytest.

A test module says how the layer is made and how its time passes::

    class TestMyChannelLayer(ChannelLayerConformance):
        expiry = group_expiry = 2

        def make_layer(self, **options):
            return MyChannelLayer(prefix=secrets.token_hex(8), **options)

        def advance(self, layer, seconds):
            time.sleep(seconds)

        def recipe(self, layer):
            return "my_package.MyChannelLayer", {"prefix": layer.prefix}

A layer of a single process has ``spans_processes = False``, takes ``SingleProcessConformance`` and needs no recipe.
``pytest.register_assert_rewrite("channels.test.conformance")``, before the import, makes failures readable.
"""

from .groups import GroupPromises
from .interface import InterfacePromises
from .limits import LimitPromises
from .messages import MessagePromises
from .names import NamePromises
from .processes import ProcessPromises
from .promises import pass_turns, side_by_side, wait_for
from .receiving import ReceivingPromises
from .statistics import StatisticsPromises
from .tickets import TicketPromises

__all__ = ["ChannelLayerConformance", "SingleProcessConformance", "pass_turns", "side_by_side", "wait_for"]


class SingleProcessConformance(
    MessagePromises,
    NamePromises,
    ReceivingPromises,
    LimitPromises,
    GroupPromises,
    StatisticsPromises,
    InterfacePromises,
    TicketPromises,
):
    """The promises of a channel layer within a single process, as tests; ``LayerPromises`` says what they need."""


class ChannelLayerConformance(SingleProcessConformance, ProcessPromises):
    """All the promises of a channel layer, those of several processes too."""
