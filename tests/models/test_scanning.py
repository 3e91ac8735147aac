"""Lists found by scanning in 8 bits are those that float32 scores give, whatever the model."""

from __future__ import annotations

import numpy as np
import pytest
import scipy.sparse as sp
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from recsys.interactions.tables import BoolArray, Histories
from recsys.models.autoencoders.mult_vae import MultVAE, MultVAEConfig
from recsys.models.base import Factored
from recsys.models.registry import make_model
from recsys.models.scanning import Scan, scan_of
from recsys.models.scoring import Scorer
from recsys.topk import TopK, top_k
from shops import tastes

pytestmark = pytest.mark.skipif(
    "fbgemm" not in torch.backends.quantized.supported_engines, reason="torch is without fbgemm"
)

WIDTH = 24


def histories(n: int, n_items: int, seed: int) -> Histories:
    rng = np.random.default_rng(seed)
    rows = [
        np.unique((n_items * rng.random(rng.integers(1, 80)) ** 3).astype(np.int32))
        for _ in range(n)
    ]
    indptr = np.cumsum([0, *map(len, rows)])
    entries = (np.ones(indptr[-1], np.float32), np.concatenate(rows), indptr)
    return Histories(sp.csr_array(entries, shape=(n, n_items)))


def factored(n_items: int, seed: int, kind: str = "even") -> Factored:
    """A last step, and an encoder that draws h by the length of a history."""
    rng = np.random.default_rng(seed)
    weights = rng.standard_normal((n_items, WIDTH), dtype=np.float32)
    bias = rng.standard_normal(n_items, dtype=np.float32)
    if kind == "skewed":
        weights *= np.exp(2 * rng.standard_normal((n_items, 1))).astype(np.float32)
    elif kind == "ties":
        weights, bias = (
            weights[rng.integers(0, min(9, n_items), n_items)],
            np.zeros(n_items, np.float32),
        )
    elif kind == "alike":  # nothing that 8 bits could tell apart
        weights = (weights[:1] + 1e-4 * weights).astype(np.float32)
        bias[:] = 0
    elif kind == "nothing":
        weights[:], bias[:] = 0, 0
    vectors = rng.standard_normal((80, WIDTH), dtype=np.float32)

    def encode(given: Histories) -> np.ndarray:
        return np.tanh(vectors[np.diff(given.matrix.indptr) % 80])

    return Factored(encode, weights, bias)


def in_full(
    parts: Factored, given: Histories, k: int, allowed: BoolArray | None, barred: BoolArray | None
) -> TopK:
    scores = parts.encode(given) @ parts.weights.T + parts.bias
    if barred is not None:
        scores[given.cells(barred)] = -np.inf
    if allowed is not None:
        scores[:, ~allowed] = -np.inf
    return top_k(scores, k)


def same(found: TopK, expected: TopK, scale: float = 1) -> None:
    """The same lists, but for scores that rounding may exchange."""
    np.testing.assert_array_equal(found.counts, expected.counts)
    for row, count in enumerate(expected.counts):
        (items, scores), (others, values) = found.row(row), expected.row(row)
        near = 1e-5 * np.maximum(np.abs(values), scale)
        assert (np.abs(scores - values) <= near).all()
        assert len(set(items.tolist())) == count
        for place in np.flatnonzero(items != others):
            assert np.abs(values - scores[place]).min() <= near[place]


@settings(max_examples=60)
@given(
    st.integers(0, 10_000),
    st.sampled_from(["even", "skewed", "ties", "alike", "nothing"]),
    st.tuples(st.integers(1, 400), st.integers(1, 70), st.sampled_from([1, 7, 100])),
    st.sampled_from([None, 0.0, 0.02, 0.5, 1.0]),
    st.sampled_from([None, 0.5, 1.0]),
)
def test_small_catalogues(
    seed: int,
    kind: str,
    sizes: tuple[int, int, int],
    allowed_share: float | None,
    barred_share: float | None,
) -> None:
    n_items, b, k = sizes
    rng, parts = np.random.default_rng(seed), factored(n_items, seed, kind)
    given = histories(b, n_items, seed)
    allowed = None if allowed_share is None else rng.random(n_items) < allowed_share
    barred = None if barred_share is None else rng.random(given.matrix.nnz) < barred_share
    scan = scan_of(parts)
    assert scan is not None
    found = scan.top(given, k, allowed, barred)
    for row in range(b):
        items, _ = found.row(row)
        assert allowed is None or allowed[items].all()
    same(found, in_full(parts, given, k, allowed, barred), np.abs(parts.weights).max())


