"""Ages of entries, for models that count what happened lately for more."""

from __future__ import annotations

from typing import Annotated

import numpy as np
from pydantic import Field

from recsys.errors import DataError
from recsys.interactions.tables import MICROSECONDS_PER_DAY, FloatArray, Histories, LongArray
from recsys.interactions.weighting import HALF_LIVES

HalfLife = Annotated[
    Annotated[float, Field(gt=0, allow_inf_nan=False)] | None,
    HALF_LIVES,
]


def times_of(histories: Histories, model: str, setting: str) -> LongArray:
    """Return the time of each entry, int64 (nnz,).

    Raises
    ------
    DataError
        The histories have none; the message names the model's setting that needs them.
    """
    if histories.times is None:
        raise DataError(
            f"{model} with {setting} needs the time of each interaction",
            hint=f"leave {setting} out, or name the time column",
        )
    return histories.times


def recency(times: LongArray, newest: LongArray | np.int64, half_life_days: float) -> FloatArray:
    """Return 0.5^(age / half-life) of each time, its age counted back from `newest`."""
    age = (newest - times) / MICROSECONDS_PER_DAY
    halved: FloatArray = np.exp2(-age / half_life_days).astype(np.float32)
    return halved
