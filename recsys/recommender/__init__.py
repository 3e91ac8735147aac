"""Everything that knows about people and ids, above a model: histories, rules, fallbacks, titles.

The API, the command line and the batch job all ask a `Recommender`, so they cannot disagree.
"""

from recsys.recommender.answers import (
    Basis,
    Contribution,
    Explanation,
    Fallback,
    HistoryEntry,
    HistoryItem,
    ItemInfo,
    Recommendation,
    Suggestion,
)
from recsys.recommender.recommender import MOST, Recommender
from recsys.recommender.rules import AttributeRule, CategoryLimit, Rules
from recsys.recommender.sight import Sight

__all__ = [
    "MOST",
    "AttributeRule",
    "Basis",
    "CategoryLimit",
    "Contribution",
    "Explanation",
    "Fallback",
    "HistoryEntry",
    "HistoryItem",
    "ItemInfo",
    "Recommendation",
    "Recommender",
    "Rules",
    "Sight",
    "Suggestion",
]
