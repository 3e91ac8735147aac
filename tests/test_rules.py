"""What may stand in a list: every rule, alone and together, for known users and for cold ones."""

from __future__ import annotations

import math
from dataclasses import replace
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
from recsys.metrics import item_vectors
from recsys.models.linear import EASE
from recsys.recommender import AttributeRule, HistoryEntry, Recommendation, Recommender, Rules
from recsys.recommender.columns import Column

N_USERS, N_ITEMS = 90, 30
IDS = [f"i{item:02}" for item in range(N_ITEMS)]
CATEGORIES: list[tuple[str, ...]] = [
    (("tea",), ("tea", "gift"), ("gift", "gift"), ())[item % 4] for item in range(N_ITEMS)
]
PRICES = np.where(np.arange(N_ITEMS) % 5 == 0, np.nan, np.arange(N_ITEMS) / 2)
COLOURS = [("red", "blue", "Rot: 1..2", None)[item % 4] for item in range(N_ITEMS)]
YEARS = [(str(1990 + item), f"{1990 + item}.0", "unknown", None)[item % 4] for item in range(30)]
SINCE = [f"20{10 + item % 7}-0{1 + item % 9}-01" for item in range(N_ITEMS)]


@pytest.fixture(scope="module")
def recommender(tmp_path_factory: pytest.TempPathFactory) -> Recommender:
    rng = np.random.default_rng(8)
    users, items = rng.integers(0, N_USERS - 1, 600), rng.integers(0, N_ITEMS, 600)
    interactions = Interactions.from_events(users, items, shape=(N_USERS, N_ITEMS))
    attributes = {"colour": COLOURS, "year": YEARS, "since": SINCE, "void": [None] * N_ITEMS}
    catalogue = Catalogue([f"Thing {item}" for item in IDS], CATEGORIES, PRICES, attributes)
    names = IdMap(f"u{user:02}" for user in range(N_USERS))
    dataset = Dataset(
        "shop", "shop", "0", interactions, names, IdMap(IDS), catalogue, Weighting()
    )  # fmt: skip
    folder = tmp_path_factory.mktemp("models")
    publish(folder, EASE().fit(Weighting().histories(interactions)), dataset)
    opened = Recommender.open(folder)
    withheld = np.zeros(N_ITEMS, np.bool_)
    withheld[[4, 9]] = True
    return opened.restocked(replace(opened.catalogue, categories=CATEGORIES), withheld)


def listed(found: Recommendation) -> list[str]:
    return [one.item for one in found.items]


def holds(rule: AttributeRule, value: str | None) -> bool:
    """A rule on an attribute, as the documentation has it."""
    if value is None or rule.equal is not None:
        return value is not None and value == rule.equal
    bounds = [bound for bound in (rule.low, rule.high) if bound is not None]
    try:
        [float(bound) for bound in bounds]
    except ValueError:
        return (rule.low or "") <= value and (rule.high is None or value <= rule.high)
    try:
        number = float(value)
    except ValueError:
        return False
    low = -math.inf if rule.low is None else float(rule.low)
    return low <= number <= (math.inf if rule.high is None else float(rule.high))


def may_stand(item: int, rules: Rules, seen: set[str]) -> bool:
    """Whether the rules on items hold, one by one."""
    columns = {"colour": COLOURS, "year": YEARS, "since": SINCE, "void": [None] * N_ITEMS}
    return (
        item not in (4, 9)
        and (rules.category is None or rules.category in CATEGORIES[item])
        and IDS[item] not in rules.exclude
        and (rules.include_seen or IDS[item] not in seen)
        and (rules.only is None or IDS[item] in rules.only)
        and (rules.min_price is None or bool(PRICES[item] >= rules.min_price))
        and (rules.max_price is None or bool(PRICES[item] <= rules.max_price))
        and all(holds(r, columns.get(r.name, [None] * N_ITEMS)[item]) for r in rules.attributes)
    )


ATTRIBUTES = st.sampled_from(
    [
        AttributeRule.parse(text)
        for text in (
            "colour:red",
            "colour:blue",
            "colour:green",
            "year:1995..2010",
            "year:..2001",
            "year:1999.5..",
            "since:2012-05-01..2014-12-31",
            "since:2013..x",
            "void:1",
            "nothing:1..2",
        )
    ]
)
SOME = st.frozensets(st.sampled_from([*IDS, "stranger"]))


