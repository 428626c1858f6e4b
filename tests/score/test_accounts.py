"""The sum over the ledgers."""

from score.accounts import Account, figures


def test_what_the_layer_has_counted_is_explained():
    assert Account("a", sent=10, lost=3, dropped={"full": 2, "expired": 1}).unexplained == 0
    assert Account("a", sent=10, lost=3, dropped={"full": 2}).unexplained == 1


def test_what_was_in_the_hands_of_a_killed_worker_is_explained():
    assert Account("a", sent=10, lost=3, dropped={}, unfinished=2).unexplained == 1
    assert Account("a", sent=10, lost=1, dropped={}, unfinished=2).unexplained == 0


def test_one_ledger_does_not_make_up_for_another_one():
    summed = figures([Account("a", 10, 2, {}), Account("b", 10, 0, {"full": 5}, unfinished=1)])

    assert (summed["sent"], summed["lost"], summed["counted"], summed["unfinished"]) == (20, 2, 5, 1)
    assert summed["unexplained"] == 2
