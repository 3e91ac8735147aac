"""Every kind of bad data: one clear line with the place and what to do; skipped on request."""

from __future__ import annotations

import csv
import gzip
import io
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from recsys.errors import DataError, RecsysError
from recsys.interactions.dataset import Dataset, DatasetSpec, load_dataset

HEADER = "user_id,item_id,timestamp,value\n"
GOOD = "a,x,2011-01-01,1\nb,y,2011-01-02,2\n"
SKIP_HINT = "mend it, or leave such rows out with --on-bad-rows skip"


def parquet(**columns: object) -> bytes:
    stream = io.BytesIO()
    pq.write_table(pa.table(columns), stream)
    return stream.getvalue()


@pytest.fixture
def shop(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty data folder `shop`, in the current folder."""
    monkeypatch.chdir(tmp_path)
    folder = Path("shop")
    folder.mkdir()
    return folder


def load(shop: Path, name: str, content: str | bytes, **said: object) -> Dataset:
    raw = content if isinstance(content, bytes) else content.encode()
    (shop / name).write_bytes(raw)
    return load_dataset(shop, DatasetSpec.of(said, "spec"))


ZIPPED = gzip.compress(
    (HEADER + "".join(f"u{i * 7919},x{i},2011-01-01,{i}\n" for i in range(5000))).encode(), mtime=0
)
PARQUET = parquet(user_id=["a", "b"], item_id=["x", "y"])
FILE_CASES = {
    "empty": ("events.csv", b"", "is empty"),
    "empty gzip": ("events.csv.gz", gzip.compress(b""), "is empty"),
    "empty parquet": ("events.parquet", b"", "is empty"),
    "empty jsonl": ("events.jsonl", b"", "is empty"),
    "blank": (
        "events.csv",
        b"\n\n",
        "its first row is empty, where the names of the columns should stand",
    ),
    "missing column": (
        "events.csv",
        b"user_id,film,timestamp\na,b,1\n",
        "has no column 'item_id'; its columns are 'user_id', 'film', 'timestamp'; name it with "
        "--item-column, or item in [columns] of dataset.toml",
    ),
    "missing in parquet": (
        "events.parquet",
        parquet(user_id=[1], film=[2]),
        "has no column 'item_id'; its columns are 'user_id', 'film'; name it with --item-column, "
        "or item in [columns] of dataset.toml",
    ),
    "missing in jsonl": (
        "events.jsonl",
        b'{"user_id": 1, "film": 2}\n',
        "has no column 'item_id'; its columns are 'user_id', 'film'; name it with --item-column, "
        "or item in [columns] of dataset.toml",
    ),
    "semicolons": (
        "events.csv",
        b"user_id;item_id\na;b\n",
        "has no column 'user_id'; its columns are 'user_id;item_id'; if its cells are separated "
        "by ';', say --delimiter ';'",
    ),
    "two of a name": (
        "events.csv",
        b"user_id,item_id,item_id\na,b,c\n",
        "has 2 columns named 'item_id'; rename one of them",
    ),
    "header only": ("events.csv", HEADER.encode(), "holds no rows; there is nothing to learn from"),
    "no rows": (
        "events.parquet",
        parquet(user_id=pa.array([], pa.string()), item_id=pa.array([], pa.string())),
        "holds no rows; there is nothing to learn from",
    ),
    "UTF-16": (
        "events.csv",
        (HEADER + GOOD).encode("utf-16"),
        "is UTF-16 text; read it with --encoding utf-16",
    ),
    "open quote": (
        "events.csv",
        (HEADER + GOOD + '"c,x,2011-01-01,1\nd,x,2011-01-01,1\n').encode(),
        "row 4: its quotation marks do not match (unexpected end of data); "
        'close every " that opens a cell, and write "" for one within',
    ),
    "cut gzip": (
        "events.csv.gz",
        ZIPPED[: len(ZIPPED) // 2],
        "this gzip file is cut short, it ends after row {rows}; copy or download it again",
    ),
    "no gzip": (
        "events.csv.gz",
        HEADER.encode(),
        "is no whole gzip file (Not a gzipped file (b'us'))",
    ),
    "cut parquet": (
        "events.parquet",
        PARQUET[: len(PARQUET) // 2],
        "this Parquet file is cut short or damaged; copy or write it again",
    ),
    "no parquet": (
        "events.parquet",
        HEADER.encode(),
        "is no Parquet file; give it the ending of what it is (.csv, .jsonl)",
    ),
    "bool ids": (
        "events.parquet",
        parquet(user_id=[True], item_id=["x"]),
        "column 'user_id' is of type bool, which cannot hold ids; "
        "write ids as text or whole numbers",
    ),
    "binary ids": (
        "events.parquet",
        parquet(user_id=["a"], item_id=[b"x"]),
        "column 'item_id' is of type binary, which cannot hold ids; "
        "write ids as text or whole numbers",
    ),
    "nested ids": (
        "events.parquet",
        parquet(user_id=["a"], item_id=[["x"]]),
        "column 'item_id' is of type list<element: string>, which cannot hold ids; "
        "write ids as text or whole numbers",
    ),
    "bool values": (
        "events.parquet",
        parquet(user_id=["a"], item_id=["x"], value=[True]),
        "column 'value' is of type bool, which is no number; name another column with "
        "--value-column",
    ),
    "bool times": (
        "events.parquet",
        parquet(user_id=["a"], item_id=["x"], timestamp=[True]),
        "column 'timestamp' is of type bool, which is no time; name another column with "
        "--time-column",
    ),
    "calendar numbers": (
        "events.csv",
        (HEADER + "a,x,20110101,1\nb,y,20110228,2\n").encode(),
        "column 'timestamp' seems to hold dates written as 20110101; write them as 2011-12-09, "
        "or as unix seconds",
    ),
}


@pytest.mark.parametrize("case", FILE_CASES)
@pytest.mark.parametrize("on_bad_rows", ["stop", "skip"])
def test_a_file_that_cannot_be_used_is_refused_in_one_line(
    shop: Path, case: str, on_bad_rows: str
) -> None:
    name, content, message = FILE_CASES[case]
    with pytest.raises(DataError) as raised:
        load(shop, name, content, on_bad_rows=on_bad_rows)
    if "{rows}" in message:  # how far a cut gzip can be read is zlib's business
        unpacked = gzip.decompress(ZIPPED).count(b"\n")
        rows = int(str(raised.value).partition("after row ")[2].partition(";")[0])
        assert unpacked * 0.2 < rows < unpacked * 0.8
        message = message.format(rows=rows)
    assert str(raised.value) == f"shop/{name}: {message}"


# What stands after the header and two good rows, and what is said of it.
ROW_CASES = {
    "NaN": ("c,x,2011-01-01,NaN", "row 4, column 'value' is 'NaN': not a finite number"),
    "infinity": ("c,x,2011-01-01,inf", "row 4, column 'value' is 'inf': not a finite number"),
    "minus infinity": (
        "c,x,2011-01-01,-inf",
        "row 4, column 'value' is '-inf': not a finite number",
    ),
    "beyond float32": (
        "c,x,2011-01-01,1e39",
        "row 4, column 'value' is '1e39': not a finite number",
    ),
    "text": ("c,x,2011-01-01,abc", "row 4, column 'value' is 'abc': not a finite number"),
    "decimal comma": (
        'c,x,2011-01-01,"1,5"',
        "row 4, column 'value' is '1,5': not a finite number",
    ),
    "no value": ("c,x,2011-01-01,", "row 4, column 'value' is '': missing"),
    "after blank rows": (
        "\n\nc,x,2011-01-01,abc",
        "row 6, column 'value' is 'abc': not a finite number",
    ),
    "foreign date": (
        "c,x,01/02/2011,1",
        "row 4, column 'timestamp' is '01/02/2011': not a date; write 2011-02-01, "
        "2011-02-01 10:00:00 or unix seconds",
    ),
    "no such day": (
        "c,x,2011-02-30,1",
        "row 4, column 'timestamp' is '2011-02-30': not a date; write 2011-02-01, "
        "2011-02-01 10:00:00 or unix seconds",
    ),
    "no date": ("c,x,,1", "row 4, column 'timestamp' is '': missing"),
    "a number among dates": (
        "c,x,1300000000,1",
        "row 4, column 'timestamp' is '1300000000': a number, where most of the column is dates",
    ),
    "no user": (",x,2011-01-01,1", "row 4, column 'user_id' is '': empty"),
    "white space": ("c,\u3000 ,2011-01-01,1", "row 4, column 'item_id' is '\\u3000 ': empty"),
    "control": (
        "c\x07,x,2011-01-01,1",
        "row 4, column 'user_id' is 'c\\x07': holds a control character",
    ),
    "too short": ("c,x,2011-01-01", "row 4 is 'c,x,2011-01-01': 3 cells, where the header has 4"),
    "too long": (
        "c,x,2011-01-01,1,9",
        "row 4 is 'c,x,2011-01-01,1,9': 5 cells, where the header has 4",
    ),
    "spaces around": (
        "c,x ,2011-01-01,1",
        "row 4, column 'item_id' is 'x ': though it looks the same, another id than 'x' in row 2",
    ),
}  # fmt: skip


@pytest.mark.parametrize("case", ROW_CASES)
def test_a_bad_row_stops_with_its_place(shop: Path, case: str) -> None:
    row, message = ROW_CASES[case]
    with pytest.raises(DataError) as raised:
        load(shop, "events.csv", f"{HEADER}{GOOD}{row}\n")
    assert str(raised.value) == f"shop/events.csv: {message}; {SKIP_HINT}"


@pytest.mark.parametrize("case", ROW_CASES)
def test_a_skipped_row_changes_nothing_and_is_listed(shop: Path, case: str) -> None:
    row, message = ROW_CASES[case]
    without = load(shop, "events.csv", HEADER + GOOD)
    dataset = load(shop, "events.csv", f"{HEADER}{GOOD}{row}\n", on_bad_rows="skip")
    assert dataset.fingerprint == without.fingerprint
    assert dataset.report is not None
    assert dataset.report.bad_rows == 1
    assert dataset.report.bad_rows_file == "shop.bad-rows.csv"
    with Path("shop.bad-rows.csv").open(encoding="utf-8", newline="") as stream:
        (listed,) = csv.DictReader(stream)
    assert listed["file"] == "shop/events.csv"
    assert message.startswith(f"row {listed['row']}")
    assert message.endswith(listed["reason"])
    assert listed["column"] in message
    assert listed["value"].strip() in row


def test_a_row_is_counted_as_a_spreadsheet_does_not_by_line(shop: Path) -> None:
    content = 'user_id,item_id,note,value\na,x,"two\nlines",1\nb,y,,abc\n'
    with pytest.raises(DataError, match=r"row 3, column 'value' is 'abc'"):
        load(shop, "events.csv", content)


def test_the_first_few_bad_rows_are_shown_and_all_counted(shop: Path) -> None:
    bad = "".join(f"c,x,2011-01-01,bad{i}\n" for i in range(1200))
    with pytest.raises(DataError) as raised:
        load(shop, "events.csv", HEADER + GOOD + bad)
    first, *more = str(raised.value).splitlines()
    assert first.startswith("shop/events.csv: row 4, column 'value' is 'bad0': ")
    assert first.endswith("(1,200 bad rows in all)")
    assert more == [
        f"  also row {row}, column 'value' is 'bad{row - 4}': not a finite number"
        for row in (5, 6, 7, 8)
    ]


def test_a_naive_time_among_zones_is_bad_since_its_zone_is_unknown(shop: Path) -> None:
    times = ("2011-01-01T10:00:00+01:00", "2011-01-01T10:00:00", "2011-01-01 10:00:00 UTC")
    rows = "".join(f"a,x{at},{time},1\n" for at, time in enumerate(times))
    with pytest.raises(DataError) as raised:
        load(shop, "events.csv", HEADER + rows)
    assert str(raised.value) == (
        "shop/events.csv: row 3, column 'timestamp' is '2011-01-01T10:00:00': no time zone, where "
        f"other rows have one; write its zone too; {SKIP_HINT}"
    )
    dataset = load(shop, "events.csv", HEADER + rows, on_bad_rows="skip")
    assert dataset.interactions.times is not None
    assert dataset.interactions.times.tolist() == [1293872400000000, 1293876000000000]


def test_ids_that_look_alike_are_bad_and_the_commoner_form_is_kept(shop: Path) -> None:
    rows = ["1.0", "1", "1", "007", "7", "e\u0301", "\u00e9", "v1", "v1.0"]
    content = HEADER + "".join(f"{user},x{i},2011-01-01,1\n" for i, user in enumerate(rows))
    with pytest.raises(DataError) as raised:
        load(shop, "events.csv", content)
    assert str(raised.value).splitlines() == [
        "shop/events.csv: row 2, column 'user_id' is '1.0': though it looks the same, another id "
        f"than '1' in row 3; {SKIP_HINT} (2 bad rows in all)",
        "  also row 8, column 'user_id' is '\u00e9': though it looks the same, another id than "
        "'e\\u0301' in row 7",
    ]
    dataset = load(shop, "events.csv", content, on_bad_rows="skip")
    assert dataset.users.ids == ["007", "1", "7", "e\u0301", "v1", "v1.0"]


def test_latin_1_bytes_name_their_row_and_the_way_out(shop: Path) -> None:
    content = f"{HEADER}{GOOD}caf\u00e9,x,2011-01-01,1\n".encode("latin-1")
    with pytest.raises(DataError) as raised:
        load(shop, "events.csv", content)
    assert str(raised.value) == (
        "shop/events.csv: row 4, column 'user_id' is b'caf\\xe9': not UTF-8 text; "
        f"try --encoding latin-1; {SKIP_HINT}"
    )
    assert load(shop, "events.csv", content, encoding="latin-1").users.ids == [
        "a",
        "b",
        "caf\u00e9",
    ]


def test_bytes_that_no_column_needs_do_no_harm(shop: Path) -> None:
    content = "user_id,item_id,remark\na,x,caf\u00e9\n".encode("latin-1")
    assert load(shop, "events.csv", content).users.ids == ["a"]


@pytest.mark.parametrize("encoding", ["utf-8-sig", "utf-16"])
def test_byte_order_marks_are_no_part_of_the_first_column(shop: Path, encoding: str) -> None:
    said = {"encoding": "utf-16"} if encoding == "utf-16" else {}
    dataset = load(shop, "events.csv", (HEADER + GOOD).encode(encoding), **said)
    assert dataset.fingerprint == load(shop, "events.csv", HEADER + GOOD).fingerprint


def test_an_unknown_encoding_is_named(shop: Path) -> None:
    with pytest.raises(DataError, match=r"events\.csv: cannot be read as klingon .*--encoding"):
        load(shop, "events.csv", HEADER + GOOD, encoding="klingon")


def test_text_that_looks_like_nothing_is_an_id_like_any_other(shop: Path) -> None:
    rows = "NA,null,2011-01-01,1\nNaN,x y,2011-01-01,1\n#N/A,007,2011-01-01,1\n"
    dataset = load(shop, "events.csv", HEADER + rows)
    assert dataset.users.ids == ["#N/A", "NA", "NaN"]
    assert dataset.items.ids == ["007", "null", "x y"]


def test_parquet_rows_count_from_1(shop: Path) -> None:
    content = parquet(
        user_id=[1.0, None, 2.5, 1e17, 3.0, 4.0],
        item_id=["x", "y", "z", "x", " ", "x"],
        value=[1.0, 1.0, 1.0, 1.0, 1.0, float("inf")],
    )
    with pytest.raises(DataError) as raised:
        load(shop, "events.parquet", content)
    no_id = "a fraction or a number too large to be exact, so not an id"
    assert str(raised.value).splitlines() == [
        f"shop/events.parquet: row 2, column 'user_id': missing; {SKIP_HINT} (5 bad rows in all)",
        f"  also row 3, column 'user_id' is 2.5: {no_id}",
        f"  also row 4, column 'user_id' is 1e+17: {no_id}",
        "  also row 5, column 'item_id' is ' ': empty",
        "  also row 6, column 'value' is inf: not a finite number",
    ]
    assert load(shop, "events.parquet", content, on_bad_rows="skip").users.ids == ["1"]


@pytest.mark.parametrize("kind", [pa.timestamp("ms"), pa.date32()])
def test_a_date_off_the_calendar_is_shown_as_a_number(shop: Path, kind: pa.DataType) -> None:
    number = 2**31 - 1 if kind == pa.date32() else 2**62
    times = pa.array([0, number], pa.int32() if kind == pa.date32() else pa.int64()).cast(kind)
    content = parquet(user_id=["a", "b"], item_id=["x", "y"], timestamp=times)
    with pytest.raises(DataError) as raised:
        load(shop, "events.parquet", content)
    assert str(raised.value) == (
        f"shop/events.parquet: row 2, column 'timestamp' is {number}: "
        f"not within the years 1 to 9999; {SKIP_HINT}"
    )


def test_json_lines_name_the_line(shop: Path) -> None:
    content = (
        b'{"user_id": 1, "item_id": "x"}\n\n[1]\n{"user_id": true, "item_id": "x"}\n'
        b'{"user_id": 1, "item_id": {"a": 1}}\nnot json\n{"user_id": 3, "item_id": "\\ud800"}\n'
        b'{"item_id": "q"}\n{"user_id": "\xe9", "item_id": 1}\n'
    )
    dataset = load(shop, "events.jsonl", content, on_bad_rows="skip")
    assert dataset.interactions.n_events == 1
    with Path("shop.bad-rows.csv").open(encoding="utf-8", newline="") as stream:
        listed = [(row["row"], row["column"], row["reason"]) for row in csv.DictReader(stream)]
    assert listed == [
        ("3", "", "not a JSON object"),
        ("4", "user_id", "true or false, which is neither text nor a number"),
        ("5", "item_id", "of type dict"),
        ("6", "", "not a JSON object"),
        ("7", "item_id", "half a character"),
        ("8", "user_id", "missing"),
        ("9", "", "not UTF-8 text; try --encoding latin-1"),
    ]


def test_when_every_row_is_bad_there_is_no_data(shop: Path) -> None:
    with pytest.raises(DataError) as raised:
        load(shop, "events.csv", f"{HEADER}a,x,never,1\n", on_bad_rows="skip")
    assert str(raised.value) == "shop/events.csv: has no good row; see shop.bad-rows.csv"
    assert Path("shop.bad-rows.csv").read_text(encoding="utf-8").count("\n") == 2


def test_nothing_left_says_which_step_took_what(shop: Path) -> None:
    clean = {"from": "2011-01-02", "min_value": 9}
    with pytest.raises(DataError) as raised:
        load(shop, "events.csv", HEADER + GOOD, clean=clean)
    assert str(raised.value) == (
        "shop/events.csv: nothing is left after cleaning; events dropped: 1 (before 2011-01-02), "
        "1 (value below 9); loosen [clean] in dataset.toml or its flags"
    )


def test_a_folder_without_events_and_one_with_too_many(shop: Path) -> None:
    (shop / "notes.csv").touch()
    with pytest.raises(DataError, match=r"^shop: holds no events: .*--events$"):
        load_dataset(shop)
    (shop / "events.csv").touch()
    (shop / "events.tsv").touch()
    with pytest.raises(DataError, match=r"^shop: holds events.csv and events.tsv; .*--events$"):
        load_dataset(shop)
    with pytest.raises(
        DataError, match=r"^no-shop: there is no such folder or file; check --data$"
    ):
        load_dataset("no-shop")


@pytest.mark.parametrize("size", [1, 7, 64, 300, 1000, 3000])
def test_a_parquet_file_cut_anywhere_is_an_error_of_ours(shop: Path, size: int) -> None:
    content = parquet(
        user_id=[f"u{i}" for i in range(500)], item_id=[f"i{i % 7}" for i in range(500)]
    )
    with pytest.raises(RecsysError):
        load(shop, "events.parquet", content[:size])
