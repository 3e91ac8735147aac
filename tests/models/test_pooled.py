import numpy as np
import pytest
import scipy.sparse as sp

from recsys.interactions.tables import Histories
from recsys.models.linear import DanEDLAE, DanEDLAEConfig
from recsys.models.pooled import PooledEDLAE, PooledEDLAEConfig

_LINEAR = {"l2": 3.0, "dropout": 0.2, "alpha": 0.3, "beta": 0.1}


def histories(seed: int, n_users: int = 90, n_items: int = 25) -> Histories:
    generator = np.random.default_rng(seed)
    held = generator.random((n_users, n_items)) < 0.2
    weights = np.where(held, generator.uniform(0.3, 1, held.shape), 0)
    return Histories(sp.csr_array(weights.astype(np.float32)))


def evidence_and_scores(power: float) -> tuple[np.ndarray, np.ndarray]:
    """What each item of a history says for each item, (b, from, to), and the pooled scores."""
    train, seen = histories(0), histories(1, 6)
    linear = DanEDLAE(DanEDLAEConfig(**_LINEAR)).fit(train)
    pooled = PooledEDLAE(PooledEDLAEConfig(**_LINEAR, power=power)).fit(train)
    evidence = seen.matrix.toarray()[:, :, None] * linear.tensors()["weights"]
    return np.maximum(evidence, 0), pooled.score(seen)


@pytest.mark.parametrize("power", [1.0, 2.0, 3.5])
def test_scores_are_the_length_of_what_each_item_says(power: float) -> None:
    evidence, scores = evidence_and_scores(power)
    expected = (evidence**power).sum(axis=1) ** (1 / power)
    np.testing.assert_allclose(scores, expected, rtol=1e-4, atol=1e-6)


def test_with_a_high_power_the_strongest_evidence_alone_counts() -> None:
    evidence, scores = evidence_and_scores(8.0)
    strongest = evidence.max(axis=1)
    assert (scores >= strongest * 0.999).all()
    assert (scores <= strongest * 1.5 + 1e-6).all()
