import pytest
from django.contrib.auth import get_user_model
from django.http import parse_cookie
from django.test import Client as DjangoClient
from django.test import override_settings

from channels import Channel, Group, route
from channels.auth import channel_session_user, channel_session_user_from_http, http_session_user
from channels.exceptions import DenyConnection
from channels.handler import AsgiRequest
from channels.security.websockets import allowed_hosts_only
from channels.sessions import enforce_ordering, http_session
from channels.test import ChannelTestCase, ConnectionRejected, HttpClient, WSClient, apply_routes


def accept(message):
    message.reply_channel.send({"accept": True})


def deny(message):
    raise DenyConnection


def echo(message):
    message.reply_channel.send({"text": message["text"]})


def headers_of(message):
    return dict(map(tuple, message["headers"])) if "headers" in message else None


class WSClientTests(ChannelTestCase):
    def sent(self, client, to="websocket.connect", *arguments, **options):
        client.send(to, *arguments, **options)
        return self.get_next_message(to, require=True)

    # What a browser sends

    def test_a_socket_connects_as_from_a_page_of_the_site(self):
        message = self.sent(WSClient(), path="/hall/?name=ada")

        assert message.content == {
            "reply_channel": message.reply_channel.name,
            "scheme": "ws",
            "path": "/hall/",
            "query_string": b"name=ada",
            "root_path": "",
            "headers": [[b"host", b"testserver"], [b"origin", b"http://testserver"]],
            "subprotocols": [],
            "client": ["127.0.0.1", 50000],
            "server": ["testserver", 80],
            "order": 0,
        }

    def test_it_passes_the_check_of_its_origin(self):
        with apply_routes([route("websocket.connect", allowed_hosts_only(accept))]):
            WSClient().send_and_consume("websocket.connect")
            WSClient().send_and_consume("websocket.connect", {"scheme": "wss"})
            stranger = WSClient()
            stranger.set_header("Origin", "http://elsewhere.example")
            with self.assertRaisesRegex(ConnectionRejected, "accept.: False"):
                stranger.send_and_consume("websocket.connect")

    @override_settings(ALLOWED_HOSTS=["chat.example"])
    def test_the_origin_is_that_of_the_host(self):
        client = WSClient()
        client.set_header("host", b"chat.example")
        with apply_routes([route("websocket.connect", allowed_hosts_only(accept))]):
            client.send_and_consume("websocket.connect")

    def test_a_header_can_be_left_out(self):
        client = WSClient()
        client.set_header("origin", None)

        assert headers_of(self.sent(client)) == {b"host": b"testserver"}

    def test_only_the_first_message_has_headers(self):
        client = WSClient()
        messages = [self.sent(client, to) for to in ("websocket.connect", "websocket.receive")]
        late = self.sent(WSClient(), "websocket.receive")

        assert [headers_of(message) is not None for message in (*messages, late)] == [True, False, True]

    def test_headers_may_be_given_as_a_dict(self):
        client = WSClient()
        given = {"headers": {"Host": "a.example", "x-token": b"1"}}

        for _ in range(2):
            assert headers_of(self.sent(client, "websocket.receive", given)) == {
                b"host": b"a.example",
                b"x-token": b"1",
            }

    def test_cookies_are_written_as_django_reads_them(self):
        client = WSClient()
        for name, value in (("foo", "not-bar"), ("foo", "bar"), ("qux", "qu;x")):
            client.set_cookie(name, value)
        cookies = {"foo": "bar", "qux": "qu;x"}

        assert parse_cookie(headers_of(self.sent(client))[b"cookie"].decode()) == client.get_cookies() == cookies
        with self.assertRaisesRegex(ValueError, "set_cookie"):
            client.set_header("Cookie", "foo=bar")

    def test_messages_are_numbered(self):
        client = WSClient()
        channels = ("websocket.connect", "websocket.receive", "websocket.disconnect")

        assert [self.sent(client, to)["order"] for to in channels] == [0, 1, 2]
        assert self.sent(client, "websocket.receive", {"order": 7})["order"] == 7
        assert "order" not in self.sent(client, "chat.receive")

    def test_an_ordered_client_numbers_all_messages_itself(self):
        client = WSClient(ordered=True)

        assert [self.sent(client, "chat.receive")["order"] for _ in range(2)] == [0, 1]
        with self.assertRaisesRegex(ValueError, "ordered=True"):
            client.send("websocket.receive", {"order": 7})

    def test_a_disconnect_has_a_code(self):
        client = WSClient()

        assert self.sent(client, "websocket.disconnect")["code"] == 1000
        assert self.sent(client, "websocket.disconnect", {"code": 1006})["code"] == 1006

    def test_what_is_no_text_is_sent_as_json(self):
        client = WSClient()

        assert self.sent(client, "websocket.receive", text={"key": "value"})["text"] == '{"key": "value"}'
        assert self.sent(client, "websocket.receive", {"text": [1]})["text"] == "[1]"
        assert self.sent(client, "websocket.receive", text="plain")["text"] == "plain"

    def test_the_path_may_stand_in_the_content_or_in_its_place(self):
        client = WSClient()

        assert self.sent(client, "websocket.receive", {"path": "/a/"}, path="/b/")["path"] == "/a/"
        assert self.sent(client, "websocket.receive", "/c/")["path"] == "/c/"
        assert "query_string" not in self.sent(client, "websocket.receive", path="/d/?e=f")

    def test_the_query_is_there_when_the_socket_connects(self):
        def consumer(message):
            message.content["method"] = "FAKE"
            message.reply_channel.send({"text": str(sorted(AsgiRequest(message).GET.lists()))})

        client = WSClient()
        with apply_routes([route(["websocket.connect", "websocket.receive"], consumer, path=r"^/test$")]):
            client.send_and_consume("websocket.connect", path="/test?a=1&b=2&a=3", check_accept=False)

        assert client.receive(json=False) == "[('a', ['1', '3']), ('b', ['2'])]"

    def test_it_can_send_requests(self):
        def consumer(message):
            message.reply_channel.send({"status": 200, "content": AsgiRequest(message).get_host().encode()})

        client = WSClient()
        with apply_routes([route("http.request", consumer, method="^GET$")]):
            client.send_and_consume("http.request", path="/page/")

        assert client.receive() == {"status": 200, "content": b"testserver"}

    # Acceptance

    def test_a_socket_is_accepted_by_data_too_which_can_be_received(self):
        client = WSClient()
        with apply_routes([route("websocket.connect", lambda message: message.reply_channel.send({"text": '"hi"'}))]):
            client.send_and_consume("websocket.connect")

        assert [client.receive(), client.receive()] == ["hi", None]

    def test_what_comes_along_with_the_acceptance_can_be_received(self):
        def consumer(message):
            message.reply_channel.send({"accept": True, "text": "1", "subprotocol": "v1"})

        client = WSClient()
        with apply_routes([route("websocket.connect", consumer)]):
            client.send_and_consume("websocket.connect")

        assert client.receive() == 1

    def test_a_group_does_not_accept_a_socket(self):
        def consumer(message):
            Group("room").add(message.reply_channel)
            Group("room").send({"text": "1"})

        rejected = self.assertRaisesRegex(ConnectionRejected, "Connection rejected: .* to a group")
        with apply_routes([route("websocket.connect", consumer)]), rejected:
            WSClient().send_and_consume("websocket.connect")

    def test_a_group_that_is_sent_to_first_does_not_hide_the_acceptance(self):
        def consumer(message):
            Group("room").add(message.reply_channel)
            Group("room").send({"text": "1"})
            accept(message)

        client = WSClient()
        with apply_routes([route("websocket.connect", consumer)]):
            client.send_and_consume("websocket.connect")

        assert [client.receive(), client.receive()] == [1, None]

    def test_a_rejected_socket_fails_the_test_in_each_way_that_one_may_have_expected(self):
        with apply_routes([route("websocket.connect", deny)]):
            for error in (AssertionError, DenyConnection, ConnectionRejected):
                with self.assertRaisesRegex(error, r"Connection rejected: the consumer has answered {'accept': False}"):
                    WSClient().send_and_consume("websocket.connect")

    def test_without_the_check_the_answer_can_be_received(self):
        yes, no = WSClient(), WSClient()
        with apply_routes([route("websocket.connect", accept)]):
            yes.send_and_consume("websocket.connect", check_accept=False)
        with apply_routes([route("websocket.connect", deny)]):
            no.send("websocket.connect")
            no.consume("websocket.connect", check_accept=False)

        assert (yes.receive(), no.receive()) == ({"accept": True}, {"accept": False})

    # Answers

    def test_text_is_taken_for_json_unless_it_is_not(self):
        client = WSClient()
        with apply_routes([route("websocket.receive", echo)]):
            for text in ('{"a": 1}', '{"a": 1}', "plain", "plain"):
                client.send_and_consume("websocket.receive", text=text)

        assert [client.receive(), client.receive(json=False)] == [{"a": 1}, '{"a": 1}']
        with self.assertRaisesRegex(ValueError, r"'plain', which is no JSON: take it by receive\(json=False\)"):
            client.receive()
        assert client.receive(json=False) == "plain"

    def test_what_has_no_text_comes_whole(self):
        client = WSClient()
        for content in ({"bytes": b"\x00"}, {"close": 4401}):
            Channel(client.reply_channel).send(content)

        assert [client.receive(), client.receive()] == [{"bytes": b"\x00"}, {"close": 4401}]

    def test_ordered_consumers_answer_in_order(self):
        client = WSClient(ordered=True)
        with apply_routes(route("websocket.receive", enforce_ordering(echo))):
            for text in "123":
                client.send_and_consume("websocket.receive", text=text)

        assert [client.receive() for _ in range(4)] == [1, 2, 3, None]

    # Visitors

    def test_who_logs_in_is_the_user_of_the_socket(self):
        @channel_session_user_from_http
        def connect(message):
            accept(message)

        @channel_session_user
        def receive(message):
            message.reply_channel.send({"text": f'"{message.user.username}"'})

        anna = get_user_model().objects.create_user("anna", password="river-stone-77")
        routes = [route("websocket.connect", connect), route("websocket.receive", receive)]
        known, given, stranger = WSClient(), WSClient(), WSClient()
        answers = [
            known.login(username="anna", password="river-stone-77"),
            stranger.login(username="anna", password=""),
        ]
        given.force_login(anna)
        with apply_routes(routes):
            for client in (known, given, stranger):
                client.send_and_consume("websocket.connect")
                client.send_and_consume("websocket.receive")

        assert answers == [True, False]
        assert [client.receive() for client in (known, given, stranger)] == ["anna", "anna", ""]

    def test_a_test_that_begins_with_a_frame_has_the_user_too(self):
        seen = []
        client = WSClient()
        client.force_login(get_user_model().objects.create_user("anna"))
        with apply_routes(
            [route("websocket.receive", http_session_user(lambda message: seen.append(str(message.user))))]
        ):
            client.send_and_consume("websocket.receive", text="x")

        assert seen == ["anna"]

    def test_it_may_have_the_cookies_of_a_client_of_djangos(self):
        browser = DjangoClient()
        browser.force_login(get_user_model().objects.create_user("anna"))
        client = WSClient(client=browser)

        assert client.session.session_key == browser.session.session_key
        assert client.session["_auth_user_id"]

    def test_after_logging_out_it_has_no_session(self):
        client = WSClient()
        client.force_login(get_user_model().objects.create_user("anna"))
        client.logout()

        assert client.get_cookies() == {}

    def test_what_is_saved_in_the_session_the_consumer_finds_and_the_other_way_round(self):
        @http_session
        def consumer(message):
            message.http_session["seen"] = message.http_session["rooms"]

        client = HttpClient()
        client.session["rooms"] = ["test", "1"]
        client.session.save()
        with apply_routes([route("websocket.receive", consumer)]):
            client.send_and_consume("websocket.receive")

        assert client.session["seen"] == ["test", "1"]

    def test_a_visitor_who_has_never_been_here_has_no_session(self):
        seen = []
        with apply_routes(
            [route("websocket.connect", http_session(lambda message: seen.append(message.http_session)))]
        ):
            WSClient().send_and_consume("websocket.connect", check_accept=False)

        assert seen == [None]


LAYERS = {
    alias: {"BACKEND": "channels.layers.inmemory.InMemoryChannelLayer", "ROUTING": []} for alias in ("default", "other")
}


@override_settings(CHANNEL_LAYERS=LAYERS)
class LayersTests(ChannelTestCase):
    test_channel_aliases = ["default", "other"]

    def test_a_client_talks_to_the_layer_of_its_alias(self):
        client = WSClient(alias="other")
        client.join_group("room")
        with apply_routes([route("websocket.receive", echo)], aliases=["other"]):
            client.send_and_consume("websocket.receive", text="1")
        Group("room").send({"text": "2"})
        Group("room", alias="other").send({"text": "3"})

        assert [client.receive() for _ in range(3)] == [1, 3, None]
        assert self.get_next_message("websocket.receive", alias="other") is None


@pytest.mark.django_db
def test_a_client_works_without_a_test_case(make_site):
    make_site([route("websocket.receive", echo)])
    client = WSClient()
    client.send_and_consume("websocket.receive", text={"a": 1})

    assert client.receive() == {"a": 1}
