"""What the tests of this folder send, and how."""

import threading

# A process queue.
QUEUE = "reply.a!"


def fill(direct, channel, count):
    batch = [direct.prepare(channel, {"number": number}) for number in range(count)]
    for start in range(0, count, 1000):
        assert direct.send_many(batch[start : start + 1000]) == []


def drain(redis, channel):
    return [message["number"] for _, message in iter(lambda: redis.receive([channel]), (None, None))]


def in_threads(action, arguments):
    """Call a function once for each argument, at the same time, and return the results."""
    results = []
    threads = [
        threading.Thread(target=lambda argument=argument: results.append(action(argument))) for argument in arguments
    ]
    for thread in threads:
        thread.start()
    return threads, results
