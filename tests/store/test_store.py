"""The store on both databases: what is written is there once, whatever is sent twice."""

from __future__ import annotations

import multiprocessing
import sqlite3
import time
from collections import Counter
from pathlib import Path
from typing import Any

import pytest
from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext
from hypothesis import given
from hypothesis import strategies as st

from databases import Postgres
from recsys.errors import (
    DataError,
    ForgottenError,
    NotFoundError,
    SettingsError,
    StoreDownError,
    StoreError,
)
from recsys.store import schema
from recsys.store.database import Database
from recsys.store.events import Added, Event, now
from recsys.store.keys import hash_of
from recsys.store.sending import Send
from recsys.store.store import Store, open_store

DAY = 86_400_000_000


def test_an_event_counts_once_whatever_is_sent_twice(store: Store) -> None:
    first = Event("a", "ann", "mug", 5, 2.0)
    assert store.add_events([first, first, Event("b", "ann", "cup", 6)]) == Added(2, 1)
    assert store.add_events([Event("a", "bob", "jug", 7), Event("c", "bob", "mug", 8)]) == Added(
        1, 1
    )
    entries = [(entry.item, entry.time, entry.value) for entry in store.history("ann")]
    assert entries == [("mug", 5, 2.0), ("cup", 6, 1.0)]
    assert [entry.item for entry in store.history("bob")] == ["mug"]
    assert store.add_events([]) == Added(0, 0)
    assert next(store.every_event()) == first


def test_a_batch_is_kept_whole_or_not_at_all(store: Store) -> None:
    good = Event("a", "ann", "mug")
    for bad, message in (
        (Event("", "ann", "mug"), "event 2: column 'id' is '': not an id"),
        (Event("b", "a\0", "mug"), "'user'"),
        (Event("b", " ann", "mug"), "white space"),
        (Event("b", "ann", "m" * 201), "'item'"),
        (Event("b", "ann", "\ud800"), "'item'"),
        (Event("b", "ann", "mug", value=float("nan")), "'value' is nan"),
        (Event("b", "ann", "mug", value=1e13), "'value'"),
        (Event("b", "ann", "mug", 10**18), "within the years"),
        (Event("b", "ann", "mug", now() + 3 * DAY), "more than a day to come"),
    ):
        with pytest.raises(DataError, match=message.replace("'", "'")):
            store.add_events([good, bad])
    assert store.counts()["events"] == 0


def test_events_without_a_time_follow_each_other(store: Store) -> None:
    before = now()
    store.add_events(
        [
            Event("z", "ann", "mug"),
            Event("y", "ann", "mug", type="remove"),
            Event("x", "ann", "mug"),
            Event("w", "ann", "cup"),
        ]
    )
    entries = store.history("ann")
    assert [entry.item for entry in entries] == ["mug", "cup"]
    assert entries[0].time is not None
    assert before <= entries[0].time <= now() + 4


def test_a_remove_takes_back_what_came_before(store: Store) -> None:
    store.add_events(
        [
            Event("1", "ann", "mug", 10),
            Event("2", "ann", "cup", 10),
            Event("3", "ann", "mug", 20, type="remove"),
            Event("4", "ann", "mug", 21),
            Event("5", "bob", "mug", 1),
        ]
    )
    histories = store.histories(["bob", "ann", "zoe", "x\0y"])
    assert [(e.item, e.time) for e in histories["ann"]] == [("cup", 10), ("mug", 21)]
    assert [(e.item, e.time) for e in histories["bob"]] == [("mug", 1)]
    assert histories["zoe"] == histories["x\0y"] == ()
    store.add_events([Event("6", "ann", "mug", 21, type="remove")])  # at the very time
    assert [entry.item for entry in store.history("ann")] == ["cup"]


_ids = st.sampled_from("abcdefgh")
_events = st.lists(
    st.builds(
        Event,
        _ids,
        st.sampled_from(["ann", "bob"]),
        st.sampled_from(["mug", "cup", "jug"]),
        st.integers(0, 9),
        st.just(1.0),
        st.sampled_from(["add", "add", "remove"]),
    ),
    max_size=8,
)


@pytest.fixture(scope="module")
def shared(tmp_path_factory: pytest.TempPathFactory) -> Store:
    return open_store(f"sqlite:///{tmp_path_factory.mktemp('shared') / 'store.db'}")


