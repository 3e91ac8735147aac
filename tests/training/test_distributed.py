"""Several processes train the network that one would: real ones, as torchrun starts them."""

from __future__ import annotations

import json
import os
import socket
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest

from recsys.files import Tensors, map_tensors

SCRIPT = Path(__file__).parent / "joined_fit.py"
PLAIN = {
    "hidden": [16],
    "dropout": 0.0,
    "batch_size": 20,
    "learning_rate": 0.01,
    "precision": "float32",
    "patience": None,
    "epochs": 3,
}


def start(
    out: Path, processes: int, name: str, settings: object, *folder: Path
) -> list[subprocess.Popen[str]]:
    """Start the processes with the environment that torchrun gives them."""
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    command = [sys.executable, SCRIPT, name, json.dumps(settings), out, *folder]
    shared = {
        "PYTHONPATH": str(SCRIPT.parent.parent),
        "OMP_NUM_THREADS": "1",
        "MASTER_ADDR": "127.0.0.1",
        "MASTER_PORT": str(port),
        "WORLD_SIZE": str(processes),
    }
    return [
        subprocess.Popen(
            list(map(str, command)),
            env={**os.environ, **shared, "RANK": str(rank), "LOCAL_RANK": str(rank)},
            stderr=subprocess.PIPE,
            text=True,
        )
        for rank in range(processes)
    ]


def fitted(out: Path, processes: int, name: str, settings: object, *folder: Path) -> Tensors:
    for started in start(out, processes, name, settings, *folder):
        _, errors = started.communicate()
        assert started.returncode == 0, errors
    facts = json.loads(out.with_suffix(".json").read_text())
    assert facts["size"] == processes
    return {**map_tensors(out), "curve": np.array([p["ndcg@100"] for p in facts["curve"]])}


@pytest.mark.parametrize("name", ["mult-dae", "elsa"])
def test_two_processes_take_the_steps_of_one(tmp_path: Path, name: str) -> None:
    settings = PLAIN if name == "mult-dae" else {"factors": 8, "epochs": 3, "batch_size": 20}
    settings = {**settings, "precision": "float32"}
    alone, both = (fitted(tmp_path / f"{n}.safetensors", n, name, settings) for n in (1, 2))
    for tensor, expected in alone.items():
        np.testing.assert_allclose(both[tensor], expected, atol=1e-5, err_msg=tensor)


def test_row_updates_and_noise_work_in_two_processes(tmp_path: Path) -> None:
    settings = {**PLAIN, "hidden": [16, 8], "dropout": 0.5, "sampled": 5, "epochs": 30}
    both = fitted(tmp_path / "both.safetensors", 2, "mult-vae", settings)
    assert both["curve"][-5:].mean() > both["curve"][:2].mean() + 0.05


@pytest.mark.parametrize("processes", [1, 2])
def test_what_is_killed_and_resumed_ends_like_what_was_not(tmp_path: Path, processes: int) -> None:
    settings = {**PLAIN, "dropout": 0.5, "epochs": 300}
    folder = tmp_path / "checkpoints"
    killed = start(tmp_path / "killed.safetensors", processes, "mult-dae", settings, folder)
    state = folder / "checkpoint.json"
    while not state.exists() or json.loads(state.read_text())["epoch"] < 20:
        assert killed[0].poll() is None
        time.sleep(0.01)
    for process in killed:
        process.kill()
        process.communicate()
    assert json.loads(state.read_text())["epoch"] < 300
    resumed = fitted(tmp_path / "resumed.safetensors", processes, "mult-dae", settings, folder)
    whole = fitted(tmp_path / "whole.safetensors", processes, "mult-dae", settings)
    for tensor, expected in whole.items():
        np.testing.assert_array_equal(resumed[tensor], expected, err_msg=tensor)
