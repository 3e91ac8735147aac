"""`recsys inspect`, and the flags of every command that takes `--data`."""

from __future__ import annotations

import csv
import json
from collections.abc import Callable
from datetime import UTC, datetime
from operator import attrgetter
from pathlib import Path
from typing import Any

import click
import pytest

from recsys.cli.data_options import data_options, spec_from_flags
from recsys.interactions.dataset import DatasetSpec
from recsys.store.events import Event
from recsys.store.store import open_store

LOG = """user_id,item_id,timestamp,value
a,x,2011-01-01,1
a,x,2011-01-01,1
a,y,2011-01-02,5
b,x,2011-03-01,4
c,z,2011-03-02,never
"""
ITEMS = "item_id,title,category,price\nx,Cup,Kitchen|Blue,1.5\ny,Plate,Kitchen,\nq,Bowl,,2\n"


@pytest.fixture
def log(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A small log with a bad row, and items, in the current folder `shop`."""
    monkeypatch.chdir(tmp_path)
    folder = Path("shop")
    folder.mkdir()
    (folder / "events.csv").write_text(LOG, encoding="utf-8")
    (folder / "items.csv").write_text(ITEMS, encoding="utf-8")
    return folder


def test_inspect_shows_what_was_read_and_dropped_and_why(log: Path, run: Callable) -> None:
    ended = run("inspect", log, "--on-bad-rows", "skip", "--min-value", 4, "--from", "2011-01-02")
    assert ended.code == 0
    assert ended.err == "1 bad row left out, listed in shop.bad-rows.csv\n"
    assert ended.out.splitlines()[:12] == [
        "shop",
        "",
        "Read",
        "  shop/events.csv",
        "  shop/items.csv",
        "  user from 'user_id', item from 'item_id', time from 'timestamp', value from 'value'",
        "              5  rows of events",
        "             -1  bad row, listed in shop.bad-rows.csv",
        "             -2  before 2011-01-02",
        "              2  interactions left",
        "",
        "Shape",
    ]
    for line in (
        "              2  users",
        "        50.000%  of all possible pairs",
        "  2011-01-02 00:00 to 2011-03-01 00:00 UTC, 58 days",
        "              2  of 2 items are in the items file",
        "              1  more is listed there, without interactions",
    ):
        assert line in ended.out.splitlines()
    with Path("shop.bad-rows.csv").open(encoding="utf-8", newline="") as stream:
        assert list(csv.DictReader(stream)) == [
            {
                "file": "shop/events.csv",
                "row": "6",
                "column": "value",
                "value": "never",
                "reason": "not a finite number",
            }
        ]


def test_inspect_as_json(log: Path, run: Callable) -> None:
    ended = run("inspect", "--data", log, "--on-bad-rows", "skip", "--json", "--min-value", 1)
    assert ended.code == 0
    told = json.loads(ended.out)
    assert (told["dataset"], told["source"]) == ("shop", "shop")
    assert (told["users"], told["items"], told["interactions"], told["pairs"]) == (2, 2, 3, 3)
    assert told["read"]["steps"] == [
        {"reason": "same user, item and time, added up", "events": 1, "users": 0, "items": 0}
    ]
    assert told["read"]["bad_rows"] == 1
    assert told["density"] == 0.75
    assert told["items_per_user"] == {"mean": 1.5, "quantiles": [1, 1, 1, 1, 2, 2, 2]}
    assert told["tail"] == {
        "top_1_percent": 2 / 3,
        "top_10_percent": 2 / 3,
        "items_of_one_user": 1,
        "users_below_5_items": 2,
    }
    assert told["span"] == {
        "first": "2011-01-01T00:00:00+00:00",
        "last": "2011-03-01T00:00:00+00:00",
        "months": [2, 0, 1],
    }
    assert told["described"] == {
        "titles": 2,
        "prices": 1,
        "categories": 2,
        "distinct_categories": 2,
        "attributes": [],
    }
    assert len(told["fingerprint"]) == 64


def test_inspect_lists_new_products(log: Path, run: Callable, published: Path) -> None:
    (log / "events.csv").write_text(LOG.replace("never", "1"), encoding="utf-8")
    (log / "items.csv").write_text(f"{ITEMS}\x1b[31m,\n".replace("\x1b[31m,", "r,Red\x1b,,"))
    told = run("inspect", log, "--new-below", 2).out.splitlines()
    start = told.index("New products")
    assert told[start : start + 6] == [
        "New products",
        "              4  products have fewer than 2 events",
        "                 q Bowl: 0 events",
        "                 r Red\N{REPLACEMENT CHARACTER}: 0 events",
        "                 z: 1 event, the first on 2011-03-02",
        "                 y Plate: 1 event, the first on 2011-01-02",
    ]
    listed = json.loads(run("inspect", log, "--new-below", 2, "--json").out)["new_products"]
    assert listed[0] == {"item": "q", "title": "Bowl", "events": 0, "first": None}
    assert listed[2]["first"] == "2011-03-02T00:00:00Z"
    told = run("inspect", log, "--new-below", 1, "--models", published).out
    assert "  5  products have fewer than 1 events that the current model was trained on" in told
    assert "x Cup: 0 events, the first on 2011-01-01" in told


def test_inspect_lists_what_only_the_store_describes(tmp_path: Path, run: Callable) -> None:
    url = f"sqlite:///{tmp_path / 'store.db'}"
    store = open_store(url)
    store.add_events([Event("1", "a", "x", 15_000 * 86_400_000_000)])
    store.set_item("new", {"title": "A cup"})
    store.close()
    told = run("inspect", url).out.splitlines()
    assert "                 new A cup: 0 events" in told
    assert "                 x: 1 event, the first on 2011-01-26" in told


def test_a_bad_row_fails_with_its_place_and_no_traceback(log: Path, run: Callable) -> None:
    ended = run("inspect", log)
    assert (ended.code, ended.out) == (1, "")
    assert ended.err == (
        "error: shop/events.csv: row 6, column 'value' is 'never': not a finite number; "
        "mend it, or leave such rows out with --on-bad-rows skip\n"
    )


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ([], "--data is missing: name a folder, a file or a database URL"),
        (["shop", "--data", "shop"], "named twice"),
        (["shop", "--min-user-items", "0"], "min_user_items = 0"),
        (["shop", "--duplicates", "mean"], "'mean' is not one of"),
        (["shop", "--from", "2011"], "write a date as 2011-12-31"),
        (["shop", "--half-life-days", "soon"], "'soon' is not a valid float"),
        (["shop", "--dataset", "no.toml"], "'no.toml' does not exist"),
    ],
)
def test_a_command_used_wrongly_exits_2(
    log: Path, run: Callable, arguments: list[str], message: str
) -> None:
    ended = run("inspect", *arguments)
    assert (ended.code, ended.out) == (2, "")
    assert message in ended.err


FLAGS: dict[str, tuple[str, str, object]] = {
    "--dataset-name": ("name", "films", "films"),
    "--events": ("events", "log.csv", "log.csv"),
    "--items": ("items", "films.csv", "films.csv"),
    "--table": ("table", "t", "t"),
    "--query": ("query", "SELECT 1", "SELECT 1"),
    "--encoding": ("encoding", "latin-1", "latin-1"),
    "--delimiter": ("delimiter", ";", ";"),
    "--on-bad-rows": ("on_bad_rows", "skip", "skip"),
    "--user-column": ("columns.user", "u", "u"),
    "--item-column": ("columns.item", "i", "i"),
    "--time-column": ("columns.time", "t", "t"),
    "--value-column": ("columns.value", "v", "v"),
    "--title-column": ("columns.title", "n", "n"),
    "--category-column": ("columns.category", "c", "c"),
    "--price-column": ("columns.price", "p", "p"),
    "--min-value": ("clean.min_value", "4", 4.0),
    "--from": ("clean.from_", "2011-01-02", datetime(2011, 1, 2)),
    "--to": ("clean.to", "2011-01-02T03:04:05Z", datetime(2011, 1, 2, 3, 4, 5, tzinfo=UTC)),
    "--duplicates": ("clean.duplicates", "last", "last"),
    "--min-user-items": ("clean.min_user_items", "5", 5),
    "--min-item-users": ("clean.min_item_users", "3", 3),
    "--half-life-days": ("weights.half_life_days", "60", 60.0),
    "--train-half-life-days": ("weights.train_half_life_days", "30", 30.0),
    "--per-day-bought": ("weights.per_day_bought", "0.3", 0.3),
    "--baskets": ("weights.baskets", "0.5", 0.5),
    "--value-weight": ("weights.value", "0.1", 0.1),
}


@click.command()
@data_options
def probe(**flags: Any) -> DatasetSpec:
    return spec_from_flags("shop", flags)


@pytest.mark.parametrize("flag", FLAGS)
def test_a_flag_reaches_its_key(flag: str) -> None:
    key, text, expected = FLAGS[flag]
    spec = probe.main([flag, text], standalone_mode=False)
    assert attrgetter(key)(spec) == expected != attrgetter(key)(DatasetSpec())


def test_every_key_is_a_documented_flag() -> None:
    options = {param.opts[0]: param for param in probe.params if isinstance(param, click.Option)}
    assert set(options) - {"--data", "--dataset"} == set(FLAGS)
    assert all(option.help for option in options.values())
    assert probe.main([], standalone_mode=False) == DatasetSpec()
