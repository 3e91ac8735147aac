"""`recsys store`, `items`, `keys`, and training from a store."""

from __future__ import annotations

import json
import re
import shutil
import sqlite3
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow.parquet as pq
import pytest

from recsys.artifacts import list_versions, load_current, read_manifest
from recsys.interactions.dataset import load_dataset
from recsys.store.events import Event
from recsys.store.store import open_store


@pytest.fixture
def models(tmp_path: Path, published: Path) -> Path:
    """A copy of the published models, which may be changed; it has no store."""
    return Path(shutil.copytree(published, tmp_path / "models", symlinks=True))


def test_import_and_export_round(run: Any, shop: Path, tmp_path: Path) -> None:
    models, other = tmp_path / "models", tmp_path / "other"
    first = run("store", "import", shop, "--models", models)
    n_events = load_dataset(shop).interactions.n_events
    assert first.out.splitlines() == [
        f"{n_events} events imported, 0 were there already", "25 items described"
    ]  # fmt: skip
    again = json.loads(run("store", "import", shop, "--models", models, "--json").out)
    assert (again["accepted"], again["duplicates"]) == (0, n_events)
    store = open_store(f"sqlite:///{models / 'store.db'}")
    store.add_events([Event("r", "u00", "007", type="remove"), Event("v", "u00", "x", value=3)])
    store.set_item("007", {"blocked": True, "attributes": {"colour": "red"}})
    for kind in ("parquet", "csv"):
        out = tmp_path / kind
        said = run("store", "export", out, "--models", models, "--format", kind)
        assert said.out == f"{n_events + 2} events and 25 items written to {out}\n"
        assert run("store", "export", out, "--models", models).code == 2  # it is there already
        url = f"sqlite:///{other / kind}.db"
        assert run("store", "import", out, "--store", url).code == 0
        copy = open_store(url)
        written = [
            (e.id, e.user, e.item, e.time, e.type, e.value or 1.0) for e in store.every_event()
        ]
        assert written == [
            (e.id, e.user, e.item, e.time, e.type, e.value) for e in copy.every_event()
        ]
        assert copy.items() == store.items()
    counts = json.loads(run("store", "counts", "--models", models, "--json").out)
    assert (counts["events"], counts["removes"], counts["described"]) == (n_events + 2, 1, 25)
    assert "events" in run("store", "counts", "--models", models).out
    assert run("store", "vacuum", "--models", models).code == 0


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("user_id,item_id,type\nann,mug,buy\n", "column 'type' is 'buy'"),
        ("user_id,item_id,timestamp\nann,mug,soon\n", "column 'timestamp' is 'soon'"),
        ("user_id\nann\n", "has no column 'item_id'"),
        ("user_id,item_id,timestamp\nann,mug,2200-01-01\n", "more than a day to come"),
    ],
)
def test_files_that_cannot_be_imported(run: Any, tmp_path: Path, text: str, message: str) -> None:
    (tmp_path / "events.csv").write_text(text)
    ended = run("store", "import", tmp_path / "events.csv", "--models", tmp_path / "models")
    assert ended.code == 1
    assert message in ended.err


def test_keys(run: Any, models: Path) -> None:
    made = run("keys", "add", "--scope", "write", "--name", "the shop", "--models", models)
    token = made.out.strip()
    assert re.fullmatch(r"recsys_[\w-]{43}", token)
    assert "not shown again" in made.err
    listed = run("keys", "list", "--models", models).out
    assert token not in listed
    (identifier,) = re.findall(r"^(\w{8})  write .*the shop$", listed, re.MULTILINE)
    assert run("keys", "remove", "zzz", "--models", models).code == 1
    removed = run("keys", "remove", identifier, "--models", models)
    assert removed.out == f"removed write key {identifier} the shop\n"
    assert run("keys", "list", "--models", models).out == ""
    assert run("keys", "add", "--models", models).code == 2


