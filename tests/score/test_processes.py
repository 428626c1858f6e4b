"""What is known of a process: of this one."""

import os
import socket
import threading

from score.processes import count_threads, open_files, processor_seconds, resident_size, unsent_bytes


def test_memory_and_processor_time_are_those_of_the_process():
    assert 5e6 < resident_size(os.getpid()) < 5e9
    assert abs(processor_seconds(os.getpid()) - sum(os.times()[:2])) < 0.5


def test_open_files_are_listed_by_what_they_lead_to(tmp_path):
    with (tmp_path / "open").open("w"):
        assert str(tmp_path / "open") in open_files(os.getpid())
    assert str(tmp_path / "open") not in open_files(os.getpid())


def test_threads_are_counted():
    before, leave = count_threads(os.getpid()), threading.Event()
    thread = threading.Thread(target=leave.wait)
    thread.start()
    during = count_threads(os.getpid())
    leave.set()
    thread.join()

    assert during == before + 1


def test_bytes_are_unsent_while_the_client_does_not_read():
    with socket.create_server(("127.0.0.1", 0)) as listening, socket.socket() as client:
        client.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        client.connect(listening.getsockname())
        ports = listening.getsockname()[1], client.getsockname()[1]
        server, _ = listening.accept()
        with server:
            before = unsent_bytes(*ports)
            server.setblocking(False)
            server.send(b"x" * 2**20)

            assert before == 0
            assert unsent_bytes(*ports) > 0
