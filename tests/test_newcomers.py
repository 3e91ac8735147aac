"""Places for new products: like the history, within the rules, behind the model's own."""

from __future__ import annotations

import math
import re
from collections import Counter
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from recsys.artifacts import publish
from recsys.errors import UsageError
from recsys.ids import IdMap
from recsys.interactions.catalogue import Catalogue
from recsys.interactions.dataset import Dataset
from recsys.interactions.tables import Interactions
from recsys.interactions.weighting import Weighting
from recsys.models.linear import EASE
from recsys.recommender import (
    AttributeRule,
    CategoryLimit,
    HistoryEntry,
    Recommendation,
    Recommender,
    Rules,
)
from recsys.recommender.newcomers import unlisted

WORDS = ("red", "blue", "mug", "plate", "tea", "lamp")
RARE = ["i27", "i28", "i29"]  # of one or two events each
NEW = {  # what only the store knows: title, categories, price
    "n1": ("red mug", ("tea",), 4.0),
    "n2": ("Blue LAMP", ("desk",), 9.0),
    "n3": ("wholly unlike", (), math.nan),
    "n4": ("red mug", ("tea",), 4.0),
    "n5": ("red plate", ("tea", "gift"), math.nan),
}


@pytest.fixture(scope="module")
def recommender(tmp_path_factory: pytest.TempPathFactory) -> Recommender:
    """Thirty items of two words each, of which three are rare, and five that are not trained on."""
    rng = np.random.default_rng(4)
    users, items = rng.integers(0, 50, 500), rng.integers(0, 27, 500)
    users, items = np.append(users, [1, 2, 3, 4]), np.append(items, [27, 28, 29, 29])
    ids = IdMap(f"i{item:02}" for item in range(30))
    titles = [f"{WORDS[i % 2]} {WORDS[2 + i % 4]}" for i in range(30)]
    categories = [(("tea",), ("desk", "gift"), ())[i % 3] for i in range(30)]
    prices = np.where(np.arange(30) % 7 == 0, np.nan, 1.0 + np.arange(30) % 9)
    catalogue = Catalogue(titles, categories, prices, {"kind": ["a", "b", None] * 10})
    interactions = Interactions.from_events(users, items, shape=(50, 30))
    names = IdMap(f"u{user:02}" for user in range(50))
    dataset = Dataset("shop", "shop", "0", interactions, names, ids, catalogue, Weighting())
    folder: Path = tmp_path_factory.mktemp("models")
    publish(folder, EASE().fit(Weighting().histories(interactions)), dataset)
    opened = Recommender.open(folder)
    new = Catalogue(
        [title for title, _, _ in NEW.values()],
        [own for _, own, _ in NEW.values()],
        np.array([price for _, _, price in NEW.values()]),
        {"kind": ["a", "b", "a", "c", None]},
    )
    withheld = np.zeros(30, np.bool_)
    withheld[28] = True
    return opened.restocked(
        opened.catalogue, withheld, unlisted(IdMap(NEW), new, np.zeros(5, np.bool_))
    )


def listed(found: Recommendation, *, new: bool) -> list[str]:
    return [line.item for line in found.items if line.new == new]


def likeness(recommender: Recommender, history: list[str], item: str) -> float:
    """The documented formula, for weights of 1."""
    catalogue = recommender.catalogue
    known = dict(
        zip(
            recommender.items.ids,
            zip(catalogue.titles, catalogue.categories, catalogue.prices.tolist(), strict=True),
            strict=True,
        )
    )
    everything = {**known, **NEW}
    terms = {
        one: {*re.findall(r"\w+", title.casefold()), *(("category", name) for name in names)}
        for one, (title, names, _) in everything.items()
    }
    occurs = Counter(term for own in terms.values() for term in own)
    idf = {term: math.log((1 + len(terms)) / (1 + count)) for term, count in occurs.items()}

    def length(own: set[Any]) -> float:
        return math.sqrt(sum(idf[term] ** 2 for term in own))

    total = 0.0
    for one in history:
        both = sum(idf[term] ** 2 for term in terms[one] & terms[item])
        cosine = both / (length(terms[one]) * length(terms[item]))
        prices = everything[one][2], everything[item][2]
        near = 0.5 if any(map(math.isnan, prices)) else min(prices) / max(prices)
        total += cosine**2 * near
    return total / len(history)


def test_the_most_alike_take_the_last_places(recommender: Recommender) -> None:
    taken = ["i00", "i06", "i13"]
    entries = [HistoryEntry(item) for item in taken]
    plain = recommender.recommend_basket(entries, k=8)
    found = recommender.recommend_basket(entries, k=8, rules=Rules(newcomers=3))
    free = ["n1", "n2", "n3", "n4", "n5", "i27", "i29"]
    expected = {item: likeness(recommender, taken, item) for item in free}
    best = sorted(free, key=lambda item: (-round(expected[item], 6), item))[:3]
    assert listed(found, new=True) == best == [line.item for line in found.items[5:]]
    assert {"n1", "n4"} <= set(best)  # equally alike: the lower id first
    assert [line.rank for line in found.items] == list(range(1, 9))
    kept = [line for line in plain.items if line.item not in best]
    assert [line.item for line in found.items[:5]] == [line.item for line in kept[:5]]
    assert [line.score for line in found.items[:5]] == [line.score for line in kept[:5]]
    for line in found.items[5:]:
        assert line.score == pytest.approx(expected[line.item], rel=1e-5)
        shown = line.shown()
        assert shown["new"] is True
    assert not any("new" in line.shown() for line in found.items[:5])


