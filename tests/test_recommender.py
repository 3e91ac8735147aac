from __future__ import annotations

import json
import math
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from recsys.artifacts import load_current, publish
from recsys.errors import NotFoundError, UsageError
from recsys.ids import IdMap
from recsys.interactions.catalogue import Catalogue
from recsys.interactions.dataset import Dataset
from recsys.interactions.tables import (
    MICROSECONDS_PER_DAY,
    FloatArray,
    Histories,
    Interactions,
)
from recsys.interactions.weighting import Weighting
from recsys.models.linear import EASE, EASEConfig
from recsys.models.popularity import Popularity
from recsys.recommender import (
    HistoryEntry,
    HistoryItem,
    ItemInfo,
    Recommendation,
    Recommender,
    Rules,
)

N_USERS, N_ITEMS = 300, 40
IDS = [f"{code:03}" for code in range(N_ITEMS - 3)] + ["ключ", "a b", "1.0"]
TITLES = [f"Thing {code}" for code in range(N_ITEMS - 3)] + ["Crème BRÛLÉE set", "", "Tea set"]
CATEGORIES = [("even", "all") if code % 2 == 0 else ("odd", "all") for code in range(N_ITEMS)]
USERS = [f"ü{code}" for code in range(N_USERS)]  # the last has no history


def make_dataset(*, weighting: Weighting | None = None, timed: bool = True) -> Dataset:
    rng = np.random.default_rng(3)
    popularity = 1 / np.arange(1, N_ITEMS + 1)
    items = rng.choice(N_ITEMS, 3000, p=popularity / popularity.sum())
    times = rng.integers(0, 400, 3000) * MICROSECONDS_PER_DAY
    interactions = Interactions.from_events(
        rng.integers(0, N_USERS - 1, 3000),
        items,
        shape=(N_USERS, N_ITEMS),
        times=times if timed else None,
        values=rng.integers(1, 9, 3000).astype(np.float32) if timed else None,
    )
    prices = np.where(np.arange(N_ITEMS) % 3 == 0, np.nan, 2.5)
    return Dataset(
        "shop",
        "data/shop",
        "00",
        interactions,
        IdMap(USERS),
        IdMap(IDS),
        Catalogue(TITLES, CATEGORIES, prices),
        weighting or Weighting(),
    )


def opened(folder: Path, dataset: Dataset, kind: Any = EASE) -> Recommender:
    model = kind().fit(dataset.weighting.histories(dataset.interactions))
    publish(folder, model, dataset)
    return Recommender.open(folder)


AGED = Weighting(half_life_days=60, per_day_bought=0.3, value=0.2)


@pytest.fixture(scope="module")
def recommender(tmp_path_factory: pytest.TempPathFactory) -> Recommender:
    return opened(tmp_path_factory.mktemp("models"), make_dataset(weighting=AGED))


@pytest.fixture(scope="module")
def popular(tmp_path_factory: pytest.TempPathFactory) -> Recommender:
    return opened(tmp_path_factory.mktemp("models"), make_dataset(), Popularity)


def listed(recommendation: Recommendation) -> list[str]:
    return [suggestion.item for suggestion in recommendation.items]


def entries_of(recommender: Recommender, user: str) -> list[HistoryEntry]:
    """A user's stored events, as a caller would give them."""
    code = recommender.users.code(user)
    own = recommender.interactions.rows(np.array([code]))
    assert own.times is not None
    assert own.values is not None
    return [
        HistoryEntry(recommender.items[item], int(time), float(value))
        for item, time, value in zip(own.items, own.times, own.values, strict=True)
    ]


def test_a_list_is_ranked_titled_and_leaves_out_what_was_seen(recommender: Recommender) -> None:
    found = recommender.recommend("ü7", k=5)
    assert (found.user, found.basis, found.note) == ("ü7", "history", None)
    assert [one.rank for one in found.items] == [1, 2, 3, 4, 5]
    scores = [one.score for one in found.items]
    assert scores == sorted(scores, reverse=True)
    assert all(type(score) is float and math.isfinite(score) for score in scores)
    assert [one.title for one in found.items] == [TITLES[IDS.index(i)] for i in listed(found)]
    assert (recommender.model, recommender.version[-9:-4]) == ("ease", "ease-")


