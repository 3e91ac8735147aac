from dataclasses import replace

import numpy as np

from recsys.models.autoencoders.residual import ResidualAutoencoder, ResidualAutoencoderConfig
from recsys.models.base import RunOptions
from shops import tastes

CPU = RunOptions(seed=3, device="cpu")
SMALL = ResidualAutoencoderConfig(epochs=15, batch_size=30, learning_rate=0.02, width=12, factors=8)


def test_scores_are_the_documented_formula() -> None:
    model, shop = ResidualAutoencoder(SMALL).fit(tastes(90, 0), options=CPU), tastes(7, 9)
    learnt = model.tensors()
    W, b, c = (learnt[name] for name in ("encoder.weight", "encoder.bias", "bias"))
    A = learnt["factors"] / np.linalg.norm(learnt["factors"], axis=1, keepdims=True)
    assert (W.shape, A.shape) == ((30, 12), (30, 8))
    x = shop.matrix.toarray()
    x /= np.linalg.norm(x, axis=1, keepdims=True)
    linear = np.exp(learnt["log_scale"]) * x @ (A @ A.T - np.eye(30))
    expected = np.tanh(x @ W + b) @ W.T + c + linear
    np.testing.assert_allclose(model.score(shop), expected, rtol=1e-4, atol=1e-5)


def test_both_parts_learn() -> None:
    hardly = replace(SMALL, epochs=1, learning_rate=1e-9)
    start = ResidualAutoencoder(hardly).fit(tastes(90, 0), options=CPU).tensors()
    learnt = ResidualAutoencoder(SMALL).fit(tastes(90, 0), options=CPU).tensors()
    for name, array in start.items():
        assert np.abs(learnt[name] - array).max() > 0.01, name
