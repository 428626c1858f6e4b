import json

import pytest

from .pages import measured, table_rows


@pytest.mark.parametrize("row", table_rows("docs/channels4.md", "Figures"), ids=lambda row: " ".join(row[:2]))
def test_a_figure_is_that_of_the_last_run(row):
    heading, figure, *figures = row
    stacks = ("ours-1w-uvicorn", "channels4-async-redis-uvicorn")

    assert figures == [measured(heading, figure, stack) for stack in stacks]


def test_the_room_does_what_that_of_channels_4_does(serve, open_socket):
    site = serve("docs/channels4.md", "RoomConsumer")
    anna, ben = open_socket(site, "/rooms/hall/"), open_socket(site, "/rooms/hall/")

    assert [anna.connect(), ben.connect()] == [[{"accept": True}]] * 2
    [said] = anna.send('"Hello"')
    assert json.loads(said["text"]) == {"user": "AnonymousUser", "said": "Hello"}
    assert ben.received() == [said]
