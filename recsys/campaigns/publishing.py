"""A shard's last word: quotas, the last look at who and what may be mailed, and the parts."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import pyarrow as pa

from recsys.campaigns.deciding import Decided, Status
from recsys.campaigns.final import Final
from recsys.campaigns.lists import Lists
from recsys.campaigns.manifest import Part
from recsys.campaigns.opened import OpenRun
from recsys.campaigns.parts import results_table, send_table, write_part
from recsys.campaigns.spec import CampaignSpec
from recsys.campaigns.suppression import Suppressed
from recsys.campaigns.work import Work
from recsys.files import write_tensors, written_aside
from recsys.interactions.tables import BoolArray


@dataclass(frozen=True)
class Published:
    """What came of a shard: its parts, and how many users of each arm have what status and reason.

    `tally` holds [place of the arm, status, reason, users].
    """

    parts: tuple[Part, ...]
    rejected: int
    tally: tuple[tuple[int, Status, str | None, int], ...]


def final_of(run: OpenRun, shard: int) -> Final:
    """Return a shard's last word; nothing is written."""
    spec = run.pinned.spec
    found = run.intake.shard(shard)
    decided = Decided.read(run.work.decided(shard))
    users, statuses, reasons = found.users, list(decided.statuses), list(decided.reasons)
    lists = decided.lists
    if spec.quota is not None:
        lists = Decided.read(run.work.assigned(shard)).lists
        short = lists.counts < spec.k
        _shorten((statuses, reasons), lists, short, spec, why="quotas of others are used up")
    withheld = _withheld(run)
    if withheld.any():
        kept = _without(lists, withheld)
        short, lists = kept.counts < lists.counts, kept
        _shorten((statuses, reasons), lists, short, spec, why="others went out of stock")
    _suppress_late(run, users, statuses, reasons)
    lists = _of_sent(lists, statuses)
    return Final(found.rows, users, statuses, reasons, decided.arms, lists, found.rejected)


def publish_shard(run: OpenRun, shard: int) -> Published:
    """Write a shard's parts, its rejected rows, and what the report says of it."""
    from recsys.campaigns.report import shard_statistics

    final = final_of(run, shard)
    kind = run.pinned.spec.format
    parts = []
    for place, table in (
        ("results", results_table(final, run)),
        ("send", send_table(final, run)),
    ):
        path = run.work.out / place / f"part-{shard:05d}.{kind}"
        with written_aside(path) as aside:
            write_part(table, aside, kind)
        parts.append(Part.of(path, run.work.out, len(table)))
    rejected = run.work.rejected(shard)  # written anew by whoever publishes, so need not last
    rejected.parent.mkdir(exist_ok=True)
    with pa.ipc.new_file(str(rejected), final.rejected.schema) as file:
        file.write_table(final.rejected)
    write_tensors(run.work.statistics(shard), shard_statistics(final, run))
    tally = Counter(zip(final.arms.tolist(), final.statuses, final.reasons, strict=True))
    return Published(
        tuple(parts),
        len(final.rejected),
        tuple((*key, count) for key, count in sorted(tally.items(), key=_by_text)),
    )


def write_late(work: Work, withheld: Iterable[str]) -> None:
    """Write down which items were blocked or went out of stock since the start."""
    (work.late / "withheld.json").write_text(json.dumps(sorted(withheld)), encoding="utf-8")


def _withheld(run: OpenRun) -> BoolArray:
    """Return bool (n_items,): items that were withheld since the start."""
    names = json.loads((run.work.late / "withheld.json").read_text(encoding="utf-8"))
    marks = np.zeros(len(run.items.ids), np.bool_)
    numbers: Mapping[str, int] = run.items.numbers if names else {}
    marks[[numbers[name] for name in names if name in numbers]] = True
    return marks


def _suppress_late(
    run: OpenRun, users: list[str], statuses: list[Status], reasons: list[str | None]
) -> None:
    """Take out who came onto a list, or asked to be forgotten, since the start."""
    late = Suppressed(run.work.late / "suppressed.safetensors").reasons(users)
    forgotten = frozenset[str]() if run.store is None else run.store.forgotten_among(users)
    for place, (user, on_list) in enumerate(zip(users, late, strict=True)):
        reason = on_list or ("asked to be forgotten" if user in forgotten else None)
        if reason is not None and statuses[place] not in ("failed", "suppressed"):
            statuses[place], reasons[place] = "suppressed", reason


def _shorten(
    verdicts: tuple[list[Status], list[str | None]],
    lists: Lists,
    short: BoolArray,
    spec: CampaignSpec,
    *,
    why: str,
) -> None:
    """Note which lists are short; those with too few items left make a user ineligible.

    Users who are held out are judged as those who are sent, so that the two compare.
    """
    (statuses, reasons), counts = verdicts, lists.counts
    for place in np.flatnonzero(short).tolist():
        if statuses[place] not in ("sent", "held_out"):
            continue
        note = f"only {counts[place]} of {spec.k}: {why}"
        if counts[place] < spec.min_items:
            statuses[place], reasons[place] = "ineligible", note
        else:
            before = reasons[place]
            reasons[place] = note if before is None else f"{before}; {note}"


def _without(lists: Lists, withheld: BoolArray) -> Lists:
    return _filtered(lists, ~withheld[lists.items])


def _of_sent(lists: Lists, statuses: Sequence[Status]) -> Lists:
    sent = np.array([status == "sent" for status in statuses], np.bool_)
    return _filtered(lists, np.repeat(sent, lists.counts))


def _filtered(lists: Lists, keep: BoolArray) -> Lists:
    kept = np.concatenate([[0], np.cumsum(keep)]).astype(np.int64)
    return replace(
        lists, offsets=kept[lists.offsets], items=lists.items[keep], scores=lists.scores[keep]
    )


def _by_text(entry: tuple[Any, int]) -> str:
    return repr(entry[0])
