"""What the visitors' ledger says of a run."""

from score.visitors import Visitors


def visitors(received):
    made = Visitors(port=0, rooms=1, per_room=2)
    made.sockets = {(0, 0): None, (0, 1): None}
    made.sent[0] = [(0, 0), (0, 1), (1, 0)]
    made.received.update({(0, number): got for number, got in enumerate(received)})
    return made


def test_a_message_that_has_not_reached_every_member_is_lost():
    assert visitors([[(0, 0), (0, 1), (1, 0)], [(0, 0)]]).count_lost() == 2
    assert visitors([[(0, 0), (0, 1), (1, 0)], []]).count_lost() == 3


def test_nothing_is_lost_repeated_or_out_of_order_when_everybody_got_everything():
    figures = visitors([[(0, 0), (1, 0), (0, 1)]] * 2).figures()

    assert figures == {
        "sockets": 2,
        "sent": 3,
        "per_second": 0.0,
        "lost": 0,
        "repeated": 0,
        "disordered": 0,
        "dropped_sockets": 0,
    }


def test_repetitions_and_disorder_are_counted():
    figures = visitors([[(0, 1), (0, 0), (1, 0), (1, 0)], [(0, 0), (0, 1), (1, 0)]]).figures()

    assert (figures["lost"], figures["repeated"], figures["disordered"]) == (0, 1, 1)
