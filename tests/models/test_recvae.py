from functools import partial
from pathlib import Path

import numpy as np
import pytest
import torch
from torch.distributions import Normal

import shops
from recsys.models.autoencoders.layers import initialise
from recsys.models.autoencoders.recvae import RecVAE, RecVAEConfig, _log_prior, _RecVAE
from recsys.models.base import RunOptions
from recsys.training.batches import Batch, DeviceHistories
from recsys.training.losses import multinomial_loss
from recsys.training.network import Network

tastes = partial(shops.tastes, weighted=False)
validation = partial(shops.validation, weighted=False)

CPU = RunOptions(seed=3, device="cpu")
SMALL = RecVAEConfig(epochs=12, batch_size=30, learning_rate=0.01, width=16, latent=8)


def batch() -> Batch:
    return DeviceHistories(tastes(20, 0), torch.device("cpu")).all()


def drawn(config: RecVAEConfig = SMALL) -> _RecVAE:
    network = RecVAE(config)._build(30)
    initialise(network, torch.Generator().manual_seed(0))
    return network


class Watched(RecVAE):
    """RecVAE that notes the weights of its parts as they stand before each step."""

    def _build(self, n_items: int) -> Network:
        network = super()._build(n_items)
        undisturbed = network.loss
        self.states: list[dict[str, dict[str, torch.Tensor]]] = []

        def loss(batch: Batch, generator: torch.Generator, epoch: float) -> torch.Tensor:
            self.states.append(
                {
                    name: {key: tensor.clone() for key, tensor in part.state_dict().items()}
                    for name, part in network.named_children()
                }
            )
            return undisturbed(batch, generator, epoch)

        network.loss = loss
        return network


def same(left: dict[str, torch.Tensor], right: dict[str, torch.Tensor]) -> bool:
    return all(torch.equal(left[key], right[key]) for key in left)


def test_encoder_and_decoder_learn_in_turns_and_the_old_encoder_waits_a_round() -> None:
    model = Watched(SMALL)
    model.fit(tastes(30, 0), options=CPU)  # one batch, so one step an epoch
    states = model.states
    assert len(states) == 12
    for epoch in range(11):
        now, then = states[epoch], states[epoch + 1]
        for_decoder = epoch % 4 == 3
        assert same(now["encoder"], then["encoder"]) == for_decoder
        assert same(now["decoder"], then["decoder"]) != for_decoder
        assert same(now["old"], states[epoch - epoch % 4]["encoder"])


def test_the_old_encoder_is_not_published() -> None:
    model = RecVAE(SMALL).fit(tastes(60, 0), options=CPU)
    assert {name.partition(".")[0] for name in model.tensors()} == {"encoder", "decoder"}


def test_the_encoder_sees_a_corrupted_history_and_the_decoder_a_whole_one() -> None:
    network, noise = drawn(), torch.Generator()
    network.decoder.weight.data *= 10

    def seen(epoch: float) -> set[int]:
        inputs: list[torch.Tensor] = []
        handle = network.encoder.register_forward_hook(lambda _, args, __: inputs.append(args[1]))
        network.loss(batch(), noise.manual_seed(1), epoch)
        handle.remove()
        return {int((weights == 0).sum()) for weights in inputs}

    assert min(seen(2.9)) > 0
    assert seen(3.9) == {0}


def test_the_encoders_loss_is_the_papers() -> None:
    network = drawn(RecVAEConfig(width=16, latent=8, dropout=0, gamma=0.3))
    b, seed = batch(), torch.Generator()
    loss = network.loss(b, seed.manual_seed(1), 0)

    mean, log_variance = network.encoder(b, b.normalised)
    posterior = Normal(mean, (log_variance / 2).exp())
    seed.manual_seed(1)
    torch.empty_like(b.weights).bernoulli_(1, generator=seed)  # what dropout draws
    latent = mean + posterior.scale * torch.randn(20, 8, generator=seed)
    old_mean, old_log_variance = network.old(b, b.normalised)
    density = (
        0.15 * Normal(0.0, 1.0).log_prob(latent).exp()
        + 0.75 * Normal(old_mean, (old_log_variance / 2).exp()).log_prob(latent).exp()
        + 0.10 * Normal(0.0, np.exp(5.0)).log_prob(latent).exp()
    )
    kl = (posterior.log_prob(latent) - density.log()).sum(1)
    expected = multinomial_loss(network.decoder(latent), b) + 0.3 * (b.totals * kl).mean()
    torch.testing.assert_close(loss, expected)


def test_the_prior_stays_finite_far_from_every_part() -> None:
    far, zero = torch.full((1, 1), 1e4), torch.zeros(1, 1)
    assert torch.isfinite(_log_prior(far, zero, zero - 20)).all()


@pytest.mark.parametrize("epochs_done", [2, 3, 5])
def test_a_resumed_run_equals_an_undisturbed_one(tmp_path: Path, epochs_done: int) -> None:
    """The old encoder is part of a checkpoint: it must outlive an interruption within a round."""

    class Interrupted(RecVAE):
        def _build(self, n_items: int) -> Network:
            network = super()._build(n_items)
            undisturbed = network.begin_epoch

            def begin_epoch(epoch: int) -> None:
                if epoch == epochs_done:
                    raise KeyboardInterrupt
                undisturbed(epoch)

            network.begin_epoch = begin_epoch
            return network

    options = RunOptions(seed=3, device="cpu", checkpoints=tmp_path, resume=True)
    shop, held_out = tastes(60, 0), validation()
    assert len(Interrupted(SMALL).fit(shop, validation=held_out, options=options).curve) < 12
    resumed = RecVAE(SMALL).fit(shop, validation=held_out, options=options)
    undisturbed = RecVAE(SMALL).fit(shop, validation=held_out, options=CPU)
    assert resumed.curve == undisturbed.curve
    assert len(resumed.curve) == 12
    for name, array in undisturbed.tensors().items():
        np.testing.assert_array_equal(resumed.tensors()[name], array)


def test_a_refit_for_the_chosen_epochs_repeats_the_run_that_chose_them() -> None:
    probe = RecVAE(SMALL).fit(tastes(90, 0), validation=validation(), options=CPU)
    refit = RecVAE(probe.chosen).fit(tastes(90, 0), options=CPU)
    assert len(refit.curve) == probe.chosen.epochs
    for name, array in probe.tensors().items():
        np.testing.assert_array_equal(refit.tensors()[name], array)
