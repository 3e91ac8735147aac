from __future__ import annotations

import gzip
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from recsys.campaigns import readers
from recsys.campaigns.audience import Audience
from recsys.errors import DataError


def read(path: Path, user_column: str = "user_id") -> tuple[list[int], list[dict[str, object]]]:
    numbers: list[int] = []
    rows: list[dict[str, object]] = []
    for block in Audience.open(path, user_column).blocks():
        numbers += block.numbers.to_pylist()
        rows += block.rows.to_pylist()
    return numbers, rows


def write(path: Path, content: bytes | str) -> Path:
    content = content.encode() if isinstance(content, str) else content
    path.write_bytes(gzip.compress(content) if path.suffix == ".gz" else content)
    return path


@pytest.mark.parametrize("name", ["a.csv", "a.csv.gz", "A.CSV"])
def test_csv_cells_stay_text_as_they_are(tmp_path: Path, name: str) -> None:
    content = '\ufeffuser_id,n,note\r\n007,1.0,"a, ""b""\nc"\r\n\r\n" 7",NA,\r\n  ,,é\r\n'
    numbers, rows = read(write(tmp_path / name, content))
    assert rows == [
        {"user_id": "007", "n": "1.0", "note": 'a, "b"\nc'},
        {"user_id": " 7", "n": "NA", "note": ""},
        {"user_id": None, "n": "", "note": "é"},
    ]
    assert numbers == [2, 4, 5]


@pytest.mark.parametrize("name", ["a.jsonl", "a.jsonl.gz"])
def test_json_lines_keep_types_and_may_lack_keys(tmp_path: Path, name: str) -> None:
    content = (
        '{"user_id": "007", "n": 1}\n\n{"tags": ["a"], "user_id": "8", "n": 2.5}\n{"n": null}\n'
    )
    numbers, rows = read(write(tmp_path / name, content))
    assert rows == [
        {"user_id": "007", "n": 1.0, "tags": None},
        {"user_id": "8", "n": 2.5, "tags": ["a"]},
        {"user_id": None, "n": None, "tags": None},
    ]
    assert numbers == [1, 3, 4]


