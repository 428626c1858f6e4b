from xml.etree import ElementTree

from benchmarks.curves import curves

NAMESPACE = "{http://www.w3.org/2000/svg}"
BY_SOCKETS = {
    5000: {"a": {"cpu_us": 50, "pause_us": 9000}, "b": {"cpu_us": 25}},
    1000: {"a": {"cpu_us": 40, "pause_us": 2000}},
}


def drawn(kind, attribute, order=("b", "a", "c")):
    picture = ElementTree.fromstring(curves("scale", BY_SOCKETS, order))
    return [element.get(attribute) for element in picture.iter(f"{NAMESPACE}{kind}")]


def texts(order=("b", "a", "c")):
    return [text.text for text in ElementTree.fromstring(curves("scale", BY_SOCKETS, order)).iter(f"{NAMESPACE}text")]


def test_both_axes_begin_at_nothing_and_the_largest_values_are_at_their_ends():
    # In the first panel, which has its corner at 24, 240 and is 250 wide and 170 high.
    assert [(x, y) for x, y in zip(drawn("circle", "cx"), drawn("circle", "cy"), strict=True)][:3] == [
        ("274.0", "155.0"),
        ("74.0", "104.0"),
        ("274.0", "70.0"),
    ]


def test_every_point_has_its_value_and_pauses_are_in_milliseconds():
    shown = texts()

    assert [shown[shown.index("CPU µs per delivery") + number] for number in range(1, 6)] == [
        *("1,000", "5,000"),
        *("25.0", "40.0", "50.0"),
    ]
    assert shown[shown.index("longest pause while speaking, ms") + 3 :][:2] == ["2", "9"]


def test_the_stacks_that_were_measured_are_named_in_their_order():
    assert texts()[-2:] == ["b", "a"]


def test_a_group_is_drawn_by_the_number_of_its_members():
    measured = {10: {"a": {"cpu_us": 140, "rate": 1700}}, 1000: {"a": {"cpu_us": 150, "rate": 1900}}}

    shown = [
        text.text for text in ElementTree.fromstring(curves("broadcasts", measured, ["a"])).iter(f"{NAMESPACE}text")
    ]

    assert shown[:6] == ["A group by the number of its members", "CPU µs per broadcast", "10", "1,000", "140", "150"]


def test_nothing_is_drawn_of_nothing():
    assert curves("scale", {}, ["a"]) is None
    assert curves("scale", {1000: {"a": {"failed_rounds": ["no answer"]}}}, ["a"]) is None
