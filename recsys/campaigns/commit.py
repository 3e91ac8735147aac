"""Entering what a campaign sent in the ledger: all of it, once, or nothing."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pydantic import TypeAdapter

from recsys.campaigns.gates import ALWAYS, looks_back, repeats, too_often
from recsys.campaigns.loading import all_rules
from recsys.campaigns.manifest import Manifest, read_manifest
from recsys.campaigns.readers import read_rows
from recsys.campaigns.sources import USER
from recsys.campaigns.spec import CampaignSpec, RuleSpec
from recsys.errors import RecsysError, StoreError
from recsys.interactions.times import from_iso
from recsys.progress import progress
from recsys.store.pinned import pin
from recsys.store.sending import Ledger, Send
from recsys.store.store import Store


@dataclass(frozen=True)
class Entered:
    """What came of a commit.

    Attributes
    ----------
    campaign
        What the ledger calls the run.
    users, items
        How many users were entered, and how many items in all.
    forgotten
        Users who asked to be forgotten since, and of whom nothing was entered.
    done_before
        Whether the run was in the ledger already, so that nothing was changed.
    """

    campaign: str
    users: int = 0
    items: int = 0
    forgotten: int = 0
    done_before: bool = False


class ConflictError(RecsysError):
    """Another commit made rows of this campaign break its rules; `users` are they, with reasons."""

    def __init__(self, users: Sequence[tuple[str, str]]) -> None:
        self.users = tuple(users)
        n = len(users)
        first = "; ".join(f"{user}: {reason}" for user, reason in users[:3])
        super().__init__(
            f"{n:,} user{'s' * (n != 1)} of this campaign may no longer be sent it, since others "
            f"were committed meanwhile ({first}{'; …' * (n > 3)}): nothing was entered; make the "
            "campaign anew"
        )


def commit(out: Path, store: Store) -> Entered:
    """Enter the sends of a finished campaign in the ledger; once more changes nothing.

    Raises
    ------
    UsageError
        The folder holds no finished campaign, or a part is not as it was written.
    StoreError
        The store is another than the one that the campaign was made with.
    ConflictError
        By the ledger as it is now, users break the cool-down, the cap or a rule on earlier sends.
    """
    manifest = read_manifest(out)
    manifest.check(out)
    if manifest.store is not None and pin(store)[0].store != manifest.store["store"]:
        raise StoreError(
            f"{store.shown} is not the store that this campaign was made with; check --store"
        )
    if store.committed(manifest.run_key):
        return Entered(manifest.campaign, done_before=True)
    with store.ledger() as ledger:
        if ledger.committed(manifest.run_key):  # by someone else, a moment ago
            return Entered(manifest.campaign, done_before=True)
        return _enter(out, manifest, ledger)


@dataclass(frozen=True, eq=False)
class _Part:
    """Users of a part of `send/`, their arms, and the items of each."""

    users: list[str]
    arms: list[str | None]
    items: list[list[str]]


def _enter(out: Path, manifest: Manifest, ledger: Ledger) -> Entered:
    at = from_iso(manifest.at, "at")
    checks = _Checks(manifest, ledger, at)
    conflicts: list[tuple[str, str]] = []
    users = items = gone = 0
    with progress("entering", manifest.counts.sent) as bar:
        for part in _parts(out, manifest):
            forgotten = ledger.forgotten_among(part.users)
            conflicts += checks.conflicts(part)
            sends = [
                Send(manifest.campaign, user, item, at, arm)
                for user, arm, own in zip(part.users, part.arms, part.items, strict=True)
                for item in own
                if user not in forgotten
            ]
            if not conflicts:  # else it is all taken back anyway
                ledger.add(sends)
            users += len(part.users) - len(forgotten)
            items, gone = items + len(sends), gone + len(forgotten)
            bar.advance(len(part.users))
    if conflicts:
        raise ConflictError(conflicts)
    sizes = {facts["name"]: facts["size"] for facts in manifest.late_suppression}
    ledger.close(manifest.run_key, manifest.campaign, at, sizes)
    return Entered(manifest.campaign, users, items, gone)


class _Checks:
    """Tells which sends break the campaign's rules by the ledger as it is now."""

    def __init__(self, manifest: Manifest, ledger: Ledger, at: int) -> None:
        self._ledger, self._at = ledger, at
        self._spec = TypeAdapter(CampaignSpec).validate_python({"users": "", **manifest.spec})
        names = [model["arm"] for model in manifest.models]
        self._rules: dict[str | None, RuleSpec] = dict(
            zip(names, all_rules(self._spec), strict=True)
        )
        self._recent = {
            name: ledger.recent(rules.not_sent_campaigns or 0)
            for name, rules in self._rules.items()
        }

    def conflicts(self, part: _Part) -> list[tuple[str, str]]:
        """Return the users of a part who break a rule, with the reason."""
        after = looks_back(self._spec, self._at)
        if after is None:
            return []
        sent = self._ledger.sent_to(part.users, max(after, ALWAYS))
        found = too_often(self._spec, sent, self._at)
        for name, rules in self._rules.items():
            again = repeats(rules, self._recent[name], sent, self._at)
            for place, items in again.items():
                twice = items.intersection(part.items[place])
                if part.arms[place] == name and twice:
                    found.setdefault(place, f"was sent item {min(twice)} before")
        return [(part.users[place], found[place]) for place in sorted(found)]


def _parts(out: Path, manifest: Manifest) -> Iterator[_Part]:
    """Yield what was sent, part by part."""
    for part in manifest.parts:
        if part.path.startswith("send/"):
            results = out / part.path.replace("send/", "results/", 1)
            yield _Part(*_sent(out / part.path, results, manifest))


def _sent(
    send: Path, results: Path, manifest: Manifest
) -> tuple[list[str], list[str | None], list[list[str]]]:
    """Return users, arms and items of a part."""
    arms: dict[str, str | None] = {}
    for _, rows in read_rows(results):
        arms |= zip(rows[USER].to_pylist(), rows["arm"].to_pylist(), strict=True)
    users: list[str] = []
    items: list[list[str]] = []
    k, flat = manifest.spec["k"], manifest.spec["layout"] == "flat"
    for _, rows in read_rows(send):
        users += rows[USER].to_pylist()
        if flat:
            columns = [rows[f"item_{place}"].to_pylist() for place in range(1, k + 1)]
            items += ([cell for cell in cells if cell] for cells in zip(*columns, strict=True))
        else:
            items += ([line["item"] for line in _lines(cell)] for cell in rows["items"].to_pylist())
    return users, [arms[user] or None for user in users], items


def _lines(cell: Any) -> list[dict[str, Any]]:
    """Return a nested list, which is JSON text in a CSV."""
    lines: list[dict[str, Any]] = json.loads(cell) if isinstance(cell, str) else cell
    return lines