@st.composite
def any_rules(draw: st.DrawFn) -> Rules:
    low, high = sorted((draw(st.floats(-1, 16)), draw(st.floats(-1, 16))))
    return Rules(
        category=draw(st.sampled_from([None, None, "tea", "gift", "nowhere"])),
        exclude=draw(st.just(frozenset()) | SOME),
        include_seen=draw(st.booleans()),
        min_price=draw(st.sampled_from([None, None, low])),
        max_price=draw(st.sampled_from([None, None, high])),
        attributes=tuple(draw(st.lists(ATTRIBUTES, max_size=2))),
        only=draw(st.none() | SOME),
        per_category=draw(st.none() | st.integers(1, 4)),
        diversity=draw(st.just(0.0) | st.floats(0, 1)),
    )


def greedy(order: list[str], k: int, most: int | None) -> list[str]:
    """The best items from top to bottom, no more of a category than may be."""
    counts: dict[str, int] = {}
    chosen: list[str] = []
    for item in order:
        own = set(CATEGORIES[IDS.index(item)])
        if most is None or all(counts.get(category, 0) < most for category in own):
            chosen.append(item)
            counts |= {category: counts.get(category, 0) + 1 for category in own}
    return chosen[:k]


@given(rules=any_rules(), k=st.integers(1, 35), data=st.data())
def test_rules_hold_together(
    recommender: Recommender, rules: Rules, k: int, data: st.DataObject
) -> None:
    user = data.draw(st.sampled_from(["u03", "u17", "u40", f"u{N_USERS - 1}", "stranger"]))
    found = recommender.recommend(user, k=k, rules=rules)
    seen = {each.item for each in recommender.history(user)} if user in recommender.users else set()
    eligible = {IDS[item] for item in range(N_ITEMS) if may_stand(item, rules, seen)}
    assert found.basis == ("history" if seen else "popular")
    assert set(listed(found)) <= eligible
    assert len(set(listed(found))) == len(found.items) <= k
    assert [one.rank for one in found.items] == list(range(1, len(found.items) + 1))
    assert all(math.isfinite(one.score) for one in found.items)
    assert (found.note is None) == (len(found.items) == k)
    whole = recommender.recommend(user, k=N_ITEMS, rules=Rules(include_seen=True)).items
    order = [one.item for one in whole if one.item in eligible]
    if rules.diversity == 0:
        assert listed(found) == greedy(order, k, rules.per_category)
    elif rules.per_category is None:
        assert len(found.items) == min(k, len(eligible))
    counts = [c for one in listed(found) for c in set(CATEGORIES[IDS.index(one)])]
    if rules.per_category is not None:
        assert all(counts.count(category) <= rules.per_category for category in counts)


@pytest.mark.parametrize("diversity", [0.05, 0.3, 0.7, 1.0])
@pytest.mark.parametrize("user", ["u03", "stranger"])
def test_diversity_is_maximal_marginal_relevance(
    recommender: Recommender, user: str, diversity: float
) -> None:
    whole = recommender.recommend(user, k=N_ITEMS).items
    score = {one.item: one.score for one in whole}
    span = whole[0].score - whole[-1].score
    vectors = item_vectors(Weighting().histories(recommender.interactions).matrix)
    cosine = (vectors @ vectors.T).toarray()
    chosen: list[str] = []
    for _ in range(6):
        worth = {
            item: (1 - diversity) * (value - whole[-1].score) / span
            - diversity
            * max((cosine[IDS.index(item), IDS.index(other)] for other in chosen), default=0)
            for item, value in score.items()
            if item not in chosen
        }
        chosen.append(max(worth, key=lambda item: worth[item]))
    found = recommender.recommend(user, k=6, rules=Rules(diversity=diversity))
    assert listed(found) == chosen
    assert [one.score for one in found.items] == [score[item] for item in chosen]
    assert listed(found)[0] == whole[0].item
    if diversity == 1.0:
        assert listed(found) != [one.item for one in whole[:6]]


