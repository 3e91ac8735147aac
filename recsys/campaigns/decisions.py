"""What becomes of each user: the lists from the `Recommender`, and who is not served and why."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Literal

from recsys.campaigns.spec import CampaignSpec
from recsys.errors import StoreError, UsageError
from recsys.recommender import Recommendation, Recommender, Suggestion

BATCH = 1024
"""Users asked for at once; the recommender scores them in batches of its own."""

Status = Literal["sent", "suppressed", "ineligible", "held_out", "failed"]


@dataclass(frozen=True, slots=True)
class Decision:
    """One user's row of the results.

    Attributes
    ----------
    reason
        Why the user is not sent, or what is special about the list; None where nothing is.
    items
        The list of a user who is sent, else empty.
    """

    user: str
    status: Status
    reason: str | None = None
    items: tuple[Suggestion, ...] = ()


def decide(
    users: Sequence[str], recommender: Recommender, spec: CampaignSpec
) -> Iterator[list[Decision]]:
    """Yield one decision a user in the order given, a batch at a time."""
    for start in range(0, len(users), BATCH):
        batch = users[start : start + BATCH]
        known = recommender.known(batch)
        asked = [
            user for user, yes in zip(batch, known, strict=True) if yes or spec.fallback != "none"
        ]
        answers = iter(_answers(asked, recommender, spec))
        yield [
            _decision(user, next(answers), yes, spec)
            if yes or spec.fallback != "none"
            else Decision(user, "ineligible", "unknown user")
            for user, yes in zip(batch, known, strict=True)
        ]


def _answers(
    users: Sequence[str], recommender: Recommender, spec: CampaignSpec
) -> list[Recommendation | Exception]:
    """Return each user's list, or what went wrong with it: one user must not cost the others."""
    at, k, fallback = spec.at, spec.k, spec.fallback
    try:
        return [*recommender.recommend_many(users, k=k, fallback=fallback, at=at)]
    except (UsageError, StoreError):  # whoever the user: asked for wrongly, or the store is down
        raise
    except Exception as error:  # whatever a model raises
        if len(users) == 1:
            return [error]
    return [answer for user in users for answer in _answers([user], recommender, spec)]


def _decision(
    user: str, answer: Recommendation | Exception, known: bool, spec: CampaignSpec
) -> Decision:
    if isinstance(answer, Exception):
        return Decision(user, "failed", f"{type(answer).__name__}: {' '.join(str(answer).split())}")
    if len(answer.items) < spec.min_items:
        return Decision(user, "ineligible", answer.note)
    popular = f"popular items: {'no history' if known else 'unknown user'}"
    reasons = [popular] if answer.basis == "popular" else []
    reasons += [answer.note] if answer.note is not None else []
    return Decision(user, "sent", "; ".join(reasons) or None, answer.items)