@given(batches=st.lists(_events, max_size=4), data=st.data())
def test_sent_again_in_any_cut_it_is_the_same(
    shared: Store, batches: list[list[Event]], data: st.DataObject
) -> None:
    """Whatever the batches and whatever is repeated, the first event of each id counts."""
    for user in ("ann", "bob"):  # an empty store, in no time
        with shared._database.writing() as connection:
            connection.execute(schema.events.delete().where(schema.events.c.user_id == user))
    expected: dict[str, Event] = {}
    for batch in batches:
        added = shared.add_events(batch)
        new = {event.id for event in batch} - set(expected)
        assert added == Added(len(new), len(batch) - len(new))
        for event in batch:
            expected.setdefault(event.id, event)
    again = data.draw(st.permutations(list(expected.values())))
    assert shared.add_events(again) == Added(0, len(again))
    for user in ("ann", "bob"):
        own = [event for event in expected.values() if event.user == user]
        kept = [
            event
            for event in own
            if event.type == "add"
            and not any(
                r.type == "remove" and r.item == event.item and (r.time or 0) >= (event.time or 0)
                for r in own
            )
        ]
        found = Counter((entry.item, entry.time) for entry in shared.history(user))
        assert found == Counter((event.item, event.time) for event in kept)
    with shared._database.reading() as connection:  # the view that training reads says the same
        rows = connection.exec_driver_sql("SELECT user_id, item_id, timestamp FROM interactions")
        seen = Counter((row[0], row[1], row[2]) for row in rows)
    live = shared.histories(["ann", "bob"])
    assert seen == Counter((u, e.item, e.time) for u, own in live.items() for e in own)


def _write(url: str, worker: int, n: int) -> None:
    store = open_store(url)
    for start in range(0, n, 10):
        own = [Event(f"{worker}-{i}", f"u{i % 7}", f"i{worker}") for i in range(start, start + 10)]
        shared = [Event(f"shared-{i}", "all", f"i{i}") for i in range(start, start + 10)]
        store.add_events([*own, *shared[:: 1 - 2 * (worker % 2)]])
    store.close()


def test_several_processes_open_and_write_at_once(url: str) -> None:
    spawn = multiprocessing.get_context("spawn")
    workers = [spawn.Process(target=_write, args=(url, worker, 60)) for worker in range(2)]
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join(timeout=60)
        assert worker.exitcode == 0
    store = open_store(url)
    counts = store.counts()
    assert counts["events"] == 2 * 60 + 60
    assert len(store.history("all")) == 60
    store.close()


def test_the_tables_are_those_of_the_migrations(url: str) -> None:
    database = Database(url)
    with database.reading() as connection:
        context = MigrationContext.configure(connection)
        assert compare_metadata(context, schema.metadata) == []
        assert context.get_current_revision() == schema.HEAD
    database.close()


def test_sqlite_keeps_what_it_acknowledged(sqlite_store: Store) -> None:
    with sqlite_store._database.reading() as connection:
        settings = {
            name: connection.exec_driver_sql(f"PRAGMA {name}").scalar()
            for name in ("journal_mode", "synchronous", "foreign_keys", "secure_delete")
        }
    full = 2
    assert settings == {
        "journal_mode": "wal", "synchronous": full, "foreign_keys": 1, "secure_delete": 1
    }  # fmt: skip


def test_items_change_field_by_field(store: Store) -> None:
    assert store.counters().items == 0
    store.set_item("mug", {"title": "A mug", "category": ["tea", "cups"], "attributes": {"a": "1"}})
    state = store.set_item("mug", {"blocked": True, "attributes": {"b": "2", "a": None}})
    assert (state.title, state.category, state.price) == ("A mug", ("tea", "cups"), None)
    assert (state.attributes, state.in_stock, state.blocked) == ({"b": "2"}, True, True)
    store.set_item("cup", {"in_stock": False, "price": 2.5})
    assert store.counters().items == 3
    assert [item.item for item in store.items()] == ["cup", "mug"]
    assert [item.item for item in store.items(since=2)] == ["cup"]
    assert store.set_item("mug", {"title": None, "category": None}).category is None


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"title": "x" * 1001}, "title"),
        ({"category": ["a|b"]}, "without |"),
        ({"category": [" "]}, "category"),
        ({"price": -1.0}, "price"),
        ({"price": float("nan")}, "price"),
        ({"attributes": {"a\0": "b"}}, "attributes"),
    ],
)
def test_changes_that_cannot_be_meant(sqlite_store: Store, changes: Any, message: str) -> None:
    with pytest.raises(DataError, match=message.replace("|", r"\|")):
        sqlite_store.set_items({"cup": {"title": "fine"}, "mug": changes})
    assert sqlite_store.items() == []


def test_keys_are_kept_as_hashes(store: Store) -> None:
    token, key = store.add_key("write", "shop")
    other, _ = store.add_key("read")
    counters, scopes = store.scopes()
    listed = store.keys()
    assert scopes == {hash_of(token): "write", hash_of(other): "read"}
    assert counters.keys == 2
    assert [(k.scope, k.name) for k in listed] == [("write", "shop"), ("read", "")]
    with store._database.reading() as connection:
        rows = connection.execute(schema.keys.select()).all()
    assert token not in repr(rows)
    with pytest.raises(NotFoundError):
        store.remove_key("nothing")
    assert store.remove_key(key.id) == key
    assert hash_of(token) not in store.scopes()[1]


