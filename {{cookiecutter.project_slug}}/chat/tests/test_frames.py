import json
import uuid

import pytest

from chat.frames import Refused, Say, Sync, read

CLIENT_ID = "6f1e9f0e-0d57-4b6e-9a55-0c7f2f4ad0b1"


def test_a_say_is_read():
    text = json.dumps({"type": "say", "id": CLIENT_ID, "text": " Hello\n"})

    assert read(text) == Say(CLIENT_ID, "Hello")


def test_a_sync_is_read():
    assert read('{"type": "sync", "after": 17}') == Sync(17)


@pytest.mark.parametrize(
    "text",
    [
        "",
        "{",
        "[]",
        "null",
        '"say"',
        "[" * 100_000,
        "{}",
        '{"type": "shout"}',
        '{"type": ["say"]}',
        '{"type": "say", "text": "Hello"}',
        '{"type": "say", "id": 7, "text": "Hello"}',
        '{"type": "say", "id": "x", "text": "Hello"}',
        json.dumps({"type": "say", "id": CLIENT_ID}),
        json.dumps({"type": "say", "id": CLIENT_ID, "text": ["Hello"]}),
        '{"type": "sync"}',
        '{"type": "sync", "after": -1}',
        '{"type": "sync", "after": true}',
        '{"type": "sync", "after": 1.5}',
        '{"type": "sync", "after": 9223372036854775808}',
    ],
)
def test_what_is_not_understood_is_refused(text):
    with pytest.raises(Refused) as refused:
        read(text)

    assert refused.value.reason == "malformed"


@pytest.mark.parametrize("text", ["", " \n ", "x" * 2001, "a\0b", "\ud800", "\u200b"])
def test_text_that_cannot_be_said_is_refused_with_its_id(text):
    with pytest.raises(Refused) as refused:
        read(json.dumps({"type": "say", "id": CLIENT_ID, "text": text}))

    assert (refused.value.reason, refused.value.client_id) == ("text", CLIENT_ID)


@pytest.mark.parametrize("text", ["x" * 2000, "two\nlines\tand a tab", "早上好", "👋🏽", "<b>&amp;</b>"])
def test_everything_else_can_be_said(text):
    assert read(json.dumps({"type": "say", "id": str(uuid.uuid4()), "text": text})).text == text
