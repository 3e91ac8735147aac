"""What the models have in common: settings, and the way to implicit."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from typing import Annotated, Any

import numpy as np
import scipy.sparse as sp
from pydantic import Field
from threadpoolctl import threadpool_limits

from recsys.interactions.tables import FloatArray, Histories, Matrix
from recsys.models.base import RunOptions
from recsys.progress import progress
from recsys.settings import Search

Count = Annotated[int, Field(ge=1)]
Factors = Annotated[int, Field(ge=1), Search(64, 512, log=True)]
Positive = Annotated[float, Field(gt=0, allow_inf_nan=False)]


def trained(
    solver: Callable[..., Any], config: Any, train: Histories, options: RunOptions
) -> FloatArray:
    """Fit one of implicit's factorisations, whose arguments our configs name alike.

    Returns
    -------
    The item factors, with whatever columns the solver keeps biases in.
    """
    settings = dataclasses.asdict(config)
    settings.pop("fold_in_steps", None)
    state = int(np.random.default_rng(options.seed).integers(2**31))
    # implicit runs its own threads and asks for one BLAS thread beside them
    with threadpool_limits(1, user_api="blas"), progress("fit", config.iterations) as bar:
        fitted = solver(**settings, random_state=state)
        matrix = for_implicit(train.matrix)
        fitted.fit(matrix, show_progress=False, callback=lambda *_: bar.advance())
    factors: FloatArray = fitted.item_factors
    return factors


def for_implicit(matrix: Matrix) -> sp.csr_matrix[np.float32]:
    """Return a copy that implicit takes and may write to."""
    arrays = (matrix.data, matrix.indices.astype(np.int32), matrix.indptr.astype(np.int32))
    return sp.csr_matrix(arrays, shape=matrix.shape, copy=True)
