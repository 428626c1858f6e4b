import pytest

from channels import Channel, Group, channel_layers, route
from channels.exceptions import ChannelFull, InvalidChannelLayerError, InvalidMessage, InvalidName, MessageTooLarge


def test_a_channel_sends_to_its_layer_at_once_outside_of_consumers(make_site):
    site = make_site()
    Channel("thumbnail").send({"size": 100})

    assert site.received("thumbnail") == [{"size": 100}]


def test_a_name_may_be_ascii_bytes(make_site):
    site = make_site()
    Group(b"news").add(Channel(b"archive"))
    Group("news").send({"text": "rain"})

    assert site.received("archive") == [{"text": "rain"}]
    for kind in (Channel, Group):
        with pytest.raises(InvalidName):
            kind("kü".encode())


def test_a_full_channel_is_told_to_the_sender(make_site):
    make_site(capacity=1)
    Channel("thumbnail").send({})

    with pytest.raises(ChannelFull, match=r"'thumbnail' holds 1 messages.*raise 'capacity'"):
        Channel("thumbnail").send({})


def test_a_group_sends_to_its_members(make_site):
    site = make_site()
    group = Group("news")
    for name in ("reply.a!1", "reply.a!2", "archive", "reply.b!1"):
        group.add(name)
    group.discard("reply.a!2")
    group.send({"text": "rain"})

    assert site.layer.group_channels("news") == ["reply.a!1", "archive", "reply.b!1"]
    assert site.received("reply.a!") == site.received("archive") == site.received("reply.b!") == [{"text": "rain"}]


def test_a_group_without_members_takes_messages(make_site):
    make_site()

    Group("nobody").send({"text": "hello"})


def test_members_join_and_leave_at_once_even_inside_of_a_consumer(make_site):
    seen = []

    def consumer(message):
        Group("news").add(message.reply_channel)
        seen.append(message.channel_layer.group_channels("news"))
        Group("news").discard(message.reply_channel)
        seen.append(message.channel_layer.group_channels("news"))

    site = make_site([route("websocket.connect", consumer)])
    site.consume("websocket.connect")

    assert seen == [[site.reply_channel], []]


def test_each_alias_has_its_own_layer(make_site):
    first, second = make_site(), make_site(alias="second")
    Channel("thumbnail", alias="second").send({"size": 1})
    Channel("thumbnail", channel_layer=channel_layers["second"]).send({"size": 2})
    Channel("thumbnail").send({"size": 3})

    assert first.received("thumbnail") == [{"size": 3}]
    assert second.received("thumbnail") == [{"size": 1}, {"size": 2}]


def test_an_alias_that_is_not_configured_is_told_with_those_that_are():
    with pytest.raises(InvalidChannelLayerError, match=r"no layer 'elsewhere' \(it has: 'default'\)"):
        Channel("thumbnail", alias="elsewhere")


@pytest.mark.parametrize("send", [Channel("a").send, Group("a").send])
@pytest.mark.parametrize("inside", [True, False])
def test_what_cannot_be_sent_is_told_at_the_line_that_sends_it(make_site, send, inside):
    errors = []

    def consumer(message):
        for content in (["no", "dict"], {1: "key"}, {"value": object()}, {"text": "x" * 2_000_000}):
            try:
                send(content)
            except InvalidMessage as error:
                errors.append(error)

    site = make_site([route("thumbnail", consumer)])
    if inside:
        site.consume("thumbnail")
    else:
        consumer(None)

    assert [type(error) for error in errors] == [InvalidMessage, InvalidMessage, InvalidMessage, MessageTooLarge]
    assert "sent to 'a' must be a dict, not list" in str(errors[0])


def test_such_an_error_is_a_type_error_and_a_value_error(make_site):
    make_site()

    for kind in (TypeError, ValueError):
        with pytest.raises(kind):
            Channel("thumbnail").send("text")


def test_the_name_is_checked_when_the_object_is_made():
    for kind in (Channel, Group):
        with pytest.raises(InvalidName, match="'with space' is no valid"):
            kind("with space")
    with pytest.raises(InvalidName, match="no valid group name"):
        Group("reply.a!1")


def test_what_they_are_is_shown():
    assert repr(Channel("http.request")) == "<Channel http.request>"
    assert repr(Group("news")) == "<Group news>"
