import itertools
import re
import sys

import pytest
from hypothesis import given
from hypothesis import strategies as st

from channels import include, route, route_class
from channels.exceptions import InvalidChannelLayerError
from channels.message import Message
from channels.routing import Router, describe


def consumer(message, **kwargs):
    pass


def other(message, **kwargs):
    pass


class Chat:
    @classmethod
    def channel_names(cls):
        return ["websocket.connect", "websocket.receive"]

    def __init__(self, message, **kwargs):
        pass


ROUTES = [route("http.request", consumer)]
CONSUMER = f"{__name__}.consumer"


def match(routing, channel="http.request", **content):
    """Return what the router finds for a message, as the router of a layer would."""
    return Router(routing).match(Message(content, channel, object()))


# Channels


def test_a_message_goes_to_the_consumer_of_its_channel():
    routing = [route("http.request", consumer), route("thumbnail", other)]

    assert match(routing) == (consumer, {})
    assert match(routing, "thumbnail") == (other, {})
    assert match(routing, "http.disconnect") is None


def test_a_route_may_read_several_channels():
    routing = [route(["http.request", "thumbnail"], consumer)]

    assert match(routing) == match(routing, "thumbnail") == (consumer, {})
    assert Router(routing).channels == {"http.request", "thumbnail"}


def test_the_first_route_that_matches_wins():
    assert match([route("http.request", consumer), route("http.request", other)]) == (consumer, {})


def test_a_class_names_its_channels_itself():
    routing = [route_class(Chat, path="^/chat"), route_class(f"{__name__}.Chat")]

    assert Router(routing).channels == {"websocket.connect", "websocket.receive"}
    assert match(routing, "websocket.receive", path="/chat/") == (Chat, {})
    assert match(routing, "websocket.disconnect", path="/chat/") is None


def test_a_routing_may_be_a_dict():
    assert match({"http.request": consumer, "thumbnail": CONSUMER}, "thumbnail") == (consumer, {})


def test_a_consumer_and_a_routing_may_be_dotted_paths():
    assert match([route("http.request", CONSUMER)]) == (consumer, {})
    assert match(f"{__name__}.ROUTES") == (consumer, {})
    assert match([include(f"{__name__}.ROUTES")]) == (consumer, {})


# Filters


@pytest.mark.parametrize(
    ("filters", "content", "found"),
    [
        ({"path": r"^/poll/$"}, {"path": "/poll/"}, {}),
        ({"path": r"^/poll/$"}, {"path": "/poll/more/"}, None),
        ({"path": r"/poll"}, {"path": "/poll/more/"}, {}),
        ({"path": r"poll"}, {"path": "/poll/"}, None),
        ({"path": r"^/(?P<room>\w+)/$"}, {"path": "/küche/"}, {"room": "küche"}),
        ({"path": r"^/(?P<room>\w+)/(?P<page>\d+)?$"}, {"path": "/kitchen/"}, {"room": "kitchen", "page": None}),
        ({"path": r"^/(?:a|b)/$"}, {"path": "/b/"}, {}),
        ({"path": r"^/", "method": r"^POST$"}, {"path": "/", "method": "POST"}, {}),
        ({"path": r"^/", "method": r"^POST$"}, {"path": "/", "method": "GET"}, None),
        ({"path": r"^/(?P<a>\w)", "method": r"(?P<b>\w)"}, {"path": "/x", "method": "GET"}, {"a": "x", "b": "G"}),
        ({"query_string": r"page=(?P<page>\d+)"}, {"query_string": b"page=2"}, {"page": "2"}),
        ({"query_string": r""}, {"query_string": "kü".encode()}, None),
        ({"path": rb"^/(?P<room>[a-z]+)/$"}, {"path": "/kitchen/"}, {"room": "kitchen"}),
        ({"path": rb"^/(?P<room>\w+)/$"}, {"path": "/küche/"}, None),
        ({"path": re.compile(rb"^/KITCHEN", re.IGNORECASE)}, {"path": "/kitchen/"}, {}),
        ({"query_string": rb"page=(?P<page>\d+)"}, {"query_string": b"page=2"}, {"page": "2"}),
        ({"text": r""}, {"bytes": b"x"}, None),
        ({"text": r""}, {"text": None}, None),
        ({"order": r"1"}, {"order": 1}, None),
        ({"text": r"^$"}, {"text": ""}, {}),
    ],
)
def test_a_filter_matches_the_start_of_a_text_and_captures_by_name(filters, content, found):
    assert match([route("http.request", consumer, **filters)], **content) == (
        None if found is None else (consumer, found)
    )


