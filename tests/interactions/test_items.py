"""The items file becomes the catalogue."""

from __future__ import annotations

import math
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from recsys.errors import DataError
from recsys.interactions.dataset import Dataset, DatasetSpec, load_dataset


def load(folder: Path, items: str, name: str = "items.csv", **said: object) -> Dataset:
    (folder / "events.csv").write_text("user_id,item_id\na,x\na,y\nb,z\n", encoding="utf-8")
    (folder / name).write_text(items, encoding="utf-8")
    return load_dataset(folder, DatasetSpec.of(said, "spec"))


def test_titles_categories_prices_and_further_columns(tmp_path: Path) -> None:
    dataset = load(
        tmp_path,
        "item_id,colour,title,category,price\n"
        'z,,"Cup, ""blue""",Kitchen|Blue things|,2.50\n'
        "q,red,Unused,,1\n"
        "x,red,,Kitchen,\n",
    )
    catalogue = dataset.catalogue
    assert list(catalogue.titles) == ["x", "y", 'Cup, "blue"']
    assert list(catalogue.categories) == [("Kitchen",), (), ("Kitchen", "Blue things")]
    assert math.isnan(catalogue.prices[0])
    assert math.isnan(catalogue.prices[1])
    assert catalogue.prices[2] == 2.5
    assert {name: list(column) for name, column in catalogue.attributes.items()} == {
        "colour": ["red", None, None]
    }
    assert dataset.report is not None
    assert (dataset.report.listed_items, dataset.report.described_items) == (3, 2)


def test_parquet_items_with_types_of_their_own(tmp_path: Path) -> None:
    table = pa.table(
        {
            "item_id": ["x", "z"],
            "title": pa.array(["Cup", None]).dictionary_encode(),
            "category": [["Kitchen", "Blue"], []],
            "price": pa.array([1, 2], pa.int8()),
            "stock": pa.array([7, None], pa.int64()),
        }
    )
    pq.write_table(table, tmp_path / "items.parquet")
    (tmp_path / "events.csv").write_text("user_id,item_id\na,x\nb,z\n", encoding="utf-8")
    catalogue = load_dataset(tmp_path).catalogue
    assert list(catalogue.titles) == ["Cup", "z"]
    assert list(catalogue.categories) == [("Kitchen", "Blue"), ()]
    assert catalogue.prices.tolist() == [1, 2]
    assert list(catalogue.attributes["stock"]) == ["7", None]


def test_whole_numbers_with_a_gap_find_their_items(tmp_path: Path) -> None:
    pq.write_table(
        pa.table({"user_id": ["a", "a"], "item_id": pa.array([7, 10])}), tmp_path / "events.parquet"
    )
    items = pa.table({"item_id": pa.array([7.0, 10.0]), "title": ["Seven", "Ten"]})
    pq.write_table(items, tmp_path / "items.parquet")
    assert list(load_dataset(tmp_path).catalogue.titles) == ["Ten", "Seven"]


def test_names_of_columns_are_for_events_and_items_alike(tmp_path: Path) -> None:
    (tmp_path / "events.csv").write_text("user_id,sku\na,x\n", encoding="utf-8")
    (tmp_path / "products.csv").write_text("sku,name\nx,Cup\n", encoding="utf-8")
    said = {"items": "products.csv", "columns": {"item": "sku", "title": "name"}}
    assert list(load_dataset(tmp_path, DatasetSpec.of(said, "spec")).catalogue.titles) == ["Cup"]
    (tmp_path / "products.csv").write_text("item_id,name\nx,Mug\n", encoding="utf-8")
    assert list(load_dataset(tmp_path, DatasetSpec.of(said, "spec")).catalogue.titles) == ["Mug"]


@pytest.mark.parametrize(
    ("items", "message"),
    [
        ("item_id,price\nx,free\n", "row 2, column 'price' is 'free': not a finite number"),
        ("item_id,title\nx,A\ny,B\nx,C\n", "row 4, column 'item_id' is 'x': listed a second time, "
         "first in row 2"),
        ("item_id,title\n x,A\n", "row 2, column 'item_id' is ' x': though it looks the same, "
         "another id than 'x' of the events"),
        ("item_id,title\n,A\n", "row 2, column 'item_id' is '': empty"),
        ("item_id,title\nx,A,B\n", "row 2 is 'x,A,B': 3 cells, where the header has 2"),
    ],
)  # fmt: skip
def test_bad_rows_of_the_items_are_bad_rows_too(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, items: str, message: str
) -> None:
    monkeypatch.chdir(tmp_path)
    with pytest.raises(DataError) as raised:
        load(tmp_path, items)
    assert str(raised.value).startswith(f"{tmp_path / 'items.csv'}: {message}; ")
    dataset = load(tmp_path, items, on_bad_rows="skip")
    assert dataset.report is not None
    assert dataset.report.bad_rows == 1
    assert dataset.report.rows == 3


def test_an_items_file_without_ids_or_that_is_not_there_is_named(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"items.csv: has no column 'item_id'; .*--item-column"):
        load(tmp_path, "id,title\nx,A\n")
    with pytest.raises(DataError, match=r"items.csv: has no column 'name'; .*--title-column"):
        load(tmp_path, "item_id,title\nx,A\n", columns={"title": "name"})
    with pytest.raises(DataError, match=r"no.csv: there is no such file; check --items"):
        load_dataset(tmp_path, DatasetSpec(items="no.csv"))
