from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
import scipy.sparse as sp

from insight_logs import four_tastes
from recsys.errors import DataError, SettingsError, UsageError
from recsys.ids import IdMap
from recsys.insight.generation import Sampling, Tastes, generate
from recsys.insight.generation_baselines import Principal
from recsys.insight.generation_data import write_synthetic
from recsys.insight.generation_measures import (
    compare,
    measure_generation,
    split_of,
)
from recsys.insight.generation_report import generation_sections
from recsys.interactions.catalogue import Catalogue
from recsys.interactions.dataset import Dataset, load_dataset
from recsys.interactions.tables import Histories, Interactions, Matrix
from recsys.interactions.weighting import Weighting
from recsys.models.autoencoders.mult_vae import MultVAE, MultVAEConfig
from recsys.models.base import RunOptions
from recsys.models.variational import Variational
from recsys.report import Figure, Page, render
from recsys.settings import validated

CONFIG = MultVAEConfig(hidden=(64, 8), epochs=40, patience=None, learning_rate=5e-3)


@pytest.fixture(scope="module")
def histories(log: Interactions) -> Histories:
    return Weighting().histories(log)


@pytest.fixture(scope="module")
def model(histories: Histories) -> MultVAE:
    return MultVAE(CONFIG).fit(histories)


@pytest.fixture
def rng() -> np.random.Generator:
    return np.random.default_rng(7)


def of_taste(matrix: Matrix, taste: int) -> float:
    return float(np.mean(matrix.indices % 4 == taste))


def test_synthetic_users_are_like_the_real_ones_and_none_of_them(
    model: MultVAE, histories: Histories, rng: np.random.Generator
) -> None:
    real = histories.matrix
    drawn = generate(model, Tastes.of(model, histories), 400, real=real, rng=rng)
    matrix = drawn.histories
    assert matrix.shape == (400, 80)
    assert np.all(matrix.data == 1)
    assert drawn.given_up == 0
    found = compare(matrix, real)
    assert found.popularity > 0.7
    assert found.together > 0.8
    assert found.lengths < 0.1
    assert found.copies == 0
    own = [np.bincount(row.indices % 4, minlength=4).max() / row.nnz for row in rows_of(matrix)]
    assert np.mean(own) > 0.7  # they have tastes, where items drawn by lot would have .25


def rows_of(matrix: Matrix) -> Iterator[Matrix]:
    return (matrix[[row]] for row in range(matrix.shape[0]))


def test_a_segment_gives_its_own_kind(
    model: MultVAE, histories: Histories, rng: np.random.Generator
) -> None:
    segment = histories.rows(np.arange(1, 300, 4))
    drawn = generate(model, Tastes.of(model, segment), 100, real=histories.matrix, rng=rng)
    assert of_taste(drawn.histories, 1) > 0.7


def test_between_two_users_lies_what_both_have(
    model: MultVAE, histories: Histories, rng: np.random.Generator
) -> None:
    tastes = Tastes.of(model, histories.rows(np.array([0, 1]))).between(11)
    assert len(tastes.lengths) == 11
    np.testing.assert_allclose(tastes.mean[5], tastes.mean[[0, 10]].mean(axis=0), rtol=1e-5)
    drawn = generate(model, tastes, 200, real=histories.matrix, rng=rng).histories
    assert of_taste(drawn, 0) + of_taste(drawn, 1) > 0.7
    assert min(of_taste(drawn, 0), of_taste(drawn, 1)) > 0.2


def test_the_prior_is_nobodys_taste(model: MultVAE, histories: Histories) -> None:
    prior = Tastes.of(model, histories).prior()
    latents, lengths = prior.drawn(5000, np.random.default_rng(1))
    assert abs(float(latents.mean())) < 0.02
    assert abs(float(latents.std()) - 1) < 0.02
    assert set(lengths) <= set(np.diff(histories.matrix.indptr))


def test_the_same_seed_gives_the_same_users(model: MultVAE, histories: Histories) -> None:
    tastes = Tastes.of(model, histories)
    one, other = (
        generate(model, tastes, 50, real=histories.matrix, rng=np.random.default_rng(3)).histories
        for _ in range(2)
    )
    assert (one != other).nnz == 0


class Narrow:
    """A model that knows one history of three items."""

    name = "narrow"

    def posterior(self, histories: Histories) -> tuple[np.ndarray, np.ndarray]:
        zeros = np.zeros((len(histories), 1), np.float32)
        return zeros, zeros

    def decode(self, latents: np.ndarray) -> np.ndarray:
        return np.tile(np.float32([40, 40, 40, 0, 0]), (len(latents), 1))


def test_copies_are_left_out_where_nothing_else_comes(rng: np.random.Generator) -> None:
    model = Narrow()
    assert isinstance(model, Variational)
    rows = sp.csr_array(np.float32([[1, 1, 1, 0, 0], [1, 1, 0, 0, 0]]))
    tastes = Tastes.of(model, Histories(rows))
    drawn = generate(model, tastes, 40, real=rows, rng=rng, sampling=Sampling(rounds=0))
    assert drawn.given_up + drawn.histories.shape[0] == 40
    assert set(np.diff(drawn.histories.indptr)) == {2}  # too short to be anyone's
    assert drawn.redrawn + drawn.given_up > 5


