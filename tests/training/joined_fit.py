"""Fits one model in the processes that torchrun starts; the first writes its weights and curve.

torchrun --nproc-per-node N joined_fit.py NAME SETTINGS OUT [CHECKPOINTS]
"""

from __future__ import annotations

import json
import sys
from pathlib import Path

import torch

from recsys.files import write_json, write_tensors
from recsys.models.base import RunOptions
from recsys.models.registry import make_model
from recsys.training.distributed import joined
from shops import tastes, validation

if __name__ == "__main__":
    torch.set_num_threads(1)
    name, settings, out, *folder = sys.argv[1:]
    checkpoints = Path(folder[0]) if folder else None
    options = RunOptions(device="cpu", checkpoints=checkpoints, resume=True)
    with joined("cpu") as world:
        model = make_model(name, json.loads(settings))
        model.fit(tastes(90, 0), validation=validation(), options=options)
        if world.rank == 0:
            write_tensors(Path(out), model.tensors())
            write_json(Path(out).with_suffix(".json"), {"size": world.size, "curve": model.curve})
