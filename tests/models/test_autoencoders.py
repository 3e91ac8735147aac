import signal
import subprocess
import sys
import textwrap
import time
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import scipy.sparse as sp
import torch

from recsys.errors import NotFittedError, SettingsError, TrainingError
from recsys.interactions.tables import HeldOut, Histories
from recsys.models.autoencoders.feedforward import FeedForward
from recsys.models.autoencoders.layers import HistoryLayer, drop_entries, initialise
from recsys.models.autoencoders.mult_dae import MultDAE, MultDAEConfig
from recsys.models.autoencoders.mult_vae import MultVAE, MultVAEConfig
from recsys.models.base import RunOptions
from recsys.models.registry import make_model, model_class
from recsys.training.batches import DeviceHistories
from recsys.training.losses import gaussian_kl, multinomial_loss
from shops import tastes, validation

CPU = RunOptions(seed=3, device="cpu")
SMALL: dict[str, Any] = {
    "hidden": (16, 8),
    "epochs": 12,
    "patience": 3,
    "batch_size": 30,
    "learning_rate": 0.02,
}
every_autoencoder = pytest.mark.parametrize("name", ["autoencoder", "mult-dae", "mult-vae"])


def test_the_first_layer_equals_a_dense_product_and_so_does_its_gradient() -> None:
    layer = HistoryLayer(30, 6)
    initialise(layer, torch.Generator().manual_seed(0))
    dense_weight = layer.weight.detach().clone().requires_grad_()
    shop = tastes(20, 0)
    batch = DeviceHistories(shop, torch.device("cpu")).all()
    X = torch.tensor(shop.matrix.toarray())
    output = layer(batch, batch.weights)
    expected = X @ dense_weight + layer.bias.detach()
    torch.testing.assert_close(output, expected)
    output.sin().sum().backward()
    expected.sin().sum().backward()
    torch.testing.assert_close(layer.weight.grad, dense_weight.grad)


def test_dropout_hides_whole_entries_and_scales_up_the_rest() -> None:
    weights = torch.full((20_000,), 0.6)
    dropped = drop_entries(weights, 0.25, torch.Generator().manual_seed(0))
    hidden = (dropped == 0).float().mean().item()
    assert hidden == pytest.approx(0.25, abs=0.02)
    torch.testing.assert_close(dropped[dropped > 0], torch.full_like(dropped[dropped > 0], 0.8))
    assert torch.equal(drop_entries(weights, 0, torch.Generator()), weights)


def test_layer_norms_begin_with_a_gain_of_one() -> None:
    layers = torch.nn.Sequential(torch.nn.Linear(3, 5), torch.nn.LayerNorm(5))
    initialise(layers, torch.Generator().manual_seed(0))
    assert torch.equal(layers[1].weight, torch.ones(5))
    assert torch.equal(layers[1].bias, torch.zeros(5))
    assert 0 < layers[0].bias.abs().max() < 0.01


def test_mult_dae_scores_are_the_papers_formula() -> None:
    model = MultDAE(MultDAEConfig(**SMALL)).fit(tastes(90, 0), options=CPU)
    learnt, shop = model.tensors(), tastes(5, 9)
    X = shop.matrix.toarray()
    hidden = X / np.linalg.norm(X, axis=1, keepdims=True)
    hidden = np.tanh(hidden @ learnt["first.weight"] + learnt["first.bias"])
    for index in (0, 2):
        hidden = np.tanh(hidden @ learnt[f"rest.{index}.weight"].T + learnt[f"rest.{index}.bias"])
    scores = hidden @ learnt["rest.4.weight"].T + learnt["rest.4.bias"]
    assert [learnt[f"rest.{index}.weight"].shape for index in (0, 2, 4)] == [
        (8, 16),
        (16, 8),
        (30, 16),
    ]
    np.testing.assert_allclose(model.score(shop), scores, rtol=1e-4, atol=1e-5)


