"""The comparison with other libraries, as far as it goes without them."""

from __future__ import annotations

import importlib.util
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest

PATH = Path(__file__).parents[2] / "benchmarks" / "peers.py"
SPEC = importlib.util.spec_from_file_location("peers", PATH)
peers: Any = importlib.util.module_from_spec(SPEC)  # type: ignore[arg-type]
sys.modules["peers"] = peers  # where dataclasses look for their module
SPEC.loader.exec_module(peers)  # type: ignore[union-attr]


@pytest.mark.parametrize("parts", [peers.shop, lambda: peers.made_up(300, 200, 3000)])
def test_every_item_is_known_and_what_is_given_is_not_to_be_found(parts: Any) -> None:
    each = parts()
    train, given, target = (each[name] for name in ("train", "given", "target"))
    assert train.shape[1] == given.shape[1] == target.shape[1]
    assert given.shape[0] == target.shape[0] == 800
    assert train.sum(axis=0).min() >= 1
    assert given.multiply(target).nnz == 0
    assert target.nnz < given.nnz
    assert all(set(matrix.data) == {1} for matrix in each.values())


def test_made_up_data_is_of_about_the_shape_asked_for_and_skewed() -> None:
    train = peers.made_up(2000, 4000, 60_000)["train"]
    assert train.shape[0] == 2000
    assert 3500 < train.shape[1] <= 4000
    assert 50_000 < train.nnz <= 60_000
    of_items = np.sort(train.sum(axis=0))[::-1]
    assert of_items[:400].sum() > 0.25 * train.nnz


def test_ours_is_trained_in_a_process_of_its_own(tmp_path: Path) -> None:
    data = tmp_path / "data.npz"
    peers.write_parts(data, peers.made_up(300, 200, 6000))
    job = peers.SETTINGS | {"data": str(data), "epochs": 3, "threads": 1, "hidden": 20, "latent": 8}
    measured = peers.trained(peers.Program("ours", "mult-vae"), job, Path(sys.executable))
    assert len(measured["epoch_seconds"]) == len(measured["ndcg@100"]) == 3
    assert all(seconds > 0 for seconds in measured["epoch_seconds"])
    assert 0 < measured["best"] < 1
    assert measured["peak_memory_bytes"] > measured["memory_before_bytes"] > 0


def test_a_run_that_fails_says_why(tmp_path: Path) -> None:
    job = peers.SETTINGS | {"data": str(tmp_path / "none.npz"), "epochs": 3, "threads": 1}
    with pytest.raises(peers.PeerError, match=r"No such file.*none\.npz"):
        peers.trained(peers.Program("ours", "mult-vae"), job, Path(sys.executable))


def measured(seconds: list[float], metrics: list[float], memory: int = 1000) -> dict[str, Any]:
    return {
        "epoch_seconds": seconds,
        "ndcg@100": metrics,
        "seconds_per_epoch": seconds[-1],
        "best": max(metrics),
        "peak_memory_bytes": memory,
        "memory_before_bytes": 400,
    }


def test_both_are_timed_to_what_both_reach() -> None:
    fast, slow = measured([1, 1, 1], [0.1, 0.2, 0.3]), measured([4, 3, 3], [0.2, 0.1, 0.25], 3000)
    pair = peers.compared(peers.PAIRS[0], [{"ours": fast, "peer": slow}])
    assert pair["target"] == 0.25
    assert (pair["ours"]["seconds_to_target"], pair["peer"]["seconds_to_target"]) == (3, 10)
    assert pair["ratios"] == pytest.approx(
        {"seconds_per_epoch": 3, "seconds_to_target": 10 / 3, "peak_memory_bytes": 3}
    )
    assert pair["peer"]["memory_grown_bytes"] == 2600


def test_a_pair_that_failed_once_says_so() -> None:
    good = {"ours": measured([1, 1], [0.1, 0.2]), "peer": measured([1, 1], [0.1, 0.2])}
    pair = peers.compared(peers.PAIRS[0], [good, {"error": "out of memory"}])
    assert pair["error"] == "out of memory"
    assert "ratios" not in pair


def test_a_folder_with_something_else_in_it_is_left_alone(tmp_path: Path) -> None:
    (tmp_path / "thesis.txt").write_text("years of work", encoding="utf-8")
    with pytest.raises(peers.PeerError, match="not an environment"):
        peers.environment(tmp_path, PATH.parent / "peers" / "cornac.txt")
    assert (tmp_path / "thesis.txt").exists()


def test_an_environment_that_cannot_be_made_says_so(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(peers.PeerError, match=r"could not be made: .*file"):
        peers.environment(tmp_path / "file" / "cornac", PATH.parent / "peers" / "cornac.txt")


def test_an_environment_is_made_once_for_the_same_pins(tmp_path: Path) -> None:
    folder, pins = tmp_path / "environment", tmp_path / "pins.txt"
    pins.touch()
    python = peers.environment(folder, pins)
    assert python.is_file()
    (folder / "pyvenv.cfg").write_text("touched", encoding="utf-8")
    assert peers.environment(folder, pins) == python
    assert (folder / "pyvenv.cfg").read_text(encoding="utf-8") == "touched"
