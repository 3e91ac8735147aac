import logging
from dataclasses import replace

import numpy as np
import pytest
import torch

from recsys.errors import TrainingError
from recsys.interactions.tables import HeldOut, Histories
from recsys.metrics import hits, ndcg
from recsys.models.autoencoders.feedforward import FeedForward
from recsys.models.autoencoders.layers import initialise
from recsys.topk import top_k
from recsys.training.batches import Batch, DeviceHistories
from recsys.training.loop import TrainingConfig, train
from recsys.training.run import Run
from recsys.training.validation import METRIC, validate

CPU = torch.device("cpu")
SHORT = TrainingConfig(epochs=6, patience=6, batch_size=30, learning_rate=0.01)


class Interrupted(FeedForward):
    """Someone presses Ctrl-C at the n-th step."""

    at_step = 0

    def loss(self, batch: Batch, generator: torch.Generator, epoch: float) -> torch.Tensor:
        self.at_step -= 1
        if self.at_step == 0:
            raise KeyboardInterrupt
        return super().loss(batch, generator, epoch)


def trained(
    shop: Histories,
    held_out: HeldOut | None = None,
    config: TrainingConfig = SHORT,
    network: FeedForward | None = None,
    seed: int = 1,
) -> Run:
    generator = torch.Generator().manual_seed(seed)
    network = network or FeedForward(30, (16,), 0.5)
    initialise(network, generator)
    histories = DeviceHistories(shop, CPU)
    return train(network, histories, held_out, config, seed=seed)


def same_weights(left: Run, right: Run) -> bool:
    others = right.network.state_dict()
    return all(torch.equal(own, others[name]) for name, own in left.network.state_dict().items())


def test_without_validation_every_epoch_is_trained_and_the_last_kept(shop: Histories) -> None:
    run = trained(shop)
    assert [point["epoch"] for point in run.curve] == [1, 2, 3, 4, 5, 6]
    assert run.best_epoch == 6
    assert run.curve[-1]["loss"] < run.curve[0]["loss"]
    assert METRIC not in run.curve[0]


def test_without_patience_all_epochs_are_trained_whatever_validation_says(
    shop: Histories, held_out: HeldOut
) -> None:
    config = TrainingConfig(epochs=12, patience=None, batch_size=40, learning_rate=0.3)
    run = trained(shop, held_out, config)
    metrics = [point[METRIC] for point in run.curve]
    assert (len(metrics), run.best_epoch) == (12, 12)
    assert metrics[-1] < max(metrics)  # so the last epoch is not kept for being the best
    alone = trained(shop, config=config)
    assert same_weights(run, alone)


def test_the_loss_of_an_epoch_is_the_mean_over_its_histories(shop: Histories) -> None:
    config = TrainingConfig(epochs=1, batch_size=40, learning_rate=1e-12)  # stands still
    run = trained(shop, config=config, network=FeedForward(30, (16,)))
    batch = DeviceHistories(shop, CPU).all()
    whole = run.network.loss(batch, torch.Generator(), 0.0).item()
    assert run.curve[0]["loss"] == pytest.approx(whole, rel=1e-4)


def test_schedules_see_epochs_go_by_in_even_parts(shop: Histories) -> None:
    class Watched(FeedForward):
        def loss(self, batch: Batch, generator: torch.Generator, epoch: float) -> torch.Tensor:
            seen.append(epoch)
            return super().loss(batch, generator, epoch)

    seen: list[float] = []
    trained(shop, network=Watched(30, (16,), 0.5))
    assert seen == pytest.approx(np.arange(18) / 3)  # three batches in each of six epochs


def test_a_network_hears_of_each_epoch_and_what_it_measures_joins_the_curve(
    shop: Histories,
) -> None:
    class Counting(FeedForward):
        def begin_epoch(self, epoch: int) -> None:
            started.append(epoch)
            self.steps = 0

        def loss(self, batch: Batch, generator: torch.Generator, epoch: float) -> torch.Tensor:
            self.steps += 1
            return super().loss(batch, generator, epoch)

        def measured(self) -> dict[str, float]:
            return {"steps": self.steps}

    started: list[int] = []
    run = trained(shop, network=Counting(30, (16,), 0.5))
    assert started == [0, 1, 2, 3, 4, 5]
    assert [point["steps"] for point in run.curve] == [3] * 6