def test_items_are_changed_and_forgetting_is_told(run: Any, models: Path) -> None:
    flags = ["--models", models]
    best = json.loads(run("recommend", "--user", "u07", "--json", *flags).out)["items"][0]["item"]
    said = run("items", "set", best, "--block", "--set", "colour=red", "--price", 2, *flags)
    assert json.loads(said.out) == {
        "item": best, "title": None, "category": None, "price": 2.0,
        "attributes": {"colour": "red"}, "in_stock": True, "blocked": True,
    }  # fmt: skip
    answer = json.loads(run("recommend", "--user", "u07", "--k", 25, "--json", *flags).out)
    assert best not in [line["item"] for line in answer["items"]]
    cleared = run(
        "items", "set", best, "--unblock", "--clear", "price", "--clear", "colour", *flags
    )
    assert json.loads(cleared.out)["attributes"] == {}
    assert json.loads(cleared.out)["price"] is None
    assert run("items", "set", best, "--set", "colour", *flags).code == 2
    told = run("store", "forget", "u07", *flags)
    assert "0 events and 0 sends erased" in told.out
    assert f"still in the data of {models / (models / 'current').readlink()}" in told.out
    assert json.loads(run("store", "forget", "u07", "--json", *flags).out)["artifacts"]
    assert json.loads(run("recommend", "--user", "u07", "--json", *flags).out)["basis"] == "popular"


def test_a_campaign_knows_the_store(run: Any, models: Path, tmp_path: Path) -> None:
    store = open_store(f"sqlite:///{models / 'store.db'}")
    store.add_events([Event("1", "zoe", "007")])
    store.forget("u07")
    (tmp_path / "audience.csv").write_text("user_id\nzoe\nu07\nu08\n")
    flags = ["--users", tmp_path / "audience.csv", "--models", models, "--fallback", "none"]
    assert run("campaign", *flags, "--out", tmp_path / "out").code == 0
    results = pq.read_table(tmp_path / "out" / "results").to_pylist()
    assert [row["status"] for row in results] == ["sent", "suppressed", "sent"]
    store.close()
    (models / "store.db").write_bytes(b"broken " * 2000)
    ended = run("campaign", *flags, "--out", tmp_path / "other")
    assert ended.code == 1
    assert "does not answer" in ended.err
    assert not (tmp_path / "other").exists()


def test_training_from_a_store_is_training_from_its_log(
    run: Any, shop: Path, tmp_path: Path
) -> None:
    models = tmp_path / "models"
    url = f"sqlite:///{models / 'store.db'}"
    run("store", "import", shop, "--models", models)
    ended = run("train", "--data", url, "--model", "ease", "--out", models)
    assert (ended.code, ended.err) == (0, "")
    by_store, by_folder = load_current(models), load_dataset(shop)
    assert by_store.users == by_folder.users
    assert by_store.items == by_folder.items
    assert by_store.interactions.items.tolist() == by_folder.interactions.items.tolist()
    assert by_store.catalogue.titles == list(by_folder.catalogue.titles)
    assert by_store.manifest.training["source"] is None
    first = by_store.interactions.rows(np.array([0]))
    item = by_store.items[int(first.items[0])]
    open_store(url).add_events(
        [Event("r", "u00", item, type="remove"), Event("n", "new", "brand-new")]
    )
    run("train", "--data", url, "--model", "ease", "--out", models)
    again = load_current(models)
    assert "brand-new" in again.items
    own = again.interactions.rows(np.array([again.users.code("u00")]))
    assert item not in [again.items[int(code)] for code in own.items]


