"""`dataset.toml` and the flags that go before it."""

from __future__ import annotations

from datetime import UTC, date, datetime
from pathlib import Path

import pytest

from recsys.errors import SettingsError
from recsys.interactions.spec import Clean, DatasetSpec, flag_of
from recsys.interactions.times import microseconds

EVERY_KEY = """
name = "films"
events = "ratings.parquet"
items = "movies.csv"
table = "t"
encoding = "latin-1"
delimiter = ";"
on_bad_rows = "skip"
[columns]
user = "u"
item = "i"
time = "t"
value = "rating"
title = "name"
category = "genres"
price = "cost"
[clean]
min_value = 4
from = 2011-01-01
to = "2011-06-01T12:00:00+02:00"
duplicates = "last"
min_user_items = 5
min_item_users = 3
[weights]
half_life_days = 60
per_day_bought = 0.3
value = 0.1
"""


def write(folder: Path, text: str) -> Path:
    path = folder / "dataset.toml"
    path.write_text(text, encoding="utf-8")
    return path


def test_every_key_of_the_file(tmp_path: Path) -> None:
    write(tmp_path, EVERY_KEY)
    spec = DatasetSpec.read(tmp_path)
    assert (spec.name, spec.events, spec.items, spec.table) == (
        "films", "ratings.parquet", "movies.csv", "t",
    )  # fmt: skip
    assert (spec.encoding, spec.delimiter, spec.on_bad_rows) == ("latin-1", ";", "skip")
    assert spec.columns.price == "cost"
    assert spec.clean.from_ is not None
    assert spec.clean.to is not None
    assert spec.clean.from_ == datetime(2011, 1, 1)
    assert microseconds(spec.clean.to) == microseconds(datetime(2011, 6, 1, 10, tzinfo=UTC))
    assert (spec.clean.min_value, spec.clean.duplicates) == (4, "last")
    assert (spec.clean.min_user_items, spec.clean.min_item_users) == (5, 3)
    weights = (spec.weights.half_life_days, spec.weights.per_day_bought, spec.weights.value)
    assert weights == (60, 0.3, 0.1)


def test_without_a_file_everything_is_as_usual(tmp_path: Path) -> None:
    assert DatasetSpec.read(tmp_path) == DatasetSpec()
    assert DatasetSpec.read("sqlite:///x.db") == DatasetSpec()


def test_overrides_go_before_the_file_key_by_key(tmp_path: Path) -> None:
    write(tmp_path, EVERY_KEY)
    said = {"name": "other", "clean": {"min_value": 2.5}, "weights": {"value": 0.0}}
    spec = DatasetSpec.read(tmp_path, overrides=said)
    assert (spec.name, spec.clean.min_value, spec.weights.value) == ("other", 2.5, 0)
    assert (spec.clean.duplicates, spec.columns.user) == ("last", "u")


def test_a_named_file_goes_before_the_one_in_the_folder(tmp_path: Path) -> None:
    write(tmp_path, 'name = "beside"')
    elsewhere = tmp_path / "elsewhere.toml"
    elsewhere.write_text('name = "elsewhere"', encoding="utf-8")
    assert DatasetSpec.read(tmp_path, elsewhere).name == "elsewhere"


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("nam = 1", "unknown setting 'nam'; there are clean, columns, "),
        ("[clean]\nmin_valu = 1", "[clean]: unknown setting 'min_valu'; there are duplicates, "),
        ("[clean]\nmin_value = 'four'", "[clean]: min_value = 'four': "),
        ("[clean]\nmin_user_items = 0", "[clean]: min_user_items = 0: "),
        ("[clean]\nduplicates = 'mean'", "[clean]: duplicates = 'mean': "),
        ("[clean]\nfrom = 2011", "[clean]: from = 2011: Value error, write a date as 2011-12-31"),
        ("[clean]\nfrom = '2011'", "[clean]: from = '2011': Value error, write a date as"),
        ("[clean]\nto = 'soon'", "[clean]: to = 'soon': "),
        ("[clean]\nfrom = 2011-02-01\nto = 2011-02-01", "from = 2011-02-01 00:00:00 is not before"),
        ("[weights]\nhalf_life_days = 0", "[weights]: half_life_days = 0: "),
        ("[columns]\nuser = 7", "[columns]: user = 7: "),
        ("columns = 7", "[columns]: is 7, where keys were expected"),
        ("table = 'a'\nquery = 'b'", "table and query are both set; give one of them"),
        ("name = ", "dataset.toml: "),
    ],
)  # fmt: skip
def test_what_cannot_be_meant_names_file_and_key(tmp_path: Path, text: str, message: str) -> None:
    path = write(tmp_path, text)
    with pytest.raises(SettingsError) as raised:
        DatasetSpec.read(tmp_path)
    assert str(raised.value).startswith(str(path))
    assert message in str(raised.value)


def test_a_wrong_override_is_said_of_the_flags(tmp_path: Path) -> None:
    write(tmp_path, EVERY_KEY)
    with pytest.raises(SettingsError, match=r"^flags \[clean\]: min_user_items = 0"):
        DatasetSpec.read(tmp_path, overrides={"clean": {"min_user_items": 0}})
    with pytest.raises(SettingsError, match=r"^flags: table and query are both set"):
        DatasetSpec.read(tmp_path, overrides={"query": "SELECT 1"})


def test_a_moment_without_a_zone_is_utc() -> None:
    clean = Clean(from_=datetime(2011, 1, 1))
    assert clean.from_ is not None
    assert microseconds(clean.from_) == microseconds(datetime(2011, 1, 1, tzinfo=UTC))
    assert DatasetSpec.of({"clean": {"from": date(2011, 1, 1)}}, "x").clean == clean


def test_flags_are_named_after_their_keys() -> None:
    assert flag_of("clean", "min_value") == "--min-value"
    assert flag_of("clean", "from_") == "--from"
    assert flag_of("columns", "value") == "--value-column"
    assert flag_of("weights", "value") == "--value-weight"
    assert flag_of(None, "name") == "--dataset-name"
