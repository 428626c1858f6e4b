"""ASGI 3 with no framework and no Redis: what the server itself costs."""

HELLO = b"Hello, world!"
ROOMS: dict[str, set] = {}


async def application(scope, receive, send):
    if scope["type"] == "http":
        await hello(send)
    elif scope["type"] == "websocket":
        path = scope["path"]
        if path.startswith("/room/"):
            await room(path, receive, send)
        else:
            await echo(receive, send)
    else:
        raise NotImplementedError(scope["type"])


async def hello(send):
    await send(
        {
            "type": "http.response.start",
            "status": 200,
            "headers": [
                (b"content-type", b"text/plain"),
                (b"content-length", b"%d" % len(HELLO)),
            ],
        }
    )
    await send({"type": "http.response.body", "body": HELLO})


async def echo(receive, send):
    await receive()
    await send({"type": "websocket.accept"})
    while True:
        event = await receive()
        if event["type"] == "websocket.disconnect":
            return
        await send({"type": "websocket.send", "text": event["text"]})


async def room(path, receive, send):
    members = ROOMS.setdefault(path, set())
    await receive()
    members.add(send)
    await send({"type": "websocket.accept"})
    try:
        while True:
            event = await receive()
            if event["type"] == "websocket.disconnect":
                return
            message = {"type": "websocket.send", "text": event["text"]}
            for member in tuple(members):
                try:
                    await member(message)
                except Exception:  # a member that is just going away
                    members.discard(member)
    finally:
        members.discard(send)
