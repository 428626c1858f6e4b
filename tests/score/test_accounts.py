"""The sum over the ledgers."""

from collections import Counter

from score.accounts import Account, drops_of, figures


def test_what_the_layer_has_counted_is_explained():
    assert Account("a", sent=10, lost=3, dropped={"full": 2, "expired": 1}).unexplained == 0
    assert Account("a", sent=10, lost=3, dropped={"full": 2}).unexplained == 1


def test_what_was_in_the_hands_of_a_killed_worker_is_explained():
    assert Account("a", sent=10, lost=3, dropped={}, unfinished=2).unexplained == 1
    assert Account("a", sent=10, lost=1, dropped={}, unfinished=2).unexplained == 0


def test_what_the_layer_never_got_of_a_closed_socket_is_explained_by_its_close():
    assert Account("a", sent=10, lost=5, dropped={"full": 2}, unfinished=1, told=2).unexplained == 0
    assert Account("a", sent=10, lost=5, dropped={"full": 2}, unfinished=1, told=1).unexplained == 1
    # It is no count: where the layer has counted everything, nothing is counted twice.
    assert Account("a", sent=10, lost=3, dropped={"full": 3}, told=3).surplus == 0


def test_the_reasons_of_all_losses_are_put_into_words():
    accounts = [Account("a", 9, 4, {"full": 2}, unfinished=2), Account("b", 9, 4, {"full": 1, "expired": 1}, told=2)]

    assert figures(accounts)["reasons"] == "3 full, 1 expired, 2 unfinished by killed workers, 2 told by 1013"
    assert figures([Account("a", 9, 0, {})])["reasons"] == "none"


def test_what_was_counted_and_not_lost_is_a_surplus():
    account = Account("a", sent=100, lost=50, dropped={"full": 55}, unfinished=5)

    assert (account.unexplained, account.surplus) == (0, 10)
    assert figures([account])["surplus"] == 10


def test_only_drops_of_the_ledgers_own_channels_groups_and_group_messages_explain_a_loss():
    dropped = {
        "websocket.receive": {"expired": 2},
        "room0": {"uncertain": 1},
        "websocket.disconnect": {"full": 60},
        "queue!": {"full, group message": 3, "full": 60},
    }

    assert drops_of(Layer(dropped), ["websocket.receive", "room0", "room1"]) == {
        "expired": 2,
        "uncertain": 1,
        "full, group message": 3,
    }


class Layer:
    def __init__(self, dropped):
        self._dropped = dropped

    def channel_statistics(self, channel):
        return {"dropped": self._dropped.get(channel, {})}

    def global_statistics(self):
        return {"dropped": dict(sum(map(Counter, self._dropped.values()), Counter()))}


def test_one_ledger_does_not_make_up_for_another_one():
    summed = figures([Account("a", 10, 2, {}), Account("b", 10, 0, {"full": 5}, unfinished=1)])

    assert (summed["sent"], summed["lost"], summed["counted"], summed["unfinished"]) == (20, 2, 5, 1)
    assert summed["unexplained"] == 2
