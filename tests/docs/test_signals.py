from channels import signals

from .pages import first_column, program


def test_the_page_has_every_signal():
    names = [name for name, value in vars(signals).items() if isinstance(value, signals.Signal)]

    assert sorted(first_column("docs/signals.md")) == sorted(names)


def test_the_receivers_on_the_page_count_each_message(make_site):
    block = program("docs/signals.md", "messages")
    site = make_site({"work": lambda message: None})
    for _ in range(2):
        site.layer.send("work", {})
    site.work()

    assert block.messages == {"started": 2, "finished": 2}