def test_a_limit_looks_beyond_the_candidates(recommender: Recommender) -> None:
    """Twenty candidates for two places, all of one category: the list still finds the other."""
    entries = [HistoryEntry("i00")]
    whole = listed(recommender.recommend_basket(entries, k=N_ITEMS))
    categories = [("other",) if item == whole[-1] else ("most",) for item in IDS]
    catalogue = replace(recommender.catalogue, categories=categories)
    other = recommender.restocked(catalogue, np.zeros(N_ITEMS, np.bool_))
    for diversity in (0.0, 0.2):
        rules = Rules(per_category=1, diversity=diversity, exclude=frozenset(["i04", "i09"]))
        found = other.recommend_basket(entries, k=2, rules=rules)
        assert (listed(found), found.note) == ([whole[0], whole[-1]], None)
    for k in (1, 2, 3, 7):
        found = recommender.recommend_basket(entries, k=k, rules=Rules(per_category=1))
        assert listed(found) == greedy(whole, k, 1)
    alone = [item for item in IDS if CATEGORIES[IDS.index(item)]]
    few = recommender.recommend_basket(
        entries, k=5, rules=Rules(per_category=1, only=frozenset(alone))
    )
    assert 1 <= len(few.items) <= 2
    assert few.note == f"only {len(few.items)} of 5: no other item may stand in this list"


def test_what_no_item_has_is_noted(recommender: Recommender) -> None:
    for user in ("u03", "stranger"):
        for text in ("shape:round", "void:1", "void:1..2"):
            rules = Rules(attributes=(AttributeRule.parse(text),))
            found = recommender.recommend(user, rules=rules)
            name = text.partition(":")[0]
            assert (found.items, found.note) == ((), f"no item has an attribute {name!r}")
        none = recommender.recommend(user, rules=Rules(only=frozenset()))
        assert none.items == ()
        assert none.note is not None


@pytest.mark.parametrize(
    ("text", "items"),
    [
        ("year:1994..1997", [4, 5]),  # and neither `unknown` nor nothing
        ("year:..1991", [0, 1]),
        ("year:2017.0..", [28, 29]),
        ("since:2012-03-01..2013-04-01", [2, 3]),
        ("since:2016-07-01..", [6]),
        ("since:..2010-01-01", [0]),
        ("colour:Rot: 1", []),
        ("colour:rot", []),
    ],
)
def test_bounds_of_an_attribute_are_within(text: str, items: list[int]) -> None:
    values = YEARS if text.startswith("year") else COLOURS if "colour" in text else SINCE[:7]
    found = Column(values).allowed(AttributeRule.parse(text))
    assert np.flatnonzero(found).tolist() == items


@pytest.mark.parametrize(
    ("text", "rule"),
    [
        ("colour:red", AttributeRule("colour", equal="red")),
        (" colour : dark red ", AttributeRule("colour", equal="dark red")),
        ("colour:a:b", AttributeRule("colour", equal="a:b")),
        ("year:1990..1999", AttributeRule("year", low="1990", high="1999")),
        ("year:..1999", AttributeRule("year", high="1999")),
        ("year: 1990 ..", AttributeRule("year", low="1990")),
        ("n:-1.5..1e3", AttributeRule("n", low="-1.5", high="1e3")),
    ],
)
def test_a_rule_on_an_attribute_is_read(text: str, rule: AttributeRule) -> None:
    assert AttributeRule.parse(text) == rule


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("colour", "neither NAME:VALUE nor"),
        ("", "neither"),
        (":red", "neither"),
        ("colour:", "neither"),
        ("colour: .. ", "neither"),
        ("year:1999..1990", "'1999' is above '1990'"),
        ("year:10..9", "'10' is above '9'"),
        ("since:b..a", "'b' is above 'a'"),
        ("x" * 5000, "neither"),
    ],
)
def test_a_rule_that_cannot_be_meant_is_named(text: str, said: str) -> None:
    with pytest.raises(UsageError, match=said) as raised:
        AttributeRule.parse(text)
    assert len(str(raised.value)) < 300


@pytest.mark.parametrize(
    ("given", "said"),
    [
        ({"min_price": 5.0, "max_price": 4.0}, "min_price is 5: it must not be above max_price, 4"),
        ({"min_price": math.nan}, "min_price is nan"),
        ({"max_price": math.inf}, "max_price is inf"),
        ({"per_category": 0}, "per_category is 0"),
        ({"diversity": 1.5}, "diversity is 1.5"),
        ({"diversity": math.nan}, "diversity is nan"),
    ],
)
def test_rules_that_cannot_be_meant_are_named(given: Any, said: str) -> None:
    with pytest.raises(UsageError, match=said):
        Rules(**given)


@given(st.text(max_size=12))
def test_any_text_is_a_rule_or_refused(text: str) -> None:
    try:
        rule = AttributeRule.parse(text)
    except UsageError:
        return
    assert rule.name
    assert (rule.equal is None) != (rule.low is None and rule.high is None)