def test_nobody_is_recommended_what_they_took(recommender: Recommender) -> None:
    for user, found in zip(USERS, recommender.recommend_many(USERS, k=N_ITEMS), strict=True):
        seen = {entry.item for entry in recommender.history(user)}
        assert found.user == user
        assert seen.isdisjoint(listed(found))
        assert len(found.items) == N_ITEMS - len(seen)


def test_the_list_is_the_model_s_scores_at_the_reference_time(recommender: Recommender) -> None:
    dataset = make_dataset(weighting=AGED)
    histories = AGED.histories(
        dataset.interactions.rows(np.array([7])), dataset.interactions.newest
    )
    model = EASE(EASEConfig()).fit(AGED.histories(dataset.interactions))
    scores = model.score(histories)[0]
    found = recommender.recommend("ü7", k=N_ITEMS, rules=Rules(include_seen=True))
    assert len(found.items) == N_ITEMS
    for one in found.items:
        assert one.score == pytest.approx(scores[IDS.index(one.item)], rel=1e-4, abs=1e-6)


@given(st.data())
def test_rules_hold_together(recommender: Recommender, data: st.DataObject) -> None:
    rules = Rules(
        category=data.draw(st.sampled_from([None, "even", "odd", "all", "nowhere"])),
        exclude=data.draw(st.frozensets(st.sampled_from([*IDS, "stranger"]))),
        include_seen=data.draw(st.booleans()),
    )
    users = data.draw(st.lists(st.sampled_from([*USERS[:20], "stranger", USERS[-1]]), max_size=5))
    k = data.draw(st.integers(1, 50))
    for user, found in zip(users, recommender.recommend_many(users, k=k, rules=rules), strict=True):
        known = user in recommender.users
        seen = {entry.item for entry in recommender.history(user)} if known else set()
        eligible = {
            item
            for item, categories in zip(IDS, CATEGORIES, strict=True)
            if (rules.category is None or rules.category in categories)
            and item not in rules.exclude
            and (rules.include_seen or item not in seen)
        }
        assert set(listed(found)) <= eligible
        assert len(set(listed(found))) == min(k, len(eligible))
        assert (found.note is None) == (len(eligible) >= k)
        assert found.basis == ("history" if seen else "popular")
        assert same(found, recommender.recommend(user, k=k, rules=rules))


def same(one: Recommendation, other: Recommendation) -> bool:
    """The same list, but for the last bits of scores and the order of items that tie in them."""
    a = {s.item: s.score for s in one.items}
    b = {s.item: s.score for s in other.items}
    return replace(one, items=()) == replace(other, items=()) and all(
        math.isclose(x.score, y.score, rel_tol=1e-4, abs_tol=1e-6)
        and (x.item == y.item or math.isclose(a[x.item], b.get(x.item, y.score), rel_tol=1e-4))
        for x, y in zip(one.items, other.items, strict=True)
    )


def test_a_batch_gives_what_each_user_gets_alone(recommender: Recommender) -> None:
    users = [*USERS, "stranger", *USERS[5:60]]  # more than two batches
    together = recommender.recommend_many(users, k=8)
    assert [found.user for found in together] == users
    for user, found in zip(users, together, strict=True):
        assert same(found, recommender.recommend(user, k=8))
    assert recommender.recommend_many([]) == []


def test_a_known_user_is_the_same_history_given_outright(recommender: Recommender) -> None:
    for user in USERS[:40]:
        found = recommender.recommend_basket(entries_of(recommender, user), k=10)
        assert found.user is None
        assert same(replace(found, user=user), recommender.recommend(user, k=10))


