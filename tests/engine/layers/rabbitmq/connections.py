"""Take the connections of a layer away from it."""

import asyncio


def links_of(layer):
    broker = layer._io._broker
    return broker.publishing, broker.reading


def record_writes(connection):
    """Return a list to which a connection of pika's adds what it writes from now on."""
    transport, written = connection._transport, []
    write = transport.write

    def record(data):
        written.append(bytes(data))
        write(data)

    transport.write = record
    return written


def cut(layer):
    """Cut the connections of a layer, which makes other ones."""
    for link in links_of(layer):
        if link.is_open:
            layer._io._broker.post(link._connection.close)


def vanish(layer):
    """Cut the connections of a layer, and have it make no other ones: it is as dead as one can be in this process."""

    async def leave():
        for task in layer._io._broker._tasks:
            if task is not asyncio.current_task():
                task.cancel()
        for link in links_of(layer):
            link._connection.close()

    layer._io.run(leave())
