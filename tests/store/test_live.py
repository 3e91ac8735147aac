"""Answers that know the store: the same by one, by many, and by what is trained from it."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from recsys.errors import NotFoundError, StoreDownError, StoreError
from recsys.ids import IdMap
from recsys.interactions.tables import MICROSECONDS_PER_DAY, Interactions
from recsys.recommender import AttributeRule, HistoryEntry, Recommender, Rules
from recsys.store.events import Event, EventRows
from recsys.store.live import LiveRecommender, open_live
from recsys.store.merging import with_events
from recsys.store.store import Store, open_store

DAY = MICROSECONDS_PER_DAY
T = 15_300 * DAY  # after everything that was trained on


@pytest.fixture
def live(trained: Recommender, store: Store) -> LiveRecommender:
    return LiveRecommender(trained, store)


def items(recommender: Recommender, user: str, **options: Any) -> list[str]:
    return [line.item for line in recommender.recommend(user, **options).items]


def test_an_empty_store_changes_nothing(live: LiveRecommender, trained: Recommender) -> None:
    users = [*trained.users.ids, "stranger"]
    assert live.recommend_many(users, k=5) == trained.recommend_many(users, k=5)
    assert live.history("u03") == trained.history("u03")
    assert live.reference_time == trained.reference_time
    assert live.similar("i03") == trained.similar("i03")
    assert live.find_items("thing 2") == trained.find_items("thing 2")
    basket = [HistoryEntry("i01"), HistoryEntry("i04", T)]
    assert live.recommend_basket(basket) == trained.recommend_basket(basket)


def test_an_event_counts_at_once(live: LiveRecommender, store: Store, trained: Recommender) -> None:
    best = items(live, "u03", k=1)[0]
    store.add_events([Event("1", "u03", best, T)])
    assert best not in items(live, "u03", k=30)
    assert live.history("u03")[0].item == best
    assert live.reference_time == T
    own = [HistoryEntry(line.item, line.last) for line in reversed(live.history("u03"))]
    repeated = any(line.times > 1 for line in live.history("u03"))
    assert repeated or items(live, "u03") == [
        line.item for line in live.recommend_basket(own).items
    ]
    assert items(live, "u04") == items(trained, "u04", at=T)


def test_a_stranger_becomes_known(live: LiveRecommender, store: Store) -> None:
    with pytest.raises(NotFoundError):
        live.recommend("zoe", fallback="none")
    assert live.recommend("zoe").basis == "popular"
    store.add_events([Event("1", "zoe", "a new product", T)])
    assert live.known(["zoe", "yan", "u01"]) == [True, False, True]
    assert live.recommend("zoe").basis == "popular"  # nothing that the model knows
    assert [line.item for line in live.history("zoe")] == ["a new product"]
    store.add_events([Event("2", "zoe", "i06", T + 1)])
    found = live.recommend("zoe", fallback="none")
    assert found.basis == "history"
    assert found.items == live.recommend_basket([HistoryEntry("i06")]).items
    assert [line.item for line in live.history("zoe")] == ["i06", "a new product"]


def test_a_remove_reaches_what_was_trained_on(
    live: LiveRecommender, store: Store, trained: Recommender
) -> None:
    first, *others = trained.history("u03")
    store.add_events([Event("1", "u03", first.item, T, type="remove")])
    assert [line.item for line in live.history("u03")] == [line.item for line in others]
    assert first.item in items(live, "u03", k=30)
    store.add_events([Event("2", "u03", first.item, T + 1)])
    assert live.history("u03")[0] == replace(first, times=1, last=T + 1)


def test_what_was_trained_on_counts_once(
    live: LiveRecommender, store: Store, trained: Recommender, shop: Any
) -> None:
    """The log that a model was trained on may be in the store as well."""
    events = shop.interactions
    store.add_events(
        [
            Event(f"e{n}", shop.users[user], shop.items[item], int(time), 1.0)
            for n, (user, item, time) in enumerate(
                zip(events.users, events.items, events.times, strict=True)
            )
        ]
    )
    users = trained.users.ids
    assert live.recommend_many(users) == trained.recommend_many(users)
    assert all(live.history(user) == trained.history(user) for user in users)


def test_items_that_cannot_be_had_stand_in_no_list(live: LiveRecommender, store: Store) -> None:
    first, second, third, *_ = items(live, "u03")
    store.set_item(first, {"blocked": True})
    store.set_item(second, {"in_stock": False})
    assert items(live, "u03")[0] == third
    withheld = {first, second}
    everything = [
        live.recommend("nobody", k=30).items,
        live.recommend("u03", k=30, rules=Rules(include_seen=True)).items,
        live.recommend_basket([HistoryEntry("i00")], k=30).items,
        live.similar("i00", k=30),
    ]
    assert not any(line.item in withheld for lines in everything for line in lines)
    store.set_item(first, {"blocked": False})
    store.set_item(second, {"in_stock": True})
    assert items(live, "u03")[:2] == [first, second]


def test_the_catalogue_changes_at_run_time(live: LiveRecommender, store: Store) -> None:
    store.set_item("i05", {"title": "Renamed", "category": ["attic"], "price": 99.0})
    store.set_item("unknown", {"title": "Not in the model"})
    (found,) = live.find_items("renamed")
    assert (found.item, found.category, found.price) == ("i05", ("attic",), 99.0)
    attic = live.recommend("u00", k=5, rules=Rules(category="attic"))
    assert [line.title for line in attic.items] == ["Renamed"]
    store.set_item("i05", {"title": None, "category": None, "price": None})
    (found,) = live.find_items("i05")
    assert (found.title, found.category, found.price) == ("Thing 5", ("desk",), 5.0)
    assert live.recommend("u00", rules=Rules(category="attic")).items == ()


def test_rules_follow_prices_and_attributes_at_once(live: LiveRecommender, store: Store) -> None:
    dear, blue = Rules(min_price=50.0), Rules(attributes=(AttributeRule("colour", "blue"),))
    new = Rules(attributes=(AttributeRule("season", low="1", high="2"),))
    assert live.recommend("u00", rules=new).note == "no item has an attribute 'season'"
    for user in ("u00", "nobody"):
        store.set_item("i05", {"price": 99.0, "attributes": {"colour": "blue", "season": "2"}})
        for rules in (dear, blue, new):
            assert [one.item for one in live.recommend(user, rules=rules).items] == ["i05"]
        store.set_item("i05", {"price": None, "attributes": {"colour": None, "season": None}})
        for rules in (dear, blue, new):
            assert [one.item for one in live.recommend(user, rules=rules).items] == []


def test_explanations_know_what_happened_since(live: LiveRecommender, store: Store) -> None:
    before = live.explain("u03", "i00").because
    new = next(item for item in items(live, "u03") if item != "i00")
    store.add_events([Event("1", "u03", new, T)])
    store.set_item(new, {"title": "Renamed"})
    after = live.explain("u03", "i00")
    assert {each.item for each in after.because} == {each.item for each in before} | {new}
    assert "Renamed" in {each.title for each in after.because}
    listed = live.recommend("u03", k=30, rules=Rules(include_seen=True), why=True).items
    (one,) = [one for one in listed if one.item == "i00"]
    assert one.score == pytest.approx(after.score, rel=1e-5)
    assert [each.item for each in one.because or ()] == [each.item for each in after.because[:3]]
    store.add_events([Event("2", "newcomer", "i03", T)])
    assert [each.item for each in live.explain("newcomer", "i00").because] == ["i03"]
    store.forget("u03")
    with pytest.raises(NotFoundError):
        live.explain("u03", "i00")


def test_whoever_is_forgotten_is_a_stranger(live: LiveRecommender, store: Store) -> None:
    store.add_events([Event("1", "u03", "i00", T)])
    store.forget("u03")
    assert live.recommend("u03") == replace(live.recommend("stranger"), user="u03")
    assert live.known(["u03", "u04"]) == [False, True]
    with pytest.raises(NotFoundError):
        live.history("u03")
    assert "u03" not in live.find_users("u0", limit=100)
    assert live.find_users("u0", limit=3) == ("u00", "u01", "u02")
    assert live.recommend("u04").basis == "history"


def test_values_below_what_was_trained_on_do_not_count(
    trained: Recommender, sqlite_store: Store
) -> None:
    manifest = replace(trained.artifact.manifest, training={"dataset": {"clean": {"min_value": 4}}})
    live = LiveRecommender(Recommender(replace(trained.artifact, manifest=manifest)), sqlite_store)
    best = items(live, "u03", k=1)[0]
    sqlite_store.add_events([Event("1", "u03", best, T, 3.0)])
    assert items(live, "u03", k=1) == [best]
    sqlite_store.add_events([Event("2", "u03", best, T, 4.0)])
    assert items(live, "u03", k=1) != [best]


@pytest.fixture
def models_with_store(tmp_path: Path, models: Path) -> Iterator[tuple[Path, Store]]:
    folder = tmp_path / "models"
    folder.symlink_to(models)
    store = open_store(f"sqlite:///{tmp_path / 'own.db'}")
    yield folder, store
    store.close()


def test_while_the_store_is_away_the_model_answers_alone(
    models_with_store: tuple[Path, Store], trained: Recommender, tmp_path: Path
) -> None:
    models, store = models_with_store
    url = f"sqlite:///{store.file}"
    live, strict = open_live(models, url), open_live(models, url, required=True)
    blocked, best = items(live, "u04", k=2)
    store.add_events([Event("1", "u04", best, T)])
    store.set_item(blocked, {"blocked": True})
    store.forget("u03")
    assert live.recommend("u04").basis == "history"
    store.close()
    assert store.file is not None
    aside = store.file.rename(tmp_path / "aside")
    found = live.recommend("u04")
    assert found.basis == "trained-history"
    assert found.items[0].item == best  # its event is not seen
    assert blocked not in items(live, "u04", k=30)  # what was seen of blocks stays
    assert live.recommend("u03").basis == "popular"  # and of the forgotten
    assert live.recommend_basket([HistoryEntry("i00")]).basis == "history"
    assert live.history("u04") == trained.history("u04")
    with pytest.raises(StoreDownError):
        strict.recommend("u04")
    aside.rename(store.file)
    assert live.recommend("u04").basis == "history"
    assert best not in items(live, "u04", k=30)


def test_opening_with_and_without_a_store(models: Path, tmp_path: Path) -> None:
    assert type(open_live(models)) is Recommender
    missing = f"sqlite:///{tmp_path / 'no.db'}"
    with pytest.raises(StoreError, match="there is no store there"):
        open_live(models, missing).recommend("u01")
    with pytest.raises(StoreError, match="there is no store there"):
        open_live(models, missing, required=True)


_rows = st.lists(
    st.tuples(
        st.integers(0, 2), st.sampled_from(["a", "b", "c", "new"]), st.integers(0, 6), st.booleans()
    ),
    max_size=12,
)


@settings(suppress_health_check=[HealthCheck.too_slow])
@given(trained=_rows, later=_rows, timed=st.booleans())
def test_merging_is_what_the_definition_says(
    trained: list[tuple[int, str, int, bool]], later: list[tuple[int, str, int, bool]], timed: bool
) -> None:
    names = IdMap("abc")
    base = sorted({(u, i, t) for u, i, t, _ in trained if i != "new"})
    users = np.array([u for u, _, _ in base], np.int64)
    codes = np.array([names.code(i) for _, i, _ in base], np.int64)
    times = np.array([t for _, _, t in base], np.int64)
    events = Interactions.from_events(users, codes, shape=(3, 3), times=times if timed else None)
    later.sort(key=lambda row: (row[0], row[2]))
    rows = EventRows(
        [row[0] for row in later],
        [row[1] for row in later],
        [row[2] for row in later],
        [1.0] * len(later),
        [row[3] for row in later],
    )
    merged = with_events(events, rows, names)

    def taken_back(user: int, item: str, time: int | None) -> bool:
        return any(
            removes and (u, i) == (user, item) and (time is None or t >= time)
            for u, i, t, removes in later
        )

    own = [(u, i, t) for u, i, t in base if not taken_back(u, i, t if timed else None)]
    new = [
        (u, i, t)
        for u, i, t, removes in later
        if not removes and i != "new" and not taken_back(u, i, t)
        and not (timed and (u, i, t) in base)
    ]  # fmt: skip
    expected = sorted((u, names.code(i), t if timed else None) for u, i, t in [*own, *new])
    found_times = [None] * merged.n_events if merged.times is None else merged.times.tolist()
    found = sorted(zip(merged.users.tolist(), merged.items.tolist(), found_times, strict=True))
    assert found == expected


def test_items_that_only_the_store_knows_have_their_places(
    live: LiveRecommender, store: Store, trained: Recommender
) -> None:
    rules = Rules(newcomers=2, new_below=1)
    assert items(live, "u03", rules=rules) == items(trained, "u03")
    store.set_item("new", {"title": "Thing of another kind", "category": ["kitchen"], "price": 3.0})
    store.set_item("bare", {"in_stock": True})
    assert live.title("new") == "Thing of another kind"
    found = live.recommend("u03", rules=rules)
    assert [line.item for line in found.items if line.new] == ["new"] == [found.items[-1].item]
    assert found == live.recommend_many(["u04", "u03"], rules=rules)[1]
    store.add_events([Event("1", "u03", "new", T), Event("2", "u04", "i01", T)])
    assert "new" not in items(live, "u03", rules=rules)  # seen
    assert items(live, "u04", rules=rules)[-1] == "new"
    assert live.history("u03")[0].title == "Thing of another kind"
    store.set_item("new", {"blocked": True})
    assert "new" not in items(live, "u04", rules=rules)
