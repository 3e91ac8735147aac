"""The report's part on how sure lists are."""

from __future__ import annotations

from collections.abc import Sequence

from recsys.insight.uncertainty import Bin, Calibrated
from recsys.report import (
    Axis,
    Cell,
    Column,
    Figure,
    LinePlot,
    Note,
    Row,
    Section,
    Series,
    Table,
)


def uncertainty_sections(measured: Sequence[Calibrated]) -> tuple[Section, ...]:
    """Return the section on probabilities and stability, of one model or several."""
    first = measured[0]
    says = (
        f"When {first.model} says how likely a user takes an item, it is {first.ece:.1%} off on "
        f"average, over {first.items:,} listed items of {first.users:,} users held out. Its "
        f"squared error is {first.brier:.4f}, that of knowing only the rank {first.brier_rank:.4f}."
    )
    blocks: list[Figure | Note] = [
        Figure((_reliability(measured),), _table(measured)),
        Note(
            "The nearer a line to the dashed one, the better: where .3 is said, three of ten items "
            "should be taken. A line above it promises too little, one below too much; one that "
            "reaches further right tells likely items from unlikely ones better. Taken means: "
            "among the fifth of the user's items that was held out."
        ),
    ]
    stable = [one for one in measured if one.stable]
    if stable:
        blocks += [
            Figure((_stability(stable),)),
            Note(
                "Stability is the share of draws from a variational model's posterior in which an "
                "item is listed. It promises no rate: read off the line how often items so stable "
                "are taken."
            ),
        ]
    return (Section("How sure lists are", says, tuple(blocks)),)


def _reliability(measured: Sequence[Calibrated]) -> LinePlot:
    most = max(max(bin_.said, bin_.taken) for one in measured for bin_ in one.bins)
    series = (
        Series("exact", ((0.0, 0.0), (most, most)), compared=True),
        *(Series(one.model, _points(one.bins), number) for number, one in enumerate(measured)),
    )
    says = "; ".join(f"{one.model}: {one.ece:.1%} off on average" for one in measured)
    x, y = Axis("said probability", zero=True), Axis("share taken", zero=True)
    return LinePlot("Ten bins of as many items each", says, x, y, series)


def _stability(measured: Sequence[Calibrated]) -> LinePlot:
    series = tuple(
        Series(one.model, _points(one.stable), number) for number, one in enumerate(measured)
    )
    says = "Share taken by stability, ten bins of as many items each."
    x, y = Axis("stability", zero=True), Axis("share taken", zero=True)
    return LinePlot("Stability and what was taken", says, x, y, series)


def _points(bins: Sequence[Bin]) -> tuple[tuple[float, float], ...]:
    return tuple((one.said, one.taken) for one in bins)


def _table(measured: Sequence[Calibrated]) -> Table:
    columns = (
        Column("Model", number=False),
        *map(
            Column,
            ("Off on average", "Squared error", "Rank alone", "p", "Base rate", "p"),
        ),
    )
    rows = tuple(
        Row(
            (
                Cell(one.model),
                *(
                    Cell(text, value)
                    for text, value in (
                        (f"{one.ece:.4f}", one.ece),
                        (f"{one.brier:.4f}", one.brier),
                        (f"{one.brier_rank:.4f}", one.brier_rank),
                        (f"{one.p_rank:.1g}", one.p_rank),
                        (f"{one.brier_base:.4f}", one.brier_base),
                        (f"{one.p_base:.1g}", one.p_base),
                    )
                ),
            )
        )
        for one in measured
    )
    return Table("Calibration error (ECE) and Brier scores on test users", columns, rows)
