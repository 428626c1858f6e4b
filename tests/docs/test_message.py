def test_the_echo_answers_with_the_same_text(serve, open_socket):
    socket = open_socket(serve("docs/message.md", "echo", "websocket.receive"))

    assert socket.connect() == [{"accept": True}]
    assert socket.send("hello") == [{"text": "hello"}]
