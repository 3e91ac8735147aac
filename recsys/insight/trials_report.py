"""The report's tables of what was put into the log, and how well each way found it."""

from __future__ import annotations

from collections.abc import Sequence

from recsys.insight.trials import FACTORS, Trial
from recsys.report import Cell, Column, Note, Row, Table


def trial_blocks(trials: Sequence[Trial], ours: str, put_in: str) -> tuple[Table | Note, ...]:
    """Return a table of trials with a sentence on what to see in it; nothing without trials.

    Parameters
    ----------
    trials
        All of the same ways.
    ours
        The way that is measured; PCA is one of the others.
    put_in
        How much of what was put in.
    """
    if not trials:
        return ()
    ways = tuple(trials[0].areas)
    rows = tuple(
        Row(
            (
                Cell(one.put_in),
                *(
                    Cell(f"{area:.3f}", area, best=area == max(one.areas.values()))
                    for area in one.areas.values()
                ),
            )
        )
        for one in trials
    )
    caption = "Put in, and found: area under the ROC curve"
    table = Table(caption, (Column("What", number=False), *map(Column, ways)), rows)
    better = [one.put_in for one in trials if one.areas[ours] > one.areas["PCA"]]
    says = (
        f"Put into this log ({put_in}) and looked for: 1 finds all of it before anything else, .5 "
        f"is chance. By {ours} "
        + (f"{' and '.join(better)} are" if better else "nothing is")
        + f" found better than by PCA ({FACTORS} factors of the same log)."
    )
    return table, Note(says)
