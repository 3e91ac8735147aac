"""The bundled shop, and the benchmark data sets where they are."""

from __future__ import annotations

import os
from pathlib import Path

import numpy as np
import pyarrow.compute as pc
import pyarrow.parquet as pq
import pytest

from recsys.errors import SettingsError
from recsys.interactions.dataset import Dataset, DatasetSpec, load_dataset
from recsys.interactions.summary import summarize

ROOT = Path(__file__).parents[2]
SHOP = ROOT / "data" / "online-retail"


@pytest.fixture(scope="module")
def shop() -> Dataset:
    return load_dataset(SHOP)


def test_the_bundled_shop_is_all_there(shop: Dataset) -> None:
    events = shop.interactions
    assert (shop.name, len(shop.users), len(shop.items)) == ("online-retail", 5852, 4619)
    assert (events.n_events, events.n_users, events.n_items) == (765_986, 5852, 4619)
    assert shop.report is not None
    assert (shop.report.rows, shop.report.bad_rows, shop.report.steps) == (765_986, 0, ())
    assert shop.report.columns["value"] == "quantity"
    assert summarize(shop).pairs == 480_971
    assert shop.catalogue.titles[shop.items.code("22423") or 0] == "REGENCY CAKESTAND 3 TIER"


def test_the_bundled_shop_holds_what_its_file_says_of_a_customer(shop: Dataset) -> None:
    table = pq.read_table(SHOP / "events.parquet")
    table = table.filter(pc.equal(table["user_id"], "12347")).sort_by("timestamp")
    user = shop.users.code("12347")
    events = shop.interactions.rows(np.array([user]))
    assert events.n_events == len(table) > 100
    written = sorted(
        zip(
            table["timestamp"].to_numpy().astype("datetime64[us]").astype(np.int64).tolist(),
            table["item_id"].to_pylist(),
            table["quantity"].to_pylist(),
            strict=True,
        )
    )
    assert events.times is not None
    assert events.values is not None
    read = zip(
        events.times.tolist(),
        [shop.items[item] for item in events.items],
        events.values.tolist(),
        strict=True,
    )
    assert list(read) == written


def test_the_order_of_the_rows_does_not_matter(shop: Dataset, tmp_path: Path) -> None:
    table = pq.read_table(SHOP / "events.parquet")
    order = np.random.default_rng(0).permutation(len(table))
    pq.write_table(table.take(order), tmp_path / "events.parquet")
    shuffled = load_dataset(tmp_path, DatasetSpec.read(SHOP))
    assert shuffled.fingerprint == shop.fingerprint
    assert np.array_equal(shuffled.interactions.items, shop.interactions.items)


def test_the_fingerprint_depends_on_every_part(tmp_path: Path) -> None:
    logs = {
        "a,x,1,1", "b,x,1,1", "a,y,1,1", "a,x,2,1", "a,x,1,2", "a,x,1,1\na,y,1,1",
    }  # fmt: skip
    prints = set()
    for log in logs:
        (tmp_path / "log.csv").write_text(f"user_id,item_id,timestamp,value\n{log}\n")
        prints.add(load_dataset(tmp_path / "log.csv").fingerprint)
    assert len(prints) == len(logs)


def test_weights_need_their_columns(tmp_path: Path) -> None:
    (tmp_path / "log.csv").write_text("user_id,item_id\na,x\n", encoding="utf-8")
    for weights, message in (
        (
            {"half_life_days": 60},
            "--half-life-days needs a time column; name it with --time-column",
        ),
        ({"train_half_life_days": 60}, "--train-half-life-days needs a time column"),
        ({"per_day_bought": 0.3}, "--per-day-bought needs a time column"),
        ({"baskets": 1.0}, "--baskets needs a time column"),
        ({"value": 0.3}, "--value-weight needs a value column; name it with --value-column"),
    ):
        with pytest.raises(SettingsError, match=message):
            load_dataset(tmp_path / "log.csv", DatasetSpec.of({"weights": weights}, "spec"))


@pytest.mark.parametrize(
    ("name", "users", "items", "pairs", "test_pairs"),
    [
        ("ml-1m", 6038, 3533, 575_281, None),
        ("gowalla", 29_858, 40_981, 810_128, 217_242),
        ("yelp2018", 31_668, 38_048, 1_237_259, 324_147),
    ],
)
def test_benchmark_data_sets(
    name: str, users: int, items: int, pairs: int, test_pairs: int | None
) -> None:
    folder = Path(os.environ.get("RECSYS_DATA", "")) / name
    if "RECSYS_DATA" not in os.environ or not folder.is_dir():
        pytest.skip(f"{name} is not there: set RECSYS_DATA to the folder that holds it")
    spec = DatasetSpec.read(folder, ROOT / "benchmarks" / "datasets" / f"{name}.toml")
    summary = summarize(load_dataset(folder, spec))
    assert (summary.users, summary.items, summary.pairs) == (users, items, pairs)
    assert summary.test_pairs == test_pairs
