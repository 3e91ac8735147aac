"""What becomes of each user of a shard, before quotas and the last look at suppression lists."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import numpy as np
import pyarrow as pa

from recsys.campaigns.gates import groups_of, repeats, sent_before, suppressed
from recsys.campaigns.hashing import hashes
from recsys.campaigns.lists import Candidates, Lists
from recsys.campaigns.opened import OpenArm, OpenRun
from recsys.campaigns.scoring import Asked, Scored, score
from recsys.errors import RecsysError
from recsys.files import written_aside
from recsys.interactions.tables import BoolArray, IntArray, LongArray
from recsys.store.sending import SentRows

Status = Literal["sent", "suppressed", "ineligible", "held_out", "failed"]

_MANY = 2000
"""From so many rows on it pays to get models ready for many lists."""

_LISTS = ("own", "mean", "spread", "complete")


@dataclass(frozen=True, eq=False)
class Decided:
    """Users row for row: what becomes of them and why, their arm, their lists.

    Attributes
    ----------
    reasons
        Why a user is not sent, or what is special about the list; None where nothing is.
    arms
        int32 (n,): place of the arm in the run.
    lists
        Of those who are sent or held out; under a quota, the candidates. Those of others are
        empty.
    """

    statuses: list[Status]
    reasons: list[str | None]
    arms: IntArray
    lists: Lists

    def write(self, path: Path) -> None:
        """Write it aside and rename."""
        lists = self.lists
        offsets = pa.array(lists.offsets, pa.int64())
        columns = {
            "status": pa.array(self.statuses, pa.string()),
            "reason": pa.array(self.reasons, pa.string()),
            "arm": pa.array(self.arms, pa.int32()),
            "items": pa.LargeListArray.from_arrays(offsets, pa.array(lists.items)),
            "scores": pa.LargeListArray.from_arrays(offsets, pa.array(lists.scores)),
            **{name: pa.array(getattr(lists, name)) for name in _LISTS},
        }
        table = pa.table(columns)
        with written_aside(path) as aside, pa.ipc.new_file(str(aside), table.schema) as file:
            file.write_table(table)

    @classmethod
    def read(cls, path: Path) -> Decided:
        """Return what `write` wrote, its arrays still on disk.

        Raises
        ------
        RecsysError
            The file is absent or damaged.
        """
        try:
            table = pa.ipc.open_file(pa.memory_map(str(path))).read_all().combine_chunks()
            found = {name: _chunk(table[name]) for name in table.column_names}
            items, scores = found["items"], found["scores"]
            return cls(
                found["status"].to_pylist(),
                found["reason"].to_pylist(),
                found["arm"].to_numpy(),
                Lists(
                    items.offsets.to_numpy(),
                    items.values.to_numpy(),
                    scores.values.to_numpy(),
                    *(found[name].to_numpy(zero_copy_only=False) for name in _LISTS),
                ),
            )
        except (OSError, KeyError, pa.ArrowException) as error:
            raise RecsysError(
                f"{path} cannot be read ({error}); remove it and run again"
            ) from error


def decide(run: OpenRun, rows: pa.Table, users: list[str]) -> Decided:
    """Return what becomes of each user."""
    spec, pinned = run.pinned.spec, run.pinned
    groups = groups_of(users, spec, [arm.share for arm in pinned.arms])
    sent = sent_before(run, users)
    reasons = suppressed(run, rows, users, sent)
    statuses: list[Status] = ["sent" if reason is None else "suppressed" for reason in reasons]
    free = np.array([reason is None for reason in reasons], np.bool_)
    lists, places = [Lists.empty(int((~free).sum()))], [np.flatnonzero(~free)]
    for number, arm in enumerate(run.arms):
        asked = np.flatnonzero(free & (groups.arms == number))
        scored = _scored(run, arm, asked, _People(users, sent), depth=pinned.depth)
        verdict = _Verdicts(run, arm, scored)
        for place, at in enumerate(asked.tolist()):
            statuses[at], reasons[at] = verdict(place)
            if statuses[at] == "sent" and groups.held_out[at]:
                statuses[at] = "held_out"
        lists.append(scored.lists)
        places.append(asked)
    order = np.argsort(np.concatenate(places), kind="stable")
    together = Lists.joined(lists).rows(order)
    eligible = _are(statuses, "sent", "held_out")
    return Decided(statuses, reasons, groups.arms, _kept(together, eligible))


def decide_shard(run: OpenRun, shard: int) -> Decided:
    """Decide on a shard and write it into the work folder."""
    found = run.intake.shard(shard)
    decided = decide(run, found.rows, found.users)
    decided.write(run.work.decided(shard))
    return decided


def candidates(run: OpenRun, shard: int) -> Candidates:
    """Return who of a shard is to be sent items, or held out, and what they may be given."""
    decided, users = Decided.read(run.work.decided(shard)), run.intake.shard(shard).users
    rows = np.flatnonzero(_are(decided.statuses, "sent", "held_out")).astype(np.int32)
    ties = hashes((users[row] for row in rows.tolist()), "tie", run.pinned.spec.name)
    held_out = _are(decided.statuses, "held_out")[rows]
    return Candidates(rows, ties, held_out, decided.lists.rows(rows))


def deeper(run: OpenRun, shard: int, rows: IntArray, depth: int) -> Lists:
    """Return longer lists of candidates for these rows of a shard."""
    decided, everyone = Decided.read(run.work.decided(shard)), run.intake.shard(shard).users
    users = [everyone[row] for row in rows.tolist()]
    sent = sent_before(run, users)
    arms = decided.arms[rows]
    lists, places = [], []
    for number, arm in enumerate(run.arms):
        asked = np.flatnonzero(arms == number)
        lists.append(_scored(run, arm, asked, _People(users, sent), depth=depth).lists)
        places.append(asked)
    return Lists.joined(lists).rows(np.argsort(np.concatenate(places), kind="stable"))


@dataclass(frozen=True, eq=False)
class _People:
    """Users, and what they were sent before."""

    users: list[str]
    sent: SentRows


def _scored(
    run: OpenRun, arm: OpenArm, places: LongArray, people: _People, *, depth: int
) -> Scored:
    """Score the users at these places for an arm."""
    spec, at = run.pinned.spec, run.pinned.at
    of_arm = {place: row for row, place in enumerate(places.tolist())}
    own = repeats(arm.spec, arm.recent, people.sent, at)
    return score(
        arm,
        [people.users[place] for place in places.tolist()],
        {of_arm[place]: items for place, items in own.items() if place in of_arm},
        Asked(
            depth,
            at,
            fill=spec.too_few == "fill",
            plain=spec.quota is not None,
            many=run.pinned.audience.n_rows >= _MANY,  # by the input: workers must not differ
            device=run.job.device,
        ),
        popular=spec.fallback == "popular",
    )


class _Verdicts:
    """Says what becomes of the users of an arm, and why."""

    def __init__(self, run: OpenRun, arm: OpenArm, scored: Scored) -> None:
        self._spec, self._rules, self._scored = run.pinned.spec, arm.rules, scored
        self._shelf = arm.recommender.look([]).ranker.shelf
        self._counts = np.minimum(scored.lists.counts, self._spec.k).tolist()
        self._own = scored.lists.own.tolist()

    def __call__(self, row: int) -> tuple[Status, str | None]:
        spec, scored = self._spec, self._scored
        if row in scored.failures:
            return "failed", scored.failures[row]
        history, known = bool(scored.history[row]), bool(scored.known[row])
        if not history and spec.fallback == "none":
            return "ineligible", "no history to recommend from" if known else "unknown user"
        count = self._counts[row]
        note = self._shelf.note(count, spec.k, self._rules)
        if count < spec.min_items:
            return "ineligible", note
        told = []
        if not history:
            told.append(f"popular items: {'no history' if known else 'unknown user'}")
        elif count > self._own[row]:
            told.append(f"{count - self._own[row]} of {count} are popular items")
        if note is not None:
            told.append(note)
        return "sent", "; ".join(told) or None


def _kept(lists: Lists, keep: BoolArray) -> Lists:
    """Return the lists of those to be kept, empty ones in place of the others."""
    counts = np.where(keep, lists.counts, 0)
    entries = np.repeat(keep, lists.counts)
    return Lists(
        np.concatenate([[0], np.cumsum(counts)]).astype(np.int64),
        lists.items[entries],
        lists.scores[entries],
        np.where(keep, lists.own, 0).astype(np.int32),
        np.where(keep, lists.mean, 0.0),
        np.where(keep, lists.spread, 0.0),
        np.where(keep, lists.complete, True),
    )


def _are(statuses: list[Status], *wanted: Status) -> BoolArray:
    return np.array([each in wanted for each in statuses], np.bool_)


def _chunk(column: pa.ChunkedArray) -> pa.Array:
    return column.chunk(0) if column.num_chunks else pa.array([], column.type)
