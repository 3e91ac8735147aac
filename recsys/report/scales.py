"""From values to places on an axis, and where its ticks are."""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import dataclass

Tick = tuple[float, str]
"""A place on an axis, as a value, and what stands there."""


@dataclass(frozen=True)
class Scale:
    """The part of the number line that an axis shows.

    Attributes
    ----------
    low, high
        Its ends; low < high, and 0 < low where `log`.
    log
        Whether equal distances are equal ratios.
    """

    low: float
    high: float
    log: bool = False

    @classmethod
    def around(
        cls, values: Iterable[float], *, log: bool = False, zero: bool = False, margin: float = 0.05
    ) -> Scale:
        """Return a scale that shows all values.

        Parameters
        ----------
        values
            What is to be shown; none at all is shown from 0 to 1.
        log
            Show ratios; values must be positive.
        zero
            Show 0 as well, without a margin where it is an end.
        margin
            Room at each end, as a share of the length from the least to the largest value.
        """
        shown = list(values) or [1.0]
        if log:
            return cls._ratios(shown, margin)
        low, high = min(shown), max(shown)
        if zero:
            low, high = min(low, 0.0), max(high, 0.0)
        if low == high:
            low, high = low - (abs(low) / 2 or 0.5), high + (abs(high) / 2 or 0.5)
        margin *= high - low
        return cls(
            low if zero and low == 0 else low - margin,
            high if zero and high == 0 else high + margin,
        )

    @classmethod
    def _ratios(cls, values: list[float], margin: float) -> Scale:
        low, high = math.log10(min(values)), math.log10(max(values))
        if high - low < 0.3:
            low, high = low - 0.15, high + 0.15
        margin *= high - low
        return cls(10 ** (low - margin), 10 ** (high + margin), log=True)

    def __call__(self, value: float) -> float:
        """Return where a value lies: 0 at the low end, 1 at the high one."""
        if self.log:
            return math.log(value / self.low) / math.log(self.high / self.low)
        return (value - self.low) / (self.high - self.low)

    def ticks(self, most: int) -> list[Tick]:
        """Return at most about `most` ticks at round numbers, in order."""
        if self.log:
            ticks = self._log_ticks(most)
            if len(ticks) > 1:
                return [(value, short(value)) for value in ticks]
        step = _round_step((self.high - self.low) / max(most, 1))
        first, last = math.ceil(self.low / step - 1e-9), math.floor(self.high / step + 1e-9)
        decimals = max(0, -math.floor(math.log10(step) + 1e-9))
        if round(step * 10**decimals, 6) % 1:
            decimals += 1  # steps of 0.25 or 2.5
        return [
            (number * step, _plain(number * step, decimals)) for number in range(first, last + 1)
        ]

    def _log_ticks(self, most: int) -> list[float]:
        """Return 1, 2, 5, 10, …, or powers of ten alone, as many as there is room for."""
        exponents = range(math.floor(math.log10(self.low)), math.ceil(math.log10(self.high)) + 1)
        for digits, every in (((1, 2, 5), 1), ((1,), 1), ((1,), 2), ((1,), 3)):
            ticks = [
                digit * 10.0**exponent
                for exponent in exponents
                if exponent % every == 0
                for digit in digits
                if self.low <= digit * 10.0**exponent <= self.high
            ]
            if len(ticks) <= most:
                break
        return ticks


def short(value: float) -> str:
    """Return a number as an axis shows it: 0.05, 20, 5k, 2M."""
    for size, letter in ((1e9, "G"), (1e6, "M"), (1e3, "k")):
        if abs(value) >= size:
            return f"{value / size:g}{letter}"
    return f"{value:g}"


def _plain(value: float, decimals: int) -> str:
    return short(value) if abs(value) >= 10_000 else f"{value + 0.0:,.{decimals}f}"


def _round_step(least: float) -> float:
    """Return the smallest of 1, 2, 2.5, 5 times a power of ten that is not below `least`."""
    power = 10.0 ** math.floor(math.log10(least))
    return next(power * step for step in (1, 2, 2.5, 5, 10) if power * step >= least * (1 - 1e-9))
