"""Shards worked at by actors of a Ray cluster, or of one that starts on this machine."""

from __future__ import annotations

import logging
import os
import socket
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from typing import Any

import numpy as np
import numpy.typing as npt
from pydantic import TypeAdapter

from recsys.campaigns.engines.local import one_thread
from recsys.campaigns.opened import Job, OpenRun
from recsys.campaigns.tasks import Done, Task, perform
from recsys.errors import MissingDependencyError, RecsysError

try:
    import ray
    import ray.data
except ImportError as error:
    raise MissingDependencyError("ray", "ray", "running a campaign on Ray") from error

_DONE = TypeAdapter(Done)
_STORE = 100 * 2**20  # what passes between processes are numbers of shards and counts

Batch = dict[str, npt.NDArray[Any]]


class RayEngine:
    """Works at shards in actors that Ray Data feeds with their numbers.

    Every actor opens the run once, with one thread, and does whole shards as the local engine does,
    from and to the work folder, so the bytes are the same. The work folder, the models and the
    store must be reached by all nodes under the same names.

    Parameters
    ----------
    address
        The cluster's; one starts on this machine where None.
    workers
        How many actors at most; None for one a core, but one of a cluster's.
    """

    def __init__(self, address: str | None, workers: int | None) -> None:
        self._address, self._workers = address, workers

    def map(self, job: Job, task: Task, shards: Sequence[int]) -> Iterator[Done]:
        """Do the task on each shard, in any order; few are under way at a time.

        Raises
        ------
        RecsysError
            For the reasons that `tasks.perform` has, or the cluster is not reached or fails.
        """
        if not shards:
            return
        job = replace(job, work=job.work.resolve(), models=job.models.resolve())
        with _told():
            self._join()
            for row in self._done(job, task, shards):
                if row["error"]:
                    raise RecsysError(row["error"])
                yield _DONE.validate_json(row["done"])

    def close(self) -> None:
        """Do nothing: actors end with their task, and what was started ends with the process."""

    def _join(self) -> None:
        """Join the cluster, or start one; once a process."""
        if ray.is_initialized():
            return
        os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")  # nothing is sent to anyone
        os.environ.setdefault("RAY_BACKEND_LOG_LEVEL", "fatal")  # what matters is raised
        logging.getLogger("ray.data").setLevel(logging.ERROR)
        quiet: dict[str, Any] = {"logging_level": logging.ERROR, "log_to_driver": False}
        if self._address is not None:
            _knock(self._address)
            ray.init(self._address, **quiet)
            return
        # one core more than there are actors: Ray Data's own tasks starve without
        cores = (self._workers or len(os.sched_getaffinity(0))) + 1
        ray.init(
            "local",
            num_cpus=cores,
            include_dashboard=False,
            object_store_memory=_STORE,
            **quiet,
        )

    def _done(self, job: Job, task: Task, shards: Sequence[int]) -> Iterator[dict[str, Any]]:
        context = ray.data.DataContext.get_current()
        context.enable_progress_bars = False
        context.print_on_execution_start = False
        resources: dict[str, float] = ray.cluster_resources()  # type: ignore[no-untyped-call]
        cores, gpus = int(resources.get("CPU", 1)), int(job.device != "cpu")
        if gpus and not resources.get("GPU"):
            raise RecsysError("device: the Ray cluster has no GPU; use cpu")
        most = min(cores - 1, int(resources.get("GPU", 0))) if gpus else cores - 1
        actors = max(1, min(self._workers or most, most, len(shards)))
        numbers = ray.data.from_numpy([np.array([shard]) for shard in shards])
        done = numbers.map_batches(
            _Worker,
            fn_constructor_args=(job, task),
            batch_size=1,
            batch_format="numpy",
            compute=ray.data.ActorPoolStrategy(size=actors, max_tasks_in_flight_per_actor=2),
            num_cpus=1,
            num_gpus=gpus,
        )
        yield from done.iter_rows()


class _Worker:
    """What an actor keeps between shards."""

    def __init__(self, job: Job, task: Task) -> None:
        self._job, self._task = job, task
        self._run: OpenRun | None = None

    def __call__(self, batch: Batch) -> dict[str, list[str]]:
        """Do the task on the shards of a batch; what goes wrong is told, not raised."""
        found: dict[str, list[str]] = {"done": [], "error": []}
        for shard in batch["data"].tolist():
            try:
                with one_thread():
                    if self._run is None:
                        self._run = OpenRun.open(self._job)
                    done = perform(self._run, self._task, shard)
            except RecsysError as error:
                found["done"].append("")
                found["error"].append(str(error))
            else:
                found["done"].append(_DONE.dump_json(done).decode())
                found["error"].append("")
        return found


def _knock(address: str) -> None:
    """Refuse an address at which nothing listens, which Ray would try for minutes."""
    host, _, port = address.removeprefix("ray://").rpartition(":")
    if not (host and port.isdigit()):
        return  # a name that Ray understands, such as `auto`
    try:
        socket.create_connection((host.strip("[]"), int(port)), timeout=10).close()
    except (OSError, OverflowError) as error:
        raise RecsysError(f"--ray-address {address}: nothing answers there ({error})") from error


@contextmanager
def _told() -> Iterator[None]:
    """Turn what Ray raises into one line."""
    try:
        yield
    except RecsysError:
        raise
    except ConnectionError as error:
        first = next(iter(str(error).strip().splitlines()), type(error).__name__)
        raise RecsysError(
            f"Ray: {first}; a cluster that asks for a token needs RAY_AUTH_MODE=token here, too"
        ) from error
    except (ray.exceptions.RayError, RuntimeError) as error:
        first = next(iter(str(error).strip().splitlines()), type(error).__name__)
        raise RecsysError(f"Ray: {first}; run again to go on") from error