def test_mult_vae_scores_from_the_mean_of_the_latent() -> None:
    model = MultVAE(MultVAEConfig(**SMALL)).fit(tastes(90, 0), options=CPU)
    learnt, shop = model.tensors(), tastes(5, 9)
    X = shop.matrix.toarray()
    hidden = X / np.linalg.norm(X, axis=1, keepdims=True)
    hidden = np.tanh(hidden @ learnt["first.weight"] + learnt["first.bias"])
    mean = (hidden @ learnt["encoder.0.weight"].T + learnt["encoder.0.bias"])[:, :8]
    hidden = np.tanh(mean @ learnt["decoder.0.weight"].T + learnt["decoder.0.bias"])
    scores = hidden @ learnt["decoder.2.weight"].T + learnt["decoder.2.bias"]
    np.testing.assert_allclose(model.score(shop), scores, rtol=1e-4, atol=1e-5)


def test_the_kl_term_is_annealed_from_nothing_to_beta() -> None:
    config = MultVAEConfig(hidden=(16, 8), dropout=0, beta=0.3, anneal_epochs=10)
    network = MultVAE(config)._build(30)
    initialise(network, torch.Generator().manual_seed(0))
    batch = DeviceHistories(tastes(20, 0), torch.device("cpu")).all()
    kl = gaussian_kl(*network.encode(batch, batch.normalised))

    def loss(epoch: float) -> torch.Tensor:
        return network.loss(batch, torch.Generator().manual_seed(1), epoch)

    for epoch, share in ((2.5, 0.25), (10, 1), (50, 1)):
        torch.testing.assert_close(loss(epoch) - loss(0), 0.3 * share * kl, rtol=1e-3, atol=1e-5)


def test_mult_vae_learns_from_a_sample_of_the_latent() -> None:
    network = MultVAE(MultVAEConfig(hidden=(16, 8), beta=0))._build(30)
    initialise(network, torch.Generator().manual_seed(0))
    batch = DeviceHistories(tastes(20, 0), torch.device("cpu")).all()
    loss = network.loss(batch, torch.Generator().manual_seed(1), 5)

    again = torch.Generator().manual_seed(1)
    mean, log_variance = network.encode(batch, drop_entries(batch.normalised, 0.5, again))
    latent = mean + log_variance.exp().sqrt() * torch.randn(20, 8, generator=again)
    torch.testing.assert_close(loss, multinomial_loss(network.decoder(latent), batch))


def test_dropout_corrupts_the_input_but_not_the_target() -> None:
    batch = DeviceHistories(tastes(20, 0), torch.device("cpu")).all()
    plain, noisy = FeedForward(30, (8,)), FeedForward(30, (8,), 0.5)
    for network in (plain, noisy):
        initialise(network, torch.Generator().manual_seed(0))
        with torch.no_grad():
            network.first.weight.zero_()  # with a blind first layer only the target can differ
    losses = [
        network.loss(batch, torch.Generator().manual_seed(1), 0) for network in (plain, noisy)
    ]
    torch.testing.assert_close(*losses)


@pytest.mark.parametrize(
    ("name", "settings"),
    [
        ("mult-vae", {"hidden": [16, 8]}),
        ("sparse-autoencoder", {"units": 16, "active": 4}),
        ("conv-autoencoder", {"width": 8}),
        ("recvae", {"width": 16, "latent": 8}),
        ("elsa", {"factors": 8}),
    ],
)
def test_a_fit_leaves_the_global_random_state_alone(name: str, settings: dict[str, Any]) -> None:
    shop = tastes(60, 0)
    timed = Histories(shop.matrix, np.arange(shop.matrix.nnz))
    before = torch.get_rng_state()
    make_model(name, {**settings, "epochs": 2}).fit(timed, options=CPU)
    assert torch.equal(torch.get_rng_state(), before)


@every_autoencoder
def test_a_refit_for_the_chosen_epochs_repeats_the_run_that_chose_them(name: str) -> None:
    shop, kind = tastes(90, 0), model_class(name)
    probe = make_model(name, SMALL).fit(shop, validation=validation(), options=CPU)
    assert kind.chooses(probe.config)
    metrics = [point["ndcg@100"] for point in probe.curve]
    assert probe.chosen.epochs == int(np.argmax(metrics)) + 1
    assert probe.config.epochs == 12
    refit = kind(probe.chosen).fit(shop, options=CPU)
    assert len(refit.curve) == refit.chosen.epochs == probe.chosen.epochs
    for key, array in probe.tensors().items():
        np.testing.assert_array_equal(refit.tensors()[key], array)