def test_forgetting_leaves_a_keyed_hash(store: Store) -> None:
    store.add_events([Event("1", "ann", "mug"), Event("2", "bob", "mug")])
    store.add_sends([Send("spring", "ann", "mug", 5), Send("spring", "bob", "mug", 5)])
    erased = store.forget("ann")
    assert (erased.events, erased.sends) == (1, 1)
    assert store.history("ann") == ()
    assert [send.user for send in store.sends_to(["ann", "bob"])] == ["bob"]
    with pytest.raises(ForgottenError, match="'ann'") as refused:
        store.add_events([Event("3", "bob", "cup"), Event("4", "ann", "cup")])
    assert refused.value.users == ("ann",)
    assert store.counts()["events"] == 1  # all or nothing
    again = store.forget("ann")
    assert (again.events, again.sends) == (0, 0)
    assert store.counts()["forgotten"] == 1
    assert store.counters().forgotten == 1
    assert store.forgotten_among(["ann", "bob"]) == {"ann"}
    hashed, hashes = store.forgotten()
    assert hashes == {hashed("ann")}
    assert "ann" not in repr(hashes)


def test_what_is_forgotten_is_on_no_page_of_the_file(sqlite_store: Store) -> None:
    name = "ann.with.a.long.name@example.org"
    sqlite_store.add_events([Event(f"e{i}", name, "mug") for i in range(200)])
    assert sqlite_store.file is not None
    files = [sqlite_store.file, sqlite_store.file.with_name("store.db-wal")]
    assert any(name.encode() in file.read_bytes() for file in files)
    sqlite_store.forget(name)
    assert not any(name.encode() in file.read_bytes() for file in files if file.exists())


def test_sends_are_kept_once(store: Store) -> None:
    sends = [Send("spring", "ann", "mug", 5, "a"), Send("spring", "ann", "cup", 5, "a")]
    assert store.add_sends(sends) == 2
    assert store.add_sends([*sends, Send("summer", "ann", "mug", 9)]) == 1
    assert [send.campaign for send in store.sends_to(["ann"], since=6)] == ["summer"]
    assert store.sends_to(["bob"]) == []


def test_vacuum_keeps_everything(store: Store) -> None:
    store.add_events([Event(f"{i}", "ann", f"item {i}") for i in range(50)])
    store.vacuum()
    assert len(store.history("ann")) == 50


def test_a_file_taken_away_is_not_made_anew(tmp_path: Path) -> None:
    file = tmp_path / "store.db"
    store = open_store(f"sqlite:///{file}")
    store.add_events([Event("1", "ann", "mug")])
    aside = file.rename(tmp_path / "aside.db")
    for _ in range(3):
        with pytest.raises(StoreDownError):
            store.add_events([Event("2", "ann", "cup")])
        with pytest.raises(StoreDownError):
            store.look(["ann"])
    assert not file.exists()
    aside.rename(file)
    assert [entry.item for entry in store.history("ann")] == ["mug"]
    store.close()


def test_postgresql_stopped_and_started(postgres: Postgres) -> None:
    store = open_store(postgres.new_database())
    store.add_events([Event("1", "ann", "mug")])
    postgres.stop()
    try:
        for _ in range(3):
            with pytest.raises(StoreDownError, match="does not answer"):
                store.add_events([Event("2", "ann", "cup")])
    finally:
        postgres.start()
    assert _within_seconds(store)
    store.add_events([Event("2", "ann", "cup")])
    assert [entry.item for entry in store.history("ann")] == ["mug", "cup"]
    store.close()


def _within_seconds(store: Store) -> bool:
    end = time.monotonic() + 10
    while time.monotonic() < end:
        try:
            store.ping()
        except StoreDownError:
            time.sleep(0.1)
        else:
            return True
    return False


@pytest.mark.parametrize(
    ("url", "error", "message"),
    [
        ("store.db", SettingsError, "is no URL"),
        ("://", SettingsError, "is no URL"),
        ("mysql://a:hush@b/c", SettingsError, "mysql"),
        ("foo://a:hush@b/c", SettingsError, "foo is not supported"),
        ("sqlite://", SettingsError, "in memory keeps nothing"),
        ("sqlite:///:memory:", SettingsError, "in memory"),
        ("postgresql://me:hush@127.0.0.1:1/shop", StoreDownError, "refused"),
    ],
)
def test_urls_that_cannot_be_used(url: str, error: type[Exception], message: str) -> None:
    with pytest.raises(error, match=message) as raised:
        open_store(url)
    assert "hush" not in str(raised.value)
    assert "\n" not in str(raised.value)


def test_what_is_no_store(tmp_path: Path) -> None:
    with pytest.raises(StoreError, match="there is no store there"):
        open_store(f"sqlite:///{tmp_path / 'no.db'}", create=False)
    assert not (tmp_path / "no.db").exists()
    (tmp_path / "text.db").write_text("not a database, but long enough to be looked at " * 20)
    with pytest.raises(StoreDownError, match="not a database"):
        open_store(f"sqlite:///{tmp_path / 'text.db'}")


def test_a_store_of_a_newer_version_is_left_alone(tmp_path: Path) -> None:
    file = tmp_path / "store.db"
    open_store(f"sqlite:///{file}").close()
    with sqlite3.connect(file) as connection:
        connection.execute("UPDATE alembic_version SET version_num = '9999'")
    connection.close()
    with pytest.raises(StoreError, match="newer than the 0002"):
        open_store(f"sqlite:///{file}")