def test_at_moves_what_ages_count_from(recommender: Recommender) -> None:
    user = "ü7"
    newest = recommender.reference_time
    assert newest is not None
    now = recommender.recommend(user, k=10)
    assert recommender.recommend(user, k=10, at=newest) == now
    # before everything, all events are brand-new: no ageing is left
    early = recommender.recommend(user, k=10, at=0)
    assert [one.score for one in early.items] != [one.score for one in now.items]
    assert same(
        recommender.recommend_basket(entries_of(recommender, user), at=0), replace(early, user=None)
    )


def test_a_basket_s_entry_counts_as_now_and_once_unless_it_says_otherwise(
    recommender: Recommender,
) -> None:
    newest = recommender.reference_time
    plain = recommender.recommend_basket([HistoryEntry("003"), HistoryEntry("004")])
    said = [HistoryEntry("003", newest, 1.0), HistoryEntry("004")]  # one says so, one leaves it
    assert recommender.recommend_basket(said) == plain
    assert recommender.recommend_basket(said[::-1]) == plain
    old = [HistoryEntry("003", 0), HistoryEntry("004")]
    assert recommender.recommend_basket(old).items != plain.items
    much = [HistoryEntry("003", None, 500.0), HistoryEntry("004")]
    assert recommender.recommend_basket(much).items != plain.items


def test_data_without_times_or_values_ignore_those_of_a_basket(tmp_path: Path) -> None:
    bare = opened(tmp_path, make_dataset(timed=False))
    assert bare.reference_time is None
    with_both = bare.recommend_basket([HistoryEntry("003", 5, 2.0)], at=9)
    assert with_both == bare.recommend_basket([HistoryEntry("003")])
    assert all(entry.last is None for entry in bare.history("ü7"))


def test_strangers_and_empty_baskets_get_what_most_users_took(recommender: Recommender) -> None:
    found = recommender.recommend("stranger", k=6)
    assert (found.user, found.basis) == ("stranger", "popular")
    taken = dict.fromkeys(IDS, 0)
    for user in USERS:
        for entry in recommender.history(user):
            taken[entry.item] += 1
    best = sorted(IDS, key=lambda item: (-taken[item], IDS.index(item)))
    assert listed(found) == best[:6]
    assert [one.score for one in found.items] == [taken[item] for item in best[:6]]
    assert recommender.recommend_basket([], k=6) == replace(found, user=None)
    assert recommender.recommend(USERS[-1], k=6) == replace(found, user=USERS[-1])
    rules = Rules("odd", frozenset([best[0], best[1]]))
    assert (
        listed(recommender.recommend("stranger", k=3, rules=rules))
        == [item for item in best if IDS.index(item) % 2 and item not in rules.exclude][:3]
    )
    assert recommender.recommend("stranger", k=6) == found  # masks leave nothing behind


def test_fallback_none_refuses_strangers_and_gives_nothing_without_history(
    recommender: Recommender,
) -> None:
    with pytest.raises(NotFoundError, match="unknown user 'stranger'"):
        recommender.recommend_many(["ü1", "stranger"], fallback="none")
    empty = recommender.recommend(USERS[-1], fallback="none")
    assert (empty.basis, empty.items) == ("history", ())
    assert empty.note is not None
    assert recommender.recommend_basket([], fallback="none") == replace(empty, user=None)
    assert recommender.recommend("ü1", fallback="none") == recommender.recommend("ü1")


class _Views(Popularity):
    """A model that answers with what it learnt itself, not with a copy."""

    def _score(self, histories: Histories) -> FloatArray:
        return np.broadcast_to(self._popularity, (len(histories), self.n_items))


def test_a_model_s_own_arrays_are_never_written_to(tmp_path: Path) -> None:
    dataset = make_dataset()
    opened(tmp_path, dataset, Popularity)
    model = _Views().fit(dataset.weighting.histories(dataset.interactions))
    recommender = Recommender(replace(load_current(tmp_path), model=model))
    learnt = model.tensors()["popularity"].copy()
    found = recommender.recommend("ü3", rules=Rules("odd"))
    assert np.array_equal(model.tensors()["popularity"], learnt)
    assert found == Recommender.open(tmp_path).recommend("ü3", rules=Rules("odd"))


