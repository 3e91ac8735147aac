"""From what was measured to the results: means, intervals, comparisons, groups."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from recsys.evaluation.entries import Entry
from recsys.evaluation.measuring import GROUP_DEPTH, Measured
from recsys.evaluation.significance import Values, bootstrap_intervals, holm, paired_p_values
from recsys.models.registry import BASELINES

COMPARED = "ndcg@100"
GROUPED = ("recall@20", "ndcg@100")


@dataclass(frozen=True, eq=False)
class Outcome:
    """What came of one entry at one cut.

    Attributes
    ----------
    entry
        What was evaluated.
    cut
        The day, as text; None where there is no cut in time.
    measured
        All its splits pooled, or the reason why there is nothing.
    """

    entry: Entry
    cut: str | None
    measured: Measured | str


def pooled(parts: Sequence[Measured]) -> Measured:
    """Return the users of several splits as one; what is counted or timed is summed."""
    first = parts[0]
    return Measured(
        users=np.concatenate([part.users for part in parts]),
        values={
            name: np.concatenate([part.values[name] for part in parts]) for name in first.values
        },
        by_item_group={
            group: np.concatenate([part.by_item_group[group] for part in parts])
            for group in first.by_item_group
        },
        lengths=np.concatenate([part.lengths for part in parts]),
        catalogue=np.logical_or.reduce([part.catalogue for part in parts]),
        listed={k: np.logical_or.reduce([part.listed[k] for part in parts]) for k in first.listed},
        score_seconds=sum(part.score_seconds for part in parts),
        fit_seconds=sum(part.fit_seconds for part in parts),
        peak_memory_bytes=max(part.peak_memory_bytes for part in parts),
        left_out={
            reason: sum(part.left_out[reason] for part in parts) for reason in first.left_out
        },
        splits={split: n for part in parts for split, n in part.splits.items()},
        chosen={split: chosen for part in parts for split, chosen in part.chosen.items()},
        curves=[curve for part in parts for curve in part.curves],
    )


def results(outcomes: Sequence[Outcome], *, seed: int, versus: str | None) -> list[dict[str, Any]]:
    """Return one result an outcome, in order, each compared with the others of its cut.

    Parameters
    ----------
    outcomes
        One a model and cut; at one cut all have the same users in the same order.
    seed
        Seeds the resampling: the same for every model, so that intervals compare.
    versus
        Label of the baseline to compare with; the best by ndcg@100 where it is None.
    """
    compared = {}
    for cut in {outcome.cut for outcome in outcomes}:
        done = [
            (outcome.entry, outcome.measured.values[COMPARED])
            for outcome in outcomes
            if outcome.cut == cut and isinstance(outcome.measured, Measured)
        ]
        compared[cut] = _comparisons(done, seed, versus) if done else {}
    return [_result(outcome, compared[outcome.cut], seed) for outcome in outcomes]


def over_cuts(outcomes: Sequence[Outcome], *, seed: int, versus: str | None) -> dict[str, Any]:
    """Return what the cuts say together: a mean, its interval and comparisons for each model.

    Means run over all scored rows. A customer scored at several cuts is one customer still, so
    what is resampled is the customer with all its rows. A model that failed at a cut is left out.

    Parameters
    ----------
    outcomes, seed, versus
        As for `results`.
    """
    cuts = list(dict.fromkeys(outcome.cut for outcome in outcomes))
    done = _done_at_all(outcomes, len(cuts))
    if not done:
        return {"cuts": cuts, "users": 0, "results": []}
    rows = done[0][1].users  # at each cut all models have the same users
    customers, of_row = np.unique(rows, return_inverse=True)
    counts = np.bincount(of_row).astype(np.float64)
    sums = [
        (entry, np.bincount(of_row, measured.values[COMPARED]).astype(np.float64))
        for entry, measured in done
    ]
    compared = _comparisons(sums, seed, versus, counts=counts)
    table = np.stack([column for _, column in sums], axis=1)
    intervals = bootstrap_intervals(table, np.random.default_rng([seed, 1]), counts=counts)
    shown = [
        {
            "model": entry.label,
            "metric": COMPARED,
            "mean": float(column.sum() / len(rows)),
            "ci95": [float(bound) for bound in interval],
            "n": len(rows),
            **compared[entry.label],
        }
        for (entry, column), interval in zip(sums, intervals, strict=True)
    ]
    return {"cuts": cuts, "users": len(customers), "results": shown}


def _done_at_all(outcomes: Sequence[Outcome], n_cuts: int) -> list[tuple[Entry, Measured]]:
    """Return the entries that were measured at every cut, with their cuts pooled."""
    entries = {outcome.entry.label: outcome.entry for outcome in outcomes}
    parts: dict[str, list[Measured]] = {label: [] for label in entries}
    for outcome in outcomes:
        if isinstance(outcome.measured, Measured):
            parts[outcome.entry.label].append(outcome.measured)
    return [
        (entry, pooled(parts[label]))
        for label, entry in entries.items()
        if len(parts[label]) == n_cuts
    ]


def _result(
    outcome: Outcome, comparisons: Mapping[str, dict[str, Any]], seed: int
) -> dict[str, Any]:
    entry, measured = outcome.entry, outcome.measured
    head = {"model": entry.label, "cut": outcome.cut, "settings": entry.described()}
    if isinstance(measured, str):
        return {**head, "error": measured}
    return {
        **head,
        "metrics": _metrics(measured, seed),
        **comparisons[entry.label],
        "groups": {
            "history_length": _by_history_length(measured),
            "items": _by_item_popularity(measured),
        },
        "splits": _by_split(measured),
        "curves": list(measured.curves),
        "chosen": dict(measured.chosen),
        "left_out": dict(measured.left_out),
        "fit_seconds": round(measured.fit_seconds, 3),
        "score_users_per_second": round(
            len(measured.lengths) / max(measured.score_seconds, 1e-9), 1
        ),
        "peak_memory_bytes": measured.peak_memory_bytes,
    }


def _metrics(measured: Measured, seed: int) -> dict[str, Any]:
    table = np.stack(list(measured.values.values()), axis=1)  # (n_users, n_metrics)
    counts = (~np.isnan(table)).sum(axis=0)
    means = np.divide(
        np.nansum(table, axis=0), counts, out=np.full(len(counts), np.nan), where=counts > 0
    )
    intervals = bootstrap_intervals(table, np.random.default_rng([seed, 1]))
    shown: dict[str, Any] = {}
    for name, mean, interval, n in zip(measured.values, means, intervals, counts, strict=True):
        shown[name] = {
            "mean": float(mean) if n else None,
            "ci95": [float(bound) for bound in interval] if n else None,
            "n": int(n),
        }
    n_items = np.count_nonzero(measured.catalogue)
    for k, listed in measured.listed.items():
        share = float(np.count_nonzero(listed) / n_items)
        shown[f"coverage@{k}"] = {"mean": share, "ci95": None, "n": len(measured.lengths)}
    return shown


def _comparisons(
    done: Sequence[tuple[Entry, Values]],
    seed: int,
    versus: str | None,
    *,
    counts: Values | None = None,
) -> dict[str, dict[str, Any]]:
    """Return, by label, `versus_best_baseline` and `versus`.

    Each entry has a number a user; or, with `counts`, the sum of that many.
    """
    labels = [entry.label for entry, _ in done]
    values = np.stack([column for _, column in done], axis=1)
    means = values.sum(axis=0) / (len(values) if counts is None else counts.sum())
    p_values = paired_p_values(values, np.random.default_rng([seed, 2]))
    everyone = np.triu_indices(len(labels), 1)
    among_all = np.ones_like(p_values)
    among_all[everyone] = holm(p_values[everyone])
    among_all = np.minimum(among_all, among_all.T)
    baseline = _baseline([entry for entry, _ in done], means, versus)
    return {
        label: {
            "versus_best_baseline": _against_baseline(row, baseline, labels, means, p_values),
            "versus": {
                other: {
                    "difference": float(means[row] - means[column]),
                    "p_value": float(among_all[row, column]),
                }
                for column, other in enumerate(labels)
                if column != row
            },
        }
        for row, label in enumerate(labels)
    }


def _baseline(entries: Sequence[Entry], means: Values, versus: str | None) -> int | None:
    """Return the place of the entry to compare with: `versus`, else the best baseline."""
    if versus is not None:
        return next((i for i, entry in enumerate(entries) if entry.label == versus), None)
    baselines = [i for i, entry in enumerate(entries) if entry.name in BASELINES]
    return max(baselines, key=lambda i: means[i], default=None)


def _against_baseline(
    row: int, baseline: int | None, labels: Sequence[str], means: Values, p_values: Values
) -> dict[str, Any] | None:
    """Compare one entry; its p-value is corrected for all that are compared with the baseline."""
    if baseline is None:
        return None
    others = np.array([i for i in range(len(labels)) if i != baseline], np.int64)
    corrected = np.ones(len(labels))
    corrected[others] = holm(p_values[others, baseline])
    return {
        "baseline": labels[baseline],
        "metric": COMPARED,
        "difference": float(means[row] - means[baseline]),
        "p_value": float(corrected[row]),
    }


def _by_split(measured: Measured) -> list[dict[str, Any]]:
    """Return the means of each split alone: those of one fold, say."""
    ends = np.cumsum(list(measured.splits.values()))
    return [
        {
            "split": label,
            "n": n,
            **{name: float(measured.values[name][end - n : end].mean()) for name in GROUPED},
        }
        for (label, n), end in zip(measured.splits.items(), ends, strict=True)
    ]


def _by_history_length(measured: Measured) -> list[dict[str, Any]]:
    """Return means of three groups of users, about a third each, by how much they were given."""
    bounds = np.quantile(measured.lengths, [1 / 3, 2 / 3], method="lower")
    group = np.searchsorted(bounds, measured.lengths)  # 0, 1 or 2; a length is in one group
    shown = []
    for number in np.unique(group):
        users = group == number
        lengths = measured.lengths[users]
        shown.append(
            {
                "items_given": [int(lengths.min()), int(lengths.max())],
                "n": int(np.count_nonzero(users)),
                **{name: float(measured.values[name][users].mean()) for name in GROUPED},
            }
        )
    return shown


def _by_item_popularity(measured: Measured) -> list[dict[str, Any]]:
    """Return what is found of popular and of rare items, over the users who have such to find."""
    shown = []
    for group, values in measured.by_item_group.items():
        there = values[~np.isnan(values)]
        mean = float(there.mean()) if len(there) else None
        shown.append({"group": group, "n": len(there), f"recall@{GROUP_DEPTH}": mean})
    return shown
