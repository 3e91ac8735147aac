"""An item-item matrix from the Gram matrix, in place: one n × n float32 array, two at most."""

from __future__ import annotations

import hashlib
import os
from pathlib import Path

import numpy as np
import numpy.typing as npt

from recsys.errors import TrainingError
from recsys.interactions.tables import FloatArray, Matrix
from recsys.progress import progress

Doubles = npt.NDArray[np.float64]

_BLOCK = 512  # rows worked on at once
_TOLERANCE = 0.01  # of ‖P(G + Λ)v − v‖ / ‖v‖; float64 gives about 1e-13, healthy float32 1e-5


class Grams:
    """Keeps the last Gram matrix, so that fits on the same rows share it.

    It costs another n × n array while it lives.
    """

    def __init__(self) -> None:
        self._key = b""
        self._gram: FloatArray | None = None

    def copy_for(self, matrix: Matrix) -> FloatArray:
        """Return XᵀX, float32 (n_items, n_items), to be written to."""
        digest = hashlib.blake2b()
        for array in (matrix.indptr, matrix.indices, matrix.data):
            digest.update(np.ascontiguousarray(array).data)
        key = digest.digest() + matrix.shape[1].to_bytes(8)
        if self._gram is None or self._key != key:
            self._gram = None  # never two kept at once
            self._key, self._gram = key, _gram(matrix)
        return self._gram.copy()


def diagonal_free(
    matrix: Matrix,
    penalty: Doubles,
    popularity: Doubles | None = None,
    *,
    target: Matrix | None = None,
    seed: int,
    grams: Grams | None = None,
) -> FloatArray:
    """Return the item-item matrix whose diagonal is 0, found in one n × n float32 array.

    With Λ = diag(penalty), B minimises ‖Y − XB‖² + ‖Λ^½ B‖² under diag B = 0:

        P = (XᵀX + Λ)⁻¹,  C = P XᵀY,  B = C − P · diag(diag C / diag P)

    which for Y = X is I − P · diag(1 / diag P). Returned is S B S⁻¹ with S = diag(popularity).

    Parameters
    ----------
    matrix
        X, float32 CSR (n_users, n_items).
    penalty
        (n_items,), above 0.
    popularity
        (n_items,), above 0; None is 1 throughout.
    target
        Y, as X; None is X. With it a second n × n array is needed.
    seed
        Seeds the vector with which the inverse is tested.
    grams
        Where XᵀX may lie already; it is left there for the next fit.

    Raises
    ------
    TrainingError
        The arrays do not fit into memory, or float32 was not exact enough.
    """
    _check_memory(matrix.shape[1], 1 + (target is not None) + (grams is not None))
    inverse = _gram(matrix) if grams is None else grams.copy_for(matrix)
    inverse[np.diag_indices_from(inverse)] += penalty.astype(np.float32)
    _invert(inverse)
    _check_inverse(inverse, matrix, penalty, seed)
    if target is None:
        inverse *= (-1 / np.diagonal(inverse).astype(np.float64)).astype(np.float32)
        weights = inverse
    else:
        weights = _towards(inverse, matrix, target)
    if popularity is not None:
        weights *= popularity.astype(np.float32)[:, None]
        weights *= (1 / popularity).astype(np.float32)
    np.fill_diagonal(weights, 0)
    return weights


def _towards(inverse: FloatArray, matrix: Matrix, target: Matrix) -> FloatArray:
    """Return B, but for its diagonal, from P, X and Y."""
    n_items = len(inverse)
    weights = np.empty_like(inverse)
    transposed, by_item = matrix.T.tocsr(), target.tocsc()
    starts = range(0, n_items, _BLOCK)
    with progress("aged targets", len(starts)) as bar:
        for start in starts:
            columns = slice(start, start + _BLOCK)
            block = inverse @ (transposed @ by_item[:, columns]).toarray()  # C's columns
            own = np.diagonal(block, -start).astype(np.float64)
            factors = own / np.diagonal(inverse)[columns]
            block -= inverse[:, columns] * factors.astype(np.float32)
            weights[:, columns] = block
            bar.advance()
    return weights