def test_ties_go_by_item_order_and_asking_changes_nothing(popular: Recommender) -> None:
    before = popular.recommend("stranger", k=N_ITEMS)
    found = popular.recommend("ü3", k=N_ITEMS, rules=Rules(include_seen=True))
    order = [(-one.score, IDS.index(one.item)) for one in found.items]
    assert order == sorted(order)
    assert len({score for score, _ in order}) < N_ITEMS  # there are ties
    popular.recommend_many(USERS, rules=Rules("odd"))
    assert popular.recommend("ü3", k=N_ITEMS, rules=Rules(include_seen=True)) == found
    assert popular.recommend("stranger", k=N_ITEMS) == before


def test_fewer_than_k_or_no_such_category_says_so(recommender: Recommender) -> None:
    few = recommender.recommend("ü7", k=1000)
    assert 0 < len(few.items) < N_ITEMS
    assert few.note is not None
    assert few.note.startswith(f"only {len(few.items)} of 1000")
    for user in ("ü7", "stranger"):
        none = recommender.recommend(user, rules=Rules(category="ev"))
        assert none.items == ()
        assert none.note == "no item is in category 'ev'"


@pytest.mark.parametrize("k", [0, -1, 1001, 10**9])
def test_k_out_of_range_is_refused_everywhere(recommender: Recommender, k: int) -> None:
    for ask in (
        lambda: recommender.recommend("ü1", k=k),
        lambda: recommender.recommend("stranger", k=k),
        lambda: recommender.recommend_basket([], k=k),
        lambda: recommender.similar("003", k=k),
    ):
        with pytest.raises(UsageError, match=f"k is {k}: it must be from 1 to 1000"):
            ask()


@pytest.mark.parametrize(
    ("entry", "error"),
    [
        (HistoryEntry("strange"), "unknown item 'strange'"),
        (HistoryEntry("003", value=math.nan), "value of item '003' is nan"),
        (HistoryEntry("003", value=math.inf), "value of item '003' is inf"),
        (HistoryEntry("003", value=1e300), "value of item '003'"),
        (HistoryEntry("003", time=10**30), "time of item '003'"),
        (HistoryEntry("003", time=-(10**30)), "time of item '003'"),
    ],
)
def test_an_entry_that_cannot_be_meant_is_named(
    recommender: Recommender, entry: HistoryEntry, error: str
) -> None:
    with pytest.raises((NotFoundError, UsageError), match=error):
        recommender.recommend_basket([HistoryEntry("004"), entry])


@pytest.mark.parametrize("value", [0.0, -5.0, 1e-40, 9e37])
@pytest.mark.parametrize("time", [None, -(2**61), 2**61])
def test_extreme_entries_still_give_finite_scores(
    recommender: Recommender, value: float, time: int | None
) -> None:
    found = recommender.recommend_basket([HistoryEntry("003", time, value), HistoryEntry("004")])
    assert len(found.items) == 10
    json.dumps(recommender.answer(found), allow_nan=False)


def test_similar_scores_the_item_alone_and_leaves_it_out(recommender: Recommender) -> None:
    found = recommender.similar("003", k=N_ITEMS)
    assert "003" not in [one.item for one in found]
    assert len(found) == N_ITEMS - 1
    weights = weights_of_ease()[3]
    assert [one.score for one in found] == pytest.approx(sorted(np.delete(weights, 3))[::-1])
    with pytest.raises(NotFoundError, match="unknown item 'strange'"):
        recommender.similar("strange")


def weights_of_ease() -> Any:
    dataset = make_dataset(weighting=AGED)
    model = EASE().fit(AGED.histories(dataset.interactions))
    return model.tensors()["weights"]


def test_history_lists_distinct_items_the_latest_first(recommender: Recommender) -> None:
    for user in USERS[:30]:
        entries = entries_of(recommender, user)
        history = recommender.history(user)
        last: dict[str, int] = {}
        for entry in entries:
            assert entry.time is not None
            last[entry.item] = max(last.get(entry.item, 0), entry.time)
        assert {one.item: one.last for one in history} == last
        assert [one.last for one in history] == sorted(last.values(), reverse=True)
        assert sum(one.times for one in history) == len(entries)
    assert recommender.history(USERS[-1]) == ()
    with pytest.raises(NotFoundError, match="unknown user"):
        recommender.history("stranger")


