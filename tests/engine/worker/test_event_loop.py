"""The event loop beside a worker thread."""

import asyncio
import threading

import pytest
from asgiref.sync import async_to_sync, sync_to_async
from django.http import StreamingHttpResponse
from django.urls import path

from channels.worker import WorkerGroup
from channels.worker.event_loop import run_beside_loop

pytestmark = pytest.mark.urls(__name__)
PATIENCE = 20.0


def run(function):
    """Run a function in a thread beside a loop, and wait for its end."""
    thread = threading.Thread(target=run_beside_loop, args=(function,))
    thread.start()
    thread.join(PATIENCE)
    assert not thread.is_alive()


def test_all_asynchronous_code_of_a_thread_runs_in_one_loop():
    async def look():
        loops.append(asyncio.get_running_loop())

    loops = []
    run(lambda: [async_to_sync(look)() for _ in range(3)])
    run(async_to_sync(look))

    assert [loop is loops[0] for loop in loops] == [True, True, True, False]


def test_synchronous_code_runs_in_the_thread_itself_however_deep():
    def look():
        threads.append(threading.current_thread())

    async def inner():
        await sync_to_async(look)()
        await sync_to_async(async_to_sync(deep))()

    async def deep():
        await sync_to_async(look)()

    def outer():
        look()
        async_to_sync(inner)()

    threads = []
    run(outer)

    assert len(threads) == 3
    assert len(set(threads)) == 1


def test_the_loop_ends_with_the_thread_and_cancels_what_is_left():
    async def go_on():
        try:
            await asyncio.sleep(3600)
        finally:
            ended.set()

    async def begin():
        tasks.append(asyncio.get_running_loop().create_task(go_on()))
        await asyncio.sleep(0)

    ended, tasks = threading.Event(), []
    run(async_to_sync(begin))

    assert ended.wait(PATIENCE)


def test_an_error_comes_out_of_the_thread():
    def fail():
        raise RuntimeError("failed")

    with pytest.raises(RuntimeError, match="failed"):
        run_beside_loop(fail)


def test_a_loop_that_cannot_be_made_is_an_error_and_nobody_waits_for_it(monkeypatch):
    def fail(*arguments, **options):
        raise OSError(24, "Too many open files")

    monkeypatch.setattr(asyncio, "new_event_loop", fail)
    monkeypatch.setattr(asyncio.events, "new_event_loop", fail)

    with pytest.raises(OSError, match="Too many open files"):
        run_beside_loop(lambda: None)


async def relay(request):
    """Begin in the view what the stream goes on with."""
    queue = asyncio.Queue()

    async def feed():
        for number in range(3):
            await asyncio.sleep(0.01)
            await queue.put(f"{number}")
        await queue.put(None)

    feeding = asyncio.create_task(feed())

    async def parts():
        while (part := await queue.get()) is not None:
            yield part
        await feeding

    return StreamingHttpResponse(parts())


urlpatterns = [path("relay/", relay)]


def test_a_stream_goes_on_with_what_its_view_has_begun(make_site, settings):
    settings.MIDDLEWARE, settings.TEMPLATES = [], []
    site = make_site(default_routes=True)
    group = WorkerGroup(site.layer, 1)
    group.start()
    site.layer.send(
        "http.request",
        {"method": "GET", "path": "/relay/", "headers": [], "reply_channel": site.reply_channel},
    )
    contents = []
    while contents[-1:] != [b""] or len(contents) == 1:
        reply = site.layer.receive([site.reply_channel.partition("!")[0] + "!"], block=True, timeout=PATIENCE)[1]
        contents.append(reply["content"])
        if "ack" in reply:
            site.layer.send(reply["worker"][0], {"response": reply["worker"][1], "closed": False})
    group.stop(timeout=PATIENCE)

    assert contents == [b"", b"0", b"1", b"2", b""]
