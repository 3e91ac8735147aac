"""The same log in every format is the same data set."""

from __future__ import annotations

import gzip
import json
import sqlite3
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import sqlalchemy as sa
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from databases import Postgres
from recsys.errors import DataError, MissingDependencyError, SettingsError
from recsys.interactions.dataset import Dataset, DatasetSpec, load_dataset
from recsys.interactions.parsing import looks

COLUMNS = ["user_id", "item_id", "timestamp", "value"]


def _distinct_looks(rows: list[tuple[str, str, int, float]]) -> bool:
    for column in (0, 1):
        ids = sorted({row[column] for row in rows})
        if len(set(looks(pa.array(ids)).to_pylist())) < len(ids):
            return False
    return True


IDS = st.text(
    st.characters(codec="utf-8", exclude_categories=["Cc", "Cs"]), min_size=1, max_size=4
).filter(lambda text: text.strip() and pa.compute.utf8_trim_whitespace(text).as_py())
EVENTS = st.tuples(
    IDS,
    IDS,
    st.integers(1_000_000_000, 2_000_000_000),
    st.floats(-1e6, 1e6, width=32),
)
LOGS = st.lists(EVENTS, min_size=1, max_size=12).filter(_distinct_looks)


def write_csv(path: Path, rows: list[tuple[Any, ...]], sep: str = ",") -> None:
    frame = pd.DataFrame(rows, columns=COLUMNS)
    frame.to_csv(path, index=False, sep=sep, lineterminator="\n")


def write_parquet(path: Path, rows: list[tuple[Any, ...]]) -> None:
    columns = dict(zip(COLUMNS, map(list, zip(*rows, strict=True)), strict=True))
    pq.write_table(pa.table(columns), path)


def write_json(path: Path, rows: list[tuple[Any, ...]]) -> None:
    lines = (json.dumps(dict(zip(COLUMNS, row, strict=True))) for row in rows)
    text = "".join(f"{line}\n" for line in lines)
    path.write_bytes(gzip.compress(text.encode()) if path.suffix == ".gz" else text.encode())


def write_sqlite(path: Path, rows: list[tuple[Any, ...]]) -> None:
    path.unlink(missing_ok=True)
    connection = sqlite3.connect(path)
    connection.execute("CREATE TABLE events (user_id TEXT, item_id TEXT, timestamp, value)")
    connection.executemany("INSERT INTO events VALUES (?, ?, ?, ?)", rows)
    connection.commit()
    connection.close()


