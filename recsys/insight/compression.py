"""Histories in a few bytes each: what an autoencoder keeps of them, and what PCA does."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import product

import numpy as np
import scipy.sparse as sp

from recsys.errors import DataError, UsageError
from recsys.insight.compression_codes import (
    Bits,
    Codes,
    Components,
    Decoder,
    Doubles,
    Quantiser,
    shares_found,
)
from recsys.interactions.tables import FloatArray, Interactions, Matrix
from recsys.interactions.weighting import Weighting
from recsys.progress import Bar, progress

SIZES = (8, 16, 32, 64, 128)
KINDS: tuple[Bits, ...] = ("mixed",)
LARGEST = 1024

_MOST_LATENTS = 512  # more take long to find, and add little
_SHARPNESS = (12.5, 25.0, 50.0)  # tried: from PCA's scores to logits
_JUDGED = 500  # histories on which that is chosen
_SEARCH, _SEARCH_TO_LEARN = 60, 30  # steps
_EPOCHS = 15
_ROWS = 500
_TESTED = 800
_STAGES = 4  # of what a code is learnt in: PCA, sharpness, codes, decoder


@dataclass(frozen=True, eq=False)
class Compressor:
    """Turns histories into codes, and by its decoder codes into scores.

    Attributes
    ----------
    components
        What makes latents of a history.
    decoder
        What makes scores of the latents' codes.
    searched
        Whether the code is searched for with the decoder (the autoencoder); else it is the
        rounded latents (PCA).
    """

    components: Components
    decoder: Decoder
    searched: bool

    def encode(self, histories: Matrix) -> Codes:
        """Return the codes of histories, uint8 (b, n_bytes)."""
        return self.decoder.quantiser.encode(self.latents(histories))

    def latents(self, histories: Matrix, steps: int = _SEARCH) -> FloatArray:
        """Return what is coded of histories, (b, width); `steps` are those of a search."""
        decoder, books = self.decoder, self.decoder.quantiser.books
        latents = self.components.latents(histories)[:, : len(books)]
        if not self.searched:
            return latents
        from recsys.models.autoencoders.coder import search_codes

        return search_codes(
            histories,
            latents,
            books,
            decoder.matrix,
            decoder.bias,
            spread=self.components.spread[: len(books)],
            steps=steps,
        )

    def kept(self, histories: Matrix) -> Doubles:
        """Return which share of each history its code brings back, NaN for an empty one."""
        return shares_found(histories, self.decoder.scores(self.encode(histories)))


def pca_compressor(
    components: Components, latents: FloatArray, n_bytes: int, bits: Bits
) -> Compressor:
    """Return PCA with quantised components: scores are the rebuilt history.

    Parameters
    ----------
    components, latents
        Those of the training histories, and their latents, (n, width).
    n_bytes, bits
        Of the codes.
    """
    quantiser = Quantiser.of(latents, n_bytes, bits)
    vectors = components.vectors[:, : len(quantiser.books)]
    decoder = Decoder(quantiser, np.ascontiguousarray(vectors.T), components.mean)
    return Compressor(components, decoder, searched=False)


def learnt_from(pca: Compressor, histories: Matrix, seed: int, bar: Bar) -> Compressor:
    """Return the autoencoder that starts as this PCA, trained on the same histories.

    Codes are searched for with PCA's decoder, its scores taken for logits, as sharp as brings most
    back; then a decoder is learnt that makes the histories likely given those codes.

    Parameters
    ----------
    pca
        What to start from; its quantiser stays.
    histories
        (n, n_items), to learn from.
    seed
        Of the order of the histories.
    bar
        Told of each of the three stages.
    """
    from recsys.models.autoencoders.coder import learn_decoder

    size = f"{-(-int(pca.decoder.quantiser.bits.sum()) // 8)} bytes"
    start = max(
        (_sharpened(pca, sharpness) for sharpness in _SHARPNESS),
        key=lambda one: np.nanmean(one.kept(histories[:_JUDGED])),
    )
    bar.advance(note=f"{size}: searching for codes")
    decoder, latents = start.decoder, start.latents(histories, _SEARCH_TO_LEARN)
    bar.advance(note=f"{size}: learning to decode")
    matrix, bias = learn_decoder(
        histories,
        latents,
        decoder.matrix,
        decoder.bias,
        epochs=_EPOCHS,
        seed=seed,
    )
    bar.advance(note=size)
    return Compressor(pca.components, Decoder(decoder.quantiser, matrix, bias), searched=True)


def _sharpened(pca: Compressor, sharpness: float) -> Compressor:
    """Return PCA with its scores as logits, for which codes are searched."""
    decoder, factor = pca.decoder, np.float32(sharpness)
    logits = Decoder(decoder.quantiser, decoder.matrix * factor, decoder.bias * factor)
    return Compressor(pca.components, logits, searched=True)


def compressor_of(
    interactions: Interactions, n_bytes: int, seed: int, bits: Bits = "mixed"
) -> Compressor:
    """Return an autoencoder of codes of `n_bytes`, trained on all users.

    Raises
    ------
    UsageError
        A size that is not between 1 and `LARGEST`.
    DataError
        Too few users or items.
    """
    check_sizes([n_bytes])
    histories = histories_of(interactions)
    histories = sp.csr_array(histories[np.flatnonzero(np.diff(histories.indptr))])
    with progress("learning a code", _STAGES) as bar:
        components = _components(histories, n_bytes, seed)
        pca = pca_compressor(components, components.latents(histories), n_bytes, bits)
        bar.advance()
        return learnt_from(pca, histories, seed, bar)


def _components(histories: Matrix, n_bytes: int, seed: int) -> Components:
    return Components.of(histories, min(n_bytes * 8, _MOST_LATENTS), seed)


def histories_of(interactions: Interactions) -> Matrix:
    """Return which items each user has, (n_users, n_items).

    Raises
    ------
    DataError
        Fewer than three users or items.
    """
    histories = Weighting().histories(interactions).matrix
    users = int(np.count_nonzero(np.diff(histories.indptr)))
    items = len(np.unique(histories.indices))
    if min(users, items) < 3:
        raise DataError(
            f"a code is learnt from three users and three items at least; here are {users:,} and "
            f"{items:,}"
        )
    return histories


def check_sizes(sizes: Sequence[int]) -> None:
    """Refuse sizes that are not between 1 and `LARGEST` bytes, or none."""
    if not sizes or not all(1 <= size <= LARGEST for size in sizes):
        raise UsageError(f"--bytes: sizes are from 1 to {LARGEST:,} bytes a user")


@dataclass(frozen=True)
class Kept:
    """What one way of coding keeps.

    Attributes
    ----------
    way
        `autoencoder`, `PCA` or `item list`.
    bits
        How bits are shared out: `8`, `4` or `mixed`; of a list, those of an item.
    n_bytes
        Of a code.
    width
        Latents that have bits; of a list, items that it holds.
    share
        The mean over held-out users of the share of a history found in the top n of what is
        rebuilt, n being its length.
    """

    way: str
    bits: str
    n_bytes: int
    width: int
    share: float


@dataclass(frozen=True, eq=False)
class Compression:
    """What codes keep of the histories of users that nothing was learnt from.

    Attributes
    ----------
    users, median_length
        Users tested, and how many items they have in the middle.
    kept
        One entry a way, sharing of bits and size.
    """

    users: int
    median_length: float
    kept: tuple[Kept, ...]

    def best(self, way: str) -> tuple[Kept, ...]:
        """Return of each size the entry of this way that keeps most."""
        sizes = sorted({one.n_bytes for one in self.kept})
        mine = [one for one in self.kept if one.way == way]
        return tuple(
            max((one for one in mine if one.n_bytes == size), key=lambda one: one.share)
            for size in sizes
        )


def measure_compression(
    interactions: Interactions,
    sizes: Sequence[int] = SIZES,
    kinds: Sequence[Bits] = KINDS,
    seed: int = 98765,
) -> Compression:
    """Return what codes of these sizes keep, for users held out.

    A fifth of the users with five items or more, at most 800, are tested; all is learnt from the
    others. Items that no one else has are left out.

    Parameters
    ----------
    interactions
        The log.
    sizes
        Bytes a user. How long a history is, which decoding must be told, comes on top of all.
    kinds
        How bits are shared out.
    seed
        Of the users held out, and of training.

    Raises
    ------
    UsageError
        A size out of range.
    DataError
        Too few users or items.
    """
    check_sizes(sizes)
    train, test = _held_out(histories_of(interactions), seed)
    kept = list(_listed(train, test, sizes))
    with progress("coding", len(sizes) * len(kinds) * _STAGES) as bar:
        components = _components(train, max(sizes), seed)
        latents = components.latents(train)
        for size, bits in product(sizes, kinds):
            pca = pca_compressor(components, latents, size, bits)
            used = int(np.count_nonzero(pca.decoder.quantiser.bits))
            bar.advance(note=f"{size} bytes")
            ways = (("PCA", pca), ("autoencoder", learnt_from(pca, train, seed, bar)))
            kept += [
                Kept(way, bits, size, used, float(np.nanmean(coder.kept(test))))
                for way, coder in ways
            ]
    return Compression(test.shape[0], float(np.median(np.diff(test.indptr))), tuple(kept))


def _held_out(histories: Matrix, seed: int) -> tuple[Matrix, Matrix]:
    """Return the histories to learn from and those to test, in the items of the former."""
    lengths = np.diff(histories.indptr)
    eligible = np.flatnonzero(lengths >= 5)
    rng = np.random.default_rng(seed)
    test = rng.choice(eligible, min(_TESTED, len(eligible) // 5), replace=False)
    train = np.setdiff1d(np.flatnonzero(lengths), test)
    if not len(test) or len(train) < 3:
        raise DataError("five users with five items or more are needed, to test on one of them")
    columns = np.unique(histories[train].indices)
    return tuple(sp.csr_array(histories[np.sort(rows)][:, columns]) for rows in (train, test))  # type: ignore[return-value]


def _listed(train: Matrix, test: Matrix, sizes: Sequence[int]) -> Iterator[Kept]:
    """Yield what a plain list of items keeps, filled up with the most popular ones."""
    n_items = train.shape[1]
    bits = max(1, math.ceil(math.log2(n_items)))
    popularity = np.bincount(train.indices, minlength=n_items)
    for size in sizes:
        held = size * 8 // bits
        listed = test.copy()
        listed.data = np.ones(listed.nnz, np.float32)
        place = np.arange(test.nnz) - np.repeat(test.indptr[:-1], np.diff(test.indptr))
        listed.data[place >= held] = 0
        scores = (
            block.toarray() + popularity / (popularity.max() + 1) for block in _blocks(listed)
        )
        share = float(np.nanmean(shares_found(test, scores)))
        yield Kept("item list", str(bits), size, held, share)


def _blocks(matrix: Matrix) -> Iterator[Matrix]:
    for start in range(0, matrix.shape[0], _ROWS):
        yield sp.csr_array(matrix[start : start + _ROWS])
