import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from recsys.errors import TrainingError
from recsys.interactions.tables import HeldOut, Histories
from recsys.models.autoencoders.mult_vae import MultVAE, MultVAEConfig
from recsys.models.base import RunOptions
from recsys.training.batches import Batch
from recsys.training.checkpoints import fingerprint
from recsys.training.network import Network

CONFIG = MultVAEConfig(hidden=(16, 8), epochs=7, batch_size=40, learning_rate=0.01, anneal_epochs=4)


class Interrupted(MultVAE):
    """Mult-VAE during which someone presses Ctrl-C in the fourth epoch of three steps."""

    def _build(self, n_items: int) -> Network:
        network = super()._build(n_items)
        undisturbed, steps = network.loss, iter(range(1, 100))

        def loss(batch: Batch, *rest: object) -> object:
            if next(steps) == 3 * 3 + 2:
                raise KeyboardInterrupt
            return undisturbed(batch, *rest)

        network.loss = loss
        return network


def options(folder: Path, seed: int = 5) -> RunOptions:
    return RunOptions(seed=seed, device="cpu", checkpoints=folder, resume=True)


@pytest.fixture
def interrupted(tmp_path: Path, shop: Histories, held_out: HeldOut) -> Path:
    Interrupted(CONFIG).fit(shop, validation=held_out, options=options(tmp_path))
    return tmp_path


@pytest.mark.parametrize("averaging", [0.0, 0.6])
def test_a_resumed_run_equals_an_undisturbed_one_to_the_last_bit(
    averaging: float, tmp_path: Path, shop: Histories, held_out: HeldOut
) -> None:
    config = replace(CONFIG, averaging=averaging)
    Interrupted(config).fit(shop, validation=held_out, options=options(tmp_path))
    assert json.loads((tmp_path / "checkpoint.json").read_text())["epoch"] == 3
    resumed = MultVAE(config).fit(shop, validation=held_out, options=options(tmp_path))
    undisturbed = MultVAE(config).fit(
        shop, validation=held_out, options=RunOptions(seed=5, device="cpu")
    )
    assert len(resumed.curve) == 7
    assert resumed.curve == undisturbed.curve
    assert resumed.chosen == undisturbed.chosen
    for name, array in undisturbed.tensors().items():
        np.testing.assert_array_equal(resumed.tensors()[name], array)


def test_a_finished_run_resumes_to_its_best_epoch(
    tmp_path: Path, shop: Histories, held_out: HeldOut
) -> None:
    config = replace(CONFIG, epochs=100, patience=3, learning_rate=0.03)
    first = MultVAE(config).fit(shop, validation=held_out, options=options(tmp_path))
    again = MultVAE(config).fit(shop, validation=held_out, options=options(tmp_path))
    assert again.curve == first.curve
    assert again.chosen.epochs == first.chosen.epochs < len(first.curve)
    np.testing.assert_array_equal(again.score(held_out.given), first.score(held_out.given))


def test_one_checkpoint_is_kept(tmp_path: Path, shop: Histories) -> None:
    MultVAE(CONFIG).fit(shop, options=options(tmp_path))
    assert sorted(file.name for file in tmp_path.iterdir()) == [
        "checkpoint.json",
        "epoch-00007.safetensors",
    ]


def test_without_resume_a_checkpoint_is_written_over(interrupted: Path, shop: Histories) -> None:
    fresh = RunOptions(seed=6, device="cpu", checkpoints=interrupted)
    assert len(MultVAE(CONFIG).fit(shop, options=fresh).curve) == 7
    assert json.loads((interrupted / "checkpoint.json").read_text())["run"]["seed"] == 6


def test_a_checkpoint_of_another_run_is_refused_and_says_what_differs(
    interrupted: Path, shop: Histories, held_out: HeldOut
) -> None:
    def resume(config: MultVAEConfig, train: Histories, seed: int) -> None:
        MultVAE(config).fit(train, validation=held_out, options=options(interrupted, seed))

    with pytest.raises(TrainingError, match=r"another run \(not the same seed\)"):
        resume(CONFIG, shop, 6)
    with pytest.raises(TrainingError, match=r"another run \(not the same config\)"):
        resume(MultVAEConfig(hidden=(16, 8), epochs=9), shop, 5)
    with pytest.raises(TrainingError, match=r"another run \(not the same data\)"):
        resume(CONFIG, shop.rows(slice(80)), 5)


@pytest.mark.parametrize("text", ["{", "[]", "{}", None])
def test_a_damaged_checkpoint_is_refused(
    interrupted: Path, shop: Histories, held_out: HeldOut, text: str | None
) -> None:
    if text is None:
        (tensors,) = interrupted.glob("*.safetensors")
        content = bytearray(tensors.read_bytes())
        content[-1] ^= 1
        tensors.write_bytes(content)
    else:
        (interrupted / "checkpoint.json").write_text(text)
    with pytest.raises(TrainingError, match=r"(damaged|not a whole).*; train without resuming"):
        MultVAE(CONFIG).fit(shop, validation=held_out, options=options(interrupted))


def test_the_fingerprint_tells_histories_apart(shop: Histories) -> None:
    heavier = shop.matrix.copy()
    heavier.data[3] += 0.1
    timed = Histories(shop.matrix, np.arange(shop.matrix.nnz))
    others = [shop.rows(slice(89)), Histories(heavier), timed]
    assert fingerprint(shop) == fingerprint(Histories(shop.matrix.copy()))
    assert len({fingerprint(each) for each in (shop, *others)}) == 4
