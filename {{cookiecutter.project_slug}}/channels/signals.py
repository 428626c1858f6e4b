"""
Signals around the life of a worker.

``consumer_started`` and ``consumer_finished`` are sent around each consumer with the keyword ``environ`` (an
empty dict, for receivers written for Channels 1) and ``message``; ``worker_ready`` when a worker starts to
read; ``worker_process_ready`` once in each worker process.
"""

from django.dispatch import Signal

# Their receivers are remembered for each sender, which is a worker's class: there are few.
consumer_started = Signal(use_caching=True)
consumer_finished = Signal(use_caching=True)
worker_ready = Signal()
worker_process_ready = Signal()
