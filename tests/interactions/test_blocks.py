"""A file is read in blocks, and nobody can tell where they were cut."""

from __future__ import annotations

import gzip
import json
import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from recsys.errors import DataError
from recsys.interactions import events, growing, parquetfile, pieces, textblocks
from recsys.interactions.dataset import DatasetSpec, load_dataset
from recsys.interactions.growing import GrowingArray, GrowingIds
from recsys.interactions.textblocks import text_blocks

COLUMNS = ["user_id", "item_id", "timestamp", "value"]
SECOND = 1_000_000


@contextmanager
def small_blocks() -> Iterator[None]:
    """Cut everything that is cut into blocks of a few rows."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(textblocks, "_BLOCK", 40)
        patch.setattr(textblocks, "_PIECE", 15)
        patch.setattr(parquetfile, "_ROWS", 2)
        patch.setattr(growing, "_ROWS", 3)
        patch.setattr(events, "_AT_ONCE", 3)
        patch.setattr(pieces, "_LENGTH", 3)
        yield


def outcome(path: Path, **said: Any) -> Any:
    """Return all that can be told from outside about a data set, or why there is none."""
    try:
        dataset = load_dataset(path, DatasetSpec.of(said, "spec"))
    except DataError as error:
        return str(error)
    report = dataset.report
    assert report is not None
    listed = report.bad_rows_file and Path(report.bad_rows_file).read_text(encoding="utf-8")
    return dataset.fingerprint, dataset.users.ids, dataset.items.ids, report, listed


def ids(letter: str, odd: list[str]) -> st.SearchStrategy[str]:
    plain = st.integers(0, 5).map(lambda number: f"{letter}{number}")
    return st.one_of(plain, plain, plain, st.sampled_from(odd)) if odd else plain


ODD_IDS = ["1", "1.0", "1.0 ", "e\u0301", "\u00e9", "a b", "", " ", "c\x07"]
TIMES = {
    "seconds": st.integers(1_300_000_000, 1_300_000_020).map(str),
    "milliseconds": st.integers(1_300_000_000_000, 1_300_000_000_020).map(str),
    "dates": st.integers(1, 9).map(lambda day: f"2011-01-0{day}"),
    "zoned": st.integers(1, 9).map(lambda day: f"2011-01-0{day} 10:00:00+01:00"),
    "calendar": st.integers(1, 9).map(lambda day: f"2011010{day}"),
    "after 2038": st.integers(4_000_000_000, 4_000_000_020).map(str),
}
ODD_TIMES = ["0", "", "x", "2011-02-30", "2011-01-01", "1300000000", "2011-01-01 10:00:00 UTC"]
ODD_VALUES = ["", "nan", "x", "1e39"]
NOTES = ["", "two\nlines", 'a "word"', 'ends in 6"', '6" pot', "\r\n", "plain"]


@st.composite
def logs(draw: st.DrawFn) -> list[list[str]]:
    odd = draw(st.booleans())
    times, values = draw(st.sampled_from(list(TIMES.values()))), st.sampled_from(["1", "2.5", ".1"])
    rows = st.tuples(
        ids("u", ODD_IDS if odd else []),
        ids("i", ODD_IDS if odd else []),
        st.one_of(times, times, times, st.sampled_from(ODD_TIMES)) if odd else times,
        st.one_of(values, values, values, st.sampled_from(ODD_VALUES)) if odd else values,
    )
    return [list(row) for row in draw(st.lists(rows, min_size=1, max_size=25))]


def csv_text(rows: list[list[str]], notes: list[str], line_end: str, quoted: bool) -> str:
    """Write rows with a note each; its quotation marks may be written as they should not be."""

    def cell(text: str) -> str:
        if not quoted and '"' in text and "\n" not in text and "," not in text:
            return text
        return '"' + text.replace('"', '""') + '"' if quoted or set(text) & set('",\r\n') else text

    lines = [
        ",".join(map(cell, [*row, notes[at % len(notes)]]))
        for at, row in enumerate([COLUMNS, *rows])
    ]
    return line_end.join([*lines, ""])


WRITTEN = st.fixed_dictionaries(
    {
        "ending": st.sampled_from(["csv", "csv.gz", "jsonl", "jsonl.gz", "parquet"]),
        "notes": st.lists(st.sampled_from(NOTES), min_size=1, max_size=4),
        "line_end": st.sampled_from(["\n", "\r\n", "\n\n"]),
        "quoted": st.booleans(),
    }
)


def write(folder: Path, rows: list[list[str]], written: dict[str, Any]) -> Path:
    path = folder / f"log.{written['ending']}"
    if path.suffix == ".parquet":
        columns = dict(zip(COLUMNS, map(list, zip(*rows, strict=True)), strict=True))
        pq.write_table(pa.table(columns), path, row_group_size=5)
        return path
    notes, line_end = written["notes"], written["line_end"]
    text = csv_text(rows, notes, line_end, written["quoted"])
    if "jsonl" in written["ending"]:
        objects = [json.dumps(dict(zip(COLUMNS, row, strict=True))) for row in rows]
        text = line_end.join([*objects, "[]" if notes[0] else "", ""])
    path.write_bytes(gzip.compress(text.encode()) if path.suffix == ".gz" else text.encode())
    return path


@settings(
    max_examples=100, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(
    logs(),
    WRITTEN,
    st.fixed_dictionaries(
        {
            "on_bad_rows": st.sampled_from(["stop", "skip"]),
            "clean": st.sampled_from([{"duplicates": how} for how in ("sum", "first", "last")]),
        }
    ),
)
def test_where_a_file_is_cut_makes_no_difference(
    tmp_path: Path, rows: list[list[str]], written: dict[str, Any], said: dict[str, Any]
) -> None:
    path = write(tmp_path, rows, written)
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(tmp_path)
        whole = outcome(path, **said)
        with small_blocks():
            assert outcome(path, **said) == whole


def test_blocks_end_with_records_and_make_up_the_file(tmp_path: Path) -> None:
    text = 'a,"b\nb"\n' * 30 + 'c,"d ""\n"" d"\n' * 30 + "no end"
    (tmp_path / "log.csv.gz").write_bytes(gzip.compress(text.encode()))
    with small_blocks():
        blocks = list(text_blocks(tmp_path / "log.csv.gz", None, ","))
    assert b"".join(blocks).decode() == text
    assert max(map(len, blocks)) < 80
    assert all(block.endswith(b'"\n') for block in blocks[:-1])


def test_from_a_quotation_mark_within_a_cell_on_a_file_is_not_cut(tmp_path: Path) -> None:
    text = "a,b\n" * 30 + '6" pot,b\n' + 'a,"b\nb"\n' * 30 + '6" pan,b\n'
    (tmp_path / "log.csv").write_text(text, encoding="utf-8")
    with small_blocks():
        blocks = [block.decode() for block in text_blocks(tmp_path / "log.csv", None, ",")]
    assert "".join(blocks) == text
    assert all(set(block.split("\n")) == {"a,b", ""} for block in blocks[:-1])
    assert len(blocks) > 2


def test_a_bad_row_far_down_is_counted_past_empty_rows_and_line_ends_in_cells(
    tmp_path: Path,
) -> None:
    rows = 'a,x,"one\ntwo"\n\n' * 50 + "b,,z\n"
    (tmp_path / "log.csv").write_text(f"user_id,item_id,note\n{rows}", encoding="utf-8")
    with small_blocks(), pytest.raises(DataError, match=r"row 102, column 'item_id' is '': empty"):
        load_dataset(tmp_path / "log.csv")


def test_a_query_whose_ids_look_alike_is_asked_again(tmp_path: Path) -> None:
    connection = sqlite3.connect(tmp_path / "shop.db")
    connection.execute("CREATE TABLE events (user_id TEXT, item_id TEXT)")
    connection.executemany("INSERT INTO events VALUES (?, 'x')", [("7",), ("7",), ("7.0",)])
    connection.commit()
    connection.close()
    spec = DatasetSpec(query="SELECT user_id, item_id FROM events")
    with pytest.raises(DataError, match=r"row 3, column 'user_id' is '7.0': though it looks"):
        load_dataset(f"sqlite:///{tmp_path / 'shop.db'}", spec)


@pytest.mark.parametrize(
    "later",
    [[-1], [1_300_000_000 * SECOND + 1], [4_000_000_000 * SECOND], [-4_000_000_000 * SECOND, 0]],
)
def test_times_that_are_no_near_seconds_are_kept_as_they_are(later: list[int]) -> None:
    first = [1_200_000_000 * SECOND, -SECOND]
    array = GrowingArray(np.int32, SECOND)
    array.append(np.array(first))
    assert array.unit == SECOND
    array.append(np.array(later))
    assert array.unit == 1
    assert array.finished().tolist() == [*first, *later]


def test_values_take_more_room_only_when_they_need_it() -> None:
    array = GrowingArray(np.float32)
    array.append(np.array([2.5, -3.0]))
    assert array.finished().dtype == np.float32
    array.append(np.array([0.1]))
    assert array.finished().tolist() == [2.5, -3.0, 0.1]


@pytest.mark.parametrize("encoded", [False, True])
def test_ids_keep_their_codes_as_new_ones_come(encoded: bool) -> None:
    column = GrowingIds()
    with small_blocks():
        for block in (["b", "c"], ["a"], ["c", "d", "b"], ["a", "e"]):
            texts = pa.chunked_array([block])
            column.append(texts.dictionary_encode() if encoded else texts)
        texts, codes = column.finished()
    assert texts.to_pylist() == ["a", "b", "c", "d", "e"]
    assert codes.tolist() == [1, 2, 0, 2, 3, 1, 0, 4]
