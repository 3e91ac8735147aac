"""Who must not be mailed, whatever the lists hold; and what each was sent already."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import pyarrow as pa

from recsys.campaigns.hashing import hashes, shares
from recsys.campaigns.loading import all_rules
from recsys.campaigns.opened import OpenRun
from recsys.campaigns.spec import CampaignSpec, RuleSpec
from recsys.interactions.tables import MICROSECONDS_PER_DAY, BoolArray, IntArray
from recsys.store.sending import SentRows

ALWAYS = -(2**62)
"""A time before all others."""

_YES = frozenset(("true", "yes", "y", "1", "1.0"))


@dataclass(frozen=True, eq=False)
class Groups:
    """Where the hashes put users: int (n,) place of the arm, bool (n,) whether held out."""

    arms: IntArray
    held_out: BoolArray


def groups_of(users: Sequence[str], spec: CampaignSpec, arm_shares: Sequence[float]) -> Groups:
    """Return each user's arm, and whether they are held out; the one does not tell the other."""
    bounds = np.cumsum(arm_shares)
    bounds[-1] = 1.0
    arms = np.searchsorted(bounds, shares(hashes(users, "arm", spec.name)), side="right")
    held_out = shares(hashes(users, "hold-out", spec.name)) < spec.hold_out
    return Groups(np.minimum(arms, len(bounds) - 1).astype(np.int32), held_out)


def suppressed(
    run: OpenRun, rows: pa.Table, users: Sequence[str], sent: SentRows
) -> list[str | None]:
    """Return why each user must not be mailed, None where nothing speaks against it."""
    spec = run.pinned.spec
    reasons = run.suppressed.reasons(users)
    if spec.consent is not None:
        for place, yes in enumerate(_consents(rows[spec.consent])):
            reasons[place] = reasons[place] or (None if yes else "no consent")
    if run.store is not None:
        forgotten = run.store.forgotten_among(users)
        for place, user in enumerate(users):
            if user in forgotten:
                reasons[place] = reasons[place] or "asked to be forgotten"
    for place, reason in too_often(spec, sent, run.pinned.at).items():
        reasons[place] = reasons[place] or reason
    return reasons


def too_often(spec: CampaignSpec, sent: SentRows, at: int) -> dict[int, str]:
    """Return the places of users who were mailed too lately or too often, with the reason."""
    found: dict[int, str] = {}
    if spec.cap is not None:
        since = at - spec.cap_days * MICROSECONDS_PER_DAY
        campaigns: dict[int, set[str]] = {}
        for place, campaign, when in zip(sent.users, sent.campaigns, sent.times, strict=True):
            if when > since:
                campaigns.setdefault(place, set()).add(campaign)
        reason = f"cap: {spec.cap} campaigns within {spec.cap_days:g} days"
        found |= {place: reason for place, own in campaigns.items() if len(own) >= spec.cap}
    if spec.cool_down_days is not None:
        since = at - spec.cool_down_days * MICROSECONDS_PER_DAY
        reason = f"cool-down: sent a campaign within {spec.cool_down_days:g} days"
        found |= {
            place: reason
            for place, when in zip(sent.users, sent.times, strict=True)
            if when > since
        }
    return found


def sent_before(run: OpenRun, users: Sequence[str]) -> SentRows:
    """Return what the ledger has of these users, as far back as the spec looks."""
    after = looks_back(run.pinned.spec, run.pinned.at)
    if run.store is None or after is None:
        return SentRows()
    return run.store.sent_to(users, after)


def looks_back(spec: CampaignSpec, at: int) -> int | None:
    """Return the time after which sends count, in microseconds; None where none do."""
    days: list[float] = []
    if spec.cool_down_days is not None:
        days.append(spec.cool_down_days)
    if spec.cap is not None:
        days.append(spec.cap_days)
    for rules in all_rules(spec):
        if rules.not_sent_days == "ever" or rules.not_sent_campaigns is not None:
            return ALWAYS
        if rules.not_sent_days is not None:
            days.append(rules.not_sent_days)
    return int(at - max(days) * MICROSECONDS_PER_DAY) if days else None


def repeats(
    rules: RuleSpec, recent: frozenset[str], sent: SentRows, at: int
) -> Mapping[int, set[str]]:
    """Return the items that must not come back to a user, by the user's place."""
    found: dict[int, set[str]] = {}
    if rules.not_sent_days is None and rules.not_sent_campaigns is None:
        return found
    since = float("inf")
    if rules.not_sent_days == "ever":
        since = ALWAYS
    elif rules.not_sent_days is not None:
        since = at - float(rules.not_sent_days) * MICROSECONDS_PER_DAY
    for place, campaign, item, when in zip(
        sent.users, sent.campaigns, sent.items, sent.times, strict=True
    ):
        if when > since or campaign in recent:
            found.setdefault(place, set()).add(item)
    return found


def _consents(column: pa.ChunkedArray) -> list[bool]:
    """Return where a cell says yes; whatever else it says is no."""
    return [
        value is not None and str(value).strip().lower() in _YES for value in column.to_pylist()
    ]