@settings(
    max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(LOGS, st.randoms(use_true_random=False))
def test_a_random_log_is_the_same_data_set_from_every_format(
    tmp_path: Path, rows: list[tuple[str, str, int, float]], random: Any
) -> None:
    write_csv(tmp_path / "a.csv", rows)
    write_csv(tmp_path / "a.csv.gz", rows)
    write_csv(tmp_path / "a.tsv", rows, sep="\t")
    write_parquet(tmp_path / "a.parquet", rows)
    write_json(tmp_path / "a.jsonl", rows)
    write_json(tmp_path / "a.jsonl.gz", rows)
    write_sqlite(tmp_path / "a.db", rows)
    dated = [(u, i, datetime.fromtimestamp(t, UTC).isoformat(), v) for u, i, t, v in rows]
    write_csv(tmp_path / "dated.csv", dated)
    shuffled = rows.copy()
    random.shuffle(shuffled)
    write_csv(tmp_path / "shuffled.csv", shuffled)
    spec = DatasetSpec(name="log", table=None)
    prints = {
        name: load_dataset(tmp_path / name, spec).fingerprint
        for name in (
            "a.csv", "a.csv.gz", "a.tsv", "a.parquet", "a.jsonl", "a.jsonl.gz", "dated.csv",
        )
    }  # fmt: skip
    prints["sqlite"] = load_dataset(
        f"sqlite:///{tmp_path / 'a.db'}", DatasetSpec(table="events")
    ).fingerprint
    assert len(set(prints.values())) == 1, prints
    if len({(user, item, time) for user, item, time, _ in rows}) == len(rows):
        assert load_dataset(tmp_path / "shuffled.csv").fingerprint == prints["a.csv"]


def test_what_is_read_is_what_was_written(tmp_path: Path) -> None:
    rows = [("b", "y", 1_300_000_000, 2.5), ("a", "y", 1_200_000_000, 1), ("b", "x", 1, 1)]
    write_csv(tmp_path / "events.csv", rows)
    dataset = load_dataset(tmp_path)
    assert (dataset.users.ids, dataset.items.ids) == (["a", "b"], ["x", "y"])
    events = dataset.interactions
    assert events.indptr.tolist() == [0, 1, 3]
    assert events.items.tolist() == [1, 0, 1]
    assert events.items.dtype == np.int32
    assert events.times is not None
    assert events.times.tolist() == [1_200_000_000_000_000, 1_000_000, 1_300_000_000_000_000]
    assert events.values is not None
    assert events.values.tolist() == [1, 1, 2.5]
    assert events.values.dtype == np.float32


@pytest.mark.parametrize(
    "ids",
    [
        pa.array([7, 10, 7], pa.int32()),
        pa.array([7, 10, 7], pa.uint64()),
        pa.array([7.0, 10.0, 7.0], pa.float64()),
        pa.array(["7", "10", "7"], pa.large_string()),
        pa.array(["7", "10", "7"], pa.string_view()),
        pa.array(["7", "10", "7"]).dictionary_encode(),
        pa.array([7, 10, 7]).dictionary_encode(),
        pa.DictionaryArray.from_arrays(pa.array([0, 1, 2]), pa.array(["7", "10", "7"])),
        pa.array([7, 10, 7]).cast(pa.decimal128(20, 0)),
    ],
    ids=lambda array: str(array.type),
)
def test_ids_of_any_type_become_the_same_text(tmp_path: Path, ids: pa.Array) -> None:
    pq.write_table(pa.table({"user_id": ids, "item_id": ["x", "y", "z"]}), tmp_path / "e.parquet")
    dataset = load_dataset(tmp_path / "e.parquet")
    assert dataset.users.ids == ["10", "7"]
    assert dataset.interactions.indptr.tolist() == [0, 1, 3]


def test_a_dictionary_entry_that_no_row_uses_is_nobody(tmp_path: Path) -> None:
    ids = pa.DictionaryArray.from_arrays(pa.array([0, 0]), pa.array(["1", "1.0", ""]))
    pq.write_table(pa.table({"user_id": ids, "item_id": ["x", "y"]}), tmp_path / "e.parquet")
    assert load_dataset(tmp_path / "e.parquet").users.ids == ["1"]


def test_whole_numbers_keep_every_digit(tmp_path: Path) -> None:
    rows = [(2**53 + 1, 2**60 + 1, 1, 1.0)]
    for name, write in (
        ("a.csv", write_csv),
        ("a.parquet", write_parquet),
        ("a.jsonl", write_json),
    ):
        write(tmp_path / name, rows)
        dataset = load_dataset(tmp_path / name)
        assert (dataset.users.ids, dataset.items.ids) == ([str(2**53 + 1)], [str(2**60 + 1)])


def test_a_csv_of_other_names_delimiter_and_encoding(tmp_path: Path) -> None:
    text = "kunde;artikel;menge;wann\nJos\u00e9;Tasse;2;2011-01-01\n"
    (tmp_path / "log.txt").write_bytes(text.encode("cp1252"))
    (tmp_path / "dataset.toml").write_text(
        'events = "log.txt"\ndelimiter = ";"\nencoding = "cp1252"\nname = "laden"\n[columns]\n'
        'user = "kunde"\nitem = "artikel"\ntime = "wann"\nvalue = "menge"\n',
        encoding="utf-8",
    )
    dataset = load_dataset(tmp_path)
    assert (dataset.name, dataset.users.ids, dataset.items.ids) == (
        "laden",
        ["Jos\u00e9"],
        ["Tasse"],
    )
    assert dataset.report is not None
    assert dataset.report.columns == {
        "user": "kunde", "item": "artikel", "time": "wann", "value": "menge",
    }  # fmt: skip


MOVIELENS = {
    "ratings.dat": (
        b"1::1193::5::978300760\n2::661::3::978302109\n",
        "movies.dat",
        "1193::Star Wars: \u00c9pisode IV (1977)::Action|Sci-Fi\n661::James::Drama\n".encode(
            "latin-1"
        ),
    ),
    "u.data": (
        b"1\t1193\t5\t978300760\n2\t661\t3\t978302109\n",
        "u.item",
        (
            "1193|Star Wars: \u00c9pisode IV (1977)|01-Jan-1977||http://x|"
            "0|1|0|0|0|0|0|0|0|0|0|0|0|0|0|1|0|0|0\n"
            "661|James|01-Jan-1995||http://x|0|0|0|0|0|0|0|0|1|0|0|0|0|0|0|0|0|0|0\n"
        ).encode("latin-1"),
    ),
    "ratings.csv": (
        b"userId,movieId,rating,timestamp\n1,1193,5.0,978300760\n2,661,3.0,978302109\n",
        "movies.csv",
        'movieId,title,genres\n1193,"Star Wars: \u00c9pisode IV (1977)",Action|Sci-Fi\n'
        "661,James,Drama\n9,Other,(no genres listed)\n".encode(),
    ),
}


@pytest.mark.parametrize("name", MOVIELENS)
def test_movielens_own_layouts_are_known_by_their_file_names(tmp_path: Path, name: str) -> None:
    events, items_name, items = MOVIELENS[name]
    (tmp_path / name).write_bytes(events)
    (tmp_path / items_name).write_bytes(items)
    dataset = load_dataset(tmp_path)
    assert (dataset.users.ids, dataset.items.ids) == (["1", "2"], ["1193", "661"])
    assert dataset.interactions.times is not None
    assert dataset.interactions.times.tolist() == [978300760000000, 978302109000000]
    assert dataset.interactions.values is not None
    assert dataset.interactions.values.tolist() == [5, 3]
    assert list(dataset.catalogue.titles) == ["Star Wars: \u00c9pisode IV (1977)", "James"]
    assert list(dataset.catalogue.categories) == [("Action", "Sci-Fi"), ("Drama",)]


def test_a_bad_row_of_a_file_without_header_counts_from_1(tmp_path: Path) -> None:
    (tmp_path / "ratings.dat").write_bytes(
        b"1::1193::5::978300760\n2::661::x::978302109\n3::1::2\n"
    )
    with pytest.raises(DataError) as raised:
        load_dataset(tmp_path)
    first, second = str(raised.value).splitlines()
    assert "ratings.dat: row 2, column 'rating' is 'x': not a finite number" in first
    assert second == "  also row 3 is '3::1::2': 3 cells, where the header has 4"


def database(url: str) -> Iterator[sa.Connection]:
    engine = sa.create_engine(url)
    with engine.begin() as connection:
        yield connection
    engine.dispose()


@pytest.fixture(scope="module")
def postgres(postgres: Postgres) -> str:
    """The URL of a real PostgreSQL with a table of events, Shop.events."""
    url = postgres.new_database().replace("postgresql://", "postgresql+psycopg://")
    for connection in database(url):
        connection.exec_driver_sql(
            'CREATE SCHEMA "Shop"; CREATE TABLE "Shop".events (user_id bigint, item_id text, '
            "timestamp timestamptz, value numeric(8, 2), remark text); "
            "CREATE TABLE items (item_id text, title text, price numeric); "
            "INSERT INTO items VALUES ('x', 'A cup', 1.5)"
        )
        connection.execute(
            sa.text('INSERT INTO "Shop".events VALUES (:u, :i, :t, :v, :r)'),
            [
                {"u": 7, "i": "x", "t": "2011-01-01 01:00:00+01", "v": 2.5, "r": "100% sure"},
                {"u": 8, "i": "y", "t": "2011-01-02 00:00:00+00", "v": 1, "r": "no"},
            ],
        )
    return url


def test_postgresql_by_table_and_by_query(postgres: str) -> None:
    by_table = load_dataset(postgres, DatasetSpec(table="Shop.events", items="items"))
    assert (by_table.users.ids, by_table.items.ids) == (["7", "8"], ["x", "y"])
    assert by_table.interactions.times is not None
    assert by_table.interactions.times.tolist() == [1293840000000000, 1293926400000000]
    assert list(by_table.catalogue.titles) == ["A cup", "y"]
    query = "SELECT * FROM \"Shop\".events WHERE remark LIKE '100%' OR remark = ':no' OR value = 1"
    by_query = load_dataset(postgres, DatasetSpec(query=query))
    assert by_query.fingerprint == by_table.fingerprint


def test_postgresql_errors_are_one_line_without_the_password(postgres: str) -> None:
    with pytest.raises(DataError, match=r"has no table 'evnts'; there are items; check --table$"):
        load_dataset(postgres, DatasetSpec(table="evnts"))
    with pytest.raises(DataError) as raised:
        load_dataset(postgres, DatasetSpec(query="SELECT nonsense"))
    assert str(raised.value).count("\n") == 0
    assert 'column "nonsense" does not exist' in str(raised.value)
    for url in (
        "postgresql+psycopg://me:hushhush@127.0.0.1:1/shop",
        "postgresql+psycopg://me@127.0.0.1:1/shop?password=hushhush",
    ):
        with pytest.raises(DataError, match="Connection refused") as raised:
            load_dataset(url, DatasetSpec(table="events"))
        assert "hushhush" not in str(raised.value)
        assert str(raised.value).count("\n") == 0


def test_sqlite_cells_of_any_type_and_their_rows(tmp_path: Path) -> None:
    write_sqlite(
        tmp_path / "x.db",
        [(1, "x", "2011-01-01", 1), (2.0, b"y", "2011-01-01", 1), (3, "x", "2011-01-01", "many")],
    )
    source = f"sqlite:///{tmp_path / 'x.db'}"
    with pytest.raises(DataError) as raised:
        load_dataset(source, DatasetSpec(table="events"))
    first, second = str(raised.value).splitlines()
    assert f"{source} table events: row 2, column 'item_id' is b'y': of type bytes" in first
    assert second == "  also row 3, column 'value' is 'many': not a finite number"


@pytest.mark.parametrize(
    ("url", "said", "error", "message"),
    [
        ("sqlite:///{db}", {}, SettingsError, "sqlite:///{db}: say what to read with --table or"),
        ("sqlite:///no.db", {"table": "t"}, DataError, "no.db: there is no such file; check"),
        ("://", {"table": "t"}, SettingsError, "is no database URL; write it as sqlite:///shop.db"),
        ("pg://a:b@:x/", {"table": "t"}, SettingsError, "pg://…: is no database URL"),
        ("foo://a:hush@b/c", {"table": "t"}, SettingsError, "foo://a:***@b/c: SQLAlchemy knows no"),
        ("mysql://a:hush@b/c", {"table": "t"}, SettingsError, "its driver 'MySQLdb' is not"),
        ("sqlite:///{db}", {"query": "SELEC"}, DataError, 'near "SELEC": syntax error'),
        ("sqlite:///{db}", {"query": "PRAGMA user_version = 1"}, DataError, "gives no rows"),
        ("sqlite:///{db}", {"table": "evnts"}, DataError, "has no table 'evnts'; there are events"),
        ("sqlite:///{text}", {"table": "t"}, DataError, "file is not a database"),
    ],
)  # fmt: skip
def test_a_database_that_cannot_be_read_is_one_line(
    tmp_path: Path, url: str, said: dict[str, str], error: type[Exception], message: str
) -> None:
    write_sqlite(tmp_path / "x.db", [(1, "x", 1, 1)])
    (tmp_path / "x.txt").write_text("no database, whatever its name says\n" * 100)
    names = {"db": str(tmp_path / "x.db"), "text": str(tmp_path / "x.txt")}
    with pytest.raises(error) as raised:
        load_dataset(url.format(**names), DatasetSpec.of(said, "spec"))
    assert message.format(**names) in str(raised.value)
    assert "\n" not in str(raised.value)
    assert "hush" not in str(raised.value)


def test_a_driver_that_an_extra_brings_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(__import__("sys").modules, "psycopg", None)
    with pytest.raises(MissingDependencyError, match=r"pip install 'recsys\[postgres\]'"):
        load_dataset("postgresql+psycopg://me:hush@localhost/x", DatasetSpec(table="t"))


def test_the_password_is_in_no_part_of_a_data_set(postgres: str) -> None:
    url = sa.make_url(postgres).set(password="hushhush")
    secret = url.render_as_string(hide_password=False)
    dataset: Dataset = load_dataset(secret, DatasetSpec(table="Shop.events"))
    assert "hushhush" not in repr(dataset.report)
    assert "hushhush" not in dataset.source
    assert (
        dataset.fingerprint == load_dataset(postgres, DatasetSpec(table="Shop.events")).fingerprint
    )
