"""Tuning: the best settings of a model on validation users, by a study that can be resumed."""

from __future__ import annotations

import hashlib
import json
import signal
import threading
import time
import warnings
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import optuna
from optuna.trial import TrialState

from recsys.errors import RecsysError, TrainingError, UsageError
from recsys.evaluation.entries import Entry, merged, nested
from recsys.evaluation.spaces import point_in, space_of, suggested
from recsys.interactions.parts import Training
from recsys.interactions.weighting import Weighting
from recsys.models.base import Model, RunOptions
from recsys.models.item_item import Grams
from recsys.models.registry import make_model
from recsys.settings import Search, validated
from recsys.training.validation import METRIC, validate

optuna.logging.set_verbosity(optuna.logging.WARNING)

_FIRST = 8  # trials before the sampler learns from those before
_WARM_UP = 8  # epochs before a trial may be given up
_SPLIT = 10_000  # more than any model's epochs: steps of one training come before the next one's


@dataclass(frozen=True)
class Effort:
    """How long to look for a model's settings.

    Attributes
    ----------
    trials
        Settings to try.
    seconds
        After which a trial ends with the best it has reached, or fails where it has nothing yet.
    """

    trials: int = 30
    seconds: float = 600.0


@dataclass(frozen=True)
class Found:
    """The best settings of a model.

    Attributes
    ----------
    settings
        The fields of its config that were searched or fixed, and a table `weights`.
    value
        Their NDCG@100 on validation users, the mean over the trainings.
    default
        That of the first trial: what the search started from.
    trials, pruned, failed
        Trials in all, those given up early, those that ended with an error.
    seconds
        Time spent on them.
    """

    settings: Mapping[str, Any]
    value: float
    default: float | None
    trials: int
    pruned: int
    failed: int
    seconds: float

    def facts(self) -> dict[str, Any]:
        """Return all but the settings, as a settings file keeps it."""
        return {
            METRIC: round(self.value, 5),
            "start": None if self.default is None else round(self.default, 5),
            "trials": self.trials,
            "pruned": self.pruned,
            "failed": self.failed,
            "seconds": round(self.seconds),
        }


class Tuner:
    """Tunes models on one data set.

    Parameters
    ----------
    trainings
        What may be learnt from and chosen on; settings count by their mean over all of these.
    study
        SQLite file that keeps every trial. Trials of the same data, model and effort that lie
        there already count.
    identity
        What the trainings were made from: another identity is another study.
    effort
        The same for every model.
    options
        Seed and device.
    tell
        Is told a line a trial.
    """

    def __init__(
        self,
        trainings: Sequence[Training],
        *,
        study: Path,
        identity: Mapping[str, Any],
        effort: Effort,
        options: RunOptions,
        tell: Callable[[str], None] = lambda _: None,
    ) -> None:
        self._trainings, self._identity, self._effort = trainings, identity, effort
        self._storage = _storage(study)
        self._options, self._tell = replace(options, grams=Grams()), tell

    def tune(
        self,
        entry: Entry,
        fixed: Mapping[str, Any],
        starts: Sequence[Mapping[str, Any]] = (),
    ) -> Found:
        """Return the best settings of a model.

        Parameters
        ----------
        entry
            The model, with the settings that the first trial has.
        fixed
            Dotted fields that are not searched; their values are in `entry`.
        starts
            Further settings to try first.

        Raises
        ------
        TrainingError
            No trial succeeded.
        """
        space = space_of(entry, fixed, self._trainings[0].train)
        study = self._study(entry, space, starts)
        trials = self._effort.trials if space else 1  # then there is nothing else to try
        reason = ""
        while len(study.get_trials(deepcopy=False, states=_ENDED)) < trials:
            trial = study.ask()
            start = time.perf_counter()
            try:
                value = self._try(trial, entry, space)
            except RecsysError as error:
                reason = str(error)
                study.tell(trial, state=TrialState.FAIL)
                said = f"failed: {reason}"
            else:
                study.tell(trial, value)
                said = f"{value:.4f}, best {study.best_value:.4f}"
            number = len(study.get_trials(deepcopy=False, states=_ENDED))
            seconds = time.perf_counter() - start
            self._tell(f"{entry.name} {number}/{trials}: {said}, {seconds:.0f} s")
        return self._found(study, reason, entry.name)

    def _study(
        self, entry: Entry, space: Mapping[str, Search], starts: Sequence[Mapping[str, Any]]
    ) -> optuna.Study:
        """Return the study of a model, with nothing left running and its first trials queued."""
        described = {
            **self._identity,
            "model": entry.name,
            "settings": entry.described(),
            "space": {name: asdict(search) for name, search in space.items()},
            "seconds": self._effort.seconds,
            "seed": self._options.seed,
        }
        key = hashlib.sha256(json.dumps(described, sort_keys=True, default=str).encode())
        seed = self._options.seed % 2**32
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", optuna.exceptions.ExperimentalWarning)
            study = optuna.create_study(
                storage=self._storage,
                study_name=f"{entry.name} {key.hexdigest()[:16]}",
                sampler=optuna.samplers.GPSampler(seed=seed, n_startup_trials=_FIRST),
                pruner=optuna.pruners.MedianPruner(n_startup_trials=4, n_warmup_steps=_WARM_UP),
                direction="maximize",
                load_if_exists=True,
            )
        for trial in study.get_trials(deepcopy=False, states=(TrialState.RUNNING,)):
            study.tell(trial.number, state=TrialState.FAIL)  # killed while it ran
        if not study.get_trials(deepcopy=False):
            for start in (entry.described(), *starts):
                study.enqueue_trial(point_in(space, start))
        return study

    def _try(self, trial: optuna.Trial, entry: Entry, space: Mapping[str, Search]) -> float:
        """Return the mean NDCG@100 over the trainings, of the epochs seen where it ends early."""
        chosen = nested({name: suggested(trial, name, search) for name, search in space.items()})
        weights = asdict(entry.weighting) | chosen.pop("weights", {})
        settings = merged(entry.settings, chosen)
        trial.set_user_attr("settings", {**settings, "weights": weights})
        weighting = validated(Weighting, weights, f"{entry.name} weights")
        cap = _Cap(self._effort.seconds)
        attempt = _Attempt(trial, cap)
        try:
            with cap.running():
                for training in self._trainings:
                    model = make_model(entry.name, settings)
                    attempt.close(self._measured(model, training, weighting, attempt.watch))
        except _GivenUp:
            trial.set_user_attr("pruned", True)
        except _Late:
            trial.set_user_attr("late", True)
        if len(attempt.values) < len(self._trainings):  # a mean over a part does not compare
            raise TrainingError(f"given up, or not done after {self._effort.seconds:g} s")
        return attempt.mean

    def _measured(
        self,
        model: Model[Any],
        training: Training,
        weighting: Weighting,
        watch: Callable[[int, float], None],
    ) -> float:
        held_out = training.validation.held_out(weighting)
        model.fit(
            weighting.training(training.train, training.train_at),
            validation=held_out,
            options=replace(self._options, watch=watch),
        )
        return validate(model, held_out)

    def _found(self, study: optuna.Study, reason: str, name: str) -> Found:
        ended = study.get_trials(deepcopy=False, states=_ENDED)
        done = [trial for trial in ended if trial.state is TrialState.COMPLETE]
        if not done:
            raise TrainingError(f"{name}: no trial succeeded; the last one: {reason or 'killed'}")
        return Found(
            settings=study.best_trial.user_attrs["settings"],
            value=study.best_value,
            default=ended[0].value,
            trials=len(ended),
            pruned=sum("pruned" in trial.user_attrs for trial in ended),
            failed=len(ended) - len(done),
            seconds=sum(trial.duration.total_seconds() for trial in ended if trial.duration),
        )