def test_validation_users_with_nothing_to_find_choose_nothing(
    caplog: pytest.LogCaptureFixture,
) -> None:
    nothing = Histories(sp.csr_array((40, 30), dtype=np.float32))
    model = MultDAE(MultDAEConfig(**SMALL))
    model.fit(tastes(90, 0), validation=HeldOut(validation().given, nothing), options=CPU)
    assert len(model.curve) == 12
    assert "training for all epochs" in caplog.text


def test_a_training_that_diverges_leaves_no_model() -> None:
    model = MultDAE(MultDAEConfig(**SMALL)).fit(tastes(90, 0), options=CPU)
    model.config = MultDAEConfig(**SMALL | {"learning_rate": 1e38})
    with pytest.raises(TrainingError):
        model.fit(tastes(90, 0), options=CPU)
    with pytest.raises(NotFittedError):
        model.score(tastes(2, 0))
    with pytest.raises(NotFittedError):
        model.tensors()


@pytest.mark.parametrize(
    ("name", "settings"),
    [
        ("mult-dae", {"dropout": 1}),
        ("mult-dae", {"hidden": []}),
        ("mult-dae", {"hidden": [600, 0]}),
        ("mult-vae", {"hidden": [600]}),
        ("autoencoder", {"dropout": 0.5}),
        ("autoencoder", {"epochs": 0}),
        ("sparse-autoencoder", {"active": 0}),
        ("conv-autoencoder", {"length": 0}),
        ("recvae", {"gamma": -1}),
        ("elsa", {"factors": 0}),
    ],
)
def test_settings_out_of_range_are_refused(name: str, settings: dict[str, Any]) -> None:
    with pytest.raises(SettingsError, match=f"{name}: "):
        make_model(name, settings)


def test_ctrl_c_leaves_a_model_that_scores(tmp_path: Path) -> None:
    script = """
        import signal, sys
        from pathlib import Path
        import numpy as np, scipy.sparse as sp
        from recsys.interactions.tables import Histories
        from recsys.models.autoencoders.mult_dae import MultDAE, MultDAEConfig
        from recsys.models.base import RunOptions

        # what runs in a shell's background inherits an ignored SIGINT
        signal.signal(signal.SIGINT, signal.default_int_handler)
        shop = Histories(sp.csr_array(np.eye(50, 40, dtype=np.float32) + np.eye(50, 40, 1)))
        model = MultDAE(MultDAEConfig(hidden=(8,), epochs=1_000_000))
        model.fit(shop, options=RunOptions(device="cpu", checkpoints=Path(sys.argv[1])))
        assert np.isfinite(model.score(shop)).all()
        print(model.chosen.epochs)
    """
    # an interrupt between opening a file and holding it leaves the closing to Python
    strict = ("-W", "error", "-W", "ignore::ResourceWarning")
    process = subprocess.Popen(
        [sys.executable, *strict, "-c", textwrap.dedent(script), str(tmp_path)],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    try:
        while process.poll() is None and not (tmp_path / "checkpoint.json").exists():
            time.sleep(0.05)
        process.send_signal(signal.SIGINT)
        output, errors = process.communicate(timeout=60)
    finally:
        process.kill()
    assert process.returncode == 0, errors
    assert int(output) >= 1
    assert errors.strip() == f"interrupted: going on with the weights of epoch {output.strip()}"


@pytest.mark.parametrize(
    ("name", "hidden"),
    [("autoencoder", (16, 8)), ("mult-dae", (16,)), ("mult-dae", (16, 8)), ("mult-vae", (16, 8))],
)
@pytest.mark.parametrize("negatives", ["uniform", "popularity"])
def test_a_sampled_softmax_trains_every_network(
    name: str, hidden: tuple[int, ...], negatives: str
) -> None:
    train = tastes(150, 0)
    config = {**SMALL, "hidden": hidden, "batch_size": 3, "epochs": 6}
    logits = []
    drawn = {"sampled": 4, "negatives": negatives}
    for settings in ({}, drawn):
        model = make_model(name, {**config, **settings}).fit(train, options=CPU)
        logits.append(model.score(tastes(40, 1)))
    whole, part = (rows - rows.mean(axis=1, keepdims=True) for rows in logits)
    assert not np.array_equal(whole, part)
    assert np.corrcoef(whole.ravel(), part.ravel())[0, 1] > 0.6
