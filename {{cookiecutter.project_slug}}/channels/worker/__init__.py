"""Workers: the processes and threads that run consumers."""

from .worker import THREADS, Worker, WorkerGroup, prepare_router, start_embedded_workers

__all__ = ["THREADS", "Worker", "WorkerGroup", "prepare_router", "start_embedded_workers"]