def test_columns_of_json_lines_agree_over_batches(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(readers, "BATCH", 1)
    content = '{"user_id": 7, "n": 1}\n{"user_id": "007", "n": 2.5, "m": true}\n'
    numbers, rows = read(write(tmp_path / "a.jsonl", content))
    assert rows == [
        {"user_id": "7", "n": 1.0, "m": None},
        {"user_id": "007", "n": 2.5, "m": True},
    ]
    assert numbers == [1, 2]
    write(tmp_path / "a.jsonl", '{"user_id": 7, "n": 1}\n{"user_id": "007", "n": "x"}\n')
    with pytest.raises(DataError, match=r"a\.jsonl: .*several kinds.*n has incompatible types"):
        read(tmp_path / "a.jsonl")


@pytest.mark.parametrize(
    ("ids", "expected"),
    [
        (pa.array([12347, None], pa.int32()), ["12347", None]),
        (pa.array([12347.0, None, float("nan")]), ["12347", None, None]),
        (pa.array(["007", " ", "ü"]).dictionary_encode(), ["007", None, "ü"]),
        (pa.array(["007"], pa.large_string()), ["007"]),
        (pa.array([b"007", b""]), ["007", None]),
        (pa.array([b"007"], pa.binary(3)), ["007"]),
    ],
)
def test_ids_of_parquet_are_text(tmp_path: Path, ids: pa.Array, expected: list[str]) -> None:
    own = pa.array([[1]] * len(ids))
    pq.write_table(pa.table({"own": own, "nr": ids}), tmp_path / "a.parquet")
    numbers, rows = read(tmp_path / "a.parquet", "nr")
    assert rows == [{"user_id": user, "own": [1]} for user in expected]
    assert numbers == [*range(1, len(ids) + 1)]


@pytest.mark.parametrize(
    ("ids", "problem"),
    [
        (pa.array([1.5]), "with a fraction"),
        (pa.array([True]), "is of type bool"),
        (pa.array([b"\xff"]), "not UTF-8"),
        (pa.array([None, " "], pa.string()), "no row has a user id"),
    ],
)
def test_ids_that_are_none_are_refused(tmp_path: Path, ids: pa.Array, problem: str) -> None:
    pq.write_table(pa.table({"user_id": ids}), tmp_path / "a.parquet")
    with pytest.raises(DataError, match=rf"a\.parquet: column 'user_id': .*{problem}"):
        Audience.open(tmp_path / "a.parquet")


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("a.csv", b"", "a.csv: is empty"),
        ("a.csv", b"user_id\n", "a.csv: has no rows"),
        ("a.csv", b"\n\n", "a.csv: has no rows"),
        (
            "a.csv",
            b"id;n\n1;2\n",
            "its columns are 'id;n'; its cells may be separated by ';': save it with",
        ),
        ("a.csv", b"id,n\n1,2\n", "its columns are 'id', 'n'; name the right one with --user-c"),
        ("a.csv", b"user_id,n,n\n1,2,3\n", "column 'n': two columns have this name; rename one"),
        ("a.csv", b"user_id,n\n1,2\n\n3\n", "row 4: has 1 cells where the header has 2"),
        ("a.csv", b"user_id,n\n1,2\n3,4,5\n", "row 3: has 3 cells where the header has 2"),
        ("a.csv", b"user_id\n1\n\xe9\n", r"row 3, column 'user_id' is b'\xe9': is not UTF-8"),
        ("a.csv", b"user_id,\xe9\n1,2\n", r"row 1 is b'\xe9': is not UTF-8"),
        ("a.csv", b"\xff\xfeu\x00\n\x00", "is not UTF-8 text; save the file as UTF-8"),
        ("a.csv", b'user_id,n\n1,2\n3,"4\n5,6\n', "row 3: its quotation marks do not match"),
        ("a.jsonl", b'{"user_id": 1}\n[2]\n', "row 2: is no JSON object; write one object a line"),
        ("a.jsonl", b'{"user_id": 1}\n{"user', "row 2: is no JSON object"),
        ("a.jsonl", b'{"user_id": "\xe9"}', "row 1: is not UTF-8 text"),
        ("a.jsonl", b'{"user_id": 1}\n{"user_id": "a"}', "column 'user_id': holds values of"),
        ("a.jsonl", b'{"id": 1}', "has no column 'user_id'; its columns are 'id'"),
        ("a.parquet", b"", "a.parquet: is empty"),
        ("a.parquet", b"user_id\n1\n", "is damaged, or not what its name says"),
        ("a.txt", b"user_id\n1\n", "is of no kind that is read; its name must end in"),
        ("a.parquet.gz", b"PAR1", "is of no kind that is read"),
    ],
)
def test_bad_files_are_named_in_one_line(
    tmp_path: Path, name: str, content: bytes, message: str
) -> None:
    (tmp_path / name).write_bytes(content)
    with pytest.raises(DataError) as refused:
        Audience.open(tmp_path / name)
    assert message in str(refused.value)
    assert str(refused.value).startswith(str(tmp_path / name))
    assert "\n" not in str(refused.value)


def test_files_cut_short_are_refused(tmp_path: Path) -> None:
    path = write(tmp_path / "a.csv.gz", "user_id\n" + "\n".join(map(str, range(50_000))))
    path.write_bytes(path.read_bytes()[:-100])
    with pytest.raises(DataError, match=r"gzip file is cut short; copy or write it again"):
        Audience.open(path)
    path.write_bytes(b"user_id\n1\n")
    with pytest.raises(DataError, match=r"a\.csv\.gz: is damaged"):
        Audience.open(path)
    pq.write_table(pa.table({"user_id": ["a"] * 1000}), path := tmp_path / "a.parquet")
    path.write_bytes(path.read_bytes()[:-10])
    with pytest.raises(DataError, match=r"a\.parquet: is damaged"):
        Audience.open(path)


def test_what_is_no_file_is_refused(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"x\.csv: does not exist"):
        Audience.open(tmp_path / "x.csv")
    with pytest.raises(DataError, match="is a folder"):
        Audience.open(tmp_path)


def test_another_column_called_user_id_is_refused(tmp_path: Path) -> None:
    path = write(tmp_path / "a.csv", "user_id,customer\n1,2\n")
    with pytest.raises(DataError, match=r"column 'user_id': users are in 'customer'.*rename it"):
        Audience.open(path, "customer")


def test_the_fingerprint_is_of_the_content(tmp_path: Path) -> None:
    first = write(tmp_path / "a.csv", "user_id\n1\n")
    second = write(tmp_path / "b.csv", "user_id\n1\n")
    third = write(tmp_path / "c.csv", "user_id\n2\n")
    prints = [Audience.open(path).fingerprint for path in (first, second, third)]
    assert prints[0] == prints[1] != prints[2]