def test_history_counts_events_and_keeps_the_log_s_order_without_times(tmp_path: Path) -> None:
    items = np.array([2, 0, 2, 1, 0])
    interactions = Interactions.from_events(np.zeros(5, int), items, shape=(1, 3))
    ids = IdMap(["a", "b", "c"])
    catalogue = Catalogue(["A", "B", "C"], [()] * 3, np.full(3, np.nan))
    dataset = Dataset("x", "x", "x", interactions, IdMap(["u"]), ids, catalogue, Weighting())
    assert opened(tmp_path, dataset).history("u") == (
        HistoryItem("a", "A", 2, None),
        HistoryItem("b", "B", 1, None),
        HistoryItem("c", "C", 2, None),
    )


def test_items_are_found_by_words_whatever_case_accents_or_order(recommender: Recommender) -> None:
    assert [one.item for one in recommender.find_items("SET creme")] == ["ключ"]
    assert [one.item for one in recommender.find_items("brulée")] == ["ключ"]
    assert [one.item for one in recommender.find_items("КЛЮЧ")] == ["ключ"]
    assert [one.item for one in recommender.find_items("tea")] == ["1.0"]
    assert "a b" in [one.item for one in recommender.find_items("b a", N_ITEMS)]
    assert recommender.find_items("set creme missing") == ()
    assert recommender.find_items("tea") == (ItemInfo("1.0", "Tea set", CATEGORIES[39], None),)
    assert recommender.find_items("thing 1", 1)[0].price == 2.5


def test_titles_that_start_with_the_query_come_first_then_the_popular(
    popular: Recommender,
) -> None:
    best = listed(popular.recommend("stranger", k=N_ITEMS))
    assert [one.item for one in popular.find_items("", 7)] == best[:7]
    things = [item for item in best if TITLES[IDS.index(item)].startswith("Thing")]
    assert [one.item for one in popular.find_items("  thing ", N_ITEMS)] == things
    assert [one.item for one in popular.find_items("t", N_ITEMS)][:-1] == [
        item for item in best if TITLES[IDS.index(item)].startswith("T")
    ]  # the last has its t inside


def test_users_are_found_by_part_of_the_id_those_starting_with_it_first(
    recommender: Recommender,
) -> None:
    assert recommender.find_users("Ü29", 3) == ("ü29", "ü290", "ü291")
    assert recommender.find_users("99") == ("ü99", "ü199", "ü299")
    assert len(recommender.find_users("ü")) == 20
    assert recommender.find_users("zzz") == ()


def test_answers_have_the_contract_s_keys_and_are_json(recommender: Recommender) -> None:
    answer = recommender.answer(recommender.recommend("ü7", k=2))
    assert list(answer) == ["user", "model", "version", "basis", "items"]
    assert list(answer["items"][0]) == ["rank", "item", "title", "score"]
    assert json.loads(json.dumps(answer, allow_nan=False)) == answer
    noted = recommender.answer(recommender.recommend_basket([], rules=Rules("nowhere")))
    assert noted["user"] is None
    assert noted["items"] == []
    assert noted["note"] == "no item is in category 'nowhere'"
    similar = recommender.similar_answer("003", recommender.similar("003", k=2))
    assert similar["item"] == "003"
    assert [one["rank"] for one in similar["items"]] == [1, 2]


def test_opening_reads_the_current_model(tmp_path: Path) -> None:
    dataset = make_dataset()
    old = opened(tmp_path, dataset, Popularity)
    new = opened(tmp_path, dataset, EASE)
    assert (old.model, new.model) == ("popularity", "ease")
    assert load_current(tmp_path).manifest.version == new.version
    assert old.recommend("ü1").items  # an open one goes on, whatever is published
