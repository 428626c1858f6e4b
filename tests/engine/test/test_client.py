import pytest
from django.db import connection, transaction

from channels import Channel, ConsumeLater, Group, route
from channels.exceptions import ChannelFull, ChannelSocketException, DenyConnection, WebsocketCloseException
from channels.sessions import channel_session, enforce_ordering
from channels.test import ChannelTestCase, Client, apply_routes


def square(message):
    Channel("result").send({"value": message["value"] ** 2})


def say(text):
    return lambda message: message.reply_channel.send({"text": text})


def fail(message):
    message.reply_channel.send({"text": "before"})
    raise LookupError("on purpose")


@channel_session
def count(message):
    message.channel_session["count"] = message.channel_session.get("count", 0) + 1
    message.reply_channel.send({"text": str(message.channel_session["count"])})


class ClientTests(ChannelTestCase):
    def test_what_is_sent_waits_until_it_is_consumed(self):
        client = Client()
        with apply_routes([route("input", say("done"))]):
            client.send("input", {"value": 1})
            before = client.receive()
            client.consume("input")

        assert before is None
        assert client.receive() == {"text": "done"}
        self.assertIsNone(client.receive())

    def test_a_consumer_may_be_called_with_the_message_that_waits(self):
        Channel("input").send({"value": 33})
        square(self.get_next_message("input", require=True))

        assert self.get_next_message("result", require=True)["value"] == 1089

    def test_a_message_that_is_required_and_not_there_fails_the_test(self):
        with self.assertRaisesRegex(AssertionError, r"No message waits on 'nowhere' of the layer 'default'"):
            self.get_next_message("nowhere", require=True)

        assert self.get_next_message("nowhere") is None

    def test_what_the_consumer_returns_is_returned(self):
        with apply_routes([route("input", lambda message: message["value"])]):
            assert Client().send_and_consume("input", {"value": 7}) == 7

    def test_content_is_copied(self):
        client, content = Client(), {"list": [1]}
        client.send("input", content)
        content["list"].append(2)

        assert self.get_next_message("input")["list"] == [1]
        assert "reply_channel" not in content

    def test_what_the_consumer_raises_is_raised_when_its_sends_have_left(self):
        client = Client()
        with apply_routes([route("input", fail)]), self.assertRaisesRegex(LookupError, "on purpose"):
            client.send_and_consume("input")

        assert client.receive() == {"text": "before"}

    def test_no_message_or_no_route_is_an_error_unless_it_may_be(self):
        client = Client()
        with self.assertRaisesRegex(AssertionError, "No message waits on 'input'"):
            client.consume("input")
        with apply_routes([route("other", square)]), self.assertRaisesRegex(AssertionError, "No route .* 'input'"):
            client.send_and_consume("input")
        with apply_routes([route("other", square)]):
            assert client.send_and_consume("input", fail_on_none=False) is None
            assert client.consume("input", fail_on_none=False) is None

    def test_a_denied_connection_is_an_answer(self):
        def deny(message):
            message.reply_channel.send({"text": "never"})
            raise DenyConnection

        client = Client()
        with apply_routes([route("websocket.connect", deny)]):
            client.send_and_consume("websocket.connect", {"path": "/"})

        assert client.receive() == {"accept": False}
        assert client.receive() is None

    def test_close_codes_can_be_seen(self):
        def close(message):
            raise WebsocketCloseException(4404)

        client = Client()
        with apply_routes([route("websocket.receive", close)]):
            client.send_and_consume("websocket.receive", {"path": "/", "text": "x"})

        assert client.receive() == {"close": 4404}

    def test_an_action_on_the_socket_is_taken(self):
        class Apology(ChannelSocketException):
            def run(self, message):
                message.reply_channel.send({"text": "sorry"})

        def consumer(message):
            raise Apology

        client = Client()
        with apply_routes(route("websocket.receive", consumer)):
            client.send_and_consume("websocket.receive")

        assert client.receive() == {"text": "sorry"}

    def test_a_message_that_is_to_come_later_waits_again(self):
        seen = []

        def consumer(message):
            seen.append(message["value"])
            if seen.count("early") == 1 and message["value"] == "early":
                raise ConsumeLater

        client = Client()
        with apply_routes([route("input", consumer)]):
            for value in ("early", "first"):
                client.send("input", {"value": value})
            for _ in range(3):
                client.consume("input")

        assert seen == ["early", "first", "early"]
        assert client.consume("input", fail_on_none=False) is None

    def test_a_full_channel_is_an_error_at_once(self):
        def flood(message):
            for number in range(101):
                Channel("unread").send({"number": number})

        with apply_routes([route("input", flood)]), self.assertRaisesRegex(ChannelFull, "'unread' holds 100 messages"):
            Client().send_and_consume("input")

    def test_groups_reach_their_members_until_these_leave(self):
        ada, bob = Client(), Client()
        for client in (ada, bob):
            client.join_group("room")
        Group("room").send({"text": "hello"}, immediately=True)
        Group("room").discard(bob.reply_channel)
        Group("room").send({"text": "bye"}, immediately=True)

        assert [ada.receive(), ada.receive(), ada.receive()] == [{"text": "hello"}, {"text": "bye"}, None]
        assert [bob.receive(), bob.receive()] == [{"text": "hello"}, None]

    def test_an_ordinary_channel_can_be_a_member_of_a_group(self):
        Group("test-group").add("test-channel")
        Group("test-group").send({"value": 42})

        assert self.get_next_message("test-channel", require=True)["value"] == 42

    def test_replies_can_be_taken_by_the_test_too(self):
        client = Client()
        with apply_routes([route("input", say("done"))]):
            client.send_and_consume("input")

        assert self.get_next_message(client.reply_channel, require=True).content == {"text": "done"}

    def test_a_socket_that_has_disconnected_is_in_no_group(self):
        client = Client()
        client.join_group("room")
        client.send("websocket.disconnect", {"path": "/"})
        Group("room").send({"text": "hello"})

        assert client.channel_layer.group_channels("room") == []
        assert client.receive() is None

    def test_the_channel_session_lasts_from_message_to_message(self):
        client, other = Client(), Client()
        with apply_routes([route("websocket.receive", count)]):
            for each in (client, client, other):
                each.send_and_consume("websocket.receive", {"path": "/"})

        assert [client.receive(), client.receive(), other.receive()] == [{"text": "1"}, {"text": "2"}, {"text": "1"}]

    def test_messages_that_wait_together_have_the_session_that_those_before_them_leave(self):
        client = Client()
        with apply_routes([route("websocket.receive", count)]):
            client.send("websocket.receive", {"path": "/", "order": 0})
            client.send("websocket.receive", {"path": "/", "order": 1})
            client.consume("websocket.receive")
            client.consume("websocket.receive")

        assert [client.receive(), client.receive()] == [{"text": "1"}, {"text": "2"}]

    def test_a_reply_channel_of_any_name_has_a_session(self):
        content = {"path": "/", "reply_channel": "test.reply"}
        with apply_routes([route("websocket.receive", count)]):
            Client().send_and_consume("websocket.receive", content)
            Channel("websocket.receive").send(content)
            Client().consume("websocket.receive")
            count(self._next(content))
            count(self._next(content))

        assert [self.get_next_message("test.reply")["text"] for _ in range(4)] == ["1", "2", "3", "4"]

    def _next(self, content):
        Channel("websocket.receive").send(content)
        return self.get_next_message("websocket.receive", require=True)

    def test_ordered_consumers_run_as_messages_come(self):
        @enforce_ordering
        def consumer(message):
            return message["order"]

        client = Client()
        with apply_routes([route("websocket.receive", consumer)]):
            assert client.send_and_consume("websocket.receive", {"path": "/", "order": 0}) == 0

    def test_the_consumer_of_a_channel_is_found(self):
        with apply_routes([route("input", square)]):
            assert Client().get_consumer_by_channel("input") is square
            assert Client().get_consumer_by_channel("other") is None

    def test_what_a_consumer_leaves_for_after_a_commit_is_done_at_its_end(self):
        def consumer(message):
            say("first")(message)
            with transaction.atomic():
                transaction.on_commit(lambda: say("second")(message))
            with self.assertRaises(LookupError), transaction.atomic():
                transaction.on_commit(lambda: say("never")(message))
                raise LookupError
            transaction.on_commit(lambda: transaction.on_commit(lambda: say("third")(message)))

        client = Client()
        transaction.on_commit(lambda: say("not yet"))
        with apply_routes([route("input", consumer)]):
            client.send_and_consume("input")
        with self.captureOnCommitCallbacks() as left:
            pass

        assert [client.receive() for _ in range(4)] == [{"text": "first"}, {"text": "second"}, {"text": "third"}, None]
        assert (left, len(connection.run_on_commit)) == ([], 1)

    def test_what_fails_after_a_commit_fails_the_test(self):
        def consumer(message):
            transaction.on_commit(lambda: fail(message))

        client = Client()
        with apply_routes([route("input", consumer)]), self.assertRaisesRegex(LookupError, "on purpose"):
            client.send_and_consume("input")

        assert client.receive() == {"text": "before"}

    def test_what_is_robust_fails_after_a_commit_as_it_does_in_production(self):
        def consumer(message):
            transaction.on_commit(lambda: fail(message), robust=True)
            transaction.on_commit(lambda: say("after")(message))

        client = Client()
        with apply_routes([route("input", consumer)]), self.assertLogs("django.db.backends.base") as logs:
            client.send_and_consume("input")

        assert [client.receive() for _ in range(3)] == [{"text": "before"}, {"text": "after"}, None]
        assert "on purpose" in logs.output[0]

    def test_each_consumer_runs_in_a_transaction_of_the_test(self):
        from django.contrib.auth import get_user_model

        def consumer(message):
            get_user_model().objects.create_user("anna")

        with apply_routes([route("input", consumer)]):
            Client().send_and_consume("input")

        assert get_user_model().objects.count() == 1


@pytest.mark.django_db
def test_nothing_of_a_test_is_left_over_for_others():
    from django.contrib.auth import get_user_model

    assert get_user_model().objects.count() == 0
