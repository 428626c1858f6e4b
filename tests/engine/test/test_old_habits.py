"""What tests of Channels 1's time do with the kit, in the ways in which they do it."""

import unittest

from django.contrib.auth import get_user_model

from channels import Channel, Group, include, route, route_class
from channels.asgi import channel_layers
from channels.exceptions import ChannelSocketException
from channels.generic import BaseConsumer
from channels.generic.websockets import JsonWebsocketConsumer, WebsocketConsumer
from channels.message import Message
from channels.signals import consumer_finished
from channels.test import ChannelTestCase, Client, HttpClient, WSClient, apply_routes


class RoomConsumer(JsonWebsocketConsumer):
    http_user_and_session = True
    groups = ["watchers"]

    def receive(self, content, **kwargs):
        self.send({"rooms": self.message.http_session.get("rooms", [])})
        Channel("rooms.asked").send({"user": self.message.user.pk, "message": content["message"]})


class Plain(WebsocketConsumer):
    def connect(self, message, **kwargs):
        self.called = "connect", kwargs
        message.reply_channel.send({"accept": True})

    def receive(self, text=None, bytes=None, **kwargs):
        self.called = "receive", text

    def disconnect(self, message, **kwargs):
        self.called = "disconnect", kwargs


class Jobs(BaseConsumer):
    method_mapping = {"job.create": "create"}

    def create(self, message, **kwargs):
        self.called = "create"


class HabitTests(ChannelTestCase):
    def setUp(self):
        self.user = get_user_model().objects.create_user(username="ada", email="ada@example.com", password="lace-77")

    def test_a_consumer_of_json_with_user_session_and_group(self):
        with apply_routes([RoomConsumer.as_route(path=r"^/rooms/$")]):
            client = HttpClient()
            self.assertTrue(client.login(username="ada", password="lace-77"))
            client.send_and_consume("websocket.connect", path="/rooms/")
            self.assertIsNone(client.receive())

            Group(RoomConsumer.groups[0]).send({"text": "ok"}, immediately=True)
            self.assertEqual(client.receive(json=False), "ok")

            client.session["rooms"] = ["hall", "1"]
            client.session.save()
            client.send_and_consume("websocket.receive", text={"message": "hey"}, path="/rooms/")
            self.assertEqual(client.receive(), {"rooms": ["hall", "1"]})
            expected = {"user": self.user.pk, "message": "hey"}
            self.assertEqual(self.get_next_message("rooms.asked").content, expected)
            self.assertIsNone(client.receive())

    def test_the_object_of_a_class_is_returned(self):
        with apply_routes([route_class(Plain, path=r"^/path/(?P<id>\d+)"), route_class(Jobs)]):
            client = Client()
            consumer = client.send_and_consume("websocket.connect", {"path": "/path/1", "headers": PAGE})
            self.assertEqual(consumer.called, ("connect", {"id": "1"}))
            consumer = client.send_and_consume("websocket.receive", {"path": "/path/1", "text": "text"})
            self.assertEqual(consumer.called, ("receive", "text"))
            consumer = client.send_and_consume("websocket.disconnect", {"path": "/path/1"})
            self.assertEqual(consumer.called, ("disconnect", {"id": "1"}))
            self.assertEqual(client.send_and_consume("job.create").called, "create")

            client.send("job.unknown")
            message = self.get_next_message("job.unknown")
            self.assertIsNone(client.channel_layer.router.match(message))

    def test_a_class_is_called_with_a_message_that_waits(self):
        Channel("job.create").send({"value": 33})

        self.assertEqual(Jobs(self.get_next_message("job.create", require=True)).called, "create")

    def test_a_message_is_made_by_hand(self):
        message = Message({"reply_channel": "test-reply", "text": "x"}, "websocket.receive", channel_layers["default"])
        message.reply_channel.send({"text": message["text"]})

        self.assertEqual(self.get_next_message("test-reply").content, {"text": "x"})

    def test_one_route_a_list_of_lists_and_includes(self):
        routes = [route("websocket.receive", lambda message: message["path"], path=r"^/$")]
        for given in (routes[0], [routes], [include(routes)], [include(routes, path="")]):
            with apply_routes(given):
                self.assertEqual(WSClient().send_and_consume("websocket.receive", {"path": "/", "text": "x"}), "/")

    def test_the_end_of_a_consumer_is_announced_by_hand(self):
        client = HttpClient()
        client.join_group("values")
        Group("values").send({"text": '{"stream": "value"}'})
        consumer_finished.send(sender=None)

        self.assertEqual(client.receive(), {"stream": "value"})
        self.assertIsNone(client.receive())

    def test_a_rejected_socket_is_told_by_the_text_of_an_error(self):
        def reject(message):
            message.reply_channel.send({"accept": False})

        with apply_routes([route("websocket.connect", reject)]):
            try:
                HttpClient().send_and_consume("websocket.connect")
            except AssertionError as error:
                self.assertIn("Connection rejected", str(error))
            else:
                self.fail("It was accepted.")

    def test_an_exception_of_a_socket_answers(self):
        class Refusal(ChannelSocketException):
            def run(self, message):
                message.reply_channel.send({"text": "error"})

        def consumer(message):
            raise Refusal

        client = WSClient()
        with apply_routes(route("websocket.receive", consumer)):
            client.send_and_consume("websocket.receive", {"path": "/", "text": "x"})
            self.assertEqual(client.receive(json=False), "error")

    def test_a_path_stands_where_the_content_does(self):
        with apply_routes([route("websocket.connect", accept, path=r"^/new$")]):
            HttpClient().send_and_consume("websocket.connect", "/new")

    def test_messages_are_sent_by_a_channel_and_consumed_by_a_client(self):
        client = WSClient()
        with apply_routes([route("websocket.receive", echo)]):
            Channel("websocket.receive").send({"path": "/", "text": "1", "reply_channel": client.reply_channel})
            client.consume("websocket.receive", fail_on_none=False)
            client.consume("websocket.receive", fail_on_none=False)

        self.assertEqual(client.receive(), 1)


PAGE = [[b"host", b"testserver"], [b"origin", b"http://testserver"]]


def accept(message):
    message.reply_channel.send({"accept": True})


def echo(message):
    message.reply_channel.send({"text": message["text"]})


@apply_routes([route("websocket.receive", echo)])
class PlainTestCase(unittest.TestCase):
    """A class that is none of ours: routes count from setUp on."""

    def test_routes_are_there(self):
        self.assertIs(Client().get_consumer_by_channel("websocket.receive"), echo)
