"""Published splits: train.npz and test.npz."""

from __future__ import annotations

import shutil
from pathlib import Path

import numpy as np
import pytest
import scipy.sparse as sp

from recsys.errors import DataError, SettingsError
from recsys.interactions.dataset import DatasetSpec, load_dataset


def write(folder: Path, name: str = "train.npz", **changed: object) -> None:
    arrays: dict[str, object] = {
        "data": np.ones(4, np.float32),
        "indices": np.array([2, 0, 1, 3], np.int32),
        "indptr": np.array([0, 2, 3, 4], np.int32),
        "shape": np.array([3, 4]),
        "format": b"csr",
    }
    kept = {key: value for key, value in {**arrays, **changed}.items() if value is not None}
    np.savez(folder / name, **kept)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    write(tmp_path)
    sp.save_npz(tmp_path / "test.npz", sp.csr_array(([1.0], ([1], [3])), shape=(3, 4)))
    return tmp_path


def test_rows_and_columns_are_numbered_as_published(folder: Path) -> None:
    dataset = load_dataset(folder)
    assert dataset.users.ids == ["0", "1", "2"]
    assert dataset.items.ids == ["0", "1", "2", "3"]
    assert dataset.interactions.indptr.tolist() == [0, 2, 3, 4]
    assert dataset.interactions.items.tolist() == [0, 2, 1, 3]
    assert dataset.interactions.times is None
    assert dataset.interactions.values is None
    assert dataset.test is not None
    assert dataset.test.users.tolist() == [1]
    assert dataset.test.items.tolist() == [3]
    assert dataset.name == folder.name


def test_values_other_than_one_are_values_and_zeros_are_nothing(folder: Path) -> None:
    write(folder, data=np.array([3, 0, 1, 1]))
    dataset = load_dataset(folder)
    assert dataset.interactions.items.tolist() == [2, 1, 3]
    assert dataset.interactions.values is not None
    assert dataset.interactions.values.tolist() == [3, 1, 1]


def test_the_fingerprint_covers_the_test_part(folder: Path) -> None:
    before = load_dataset(folder).fingerprint
    sp.save_npz(folder / "test.npz", sp.csr_array(([1.0], ([1], [2])), shape=(3, 4)))
    assert load_dataset(folder).fingerprint != before


def test_items_beside_a_split_give_titles(folder: Path) -> None:
    (folder / "items.csv").write_text("item_id,title\n2,Two\n9,Nine\n", encoding="utf-8")
    dataset = load_dataset(folder)
    assert list(dataset.catalogue.titles) == ["0", "1", "Two", "3"]
    assert dataset.report is not None
    assert (dataset.report.listed_items, dataset.report.described_items) == (2, 1)


SAVE = "write both with scipy.sparse.save_npz, as CSR matrices of users by items"
NO_WEIGHT = "no weight, at entry 1 (user 0)"
CASES: dict[str, tuple[dict[str, object], str]] = {
    "negative": (
        {"indices": np.array([2, -1, 1, 3])},
        "column 'indices' is -1: no column of a matrix with 4, at entry 1 (user 0)",
    ),
    "out of range": (
        {"indices": np.array([2, 0, 4, 9])},
        "column 'indices' is 4: no column of a matrix with 4, at entry 2 (user 1), one of 2",
    ),
    "fractional": (
        {"indices": np.array([2, 0, 1.5, 3])},
        "column 'indices' is 1.5: not a whole number, at entry 2",
    ),
    "text": ({"indices": np.array(["a"] * 4)}, "column 'indices': of type U1"),
    "NaN": ({"data": np.array([1, np.nan, 1, 1])}, f"column 'data' is nan: {NO_WEIGHT}"),
    "infinite": ({"data": np.array([1, np.inf, 1, 1])}, f"column 'data' is inf: {NO_WEIGHT}"),
    "negative data": ({"data": np.array([1, -2, 1, 1])}, f"column 'data' is -2.0: {NO_WEIGHT}"),
    "too little data": ({"data": np.ones(3)}, "column 'data': not one number an entry"),
    "no data": ({"data": np.zeros(4)}, "holds no interaction"),
    "pickled": (
        {"indices": np.array([2, 0, None, 3], object)},
        "holds pickled objects, which are not read",
    ),
    "not sparse": ({"indptr": None, "shape": None}, "is no sparse matrix: it has no indptr, shape"),
    "csc": ({"format": b"csc"}, "is a csc matrix, not csr"),
    "indptr too short": (
        {"indptr": np.array([0, 4])},
        "column 'indptr': does not cut 4 entries into 3 rows",
    ),
    "indptr backwards": (
        {"indptr": np.array([0, 3, 2, 4])},
        "column 'indptr': does not cut 4 entries into 3 rows",
    ),
    "indptr empty": (
        {"indptr": np.array([], np.int32)},
        "column 'indptr': does not cut 4 entries into 3 rows",
    ),
    "no shape": ({"shape": np.array([3])}, "column 'shape' is [3]: no shape of a matrix"),
    "negative shape": (
        {"shape": np.array([-3, 4])},
        "column 'shape' is [-3, 4]: no shape of a matrix",
    ),
    "enormous shape": (
        {"shape": np.array([2**40, 2**40])},
        f"column 'shape' is [{2**40}, {2**40}]: no shape of a matrix",
    ),
}


@pytest.mark.parametrize("case", CASES)
@pytest.mark.parametrize("name", ["train.npz", "test.npz"])
def test_what_is_no_interaction_is_refused(folder: Path, case: str, name: str) -> None:
    changed, message = CASES[case]
    write(folder, name, **changed)
    with pytest.raises(DataError) as raised:
        load_dataset(folder)
    assert str(raised.value) == f"{folder / name}: {message}; {SAVE}"


def test_parts_of_different_shapes_are_refused(folder: Path) -> None:
    sp.save_npz(folder / "test.npz", sp.csr_array(([1.0], ([1], [3])), shape=(3, 5)))
    with pytest.raises(DataError) as raised:
        load_dataset(folder)
    assert str(raised.value) == (
        f"{folder / 'test.npz'}: holds 3 users × 5 items where train.npz holds 3 users × 4 items; "
        f"{SAVE}"
    )


def test_a_part_that_is_missing_or_cut_short_is_named(folder: Path) -> None:
    content = (folder / "test.npz").read_bytes()
    (folder / "test.npz").write_bytes(content[: len(content) // 2])
    with pytest.raises(DataError, match=r"test.npz: is no npz file, or is cut short"):
        load_dataset(folder)
    (folder / "test.npz").unlink()
    with pytest.raises(DataError, match=r"test.npz: is missing beside the other part of the split"):
        load_dataset(folder)
    shutil.move(folder / "train.npz", folder / "test.npz")
    with pytest.raises(DataError, match=r"train.npz: is missing"):
        load_dataset(folder)


def test_cleaning_would_make_another_split_of_it(folder: Path) -> None:
    with pytest.raises(SettingsError, match=r"\[clean\] does not apply to a published split"):
        load_dataset(folder, DatasetSpec.of({"clean": {"min_user_items": 5}}, "spec"))
    with pytest.raises(SettingsError, match="--half-life-days needs a time column"):
        load_dataset(folder, DatasetSpec.of({"weights": {"half_life_days": 5}}, "spec"))