def test_a_message_that_one_filter_refuses_goes_to_the_next_route():
    routing = [route("http.request", consumer, method="^POST$"), route("http.request", other)]

    assert match(routing, method="GET") == (other, {})


@pytest.mark.parametrize("make", [lambda **filters: route("a", consumer, **filters), lambda **f: include([], **f)])
def test_a_group_without_a_name_is_refused(make):
    with pytest.raises(InvalidChannelLayerError, match=r"path='\^/\(a\)' has an unnamed group.*name it"):
        make(path="^/(a)")
    with pytest.raises(InvalidChannelLayerError, match="unnamed group"):
        make(path="^/(?P<a>a)(b)")


@pytest.mark.parametrize("pattern", ["(", b"(", "kü".encode(), re.compile(b"a", re.LOCALE), 1, None])
def test_a_filter_that_is_no_regular_expression_is_told(pattern):
    with pytest.raises(InvalidChannelLayerError, match=r"The filter path=.* is no regular expression"):
        route("a", consumer, path=pattern)


# Routings in routings


def test_an_include_cuts_its_prefix_off_and_so_do_those_inside():
    inner = [route("http.request", consumer, path=r"^/(?P<page>\d+)$")]
    routing = [include([include(inner, path=r"^/(?P<room>\w+)")], path=r"^/chat")]

    assert match(routing, path="/chat/kitchen/2") == (consumer, {"room": "kitchen", "page": "2"})
    assert match(routing, path="/kitchen/2") is None
    assert match(routing, path="/chat/kitchen/x") is None


def test_the_capture_inside_wins_over_the_one_outside():
    inner = [route("http.request", consumer, path=r"/(?P<name>\w+)")]

    assert match([include(inner, path=r"^/(?P<name>\w+)")], path="/outer/inner") == (consumer, {"name": "inner"})


def test_an_include_leaves_the_message_as_it_was():
    message = Message({"path": "/chat/kitchen"}, "http.request", object())
    inner = [route("http.request", consumer, path="^/kitchen$")]

    assert Router([include(inner, path="^/chat")]).match(message) == (consumer, {})
    assert message["path"] == "/chat/kitchen"


def test_what_an_include_does_not_match_goes_to_the_next_route():
    inner = [route("http.request", other, path="^/garden$")]
    routing = [include(inner, path="^/chat"), route("http.request", consumer)]

    assert match(routing, path="/chat/kitchen") == match(routing, path="/") == (consumer, {})
    assert match(routing, path="/chat/garden") == (other, {})


def test_a_prefix_of_bytes_is_cut_off_too():
    inner = [route("http.request", consumer, query_string="^b=2$")]

    assert match([include(inner, query_string="^a=1&")], query_string=b"a=1&b=2") == (consumer, {})


# Below a root path