def test_training_stops_when_patience_ends_and_keeps_the_best_epoch(
    shop: Histories, held_out: HeldOut
) -> None:
    config = TrainingConfig(epochs=200, patience=4, batch_size=30, learning_rate=0.03)
    run = trained(shop, held_out, config)
    metrics = [point[METRIC] for point in run.curve]
    assert run.best_epoch == int(np.argmax(metrics)) + 1
    assert len(metrics) == run.best_epoch + 4 < 200
    assert metrics[run.best_epoch - 1] > metrics[-1]
    best = pytest.approx(metrics[run.best_epoch - 1])
    assert validate(run.network, held_out) == best


def test_validation_is_the_mean_ndcg_of_users_with_something_to_find(
    shop: Histories, held_out: HeldOut
) -> None:
    network = trained(shop).network
    scores = held_out.mask_seen(network.score(held_out.given))
    target = held_out.target.matrix
    relevant = np.diff(target.indptr)
    expected = np.nanmean(ndcg(hits(top_k(scores, 100), target), relevant, 100))
    assert validate(network, held_out) == pytest.approx(expected)


def test_averaging_validates_and_keeps_a_running_mean_of_the_weights(
    shop: Histories, held_out: HeldOut
) -> None:
    def after(epochs: int, averaging: float) -> Run:
        config = replace(SHORT, epochs=epochs, patience=None, averaging=averaging)
        return trained(shop, held_out, config)

    plain = [after(epochs, 0).network.state_dict() for epochs in (1, 2, 3)]
    averaged = after(3, 0.75)
    for name, own in averaged.network.state_dict().items():
        first, second, third = (weights[name] for weights in plain)
        mean = 0.75 * (0.75 * first + 0.25 * second) + 0.25 * third
        torch.testing.assert_close(own, mean, rtol=1e-5, atol=1e-7)
    metrics = [point[METRIC] for point in averaged.curve]
    assert metrics[-1] == pytest.approx(validate(averaged.network, held_out))
    assert metrics[-1] != after(3, 0).curve[-1][METRIC]


def test_the_same_seed_gives_the_same_weights(shop: Histories, held_out: HeldOut) -> None:
    first = trained(shop, held_out)
    assert same_weights(first, trained(shop, held_out))
    assert not same_weights(first, trained(shop, held_out, seed=2))


def test_training_leaves_the_global_random_state_alone(shop: Histories) -> None:
    before = torch.get_rng_state()
    trained(shop)
    assert torch.equal(torch.get_rng_state(), before)


def test_a_loss_that_is_not_finite_stops_and_says_what_to_try(shop: Histories) -> None:
    config = TrainingConfig(epochs=50, batch_size=30, learning_rate=1e38)
    with pytest.raises(TrainingError, match=r"loss of epoch 1 is (nan|inf); try a lower"):
        trained(shop, config=config)


def test_an_interrupt_keeps_the_best_epoch_so_far(
    shop: Histories, held_out: HeldOut, caplog: pytest.LogCaptureFixture
) -> None:
    network = Interrupted(30, (16,), 0.5)
    network.at_step = 3 * 4 + 2  # three batches an epoch: within the fifth
    with caplog.at_level(logging.WARNING):
        run = trained(shop, held_out, network=network)
    metrics = [point[METRIC] for point in run.curve]
    assert len(metrics) == 4
    assert validate(network, held_out) == pytest.approx(max(metrics))
    assert f"interrupted: going on with the weights of epoch {run.best_epoch}" in caplog.text


def test_an_interrupt_without_validation_keeps_the_last_whole_epoch(shop: Histories) -> None:
    network = Interrupted(30, (16,), 0.5)
    network.at_step = 3 * 2 + 3
    short = TrainingConfig(epochs=2, batch_size=30, learning_rate=0.01)
    assert same_weights(trained(shop, network=network), trained(shop, config=short))


def test_an_interrupt_before_the_first_epoch_ended_is_passed_on(shop: Histories) -> None:
    network = Interrupted(30, (16,), 0.5)
    network.at_step = 2
    with pytest.raises(KeyboardInterrupt):
        trained(shop, network=network)
