"""An evaluation: every entry on every split, and one report of it all."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from recsys import __version__
from recsys.errors import RecsysError, UsageError
from recsys.evaluation.entries import Entry
from recsys.evaluation.fitting import fit_with_curves
from recsys.evaluation.measuring import (
    Measure,
    Measured,
    forget_peak_memory,
    peak_memory_bytes,
)
from recsys.evaluation.parts import Parts
from recsys.evaluation.protocols import Protocol
from recsys.evaluation.results import COMPARED, Outcome, over_cuts, pooled, results
from recsys.interactions.dataset import Dataset
from recsys.interactions.parts import Split
from recsys.models.base import RunOptions


@dataclass(frozen=True)
class Plan:
    """What an evaluation is to do.

    Attributes
    ----------
    protocol
        How to hold out.
    entries
        What to compare.
    ks
        Lengths of lists.
    seed
        Seeds splits, fits and resampling, each apart.
    versus
        Label of the entry to compare with, instead of the best baseline.
    """

    protocol: Protocol
    entries: Sequence[Entry]
    ks: tuple[int, ...] = (10, 20, 50, 100)
    seed: int = 98765
    versus: str | None = None


def evaluate(
    dataset: Dataset,
    plan: Plan,
    *,
    parts: Parts | None = None,
    tell: Callable[[str], None] = lambda _: None,
) -> dict[str, Any]:
    """Return the whole report, ready for JSON.

    A model that fails at a cut has an `error` in its result there, and the others go on.

    Parameters
    ----------
    dataset
        What to evaluate on.
    plan
        What to do.
    parts
        Where finished parts are kept and, to resume, taken from.
    tell
        Is told a line whenever a model is done with a split.

    Raises
    ------
    UsageError
        The data does not allow the protocol, or `versus` is not among the entries.
    """
    if plan.versus not in {None, *(entry.label for entry in plan.entries)}:
        raise UsageError(f"--versus {plan.versus}: not among --models")
    run = _Run(dataset, plan, parts)
    done: dict[tuple[str | None, str], list[Measured]] = {}
    failed: dict[tuple[str | None, str], str] = {}
    cuts: list[str | None] = []
    for split in plan.protocol.splits(dataset, plan.seed):
        cut = _day(split.cut)
        cuts += [] if cut in cuts else [cut]
        measure = Measure(split, dataset.interactions.n_items, plan.ks)
        for entry in plan.entries:
            if (cut, entry.label) in failed:
                continue
            try:
                measured = run.measured(entry, split, measure)
            except Exception as error:  # whatever it is, the others go on
                failed[cut, entry.label] = _reason(error)
                tell(f"{split.label}: {entry.label} failed: {_reason(error)}")
            else:
                done.setdefault((cut, entry.label), []).append(measured)
                tell(f"{split.label}: {entry.label} {_in_short(measured)}")
    outcomes = [
        Outcome(entry, cut, failed.get((cut, entry.label)) or pooled(done[cut, entry.label]))
        for cut in cuts
        for entry in plan.entries
    ]
    compared = results(outcomes, seed=plan.seed, versus=plan.versus)
    report = {**_header(dataset, plan), "results": compared}
    if len(cuts) > 1:
        report["pooled"] = over_cuts(outcomes, seed=plan.seed, versus=plan.versus)
    return report


@dataclass(frozen=True)
class _Run:
    dataset: Dataset
    plan: Plan
    parts: Parts | None

    def measured(self, entry: Entry, split: Split, measure: Measure) -> Measured:
        """Fit and measure an entry on a split, or take the part that is kept on disk."""
        if self.parts is None:
            return self._measured_anew(entry, split, measure)
        key = Parts.key(
            {
                "data": self.dataset.fingerprint,
                "protocol": asdict(self.plan.protocol),
                "split": split.label,
                "model": entry.name,
                "settings": entry.described(),
                "k": self.plan.ks,
                "seed": self.plan.seed,
                "version": __version__,
            }
        )
        measured = self.parts.load(key)
        if measured is None:
            measured = self._measured_anew(entry, split, measure)
            self.parts.save(key, measured)
        return measured

    def _measured_anew(self, entry: Entry, split: Split, measure: Measure) -> Measured:
        forget_peak_memory()
        start = time.perf_counter()
        options = RunOptions(seed=self.plan.seed)
        fit = fit_with_curves(entry.name, entry.settings, entry.weighting, split.training, options)
        seconds = time.perf_counter() - start
        asked, got = entry.described(), asdict(fit.model.config)
        chosen = {name: value for name, value in got.items() if value != asked[name]}
        return replace(
            measure(fit.model, entry.weighting),
            fit_seconds=seconds,
            peak_memory_bytes=peak_memory_bytes(),
            left_out=split.left_out,
            splits={split.label: len(split.test.users)},
            chosen={split.label: chosen} if chosen else {},
            curves=[
                {"split": split.label, "stage": stage, "points": points}
                for stage, points in fit.curves.items()
            ],
        )


def _header(dataset: Dataset, plan: Plan) -> dict[str, Any]:
    events = dataset.interactions.n_events
    return {
        "dataset": dataset.name,
        "protocol": plan.protocol.kind,
        "seed": plan.seed,
        "users": dataset.interactions.n_users,
        "items": dataset.interactions.n_items,
        "interactions": events + (dataset.test.n_events if dataset.test is not None else 0),
        "fingerprint": dataset.fingerprint,
        "version": __version__,
        "k": list(plan.ks),
        **plan.protocol.asked(),
    }


def _day(cut: int | None) -> str | None:
    return None if cut is None else str(np.datetime64(cut, "us").astype("datetime64[D]"))


def _reason(error: Exception) -> str:
    """Return what a person can use: our own messages as they are, others with their origin."""
    if isinstance(error, RecsysError):
        return str(error)
    frame, where = error.__traceback__, ""
    while frame is not None:
        where = f" ({Path(frame.tb_frame.f_code.co_filename).name}:{frame.tb_lineno})"
        frame = frame.tb_next
    return f"{type(error).__name__}: {error}{where}"


def _in_short(measured: Measured) -> str:
    mean = measured.values[COMPARED].mean()
    return f"{COMPARED} {mean:.4f}, fitted in {measured.fit_seconds:.1f} s"
