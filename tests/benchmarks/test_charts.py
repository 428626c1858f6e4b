from xml.etree import ElementTree

from benchmarks.charts import Panel, chart, svg
from benchmarks.workloads import WORKLOADS

NAMESPACE = "{http://www.w3.org/2000/svg}"


def rectangles(picture):
    """Return the bars of a picture; the first rectangle is its background."""
    return ElementTree.fromstring(picture).findall(f"{NAMESPACE}rect")[1:]


def texts(picture):
    return [text.text for text in ElementTree.fromstring(picture).iter(f"{NAMESPACE}text")]


def test_the_parts_of_a_bar_lie_end_to_end_and_the_longest_bar_fills_the_panel():
    panel = Panel("CPU", {"a": {"ours": 1.0, "": 3.0}, "b": {"": 2.0}})

    first, second, other = rectangles(svg("Cost", [panel]))

    assert (float(first.get("width")), float(second.get("width")), float(other.get("width"))) == (75, 225, 150)
    assert float(second.get("x")) == float(first.get("x")) + 75


def test_every_bar_has_a_label_and_its_value():
    assert texts(svg("Cost", [Panel("CPU", {"a<b": {"": 1234.5}}, digits=1)])) == ["Cost", "a<b", "CPU", "1,234.5"]


def test_roles_of_processes_are_explained():
    assert texts(svg("Cost", [Panel("CPU", {"a": {"server": 1.0, "redis": 1.0}})]))[-2:] == ["server", "redis"]


def test_a_picture_has_the_stacks_that_were_measured_in_order():
    by_stack = {
        "b": {"cpu_us": 3, "cpu_us_by_role": {"server": 3}, "rate": 7, "rounds": 1},
        "a": {"cpu_us": 5, "cpu_us_by_role": {"server": 5}, "rate": 4, "rounds": 1},
        "failed": {"rounds": 0, "failed_rounds": ["no answer"]},
    }

    picture = chart(WORKLOADS["echo"], "echo", by_stack, ["a", "b", "c", "failed"])

    assert texts(picture)[1:6] == ["a", "b", "CPU µs per echo", "5", "3"]


def test_latencies_are_drawn_of_what_is_sent_at_a_fixed_rate():
    measured = {"cpu_us": 5, "cpu_us_by_role": {"server": 5}, "rate": 4, "p50_us": 2000, "p99_us": 8000}

    for name in ("echo_paced", "site_echo_paced"):
        assert texts(chart(WORKLOADS[name], name, {"a": measured}, ["a"]))[2:5:2] == ["p50, ms", "p99, ms"]


def test_nothing_is_drawn_of_nothing():
    for name, workload in WORKLOADS.items():
        assert chart(workload, name, {"a": {"rounds": 0}}, ["a"]) is None
