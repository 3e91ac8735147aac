"""Everything that knows about people and ids, above a model: histories, rules, fallbacks, titles.

The API, the command line and the batch job all ask a `Recommender`, so they cannot disagree.
"""

from recsys.recommender.answers import (
    Basis,
    Fallback,
    HistoryEntry,
    HistoryItem,
    ItemInfo,
    Recommendation,
    Rules,
    Suggestion,
)
from recsys.recommender.recommender import MOST, Recommender

__all__ = [
    "MOST",
    "Basis",
    "Fallback",
    "HistoryEntry",
    "HistoryItem",
    "ItemInfo",
    "Recommendation",
    "Recommender",
    "Rules",
    "Suggestion",
]