def _check_memory(n_items: int, n_arrays: int) -> None:
    needed, available = 4 * n_items * (n_arrays * n_items + 5 * _BLOCK), _available_memory()
    if available is not None and needed > available:
        raise TrainingError(
            f"an item-item matrix of {n_items:,} items needs {needed / 1e9:,.1f} GB of memory, "
            f"{available / 1e9:,.1f} GB are free; keep fewer items (raise "
            "min_item_users) or train elsa, which needs no such matrix"
        )


def _available_memory() -> int | None:
    """Return the bytes that can be had without swapping, None where the system does not say."""
    meminfo = Path("/proc/meminfo")
    if meminfo.exists():
        for line in meminfo.read_text(encoding="ascii").splitlines():
            if line.startswith("MemAvailable:"):
                return int(line.split()[1]) * 1024
    try:
        return os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    except (AttributeError, ValueError, OSError):
        return None


def _gram(matrix: Matrix) -> FloatArray:
    """Return XᵀX, dense; made of blocks of rows, so that no sparse product of that size exists."""
    n_items = matrix.shape[1]
    gram = np.empty((n_items, n_items), np.float32)
    transposed = matrix.T.tocsr()
    for start in range(0, n_items, _BLOCK):
        block = transposed[start : start + _BLOCK] @ matrix
        block.toarray(out=gram[start : start + _BLOCK])
    return gram


def _invert(matrix: FloatArray) -> None:
    """Invert a symmetric positive definite matrix in place.

    The sweep operator, by blocks: with D the inverse of the pivot block A_KK,

        A_IJ ← A_IJ − A_IK D A_KJ,  A_KJ ← D A_KJ,  A_KK ← −D

    leaves −A⁻¹ once every block was the pivot; A stays symmetric, so the upper triangle is enough.
    LAPACK's potrf and potri do as many operations, but the potrf of OpenBLAS (to 0.3.31 at least)
    crashes with several threads somewhere above 24,000 rows, and products of blocks never do.
    """
    n = len(matrix)
    starts = range(0, n, _BLOCK)
    with progress("item-item matrix", len(starts)) as bar:
        for start in starts:
            end = min(start + _BLOCK, n)
            pivot = _inverse_pivot(matrix[start:end, start:end])
            panel = np.hstack([matrix[:start, start:end].T, matrix[start:end, start:]])  # A_K·
            solved = pivot @ panel
            for row in starts:
                if row != start:
                    column = panel[:, row : row + _BLOCK].T  # A_·K
                    matrix[row : row + _BLOCK, row:] -= column @ solved[:, row:]
            matrix[:start, start:end] = solved[:, :start].T
            matrix[start:end, end:] = solved[:, end:]
            matrix[start:end, start:end] = -pivot
            bar.advance()
    _negate_and_mirror(matrix)


def _negate_and_mirror(matrix: FloatArray) -> None:
    """Change the sign of the upper triangle, and copy it to the lower."""
    n = len(matrix)
    for start in range(0, n, _BLOCK):
        end = min(start + _BLOCK, n)
        corner = matrix[start:end, start:end]
        corner[:] = -np.triu(corner) - np.triu(corner, 1).T
        for column in range(end, n, _BLOCK):
            block = matrix[start:end, column : column + _BLOCK]
            np.negative(block, out=block)
            matrix[column : column + _BLOCK, start:end] = block.T


def _inverse_pivot(block: FloatArray) -> FloatArray:
    """Return the inverse of a block, of which the upper triangle counts; found in float64."""
    try:
        factor = np.linalg.cholesky(block.astype(np.float64), upper=True)
    except np.linalg.LinAlgError as error:
        raise TrainingError(
            "the Gram matrix is not positive definite in float32; raise l2"
        ) from error
    root = np.linalg.inv(factor)
    return (root @ root.T).astype(np.float32)


def _check_inverse(inverse: FloatArray, matrix: Matrix, penalty: Doubles, seed: int) -> None:
    """Refuse an inverse that does not bring a random v back from (XᵀX + Λ)v."""
    v = np.random.default_rng(seed).standard_normal(len(inverse))
    image = matrix.T @ (matrix @ v) + penalty * v
    error = np.linalg.norm(inverse @ image.astype(np.float32) - v) / np.linalg.norm(v)
    if not error <= _TOLERANCE:  # NaN too
        raise TrainingError(
            f"float32 is not exact enough for this Gram matrix (relative error {error:.2g}); "
            "raise l2"
        )
