"""A published split: train.npz and test.npz, scipy CSR matrices of one shape."""

from __future__ import annotations

import zipfile
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from recsys.errors import DataError, SettingsError
from recsys.interactions.spec import Clean, DatasetSpec
from recsys.interactions.tables import Interactions

_MEMBERS = ("data", "indices", "indptr", "shape")
_SAVE = "write both with scipy.sparse.save_npz, as CSR matrices of users by items"


def is_published(folder: Path, spec: DatasetSpec) -> bool:
    """Return whether a folder holds train.npz or test.npz, and no other events are named."""
    return spec.events is None and any(
        (folder / name).is_file() for name in ("train.npz", "test.npz")
    )


def read_published(folder: Path, spec: DatasetSpec) -> tuple[Interactions, Interactions]:
    """Return the train and test parts; row u and column i are user u and item i.

    Raises
    ------
    DataError
        A file is absent, no CSR matrix, or holds what is no interaction; or the shapes differ.
    SettingsError
        The spec asks for cleaning, which would make another split of it.
    """
    if spec.clean != Clean():
        raise SettingsError(f"{folder}: [clean] does not apply to a published split; leave it out")
    parts = []
    for name in ("train.npz", "test.npz"):
        path = folder / name
        if not path.is_file():
            raise DataError("is missing beside the other part of the split", file=path)
        parts.append(_interactions(path))
    train, test = parts
    shapes = [(part.n_users, part.n_items) for part in parts]
    if shapes[0] != shapes[1]:
        raise DataError(
            f"holds {_shape(shapes[1])} where train.npz holds {_shape(shapes[0])}",
            file=folder / "test.npz",
            hint=_SAVE,
        )
    return train, test


def _shape(shape: tuple[int, int]) -> str:
    return f"{shape[0]:,} users × {shape[1]:,} items"


def _interactions(path: Path) -> Interactions:
    arrays = _members(path)
    shape = _whole(path, "shape", arrays["shape"])
    indptr = _whole(path, "indptr", arrays["indptr"])
    indices = _whole(path, "indices", arrays["indices"])
    if shape.shape != (2,) or not ((shape > 0) & (shape < 2**31)).all():
        raise DataError(
            "no shape of a matrix", file=path, column="shape", value=shape.tolist(), hint=_SAVE
        )
    n_users, n_items = (int(size) for size in shape)
    if (
        len(indptr) != n_users + 1
        or indptr[0] != 0
        or indptr[-1] != len(indices)
        or (np.diff(indptr) < 0).any()
    ):
        raise DataError(
            f"does not cut {len(indices):,} entries into {n_users:,} rows",
            file=path,
            column="indptr",
            hint=_SAVE,
        )
    users = np.repeat(np.arange(n_users), np.diff(indptr))
    outside = (indices < 0) | (indices >= n_items)
    problem = f"no column of a matrix with {n_items:,}"
    _refuse(indices, outside, problem, path=path, name="indices", users=users)
    data = arrays["data"]
    if data.shape != indices.shape or data.dtype.kind not in "biuf":
        raise DataError("not one number an entry", file=path, column="data", hint=_SAVE)
    data = data.astype(np.float64)
    no_weight = ~np.isfinite(data) | (data < 0)
    _refuse(data, no_weight, "no weight", path=path, name="data", users=users)
    present = data > 0
    if not present.any():
        raise DataError("holds no interaction", file=path, hint=_SAVE)
    key, pair = np.unique(users[present] * n_items + indices[present], return_inverse=True)
    values = np.bincount(pair, weights=data[present])
    return Interactions.from_events(
        key // n_items,
        key % n_items,
        shape=(n_users, n_items),
        values=None if (values == 1).all() else values.astype(np.float32),
    )


def _members(path: Path) -> dict[str, npt.NDArray[Any]]:
    try:
        with path.open("rb") as stream, np.load(stream, allow_pickle=False) as archive:
            absent = [name for name in (*_MEMBERS, "format") if name not in archive.files]
            if absent:
                raise DataError(
                    f"is no sparse matrix: it has no {', '.join(absent)}", file=path, hint=_SAVE
                )
            kind = archive["format"].item()
            kind = kind.decode("ascii", "replace") if isinstance(kind, bytes) else str(kind)
            if kind != "csr":
                raise DataError(f"is a {kind} matrix, not csr", file=path, hint=_SAVE)
            return {name: archive[name] for name in _MEMBERS}
    except (OSError, EOFError, zipfile.BadZipFile) as error:
        raise DataError("is no npz file, or is cut short", file=path, hint=_SAVE) from error
    except ValueError as error:
        pickled = "pickle" in str(error).lower()
        problem = (
            "holds pickled objects, which are not read" if pickled else f"is damaged ({error})"
        )
        raise DataError(problem, file=path, hint=_SAVE) from error


def _whole(path: Path, name: str, array: npt.NDArray[Any]) -> npt.NDArray[np.int64]:
    """Return an array of whole numbers as int64."""
    if array.dtype.kind not in "iuf" or array.ndim != 1:
        raise DataError(
            f"of type {array.dtype.str.lstrip('<>|=')}", file=path, column=name, hint=_SAVE
        )
    if array.dtype.kind == "f":
        bad = ~np.isfinite(array) | (array != np.floor(array)) | (np.abs(array) > 2**53)
        _refuse(array, bad, "not a whole number", path=path, name=name)
    return array.astype(np.int64)


def _refuse(
    array: npt.NDArray[Any],
    bad: npt.NDArray[np.bool_],
    problem: str,
    *,
    path: Path,
    name: str,
    users: npt.NDArray[np.int64] | None = None,
) -> None:
    """Raise an error for the first bad entry, if there is one."""
    if not bad.any():
        return
    entry = int(np.argmax(bad))
    of_user = "" if users is None else f" (user {users[entry]})"
    more = f", one of {bad.sum():,}" if bad.sum() > 1 else ""
    raise DataError(
        f"{problem}, at entry {entry}{of_user}{more}",
        file=path,
        column=name,
        value=array[entry].item(),
        hint=_SAVE,
    )
