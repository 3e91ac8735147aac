from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import scipy.sparse as sp

from recsys.errors import DataError, NotFittedError, UsageError
from recsys.interactions.tables import Histories
from recsys.models.base import Model, RunOptions
from recsys.models.registry import MODELS, make_model, model_class
from shops import N_ITEMS, tastes

_QUICK = {"epochs": 2, "batch_size": 30}
WIDTHS: dict[str, tuple[dict[str, Any], int, int]] = {
    "pure-svd": ({"factors": 6}, 6, 6),
    "als": ({"factors": 6, "iterations": 2}, 6, 6),
    "bpr": ({"factors": 6, "iterations": 5}, 6, 6),
    "lmf": ({"factors": 6, "iterations": 2}, 7, 7),  # its bias is one more
    "autoencoder": ({**_QUICK, "hidden": [16, 6]}, 6, 16),
    "mult-dae": ({**_QUICK, "hidden": [16]}, 16, 16),
    "mult-vae": ({**_QUICK, "hidden": [16, 6]}, 6, 16),
    "sparse-autoencoder": ({**_QUICK, "units": 20, "active": 5}, 20, 20),
    "conv-autoencoder": ({**_QUICK, "length": 8, "width": 16}, 16, 16),
    "recvae": ({**_QUICK, "width": 16, "latent": 6}, 6, 6),
    "elsa": ({**_QUICK, "factors": 6}, 6, 6),
    "residual-autoencoder": ({**_QUICK, "width": 16, "factors": 6}, 16, 16),
}
WITHOUT = sorted(set(MODELS) - set(WIDTHS))


def timed(n_users: int, seed: int) -> Histories:
    matrix = tastes(n_users, seed).matrix
    return Histories(matrix, np.arange(matrix.nnz, dtype=np.int64))


def fitted(name: str) -> Model[Any]:
    model = make_model(name, WIDTHS[name][0])
    return model.fit(timed(80, 0), options=RunOptions(seed=3, device="cpu"))


@pytest.mark.parametrize("name", WIDTHS)
def test_latents_and_item_vectors_have_their_widths_and_outlast_a_restart(name: str) -> None:
    _, width, item_width = WIDTHS[name]
    model, histories = fitted(name), timed(9, 1)
    embedded, items = model.embed(histories), model.embed_items()
    assert embedded.mean.shape == (9, width)
    assert items.shape == (N_ITEMS, item_width)
    assert embedded.mean.dtype == items.dtype == np.float32
    restored = type(model).restore(model.config, N_ITEMS, model.tensors())
    np.testing.assert_array_equal(restored.embed(histories).mean, embedded.mean)
    np.testing.assert_array_equal(restored.embed_items(), items)
    alone = np.concatenate([model.embed(histories.rows(slice(r, r + 1))).mean for r in range(9)])
    np.testing.assert_allclose(alone, embedded.mean, atol=1e-5)
    empty = Histories(sp.csr_array((2, N_ITEMS), dtype=np.float32), np.zeros(0, np.int64))
    assert np.isfinite(model.embed(empty).mean).all()


@pytest.mark.parametrize("name", ["mult-vae", "recvae"])
def test_only_variational_models_have_variances(name: str) -> None:
    model, histories = fitted(name), timed(9, 1)
    variance = model.embed(histories).variance
    assert variance is not None
    assert variance.shape == (9, 6)
    assert (variance > 0).all()
    assert fitted("elsa").embed(histories).variance is None


@pytest.mark.parametrize("name", ["pure-svd", "als", "elsa", "recvae"])
def test_scores_are_latents_times_item_vectors(name: str) -> None:
    model, histories = fitted(name), timed(20, 1)
    product = model.embed(histories).mean @ model.embed_items().T
    scores = model.score(histories)
    if name == "elsa":
        scores = scores + histories.matrix.toarray()
    if name == "recvae":
        product += model.tensors()["decoder.bias"]
    np.testing.assert_allclose(product, scores, atol=1e-4)


@pytest.mark.parametrize("name", WITHOUT)
def test_models_without_latents_refuse(name: str) -> None:
    assert not model_class(name).has_latents
    model = make_model(name)
    with pytest.raises(UsageError, match=f"{name} has no latents"):
        model.embed(timed(2, 1))
    with pytest.raises(UsageError, match="such as recvae"):
        model.embed_items()


def test_what_cannot_be_embedded_is_refused() -> None:
    with pytest.raises(NotFittedError):
        make_model("als").embed_items()
    with pytest.raises(NotFittedError):
        make_model("elsa").embed(timed(2, 1))
    other = Histories(sp.csr_array((1, N_ITEMS + 1), dtype=np.float32))
    with pytest.raises(DataError, match="31 items"):
        fitted("als").embed(other)
