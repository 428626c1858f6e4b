"""What a worker thread has put off, done at another time than it would."""

from channels.worker import deadlines


def run_due(now=None):
    """Call what is due in this thread at ``now``, but nothing that this puts off; return the messages it brings."""
    now = deadlines.time.monotonic() if now is None else now
    heap, messages = deadlines._own.heap, []
    due = sorted(entry for entry in heap if entry[0] <= now)
    later = [entry for entry in heap if entry[0] > now]
    for entry in due:
        heap[:] = [entry]
        messages.append(deadlines.run_next())
        later += heap
    heap[:] = sorted(later)
    return [message for message in messages if message is not None]
