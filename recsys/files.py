"""Files that are whole or absent: write aside, fsync, rename; checksums; memory-mapped tensors."""

from __future__ import annotations

import hashlib
import json
import os
import shutil
import uuid
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from recsys.errors import ArtifactError

Tensors = dict[str, npt.NDArray[Any]]
"""Named arrays, as they lie in one safetensors file."""


@contextmanager
def written_aside(path: Path) -> Iterator[Path]:
    """Yield a temporary path beside `path`; once the block ends well it takes `path`'s place.

    The content is on disk before the rename, so a reader sees the old file or the new one. A block
    that raises leaves `path` as it was.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    aside = path.with_name(f".{path.name}.{uuid.uuid4().hex[:8]}.tmp")
    try:
        yield aside
        sync(aside)
        aside.replace(path)
        sync(path.parent)
    finally:
        aside.unlink(missing_ok=True)


@contextmanager
def folder_written_aside(path: Path) -> Iterator[Path]:
    """Yield a new folder beside `path`; once the block ends well it takes `path`'s place, on disk.

    `path` must be absent or an empty folder by then. A block that raises leaves nothing behind.
    """
    path = path.resolve()
    aside = path.with_name(f".{path.name}.{uuid.uuid4().hex[:8]}.tmp")
    aside.mkdir(parents=True)
    try:
        yield aside
        for inner in (*aside.rglob("*"), aside):
            sync(inner)
        aside.replace(path)
        sync(path.parent)
    finally:
        shutil.rmtree(aside, ignore_errors=True)


def is_taken(folder: Path) -> bool:
    """Return whether something lies where a new folder is to be: a file, or a folder not empty."""
    return folder.exists() and (not folder.is_dir() or any(folder.iterdir()))


def sync(path: Path) -> None:
    """Flush a file's content, or a folder's list of names, to the disk."""
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def sha256_of(path: Path) -> str:
    """Return the hexadecimal SHA-256 of a file's bytes."""
    with path.open("rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()


def write_json(path: Path, content: Mapping[str, Any]) -> None:
    """Write `content` aside and rename; keys keep their order, NaN is refused."""
    with written_aside(path) as aside:
        text = json.dumps(content, indent=2, ensure_ascii=False, allow_nan=False)
        aside.write_text(text + "\n", encoding="utf-8")


def write_tensors(path: Path, tensors: Tensors) -> None:
    """Write named arrays as one safetensors file, aside and renamed."""
    from safetensors.numpy import save_file

    with written_aside(path) as aside:
        save_file({name: np.asarray(array, order="C") for name, array in tensors.items()}, aside)


_DTYPES: dict[str, type[np.generic]] = {
    "F64": np.float64,
    "F32": np.float32,
    "F16": np.float16,
    "I64": np.int64,
    "I32": np.int32,
    "I16": np.int16,
    "I8": np.int8,
    "U64": np.uint64,
    "U32": np.uint32,
    "U16": np.uint16,
    "U8": np.uint8,
    "BOOL": np.bool_,
}


def map_tensors(path: Path) -> Tensors:
    """Return a safetensors file's arrays, read-only and memory-mapped.

    Processes that map the same file share one copy of it in memory.

    Raises
    ------
    ArtifactError
        The file is no safetensors file, or its header and length do not agree.
    """
    try:
        size = path.stat().st_size
        with path.open("rb") as stream:
            length = int.from_bytes(stream.read(8), "little")
            if not 2 <= length <= size - 8:
                raise ValueError("header length")  # noqa: TRY301
            header: dict[str, Any] = json.loads(stream.read(length))
        header.pop("__metadata__", None)
        return {name: _map(path, entry, 8 + length, size) for name, entry in header.items()}
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise ArtifactError(f"{path}: not a whole safetensors file ({error})") from error


def _map(path: Path, entry: Mapping[str, Any], base: int, size: int) -> npt.NDArray[Any]:
    dtype, shape = np.dtype(_DTYPES[entry["dtype"]]), tuple(entry["shape"])
    start, end = (base + offset for offset in entry["data_offsets"])
    if end > size or end - start != dtype.itemsize * int(np.prod(shape, dtype=np.int64)):
        raise ValueError("tensor outside the file")
    if start == end:  # an empty range cannot be mapped
        return np.empty(shape, dtype)
    return np.memmap(path, dtype=dtype, mode="r", offset=start, shape=shape)