def _storage(path: Path) -> optuna.storages.BaseStorage:
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        return optuna.storages.RDBStorage(f"sqlite:///{path}")
    except Exception as error:  # of the file system, SQLite or SQLAlchemy
        reason = str(error).splitlines()[0]
        raise UsageError(f"--study {path}: cannot be used for a study: {reason}") from error


_ENDED = (TrialState.COMPLETE, TrialState.FAIL)


class _GivenUp(Exception):  # noqa: N818
    """A trial is worse than the others were at that point."""


class _Late(BaseException):
    """A trial took too long; no `except Exception` on the way may stop it."""


class _Attempt:
    """What one trial has reached so far, over the trainings one after the other."""

    def __init__(self, trial: optuna.Trial, cap: _Cap) -> None:
        self._trial, self._cap = trial, cap
        self.values: list[float] = []  # the best of each training, that of the last so far
        self._open = False

    @property
    def mean(self) -> float:
        return float(np.mean(self.values))

    def watch(self, epoch: int, value: float) -> None:
        """Note an epoch's metric; raise where the trial is not worth going on."""
        if self._open:
            self.values[-1] = max(self.values[-1], value)
        else:
            self.values.append(value)
            self._open = True
        self._report(epoch)

    def close(self, value: float) -> None:
        """End a training with the metric of the fitted model."""
        if self._open:
            self.values[-1] = value
        else:
            self.values.append(value)
            self._report(0)
        self._open = False

    def _report(self, epoch: int) -> None:
        place = len(self.values) - 1
        with self._cap.held():
            self._trial.report(self.mean, place * _SPLIT + epoch)
            hopeless = self._trial.should_prune()
        if hopeless:
            raise _GivenUp


class _Cap:
    """The most time a trial may take; where signals cannot interrupt it, there is none."""

    def __init__(self, seconds: float) -> None:
        self._seconds = seconds
        self._held = self._passed = False

    @contextmanager
    def running(self) -> Iterator[None]:
        """Raise _Late in the block once it has taken so long."""
        possible = (
            hasattr(signal, "setitimer") and threading.current_thread() is threading.main_thread()
        )
        if not possible:
            yield
            return
        before = signal.signal(signal.SIGALRM, self._pass)
        signal.setitimer(signal.ITIMER_REAL, self._seconds)
        try:
            yield
        finally:
            signal.setitimer(signal.ITIMER_REAL, 0)
            signal.signal(signal.SIGALRM, before)

    @contextmanager
    def held(self) -> Iterator[None]:
        """Raise at the block's end rather than within: a study's transaction is not cut in two."""
        self._held = True
        try:
            yield
        finally:
            self._held = False
        if self._passed:
            raise _Late

    def _pass(self, *_: object) -> None:
        self._passed = True
        if not self._held:
            raise _Late