@pytest.mark.parametrize("kind", ["even", "skewed", "ties", "alike"])
@pytest.mark.parametrize("steps", [127, 63])
def test_several_blocks(kind: str, steps: int) -> None:
    n_items = 50_000
    parts, given = factored(n_items, 3, kind), histories(66, n_items, 4)
    allowed = np.arange(n_items) % 3 > 0
    scan = Scan(parts, steps)
    assert scan.is_exact
    for k in (1, 100):
        barred = np.ones(given.matrix.nnz, np.bool_)
        found = scan.top(given, k, allowed, barred)
        same(found, in_full(parts, given, k, allowed, barred), np.abs(parts.weights).max())
    if kind == "alike":
        assert scan.in_full > 0
    elif kind != "ties":
        assert scan.in_full == 0  # or else there is no use in it


def test_a_vector_that_8_bits_make_little_of() -> None:
    parts = factored(5000, 5)
    outlier = np.zeros((1, WIDTH), np.float32)
    outlier[0, 0], outlier[0, 1:] = 1000, 1
    wild = Factored(lambda given: outlier.repeat(len(given), 0), parts.weights, parts.bias)
    given, scan = histories(3, 5000, 6), scan_of(wild)
    assert scan is not None
    same(scan.top(given, 10, None, None), in_full(wild, given, 10, None, None), 1000)


def test_weights_that_are_no_numbers_are_not_scanned() -> None:
    parts = factored(50, 7)
    parts.weights[3, 3] = np.nan
    assert scan_of(parts) is None


@pytest.mark.parametrize("name", ["mult-vae", "mult-dae", "recvae", "sparse-autoencoder"])
def test_networks_are_scanned(name: str) -> None:
    model = make_model(name, {"epochs": 3, "batch_size": 30})
    model.fit(tastes(100, 0))
    parts, given = model.factored(), tastes(40, 3)
    assert parts is not None
    scores = parts.encode(given) @ parts.weights.T + parts.bias
    np.testing.assert_allclose(scores, model.score(given), rtol=1e-4, atol=1e-5)
    plain, prepared = Scorer(model), Scorer(model)
    prepared.prepare()
    barred = np.ones(given.matrix.nnz, np.bool_)
    allowed = np.arange(given.n_items) % 7 > 0
    same(
        prepared.top(given, 5, allowed=allowed, barred=barred),
        plain.top(given, 5, allowed=allowed, barred=barred),
    )


@pytest.mark.parametrize("name", ["popularity", "ease", "elsa", "residual-autoencoder", "blend"])
def test_what_is_no_such_product_is_scored_in_full(name: str) -> None:
    settings = {"epochs": 2} if "autoencoder" in name or name == "elsa" else {}
    model = make_model(name, settings).fit(tastes(100, 0))
    assert model.factored() is None
    scorer, given = Scorer(model), tastes(9, 2)
    scorer.prepare()
    barred = given.matrix.data > 0.5
    scores = model.score(given).copy()
    scores[given.cells(barred)] = -np.inf
    same(scorer.top(given, 4, barred=barred), top_k(scores, 4))


def drawn(n_items: int, hidden: tuple[int, ...]) -> MultVAE:
    """A Mult-VAE as it is before training."""
    config, rng = MultVAEConfig(hidden=hidden), np.random.default_rng(1)
    width, latent = hidden
    shapes = {"first": (n_items, width), "encoder.0": (2 * latent, width)}
    shapes |= {"decoder.0": (width, latent), "decoder.2": (n_items, width)}
    tensors = {}
    for name, shape in shapes.items():
        bound = np.sqrt(6 / sum(shape))
        tensors[f"{name}.weight"] = rng.uniform(-bound, bound, shape).astype(np.float32)
        n_out = shape[1] if name == "first" else shape[0]
        tensors[f"{name}.bias"] = rng.normal(0, 0.001, n_out).astype(np.float32)
    return MultVAE.restore(config, n_items, tensors)


def compare(model: MultVAE, n: int) -> None:
    """Compare n lists, under a rule and with what was seen left out."""
    plain, prepared = Scorer(model), Scorer(model)
    prepared.prepare()
    allowed = np.arange(model.n_items) % 50 > 0
    for start in range(0, n, 100):
        given = histories(100, model.n_items, start)
        barred = np.ones(given.matrix.nnz, np.bool_)
        expected = plain.top(given, 10, allowed=allowed, barred=barred)
        same(prepared.top(given, 10, allowed=allowed, barred=barred), expected, 0)
    assert prepared.in_full < n / 100


def test_mult_vae() -> None:
    compare(drawn(8000, (60, 20)), 300)


@pytest.mark.soak
def test_mult_vae_600_200_of_20_000_items() -> None:
    compare(drawn(20_000, (600, 200)), 10_000)


def test_weights_stay_where_they_are_mapped() -> None:
    weights = np.zeros((40, 6), np.float32)
    weights.setflags(write=False)
    tensors = drawn(40, (6, 3)).tensors() | {"decoder.2.weight": weights}
    restored = MultVAE.restore(MultVAEConfig(hidden=(6, 3)), 40, tensors)
    parts = restored.factored()
    assert parts is not None
    assert np.shares_memory(parts.weights, weights)
