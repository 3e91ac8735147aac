"""Measure how well probabilities hold: over the lists of users held out.

    python benchmarks/insight_uncertainty.py --data data/online-retail

Tables are printed as Markdown.
"""

from __future__ import annotations

import click

from recsys.cli import run
from recsys.insight.generation_measures import split_of
from recsys.insight.uncertainty import measure_uncertainty
from recsys.interactions.dataset import load_dataset
from recsys.interactions.weighting import Weighting
from recsys.models.base import RunOptions


@click.command()
@click.option("--data", required=True)
@click.option("--models", default="dan-edlae,ease,pure-svd,mult-vae", show_default=True)
@click.option("--seeds", default="11,12", show_default=True)
def uncertainty(*, data: str, models: str, seeds: str) -> None:
    """One row a model and split, and its ten bins: said / taken."""
    log = load_dataset(data).interactions
    _row("model", "seed", "ECE", "Brier", "of rank", "p", "of base rate", "p", "bins, said / taken")
    _row(*["---"] * 9)
    for name in models.split(","):
        for seed in map(int, seeds.split(",")):
            split = split_of(log, seed)
            one = measure_uncertainty(name, split, Weighting(), RunOptions(seed=seed))
            bins = ", ".join(f"{each.said:.2f}/{each.taken:.2f}" for each in one.bins)
            stable = ", ".join(f"{each.said:.2f}/{each.taken:.2f}" for each in one.stable)
            _row(
                name, str(seed), f"{one.ece:.4f}", f"{one.brier:.4f}", f"{one.brier_rank:.4f}",
                f"{one.p_rank:.1g}", f"{one.brier_base:.4f}", f"{one.p_base:.1g}",
                bins + (f"; stability {stable}" if stable else ""),
            )  # fmt: skip


def _row(*cells: str) -> None:
    click.echo(f"| {' | '.join(cells)} |")


if __name__ == "__main__":
    run(uncertainty)
