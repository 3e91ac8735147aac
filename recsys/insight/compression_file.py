"""Codes in a file that turns back into histories."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt

from recsys.errors import ArtifactError
from recsys.files import map_tensors, write_tensors
from recsys.ids import IdMap
from recsys.insight.accounts import Log
from recsys.insight.compression import Compressor, histories_of
from recsys.insight.compression_codes import Codes, Decoder, Quantiser


@dataclass(frozen=True, eq=False)
class Coded:
    """All that a file of codes holds: enough to decode, and not the encoder.

    Attributes
    ----------
    users, items
        Outside ids.
    codes
        uint8 (n_users, n_bytes).
    lengths
        uint32 (n_users,): how many items to list of each.
    decoder
        What turns codes into scores.
    """

    users: IdMap
    items: IdMap
    codes: Codes
    lengths: npt.NDArray[np.uint32]
    decoder: Decoder

    def histories(self) -> Iterator[tuple[str, list[str]]]:
        """Yield each user and as many items as the history had, the most likely first."""
        row = 0
        for block in self.decoder.scores(self.codes):
            for scores in block:
                best = np.argsort(-scores, kind="stable")[: self.lengths[row]]
                yield self.users[row], [self.items[item] for item in best.tolist()]
                row += 1


def write_codes(path: Path, log: Log, compressor: Compressor) -> Coded:
    """Write the codes of a log's users to a safetensors file, and return what it holds."""
    histories = histories_of(log.interactions)
    codes, decoder = compressor.encode(histories), compressor.decoder
    lengths = np.diff(histories.indptr).astype(np.uint32)
    books = decoder.quantiser.books
    write_tensors(
        path,
        {
            **log.users.tensors("users"),
            **log.items.tensors("items"),
            "codes": codes,
            "lengths": lengths,
            "books": np.concatenate(books),
            "book_sizes": np.array([len(book) for book in books], np.int32),
            "decoder": decoder.matrix,
            "bias": decoder.bias,
        },
    )
    return Coded(log.users, log.items, codes, lengths, decoder)


def read_codes(path: Path) -> Coded:
    """Return what a file of codes holds.

    Raises
    ------
    ArtifactError
        It is no such file, or damaged.
    """
    if not path.is_file():
        raise ArtifactError(f"{path}: there is no such file")
    tensors = map_tensors(path)
    try:
        sizes = np.asarray(tensors["book_sizes"])
        books = tuple(np.split(np.asarray(tensors["books"]), np.cumsum(sizes)[:-1]))
        decoder = Decoder(Quantiser(books), tensors["decoder"], tensors["bias"])
        users, items = (IdMap.from_tensors(tensors, name) for name in ("users", "items"))
        codes, lengths = np.asarray(tensors["codes"]), np.asarray(tensors["lengths"])
        whole = (
            codes.shape == (len(users), -(-int(decoder.quantiser.bits.sum()) // 8))
            and lengths.shape == (len(users),)
            and decoder.matrix.shape == (len(books), len(items))
            and decoder.bias.shape == (len(items),)
            and all(len(book) == size for book, size in zip(books, sizes, strict=True))
        )
    except (KeyError, ValueError, TypeError, IndexError) as error:
        raise ArtifactError(f"{path}: not a file of codes ({error})") from error
    if not whole:
        raise ArtifactError(f"{path}: its parts do not fit together; write it again")
    return Coded(users, items, codes, lengths, decoder)
