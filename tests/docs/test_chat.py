from chat.models import Message, Room

from .pages import namespaces_of, program


def test_the_bot_tells_the_time_when_it_is_asked_to(db):
    answer = program("docs/chat.md", "answer").answer
    room = Room.objects.create(name="Attic")
    for text in ("Hello", "!time"):
        answer(Message.objects.create(room=room, text=text))

    assert [said.text.startswith("It is ") for said in room.messages.order_by("pk")] == [False, False, True]


def test_a_message_is_saved_that_comes_from_anywhere_else(make_site):
    site = make_site("config.routing.channel_routing")
    namespaces_of("docs/chat.md")
    site.work()

    assert [(said.author.username, said.text) for said in Message.objects.all()] == [("anna", "Done")]