def test_retraining_from_folder_and_store(run: Any, shop: Path, tmp_path: Path) -> None:
    models, data = tmp_path / "models", Path(shutil.copytree(shop, tmp_path / "data"))
    flags = ["--models", models]
    run("train", "--data", data, "--model", "ease", "--set", "l2=7", "--out", models)
    run("store", "import", data, *flags)  # the same log is there, and counts once
    url = f"sqlite:///{models / 'store.db'}"
    open_store(url).add_events([Event("n", "new", "brand-new"), Event("m", "new", "007")])
    open_store(url).forget("u03")
    before = load_current(models)
    ended = run("retrain", *flags)
    assert (ended.code, ended.err) == (0, "")
    assert "compared  ndcg@100" in ended.out
    current = load_current(models)
    assert current.manifest.config["l2"] == 7
    assert current.users.ids == sorted({*before.users.ids, "new"} - {"u03"})
    assert "brand-new" in current.items
    forgotten = before.interactions.rows(np.array([before.users.code("u03")])).n_events
    assert current.interactions.n_events == before.interactions.n_events + 2 - forgotten
    assert current.manifest.training == before.manifest.training
    asked = json.loads(run("retrain", "--json", "--force", *flags).out)
    assert asked["comparison"] is None
    assert len(list_versions(models)) == 3


def test_retraining_refuses_a_bad_log(run: Any, shop: Path, tmp_path: Path) -> None:
    models = tmp_path / "models"
    run("store", "import", shop, "--models", models)
    url = f"sqlite:///{models / 'store.db'}"
    run("train", "--data", url, "--model", "popularity", "--out", models)
    version = (models / "current").readlink()
    store = tmp_path / "bad.db"
    shutil.copy(models / "store.db", store)
    with sqlite3.connect(store) as connection:
        connection.execute("DELETE FROM events WHERE rowid % 2")
    connection.close()
    flags = ["--models", models, "--store", f"sqlite:///{store}"]
    ended = run("retrain", *flags)
    assert ended.code == 1
    assert "interactions are" in ended.err
    assert "from 90% to 150% is allowed" in ended.err
    assert (models / "current").readlink() == version
    assert run("retrain", *flags, "--force").code == 0
    assert (models / "current").readlink() != version


def test_retraining_refuses_a_model_that_would_be_worse(run: Any, tmp_path: Path) -> None:
    """A log of the right size whose items no longer mean what they did."""
    folder = tmp_path / "shop"
    folder.mkdir()
    rows = [
        f"u{user:03},{(user % 4) * 6 + (step + user // 4) % 6:02},2024-{1 + step:02}-05"
        for user in range(160)
        for step in range(5)
    ]
    (folder / "events.csv").write_text("\n".join(["user_id,item_id,timestamp", *rows]) + "\n")
    models = tmp_path / "models"
    run("train", "--data", folder, "--model", "ease", "--set", "l2=5", "--out", models)
    version = (models / "current").readlink()
    assert run("retrain", "--models", models, "--store", f"sqlite:///{tmp_path / 'x.db'}").code == 0
    version = (models / "current").readlink()
    mixed = [
        re.sub(r",(\d\d),", lambda m, n=n: f",{(int(m[1]) * 7 + n * 5) % 24:02},", row)
        for n, row in enumerate(rows)
    ]
    (folder / "events.csv").write_text("\n".join(["user_id,item_id,timestamp", *mixed]) + "\n")
    ended = run("retrain", "--models", models)
    assert ended.code == 1
    assert "the new model would be worse: ndcg@100" in ended.err
    assert (models / "current").readlink() == version


def test_retraining_what_says_nothing_of_its_training(run: Any, models: Path) -> None:
    ended = run("retrain", "--models", models)
    assert ended.code == 1
    assert "without saying how to train it again" in ended.err
    assert read_manifest(models / (models / "current").readlink()).training == {}


def test_what_is_missing(run: Any, models: Path, tmp_path: Path) -> None:
    for command in (["counts"], ["vacuum"], ["export", tmp_path / "out"]):
        ended = run("store", *command, "--models", models)
        assert (ended.code, ended.out) == (1, "")
        assert "there is no store there" in ended.err
    ended = run("recommend", "--user", "u07", "--models", models, "--store", "mysql://h/x")
    assert ended.code == 2
    assert not (models / "store.db").exists()
