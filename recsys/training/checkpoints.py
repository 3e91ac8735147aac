"""Checkpoints: a run as it stood after an epoch, from which it goes on as if undisturbed."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from recsys.errors import ArtifactError, TrainingError
from recsys.files import Tensors, map_tensors, sha256_of, write_json, write_tensors
from recsys.interactions.tables import Histories
from recsys.training.distributed import World
from recsys.training.run import Run

_STATE = "checkpoint.json"


@dataclass(frozen=True)
class Checkpoints:
    """The checkpoint of one run in a folder of its own.

    `checkpoint.json` names the run, says where it stands, and names the file of its tensors with
    their checksum. It is switched last, so that there is one whole checkpoint at any time.

    Attributes
    ----------
    folder
        Where they are written; made when needed.
    identity
        What a run is (model, config, data, seed, device, processes), by name; a checkpoint with
        another identity is refused.
    resume
        Whether to go on from what is there; otherwise it is written over.
    """

    folder: Path
    identity: Mapping[str, Any]
    resume: bool = False

    def save(self, run: Run, world: World) -> None:
        """Write the run's state, and then remove the state before it; the first process does."""
        device = run.network.device  # gathering takes place there
        noises = world.gathered(run.noise.get_state().to(device))
        if world.rank > 0:
            return
        tensors = self.folder / f"epoch-{run.epoch:05d}.safetensors"
        write_tensors(tensors, _tensors(run, noises))
        state = {
            "run": self.identity,
            "epoch": run.epoch,
            "best_epoch": run.best_epoch,
            "curve": run.curve,
            "tensors": tensors.name,
            "sha256": sha256_of(tensors),
        }
        write_json(self.folder / _STATE, state)
        for other in self.folder.glob("epoch-*.safetensors"):
            if other != tensors:
                other.unlink()

    def load_into(self, run: Run, world: World) -> None:
        """Bring a fresh run to where the checkpoint stood, if there is one to resume.

        Raises
        ------
        TrainingError
            The checkpoint is damaged or of another run.
        """
        path = self.folder / _STATE
        if not self.resume or not path.exists():
            return
        try:
            state = json.loads(path.read_text(encoding="utf-8"))
            self._check_identity(state["run"], path)
            file = self.folder / state["tensors"]
            if sha256_of(file) != state["sha256"]:
                raise TrainingError(f"{file}: damaged; train without resuming")
            tensors = {name: torch.tensor(array) for name, array in map_tensors(file).items()}
            _restore(run, state, tensors, world.rank)
        except (OSError, ValueError, KeyError, TypeError, ArtifactError) as error:
            raise TrainingError(
                f"{path}: not a whole checkpoint ({error}); train without resuming"
            ) from error

    def _check_identity(self, found: Mapping[str, Any], path: Path) -> None:
        own = json.loads(json.dumps(self.identity))  # tuples become lists, as in the file
        differing = [name for name in sorted({*own, *found}) if own.get(name) != found.get(name)]
        if differing:
            raise TrainingError(
                f"{path}: a checkpoint of another run (not the same {', '.join(differing)}); "
                "train without resuming, or choose another folder"
            )


def fingerprint(*histories: Histories) -> str:
    """Return the SHA-256 over the entries of histories, in hexadecimal."""
    digest = hashlib.sha256()
    for each in histories:
        matrix = each.matrix
        parts = (matrix.indptr.astype(np.int64), matrix.indices.astype(np.int32), matrix.data)
        digest.update(repr(matrix.shape).encode())
        for part in parts if each.times is None else (*parts, each.times):
            digest.update(np.ascontiguousarray(part).data)
    return digest.hexdigest()


def _tensors(run: Run, noises: Sequence[Tensor]) -> Tensors:
    named = {f"network.{name}": tensor for name, tensor in run.network.state_dict().items()}
    if run.mean is not None:
        named |= {f"mean.{name}": tensor for name, tensor in run.mean.state_dict().items()}
    named |= {f"best.{name}": tensor for name, tensor in run.best.items()}
    for index, state in run.optimizer.state_dict()["state"].items():
        named |= {f"optimizer.{index}.{name}": tensor for name, tensor in state.items()}
    named |= {f"noise.{rank}": state for rank, state in enumerate(noises)}
    named["order"] = run.order.get_state()
    return {name: tensor.cpu().numpy() for name, tensor in named.items()}


def _restore(run: Run, state: Mapping[str, Any], tensors: Mapping[str, Tensor], rank: int) -> None:
    def under(prefix: str) -> dict[str, Tensor]:
        return {
            name.removeprefix(prefix): tensor
            for name, tensor in tensors.items()
            if name.startswith(prefix)
        }

    run.network.load_state_dict(under("network."))
    if run.mean is not None:
        run.mean.load_state_dict(under("mean."))
    optimizer = run.optimizer.state_dict()
    for index in optimizer["param_groups"][0]["params"]:
        optimizer["state"][index] = under(f"optimizer.{index}.")
    run.optimizer.load_state_dict(optimizer)
    run.noise.set_state(tensors[f"noise.{rank}"])
    run.order.set_state(tensors["order"])
    run.best = under("best.")
    run.epoch, run.best_epoch, run.curve = state["epoch"], state["best_epoch"], state["curve"]
