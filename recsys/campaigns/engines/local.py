"""Shards worked at by processes of this machine, each with one thread and the model mapped."""

from __future__ import annotations

import multiprocessing
import os
import signal
import threading
from collections.abc import Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor, as_completed
from concurrent.futures.process import BrokenProcessPool
from contextlib import contextmanager
from multiprocessing.connection import wait

from recsys.campaigns.opened import Job, OpenRun
from recsys.campaigns.tasks import Done, Task, perform
from recsys.errors import RecsysError

_THREADS = ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS")


class LocalEngine:
    """Works at shards in this process, or in several others, which stay until it is closed.

    Parameters
    ----------
    workers
        How many processes; 1 means this one.
    """

    def __init__(self, workers: int) -> None:
        self._workers = workers
        self._run: tuple[Job, OpenRun] | None = None
        self._pool: tuple[Job, ProcessPoolExecutor] | None = None

    def map(self, job: Job, task: Task, shards: Sequence[int]) -> Iterator[Done]:
        """Do the task on each shard, in any order.

        Raises
        ------
        RecsysError
            For the reasons that `tasks.perform` has, or a process died.
        """
        if min(self._workers, len(shards)) > 1:
            yield from self._in_processes(job, task, shards)
        elif shards:
            with one_thread():
                if self._run is None or self._run[0] != job:
                    self._run = job, OpenRun.open(job)
                for shard in shards:
                    yield perform(self._run[1], task, shard)

    def close(self) -> None:
        """End the processes."""
        if self._pool is not None:
            self._pool[1].shutdown(wait=True, cancel_futures=True)
            self._pool = None

    def _in_processes(self, job: Job, task: Task, shards: Sequence[int]) -> Iterator[Done]:
        if self._pool is None or self._pool[0] != job:
            self.close()
            context = multiprocessing.get_context("spawn")
            pool = ProcessPoolExecutor(
                self._workers, context, initializer=_Worker.begin, initargs=(job,)
            )
            self._pool = job, pool
        pool = self._pool[1]
        with _one_thread_each():  # processes begin as they are needed
            waiting = [pool.submit(_Worker.perform, task, shard) for shard in shards]
        try:
            for done in as_completed(waiting):
                yield done.result()
        except BrokenProcessPool as error:
            raise RecsysError(
                "a process of this campaign died, perhaps for want of memory; run again to go on, "
                "with fewer --workers if it happens again"
            ) from error


@contextmanager
def one_thread() -> Iterator[None]:
    """Let libraries compute in one thread: the number of threads changes the last bits."""
    from threadpoolctl import threadpool_limits

    with threadpool_limits(1):
        yield


@contextmanager
def _one_thread_each() -> Iterator[None]:
    """Let processes that begin meanwhile compute in one thread."""
    before = {name: os.environ.get(name) for name in _THREADS}
    os.environ.update(dict.fromkeys(_THREADS, "1"))
    try:
        yield
    finally:
        for name, value in before.items():
            if value is None:
                os.environ.pop(name, None)
            else:
                os.environ[name] = value


class _Worker:
    """What a process keeps between shards."""

    _run: OpenRun
    _job: Job

    @classmethod
    def begin(cls, job: Job) -> None:
        """Get ready; the run is opened with the first shard, where an error can be told."""
        signal.signal(signal.SIGINT, signal.SIG_IGN)  # the parent ends the pool
        threading.Thread(target=_end_with_parent, daemon=True).start()
        cls._job = job

    @classmethod
    def perform(cls, task: Task, shard: int) -> Done:
        """Do the task on a shard."""
        with one_thread():
            if not hasattr(cls, "_run"):
                cls._run = OpenRun.open(cls._job)
            return perform(cls._run, task, shard)


def _end_with_parent() -> None:
    """End this process when its parent is gone, killed perhaps."""
    parent = multiprocessing.parent_process()
    if parent is not None:
        wait([parent.sentinel])
        os._exit(1)
