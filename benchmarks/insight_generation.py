"""Measure synthetic users: what they teach a recommender, and how near they come to real ones.

    python benchmarks/insight_generation.py --data data/online-retail

Tables are printed as Markdown.
"""

from __future__ import annotations

import click
import numpy as np

from recsys.cli import run
from recsys.evaluation.fitting import fit_chosen
from recsys.insight.generation import Sampling
from recsys.insight.generation_measures import (
    GENERATOR,
    Doubles,
    GenerationTrial,
    measure_generation,
    split_of,
)
from recsys.interactions.dataset import load_dataset
from recsys.interactions.weighting import Weighting
from recsys.models.base import RunOptions
from recsys.models.variational import Variational


@click.command()
@click.option("--data", required=True)
@click.option("--seeds", default="11", show_default=True)
@click.option("--temperatures", default="0.5", show_default=True)
@click.option("--model", default=GENERATOR, show_default=True)
def generation(*, data: str, seeds: str, temperatures: str, model: str) -> None:
    """One row a generator and temperature, and one for the real users."""
    log = load_dataset(data).interactions
    _row(
        *("seed", "users", "temperature", "NDCG@100", "of real", "popularity r", "pairs r"),
        *("lengths apart", "copies", "nearest, median", "nearest 1 %", "nearer to seen"),
    )
    _row(*["---"] * 12)
    for seed in map(int, seeds.split(",")):
        split, options = split_of(log, seed), RunOptions(seed=seed)
        fitted = fit_chosen(model, {}, Weighting(), split.training, options)
        if not isinstance(fitted, Variational):
            raise click.UsageError(f"{model} is not variational")
        for temperature in map(float, temperatures.split(",")):
            sampling = Sampling(temperature=temperature)
            _rows(seed, temperature, measure_generation(log, split, fitted, options, sampling))


def _rows(seed: int, temperature: float, trial: GenerationTrial) -> None:
    for one in trial.generators:
        fidelity = one.fidelity
        figures = (fidelity.popularity, fidelity.together, fidelity.lengths)
        _row(
            str(seed), one.name, str(temperature), f"{one.ndcg:.4f}",
            f"{one.ndcg / trial.ndcg_real:.0%}", *(f"{figure:.3f}" for figure in figures),
            str(fidelity.copies), *_near(fidelity.nearest), f"{fidelity.nearer_to_seen:.3f}",
        )  # fmt: skip
    held_out = trial.generators[0].fidelity.nearest_real
    _row(str(seed), "real", "", f"{trial.ndcg_real:.4f}", *[""] * 5, *_near(held_out), "")


def _near(distances: Doubles) -> list[str]:
    return [f"{np.quantile(distances, q):.3f}" for q in (0.5, 0.01)]


def _row(*cells: str) -> None:
    click.echo(f"| {' | '.join(cells)} |")


if __name__ == "__main__":
    run(generation)