@pytest.mark.parametrize(
    ("content", "captures"),
    [
        ({"path": "/app/page/", "root_path": "/app"}, {"rest": "/page/"}),
        ({"path": "/app", "root_path": "/app"}, {"rest": ""}),
        ({"path": "/app/app/", "root_path": "/app"}, {"rest": "/app/"}),
        ({"path": "/application/", "root_path": "/app"}, {"rest": "/application/"}),
        ({"path": "/app/page/", "root_path": ""}, {"rest": "/app/page/"}),
        ({"path": "/app/page/"}, {"rest": "/app/page/"}),
        ({"path": b"/app/page/", "root_path": "/app"}, {"rest": "/app/page/"}),
    ],
)
def test_routes_see_what_is_left_of_the_path(content, captures):
    assert match([route("http.request", consumer, path="^(?P<rest>.*)$")], **content) == (consumer, captures)


def test_an_include_cuts_its_prefix_off_behind_the_root_path():
    inner = [route("http.request", consumer, path="^/app/$")]

    assert match([include(inner, path="^/rooms")], path="/app/rooms/app/", root_path="/app") == (consumer, {})
    assert match([include(inner, path="^/app")], path="/app/rooms/app/", root_path="/app") is None
    # What is left of the path is not cut once more.
    assert match([include(inner, path="^/rooms")], path="/app/rooms/app/app/", root_path="/app") is None


def test_the_whole_path_and_the_root_path_stay_in_the_message():
    content = {"path": "/app/page/", "root_path": "/app"}
    message = Message(dict(content), "http.request", None)

    assert Router([route("http.request", consumer, path="^/page/$", root_path="^/app$")]).match(message)
    assert message.content == content


def test_all_channels_of_all_routings_are_read():
    routing = [include([route("a", consumer), include({"b": consumer})]), include([]), route("c", consumer)]

    assert Router(routing).channels == {"a", "b", "c"}


# Routes of one's own


class Everything:
    """A routing object: anything with these two methods."""

    def channel_names(self):
        return {"anything"}

    def match(self, message):
        return (consumer, {"by": "Everything"}) if message.get("fits", True) else None


def test_an_object_of_ones_own_may_stand_among_the_routes():
    routing = [include([Everything()]), route("anything", other)]

    assert Router(routing).channels == {"anything"}
    assert match(routing, "anything") == (consumer, {"by": "Everything"})
    assert match(routing, "anything", fits=False) == (other, {})


# Default routes


@pytest.fixture
def defaults():
    router = Router([route("http.request", other, path="^/own/$")])
    router.check_default(consumer)
    return router


def found(router, channel, **content):
    return router.match(Message(content, channel, object()))


def test_what_no_route_takes_is_for_the_views_and_sockets_are_accepted(make_site):
    site = make_site([route("websocket.connect", other, path="^/own/$")], default_routes=True)

    assert site.consume("websocket.connect", path="/own/") == []
    assert site.consume("websocket.connect", path="/") == [{"accept": True}]
    assert site.consume("websocket.receive", text="hello") == []
    assert site.consume("websocket.disconnect") == []


def test_the_routes_of_the_site_come_before_the_default_ones(defaults):
    assert found(defaults, "http.request", path="/own/") == (other, {})
    assert found(defaults, "http.request", path="/") == (consumer, {})
    events = ("connect", "receive", "recheck", "disconnect")
    assert defaults.channels == {"http.request", *(f"websocket.{event}" for event in events)}


def test_other_channels_have_no_default(defaults):
    assert found(defaults, "thumbnail") is None
    assert found(defaults, "http.disconnect") is None


# Mistakes


@pytest.mark.parametrize(
    ("path", "sentence"),
    [
        ("nowhere.consumers.connect", "cannot be imported: there is no module 'nowhere'"),
        ("tests.engine.nowhere.connect", "cannot be imported: there is no module 'tests.engine.nowhere'"),
        (f"{__name__}.nothing", f"The module '{__name__}' has no 'nothing'"),
        ("connect", "'connect' is no dotted path"),
    ],
)
def test_a_path_that_leads_nowhere_says_where_it_ends(path, sentence):
    for make in (lambda: route("a", path), lambda: include(path), lambda: Router(path)):
        with pytest.raises(InvalidChannelLayerError, match=sentence):
            make()


