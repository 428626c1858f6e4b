import pytest

from channels import channel_layers, route
from channels.exceptions import InvalidChannelLayerError
from channels.test import ChannelTestCase, Client, apply_routes


def one(message):
    return 1


def two(message):
    return 2


CHANNEL_ROUTING = [route("two", two)]


def consumer_of(channel, alias="default"):
    return Client(alias).get_consumer_by_channel(channel)


@pytest.fixture
def site(make_site):
    make_site([route("zero", one)])
    make_site([route("zero", one)], alias="other")


@pytest.mark.parametrize(
    "routes",
    [
        route("one", one),
        [route("one", one), route("two", two)],
        [[route("one", one)], CHANNEL_ROUTING],
        [[route("one", one)], f"{__name__}.CHANNEL_ROUTING"],
        {"one": one},
    ],
)
def test_routes_may_be_given_in_each_way_that_a_routing_can_be_written(site, routes):
    with apply_routes(routes):
        inside = consumer_of("one"), consumer_of("zero")

    assert inside == (one, None)
    assert (consumer_of("one"), consumer_of("zero")) == (None, one)


def test_a_dotted_path_is_a_routing(site):
    with apply_routes(f"{__name__}.CHANNEL_ROUTING"):
        assert consumer_of("two") is two


@pytest.mark.parametrize(("routes", "reason"), [(None, "not NoneType"), (["x"], "dotted path"), (7, "not int")])
def test_what_is_no_routing_is_refused_and_changes_nothing(site, routes, reason):
    with pytest.raises(InvalidChannelLayerError, match=reason):
        apply_routes(routes).enter()

    assert consumer_of("zero") is one


def test_there_may_be_no_routes_at_all(site):
    with apply_routes([]):
        assert consumer_of("zero") is None


@pytest.mark.parametrize("aliases", ["other", ["other"]])
def test_only_the_layers_that_are_named_are_changed(site, aliases):
    with apply_routes([route("one", one)], aliases=aliases):
        inside = consumer_of("one", "other"), consumer_of("one"), consumer_of("zero")

    assert inside == (one, None, one)
    assert consumer_of("zero", "other") is one


def test_several_layers_are_changed(site):
    with apply_routes([route("one", one)], aliases=["default", "other"]):
        assert consumer_of("one") is consumer_of("one", "other") is one


def test_an_alias_that_is_not_there_changes_nothing(site):
    with pytest.raises(InvalidChannelLayerError, match="'nowhere'"):
        apply_routes([route("one", one)], aliases=["default", "nowhere"]).enter()

    assert consumer_of("zero") is one


def test_it_can_be_entered_again_and_again(site):
    applied = apply_routes([route("one", one)])
    with applied, apply_routes([route("two", two)]), applied:
        pass
    applied.enter()
    applied.exit()

    assert consumer_of("zero") is one


def test_what_was_there_comes_back_after_an_error(site):
    with pytest.raises(LookupError), apply_routes([route("one", one)]):
        raise LookupError

    assert consumer_of("zero") is one


def test_a_function_is_decorated(site):
    @apply_routes([route("one", one)])
    def test(channel):
        """Be a test."""
        return consumer_of(channel)

    assert test("one") is one
    assert (test.__name__, test.__doc__, consumer_of("one")) == ("test", "Be a test.", None)


def test_an_asynchronous_function_is_decorated(site):
    import asyncio

    @apply_routes([route("one", one)])
    async def test(channel):
        await asyncio.sleep(0)
        return consumer_of(channel)

    assert asyncio.run(test("one")) is one
    assert consumer_of("one") is None


def test_a_router_can_be_set(site):
    class Router:
        channels = {"any"}

        def match(self, message):
            return two, {}

    channel_layers["default"].router = Router()

    assert Client().send_and_consume("any") == 2


@apply_routes([route("one", one)])
class DecoratedTests(ChannelTestCase):
    def setUp(self):
        # Nothing is asked of the base class, as in many a project.
        self.found = consumer_of("one")

    def tearDown(self):
        assert consumer_of("one") is one

    def test_routes_are_there_from_set_up_to_tear_down(self):
        assert self.found is consumer_of("one") is one

    @apply_routes([route("two", two)])
    def test_a_function_has_the_last_word(self):
        assert (consumer_of("one"), consumer_of("two")) == (None, two)


def test_a_class_whose_set_up_fails_leaves_nothing_behind(site):
    @apply_routes([route("one", one)])
    class Failing(ChannelTestCase):
        databases = set()
        seen = []

        def setUp(self):
            self.seen.append(consumer_of("one"))
            raise LookupError

        def test(self):
            pass

    import unittest

    result = unittest.TestResult()
    unittest.TestSuite([Failing("test")]).run(result)

    assert (len(result.errors), Failing.seen) == (1, [one])
    assert (consumer_of("one"), consumer_of("zero")) == (None, one)


def test_a_class_that_is_no_test_case_is_refused():
    with pytest.raises(TypeError, match="decorates functions and classes of unittest; Plain is neither"):

        @apply_routes([route("one", one)])
        class Plain:
            pass
