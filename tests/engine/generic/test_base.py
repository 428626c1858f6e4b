import pytest

from channels import Channel, include, route_class
from channels.exceptions import InvalidChannelLayerError
from channels.generic import BaseConsumer
from channels.routing import describe


class Counter(BaseConsumer):
    method_mapping = {"numbers.add": "add", "numbers.forget": "forget"}
    step = 1

    def add(self, message, **kwargs):
        Channel("numbers.sum").send({"sum": message["number"] + self.step, **kwargs, "kwargs": self.kwargs})

    def forget(self, message, **kwargs):
        Channel("numbers.sum").send({"same": self.message is message})


def sums(site, channel="numbers.add", **content):
    site.layer.send(channel, {"number": 1, **content})
    site.work()
    return site.received("numbers.sum")


def test_each_channel_has_its_method(make_site):
    site = make_site([route_class(Counter)])

    assert sums(site) == [{"sum": 2, "kwargs": {}}]
    assert sums(site, "numbers.forget") == [{"same": True}]


def test_it_reads_the_channels_of_its_mapping():
    assert Counter.channel_names() == {"numbers.add", "numbers.forget"}


def test_a_method_that_is_not_there_is_told_when_the_routing_is_made():
    class Mistaken(BaseConsumer):
        method_mapping = {"numbers.add": "ad"}

    with pytest.raises(InvalidChannelLayerError, match=r"Mistaken\.method_mapping sends 'numbers\.add' .* 'ad'"):
        route_class(Mistaken)


@pytest.mark.parametrize(
    "route",
    [
        lambda: route_class(Counter, unit=r"^(?P<unit>\w+)$"),
        lambda: route_class(Counter, unit=rb"^(?P<unit>\w+)$"),
        lambda: route_class(f"{__name__}.Counter", unit=r"^(?P<unit>\w+)$"),
        lambda: Counter.as_route(unit=r"^(?P<unit>\w+)$"),
        lambda: Counter.as_route({"step": 1}, unit=r"^(?P<unit>\w+)$"),
        lambda: include([Counter.as_route()], unit=r"^(?P<unit>\w+)"),
    ],
)
def test_what_the_routing_captures_comes_to_the_method_and_lies_in_kwargs(make_site, route):
    site = make_site([route()])

    assert sums(site, unit="kg") == [{"sum": 2, "unit": "kg", "kwargs": {"unit": "kg"}}]


def test_as_route_changes_attributes_for_one_route_only(make_site):
    site = make_site([Counter.as_route(attrs={"step": 10}, unit="kg"), Counter.as_route()])

    assert sums(site, unit="kg")[0]["sum"] == 11
    assert sums(site)[0]["sum"] == 2
    assert Counter.step == 1


def test_a_mapping_may_come_with_the_route(make_site):
    class Answering(BaseConsumer):
        def answer(self, message):
            Channel("numbers.sum").send({"answer": True})

    site = make_site([Answering.as_route({"method_mapping": {"numbers.add": "answer"}})])

    assert sums(site) == [{"answer": True}]


def test_a_class_with_other_attributes_keeps_its_name_in_logs():
    consumer = Counter.as_route(attrs={"step": 2}).consumer

    assert describe(consumer) == describe(Counter) == f"{__name__}.Counter"


def test_attributes_that_are_no_dict_are_refused():
    with pytest.raises(TypeError, match="attrs of a route are a dict of class attributes, not list"):
        Counter.as_route(["step"])


def test_a_consumer_is_decorated_by_overriding_get_handler(make_site):
    class Doubled(Counter):
        def get_handler(self, message, **kwargs):
            handler = super().get_handler(message, **kwargs)

            def doubled(message, **kwargs):
                message["number"] *= 2
                return handler(message, **kwargs)

            return doubled

    assert sums(make_site([route_class(Doubled)]), number=4)[0]["sum"] == 9


@pytest.mark.parametrize("switch", ["channel_session", "channel_session_user"])
def test_sessions_and_users_are_switched_on_by_attributes(open_socket, switch):
    class Remembering(BaseConsumer):
        method_mapping = {"websocket.connect": "connect", "websocket.receive": "receive"}

        def connect(self, message):
            message.channel_session["visits"] = 1
            message.reply_channel.send({"accept": True})

        def receive(self, message):
            text = str(message.channel_session["visits"])
            message.reply_channel.send({"text": text + str(getattr(message, "user", ""))})

    socket = open_socket(Remembering.as_route(attrs={switch: True}))
    socket.connect()

    assert socket.send("") == [{"text": "1" if switch == "channel_session" else "1AnonymousUser"}]
