"""The model being served: opened once, exchanged when another one is published."""

from __future__ import annotations

import gc
import logging
import os
import threading
from contextlib import suppress
from pathlib import Path

from api.metrics import now_serving
from recsys.errors import ArtifactError, RecsysError
from recsys.recommender import Recommender
from recsys.store.live import LiveRecommender
from recsys.store.store import Store

_log = logging.getLogger(__name__)

_Mark = tuple[int, int]


class CurrentModel:
    """The recommender of a folder's current model, kept up to date.

    Threads share it. Each request asks once and works with what it got, so an exchange never
    shows within one answer. A new model that cannot be opened leaves the old one in place.

    Parameters
    ----------
    models
        The folder that holds `current`.
    store
        What happened since a model was trained.
    """

    def __init__(self, models: Path, store: Store) -> None:
        self._store = store
        self._link = models / "current"
        self._models = models
        self._lock = threading.Lock()
        self._mark: _Mark | None = None
        self._recommender: Recommender | None = None
        self._reason = f"no model in {models}; publish one with recsys train"

    def recommender(self) -> Recommender:
        """Return the recommender of the model that is current now.

        Raises
        ------
        ArtifactError
            No model could be opened yet; the message says why.
        """
        if self._look() != self._mark:
            self._refresh()
        if self._recommender is None:
            raise ArtifactError(self._reason)
        return self._recommender

    def reload(self) -> Recommender:
        """Open what is current anew, and have every process of this folder do so when next asked.

        Raises
        ------
        ArtifactError
            It cannot be opened; the model before it stays, if there is one.
        """
        with suppress(OSError):  # a folder that is not ours to write: then this process alone
            os.utime(self._link, follow_symlinks=False)
        with self._lock:
            self._mark = self._look()
            if self._mark is None or not self._open():
                raise ArtifactError(self._reason)
        return self.recommender()

    def _look(self) -> _Mark | None:
        """Return what changes whenever `current` is switched; None where there is none."""
        try:
            found = self._link.lstat()
        except OSError:
            return None
        return found.st_ino, found.st_mtime_ns

    def _refresh(self) -> None:
        """Open what is current, in one thread; others go on with the old model, if there is one."""
        if not self._lock.acquire(blocking=self._recommender is None):
            return
        try:
            mark = self._look()  # before opening: a switch meanwhile is noticed by the next request
            if mark == self._mark:
                return
            if mark is not None:
                self._open()
            self._mark = mark
        finally:
            self._lock.release()

    def _open(self) -> bool:
        try:
            opened = Recommender.open(self._models)
            live = LiveRecommender(opened, self._store)
            live.prepare()
            opened.similar(opened.items[0], k=1)  # touches what is made or mapped at first use,
            opened.find_items("", 1)  # so that no request waits for it
            live.answer(live.recommend(live.users[0]))
        except (RecsysError, OSError) as error:
            self._reason = str(error)
            _log.error("cannot open the model in %s: %s", self._models, error)
            return False
        now_serving(opened, self._recommender)
        self._recommender = live
        _tidy()
        _log.info("serving %s %s", opened.model, opened.version)
        return True


def _tidy() -> None:
    """Let the garbage collector pass by what stays: a look at all of it stops every request."""
    gc.unfreeze()  # the model before this one goes, if nothing uses it any more
    gc.collect()
    gc.freeze()