@pytest.mark.parametrize("wrong", [{"temperature": 0}, {"parts": 0}, {"temperature": np.nan}])
def test_sampling_refuses_what_cannot_be(wrong: dict[str, float]) -> None:
    with pytest.raises(SettingsError):
        validated(Sampling, wrong, "sampling")


def test_comparing_a_log_with_itself(histories: Histories) -> None:
    found = compare(histories.matrix, histories.matrix)
    assert found.popularity == pytest.approx(1)
    assert found.together == pytest.approx(1)
    assert found.lengths == 0
    assert found.copies == len({row.indices.tobytes() for row in rows_of(histories.matrix)
                                if row.nnz >= 5})  # fmt: skip
    np.testing.assert_allclose(found.nearest, 0, atol=1e-6)
    assert np.median(found.nearest_real) > 0.3  # to others than themselves


def test_copies_of_who_was_seen_are_nearer_to_them_and_others_are_not() -> None:
    matrix = Weighting().histories(four_tastes(900, 3)).matrix
    seen, unseen, others = (matrix[part::3] for part in range(3))
    nobody_in_particular = compare(others, seen, unseen).nearer_to_seen
    assert nobody_in_particular == pytest.approx(0.5, abs=0.1)
    changed = seen.tolil()
    changed[:, 0] = 1  # nearly copies
    copied = compare(sp.csr_array(changed), seen, unseen).nearer_to_seen
    assert copied is not None
    assert copied > 0.9
    assert compare(others, seen).nearer_to_seen is None
    short = sp.csr_array(np.eye(3, 80, dtype=np.float32))
    assert compare(short, seen, unseen).nearer_to_seen is None


def test_nearness_to_a_segments_kind_is_that_to_anyone(histories: Histories) -> None:
    everyone = histories.matrix
    drawn, segment = everyone[:40], everyone[100:140]  # what is drawn is a copy of others
    assert compare(drawn, segment).copies == 0
    found = compare(drawn, segment, everyone=everyone)
    assert found.copies > 30
    np.testing.assert_allclose(found.nearest, 0, atol=1e-6)
    assert found.popularity == compare(drawn, segment).popularity


def test_pca_draws_by_the_same_way(histories: Histories, rng: np.random.Generator) -> None:
    pca = Principal.of(histories.matrix)
    mean, variance = pca.posterior(histories)
    assert mean.shape == variance.shape == (300, 79)
    np.testing.assert_allclose(pca.vectors.T @ pca.vectors, np.eye(79), atol=1e-4)
    rebuilt = np.exp(pca.decode(mean))
    assert rebuilt[histories.matrix.toarray() > 0].mean() > 0.8
    drawn = generate(pca, Tastes.of(pca, histories), 50, real=histories.matrix, rng=rng)
    assert drawn.histories.shape == (50, 80)


def test_measured_and_reported(log: Interactions) -> None:
    split = split_of(log, 5)
    assert len(split.test.users) == 58  # a fifth of those with 5 items
    model = MultVAE(CONFIG).fit(Weighting().histories(split.training.full))
    trial = measure_generation(log, split, model, RunOptions(seed=5))
    ours, pca, popularity = trial.generators
    assert ours.ndcg > 0.75 * trial.ndcg_real > popularity.ndcg
    assert (ours.name, pca.name) == ("mult-vae", "PCA, 200")
    (section,) = generation_sections(trial)
    html = render(Page("t", "l", (), (section,)))
    for said in (
        "real users, held out",
        "None of 5 items or more is a copy",
        "privacy",
        "mult-vae",
    ):
        assert said.lower() in html.lower()
    assert sum(len(block.plots) for block in section.blocks if isinstance(block, Figure)) == 4


def test_too_few_users_to_hold_any_out() -> None:
    with pytest.raises(DataError, match="5 are needed"):
        split_of(four_tastes(3, 0), 1)


def test_what_is_written_is_a_data_set(log: Interactions, tmp_path: Path) -> None:
    users, items = IdMap(f"u{n}" for n in range(300)), IdMap(f"i{n:02}" for n in range(80))
    catalogue = Catalogue([f"Title {n}" for n in range(80)], [("a", "b")] * 80, np.full(80, 2.5))
    source = Dataset("x", "x", "f", log, users, items, catalogue, Weighting())
    pca = Principal.of(Weighting().histories(log).matrix)
    histories = Weighting().histories(log)
    rng = np.random.default_rng(1)
    drawn = generate(pca, Tastes.of(pca, histories), 30, real=histories.matrix, rng=rng)
    write_synthetic(tmp_path / "new", source, drawn, "drawn\nby a test")
    read = load_dataset(tmp_path / "new")
    assert read.users.ids[0] == "synthetic-01"
    assert read.interactions.times is None
    assert read.interactions.n_events == drawn.histories.nnz
    assert set(read.catalogue.titles) <= set(catalogue.titles)
    assert read.catalogue.categories[0] == ("a", "b")
    with pytest.raises(UsageError, match="there is something already"):
        write_synthetic(tmp_path / "new", source, drawn, "")