def test_they_say_what_they_are_like(recommender: Recommender) -> None:
    entries = [HistoryEntry("i00"), HistoryEntry("i06", value=1)]
    found = recommender.recommend_basket(entries, rules=Rules(newcomers=2), why=True)
    for line in found.items[-2:]:
        assert line.because is not None
        parts = {each.item: each.contribution for each in line.because}
        assert set(parts) <= {"i00", "i06"}
        assert line.score == pytest.approx(sum(parts.values()), rel=1e-5)


def test_off_by_default_and_nothing_like_a_stranger(recommender: Recommender) -> None:
    assert recommender.recommend("u01") == recommender.recommend("u01", rules=Rules(newcomers=0))
    stranger = recommender.recommend("stranger", rules=Rules(newcomers=3))
    assert stranger == recommender.recommend("stranger")
    assert listed(recommender.recommend("u01", k=50), new=True) == []
    assert "n3" not in listed(recommender.recommend("u01", rules=Rules(newcomers=9)), new=True)


@given(
    user=st.integers(0, 49),
    k=st.integers(1, 35),
    rules=st.builds(
        Rules,
        category=st.sampled_from([None, None, "tea", "gift", "none"]),
        exclude=st.frozensets(st.sampled_from(["n1", "i29", "i03"])),
        min_price=st.sampled_from([None, 4.0]),
        attributes=st.sampled_from([(), (AttributeRule.parse("kind:a"),)]),
        only=st.sampled_from([None, None, frozenset(["n1", "n2", "i27", "i01", "i02"])]),
        per_category=st.sampled_from([None, None, 1, 2]),
        limits=st.sampled_from([(), (CategoryLimit("tea", 1, 2),)]),
        variants=st.sampled_from([None, "kind"]),
        diversity=st.sampled_from([0.0, 0.4]),
        newcomers=st.integers(1, 12),
        new_below=st.sampled_from([1, 2, 3, 1000]),
    ),
)
def test_the_rules_hold_for_them(recommender: Recommender, user: int, k: int, rules: Rules) -> None:
    found = recommender.recommend(f"u{user:02}", k=k, rules=rules)
    plain = recommender.recommend(f"u{user:02}", k=k, rules=replace(rules, newcomers=0))
    new = listed(found, new=True)
    lines = [line.item for line in found.items]
    assert len(new) <= rules.newcomers
    assert lines[len(lines) - len(new) :] == new
    assert len(set(lines)) == len(lines) <= k
    assert len(lines) >= min(k, len(plain.items)) or rules.look_at_the_list
    infos = {info.item: info for info in recommender.items_of(lines)}
    kinds = dict(zip([*recommender.items.ids, *NEW], [*"ab-" * 10, *"abac-"], strict=True))
    taken = {line.item for line in recommender.history(f"u{user:02}")}
    assert not {*lines} & (taken | rules.exclude | {"i28"})
    for item in lines:
        assert rules.category in (None, *infos[item].category)
        assert rules.min_price is None or (infos[item].price or 0) >= rules.min_price
        assert not rules.attributes or kinds[item] == "a"
        assert rules.only is None or item in rules.only
    counts = Counter(name for item in lines for name in set(infos[item].category))
    assert rules.per_category is None or max(counts.values(), default=0) <= rules.per_category
    assert not rules.limits or not lines or 1 <= counts["tea"] <= 2
    if rules.variants:
        groups = [kinds[item] for item in lines if kinds[item] != "-"]
        assert len(set(groups)) == len(groups)


def test_what_is_new_is_a_matter_of_events(recommender: Recommender) -> None:
    rules = Rules(newcomers=9, only=frozenset([*RARE, *NEW]), new_below=2)
    found = recommender.recommend("u09", rules=rules)
    assert {"i27"} <= set(listed(found, new=True)) <= {"i27", "n1", "n2", "n4", "n5"}
    wide = recommender.recommend("u09", rules=replace(rules, new_below=3))
    assert "i29" in listed(wide, new=True)
    for name in ("newcomers", "new_below"):
        with pytest.raises(UsageError, match=name):
            Rules(**{name: -1})


def test_titles_and_prices_of_what_is_not_trained_on(recommender: Recommender) -> None:
    assert recommender.title("n1") == "red mug"
    infos = recommender.items_of(["n5", "none", "i01"])
    assert [(info.item, info.price) for info in infos] == [("n5", None), ("i01", 2.0)]
    assert recommender.categories()[0][0] == "desk"
