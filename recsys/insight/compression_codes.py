"""Codes of a fixed number of bytes for real numbers, and principal components to be coded."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Literal

import numpy as np
import numpy.typing as npt
import scipy.sparse as sp
from scipy.sparse.linalg import LinearOperator, svds

from recsys.interactions.tables import FloatArray, Matrix

Doubles = npt.NDArray[np.float64]
Codes = npt.NDArray[np.uint8]
Bits = Literal["8", "4", "mixed"]

_LLOYD_STEPS = 30
_MOST_BITS = 8
_ROWS = 500


@dataclass(frozen=True, eq=False)
class Quantiser:
    """Turns latents into bytes and back.

    Attributes
    ----------
    books
        Of each latent that has bits, the values that it may take: 2^bits, ascending.
    """

    books: tuple[Doubles, ...]

    @classmethod
    def of(cls, latents: FloatArray, n_bytes: int, bits: Bits) -> Quantiser:
        """Return the quantiser that errs least on these latents, in squares.

        Each book is Lloyd and Max's for its latent. With `8` or `4` bits the first latents have
        that many each; with `mixed` every further bit goes where it takes most off the error, which
        is the best there is for independent latents coded one by one.

        Parameters
        ----------
        latents
            (n, width), the most important first.
        n_bytes
            Size of a code.
        bits
            How they are shared out.
        """
        if bits != "mixed":
            wanted = min(n_bytes * 8 // int(bits), latents.shape[1])
            return cls(tuple(_book(column, int(bits)) for column in latents.T[:wanted]))
        books = [[np.array([column.mean()])] for column in latents.T]
        errors = [[float(column.var())] for column in latents.T]
        held = np.zeros(len(books), np.int64)
        gains = np.array([_gain(*one, 0) for one in zip(latents.T, books, errors, strict=True)])
        for _ in range(n_bytes * 8):
            best = int(gains.argmax())
            if gains[best] == -np.inf:  # all have as many as there may be
                break
            held[best] += 1
            gains[best] = _gain(latents[:, best], books[best], errors[best], int(held[best]))
        used = int(np.flatnonzero(held)[-1]) + 1
        return cls(tuple(books[place][held[place]] for place in range(used)))

    @property
    def bits(self) -> npt.NDArray[np.int64]:
        """int64 (width,): how many each latent has, at most 8 × the bytes of a code together."""
        return np.array([len(book).bit_length() - 1 for book in self.books])

    def rounded(self, latents: FloatArray) -> FloatArray:
        """Return the latents as they come back from their codes: (n, width)."""
        return np.stack(
            [
                book[_index(column, book)]
                for column, book in zip(latents.T, self.books, strict=False)
            ],
            axis=1,
        ).astype(np.float32)

    def encode(self, latents: FloatArray) -> Codes:
        """Return uint8 (n, n_bytes)."""
        columns = [
            (_index(column, book)[:, None] >> np.arange(width)[::-1]) & 1
            for column, book, width in zip(latents.T, self.books, self.bits, strict=False)
        ]
        return np.packbits(np.concatenate(columns, axis=1).astype(np.uint8), axis=1)

    def decode(self, codes: Codes) -> FloatArray:
        """Return the latents of codes, float32 (n, width)."""
        bits, start = np.unpackbits(codes, axis=1), 0
        latents = np.empty((len(codes), len(self.books)), np.float32)
        for place, (book, width) in enumerate(zip(self.books, self.bits.tolist(), strict=True)):
            powers = 1 << np.arange(width)[::-1]
            latents[:, place] = book[bits[:, start : start + width].astype(np.int64) @ powers]
            start += width
        return latents


def _gain(
    column: npt.NDArray[np.floating], books: list[Doubles], errors: list[float], held: int
) -> float:
    """Return what one bit more takes off the error; the book for it is kept."""
    if held == _MOST_BITS:
        return -np.inf
    if len(books) == held + 1:
        books.append(_book(column, held + 1))
        errors.append(float(np.mean((column - books[-1][_index(column, books[-1])]) ** 2)))
    return errors[held] - errors[held + 1]


def _book(column: npt.NDArray[np.floating], bits: int) -> Doubles:
    """Return 2^bits values to round to, ascending: each the mean of what is rounded to it."""
    size = 2**bits
    book: Doubles = np.quantile(column, (np.arange(size) + 0.5) / size).astype(np.float64)
    for _ in range(_LLOYD_STEPS):
        nearest = _index(column, book)
        counts = np.bincount(nearest, minlength=size)
        sums = np.bincount(nearest, column, size)
        book = np.sort(np.where(counts > 0, sums / np.maximum(counts, 1), book))
    return book


def _index(column: npt.NDArray[np.floating], book: Doubles) -> npt.NDArray[np.int64]:
    return np.searchsorted((book[1:] + book[:-1]) / 2, column)


@dataclass(frozen=True, eq=False)
class Decoder:
    """Turns codes into scores q D + c, q being a code's latents.

    Attributes
    ----------
    quantiser
        What latents a code stands for.
    matrix, bias
        D, float32 (width, n_items), and c, (n_items,).
    """

    quantiser: Quantiser
    matrix: FloatArray
    bias: FloatArray

    def scores(self, codes: Codes) -> Iterator[FloatArray]:
        """Yield scores, float32 (at most 500, n_items), for the codes in order."""
        for start in range(0, len(codes), _ROWS):
            yield self.quantiser.decode(codes[start : start + _ROWS]) @ self.matrix + self.bias


@dataclass(frozen=True, eq=False)
class Components:
    """Principal components of histories whose n entries weigh n^(−¼) each.

    The power makes long histories count somewhat less; on the bundled shop PCA keeps more of a
    history with it than with entries of 1.

    Attributes
    ----------
    mean
        float32 (n_items,).
    vectors
        float32 (n_items, width), orthonormal, the most important first.
    spread
        float32 (width,): standard deviations of the latents that they were learnt from.
    """

    mean: FloatArray
    vectors: FloatArray
    spread: FloatArray

    @classmethod
    def of(cls, histories: Matrix, width: int, seed: int) -> Components:
        """Return at most `width` components of the histories, (n, n_items)."""
        matrix = _scaled(histories)
        mean = np.asarray(matrix.mean(axis=0), np.float32).ravel()
        turned = sp.csr_array(matrix.T)
        centred = LinearOperator(
            matrix.shape,
            matvec=lambda x: matrix @ x.ravel() - mean @ x.ravel(),
            rmatvec=lambda y: turned @ y.ravel() - mean * y.sum(),
            dtype=np.float32,
        )
        start = np.random.default_rng(seed).standard_normal(min(matrix.shape)).astype(np.float32)
        _, sizes, vectors = svds(centred, min(width, min(matrix.shape) - 1), v0=start)
        order = np.argsort(-sizes)
        spread = (sizes[order] / np.sqrt(matrix.shape[0])).astype(np.float32)
        return cls(mean, np.ascontiguousarray(vectors[order].T, np.float32), spread)

    def latents(self, histories: Matrix) -> FloatArray:
        """Return the latents of histories: float32 (b, width)."""
        latents: FloatArray = _scaled(histories) @ self.vectors - self.mean @ self.vectors
        return latents


def _scaled(histories: Matrix) -> Matrix:
    lengths = np.diff(histories.indptr)
    data = np.repeat(np.maximum(lengths, 1) ** -0.25, lengths).astype(np.float32)
    return sp.csr_array((data, histories.indices, histories.indptr), shape=histories.shape)


def shares_found(histories: Matrix, scores: Iterator[FloatArray]) -> Doubles:
    """Return which share of each history is among the n items of highest score, n its length.

    NaN for an empty one. `scores` come in blocks of rows, in order.
    """
    shares, row = np.full(histories.shape[0], np.nan), 0
    for block in scores:
        for line in block:
            own = histories.indices[histories.indptr[row] : histories.indptr[row + 1]]
            if len(own):
                top = np.argpartition(-line, len(own) - 1)[: len(own)]
                shares[row] = np.isin(own, top).mean()
            row += 1
    return shares
