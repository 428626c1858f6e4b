"""Workers: the processes and threads that run consumers."""

from .group import THREADS, WorkerGroup, embedded_workers, prepare_router, start_embedded_workers
from .worker import Worker

__all__ = ["THREADS", "Worker", "WorkerGroup", "embedded_workers", "prepare_router", "start_embedded_workers"]
