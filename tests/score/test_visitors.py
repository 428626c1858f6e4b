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


def test_what_a_closed_socket_did_not_hear_any_more_is_no_loss():
    one = visitors([[(0, 0), (0, 1)], [(0, 0)]])
    one.dropped = [(0, 1, 1013)]

    assert one.count_lost() == 1
    one.dropped.append((0, 0, 1013))
    assert one.count_lost() == 1


def test_the_losses_of_visitors_whose_socket_was_closed_are_counted_by_its_code():
    one = visitors([[(0, 0)], [(0, 0)]])
    one.dropped = [(0, 1, 1013)]

    assert one.count_lost() == 2
    assert (one.count_lost_by_closed(1013), one.count_lost_by_closed(1012)) == (1, 0)
    one.dropped.append((0, 0, 1012))
    assert (one.count_lost_by_closed(1013), one.count_lost_by_closed(1012)) == (1, 1)


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
