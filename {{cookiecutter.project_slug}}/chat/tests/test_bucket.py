from chat.bucket import take


def test_a_new_bucket_is_full():
    assert take(None, now=100, size=3, per_second=1) == [2, 100]


def test_an_empty_bucket_gives_nothing():
    assert take([0.5, 100], now=100, size=3, per_second=1) is None


def test_it_fills_up_with_time():
    assert take([0, 100], now=102, size=3, per_second=1) == [1, 102]


def test_it_never_holds_more_than_its_size():
    assert take([0, 100], now=1000, size=3, per_second=1) == [2, 1000]


def test_a_clock_that_was_set_back_takes_nothing_away():
    assert take([2, 100], now=50, size=3, per_second=1) == [1, 50]