@pytest.mark.parametrize(
    ("source", "error"),
    [
        ("import a_package_that_is_missing", ModuleNotFoundError),
        ("import broken_site.a_module_that_is_missing", ModuleNotFoundError),
        ("from channels import a_name_that_is_missing", ImportError),
        ("import channels\nchannels.an_attribute_that_is_missing", AttributeError),
        ("1 / 0", ZeroDivisionError),
    ],
)
def test_an_error_inside_of_a_consumers_module_surfaces_whole(tmp_path, monkeypatch, source, error):
    (tmp_path / "broken_site").mkdir()
    (tmp_path / "broken_site" / "__init__.py").touch()
    (tmp_path / "broken_site" / "consumers.py").write_text(f"{source}\n\ndef connect(message): pass\n")
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.delitem(sys.modules, "broken_site", raising=False)

    with pytest.raises(error) as raised:
        route("websocket.connect", "broken_site.consumers.connect")
    assert not isinstance(raised.value, InvalidChannelLayerError)
    assert tmp_path / "broken_site" / "consumers.py" in [entry.path for entry in raised.traceback]


@pytest.mark.parametrize(
    ("routing", "sentence"),
    [
        ([consumer], r"stands in a routing and is no route. Write route\("),
        (["http.request"], "is no route"),
        (7, "A routing is a list of routes, or a dict, not int"),
        (b"routes", "not bytes"),
        ({"http.request": 7}, r"The consumer of \['http.request'\] is not callable: 7"),
        (f"{__name__}.CONSUMER", "not str"),
    ],
)
def test_what_is_no_routing_is_told(routing, sentence):
    with pytest.raises(InvalidChannelLayerError, match=sentence):
        Router(routing)


def test_consumers_and_routes_are_shown_by_name():
    class Callable:
        def __call__(self, message):
            pass

    assert describe(consumer) == CONSUMER
    assert describe(Chat) == f"{__name__}.Chat"
    assert describe(Callable()).endswith("Callable")
    assert repr(route(["b", "a"], consumer)) == f"<Route a/b -> {CONSUMER}>"


# Whatever the routing: against a model that knows beginnings of text instead of regular expressions

channels = st.sampled_from(["a", "b"])
beginnings = st.dictionaries(st.sampled_from(["path", "method"]), st.text("/.*", max_size=2), max_size=2)
routings = st.recursive(
    st.lists(st.tuples(st.just("route"), st.sets(channels, min_size=1), beginnings), max_size=3),
    lambda inner: st.lists(st.tuples(st.just("include"), inner, beginnings), max_size=3),
    max_leaves=6,
)


def made_of(model, found):
    """Return the routing that a model describes; its consumers are noted with their places in it."""
    routing = []
    for kind, what, starts in model:
        filters = {key: re.escape(start) for key, start in starts.items()}
        if kind == "include":
            routing.append(include(made_of(what, found), **filters))
        else:
            found.append(lambda message: None)
            routing.append(route(what, found[-1], **filters))
    return routing


def modelled(model, channel, content, numbers):
    """Return which route of a model matches, counted from 0, or None."""
    number = None
    for kind, what, starts in model:
        matches = all(key in content and content[key].startswith(start) for key, start in starts.items())
        if kind == "include":
            rest = {key: value[len(starts.get(key, "")) :] for key, value in content.items()}
            inner = modelled(what, channel, rest, numbers)
            number = inner if number is None and matches else number
        else:
            own = next(numbers)
            number = own if number is None and matches and channel in what else number
    return number


@given(routings, channels, st.dictionaries(st.sampled_from(["path", "method"]), st.text("/.*", max_size=4)))
def test_the_first_route_in_order_wins_whose_filters_match(model, channel, content):
    consumers = []
    routing = made_of(model, consumers)
    number = modelled(model, channel, content, itertools.count())

    assert match(routing, channel, **content) == (None if number is None else (consumers[number], {}))
