"""`recsys evaluate` as it is typed: flags, files, exit codes."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import scipy.sparse as sp

ROOT = Path(__file__).parents[2]
MODELS = ("--models", "popularity,ease", "--set", "ease.l2=5")


@pytest.fixture
def evaluate(run: Any, shop: Path) -> Any:
    return lambda *flags, data=shop: run("evaluate", "--data", data, *flags)


def test_a_table_and_the_results_in_a_file(evaluate: Any, tmp_path: Path) -> None:
    out = tmp_path / "out.json"
    ended = evaluate("--test-users", 10, *MODELS, "--k", "10,5", "--seed", 3, "--json", out)
    assert ended.code == 0
    for said in ("model", "popularity", "ease", "ndcg@100", "corner-shop", "10 users tested"):
        assert said in ended.out
    assert "10 users: ease ndcg@100" in ended.err
    report = json.loads(out.read_text())
    assert (report["protocol"], report["seed"], report["k"]) == ("strong", 3, [5, 10])
    assert [result["model"] for result in report["results"]] == ["popularity", "ease"]
    assert report["results"][1]["settings"]["l2"] == 5
    assert not out.with_name("out.json.parts").exists()


def test_settings_of_the_weights_and_of_a_file(evaluate: Any, tmp_path: Path) -> None:
    file = tmp_path / "mine.toml"
    file.write_text("l2 = 9\n")
    out = tmp_path / "out.json"
    flags = ("--test-users", 10, "--set", "ease.weights.half_life_days=60", "--json", out)
    ended = evaluate(*flags, "--models", f"ease,ease:{file}")
    assert ended.code == 0, ended.err
    plain, own = json.loads(out.read_text())["results"]
    assert own["model"] == f"ease:{file}"
    assert (plain["settings"]["l2"], own["settings"]["l2"]) != (9, 9)
    assert own["settings"]["l2"] == 9
    assert plain["settings"]["weights"]["half_life_days"] == 60


def test_cuts_mean_the_temporal_protocol(evaluate: Any, tmp_path: Path) -> None:
    out = tmp_path / "out.json"
    cuts = ("--cut", "2024-07-01,2024-05-01", "--horizon", "60d")
    ended = evaluate(*cuts, *MODELS, "--versus", "ease", "--json", out)
    assert ended.code == 0, ended.err
    report = json.loads(out.read_text())
    assert (report["protocol"], report["horizon_days"]) == ("temporal", 60)
    assert [result["cut"] for result in report["results"]] == ["2024-05-01"] * 2 + [
        "2024-07-01"
    ] * 2
    assert report["results"][0]["versus_best_baseline"]["baseline"] == "ease"


def test_a_published_split_is_taken_as_given(evaluate: Any, tmp_path: Path) -> None:
    rng = np.random.default_rng(1)
    pairs = rng.permuted(np.tile(np.arange(30), (40, 1)), axis=1)
    for name, items in (("train", pairs[:, :8]), ("test", pairs[:, 8:10])):
        matrix = sp.csr_array((np.ones(items.size), (np.repeat(np.arange(40), items.shape[1]),
            items.ravel())), shape=(40, 30))  # fmt: skip
        sp.save_npz(tmp_path / f"{name}.npz", matrix)
    out = tmp_path / "out.json"
    ended = evaluate(*MODELS, "--json", out, data=tmp_path)
    assert ended.code == 0, ended.err
    report = json.loads(out.read_text())
    assert report["protocol"] == "given"
    assert report["results"][0]["metrics"]["ndcg@100"]["n"] == 40


@pytest.mark.parametrize(
    ("flags", "message"),
    [
        (("--k", "0"), "--k 0: write it like `10,20`"),
        (("--k", "abc"), "--k abc"),
        (("--k", "10,,20"), "--k 10,,20"),
        (("--k", ""), "--k : write it like"),
        (("--cut", "2024-13-01"), "--cut 2024-13-01: write it like `2011-03-01"),
        (("--cut", "soon"), "--cut soon"),
        (("--cut", "2024-05-01", "--horizon", "3 months"), "--horizon 3 months: write it like"),
        (("--cut", "2024-05-01", "--horizon", "0d"), "--horizon 0d"),
        (("--cut", "1999-05-01"), "--cut 1999-05-01: no user has events both before it"),
        (("--horizon", "90d"), "needs days to cut at: --cut"),
        (("--protocol", "temporal"), "needs days to cut at: --cut"),
        (("--protocol", "strong", "--cut", "2024-05-01"), "--cut is for --protocol temporal"),
        (("--protocol", "weak", "--folds", "3"), "--folds is for --protocol strong alone"),
        (("--folds", "3", "--cut", "2024-05-01"), "--folds is for --protocol strong alone"),
        (("--folds", "3", "--test-users", "5"), "does not go with --folds"),
        (("--folds", "1"), "--folds 1: "),
        (("--test-users", "800"), "--test-users 800: "),
        (("--protocol", "given"), "is no published split"),
        (("--models", ""), "--models: name at least one"),
        (("--models", "nosuch"), "unknown model 'nosuch'"),
        (("--settings", "tuned"), "`recsys tune`"),
        (("--versus", "als"), "--versus als: not among --models"),
        (("--resume",), "--resume needs --json OUT"),
    ],
)
def test_what_cannot_be_meant_exits_2(evaluate: Any, flags: Any, message: str) -> None:
    models = () if "--models" in flags else MODELS
    ended = evaluate(*models, *flags)
    assert (ended.code, ended.out) == (2, "")
    assert message in ended.err
    assert "Traceback" not in ended.err


def test_data_that_is_missing_exits_2_and_data_that_is_wrong_1(run: Any, tmp_path: Path) -> None:
    assert run("evaluate", *MODELS).code == 2
    ended = run("evaluate", "--data", tmp_path / "nowhere", *MODELS)
    assert (ended.code, ended.out) == (1, "")
    assert "nowhere" in ended.err


def test_a_model_that_fails_is_told_and_exits_1_only_if_all_do(
    evaluate: Any, tmp_path: Path
) -> None:
    # the last horizon before this cut holds all events: nothing is left to choose on
    flags = ("--cut", "2024-03-01", "--horizon", "90d", "--json", tmp_path / "out.json")
    ended = evaluate(*flags, "--models", "popularity,mult-dae")
    assert ended.code == 0
    assert "mult-dae at 2024-03-01 failed: mult-dae chooses settings" in ended.out
    assert (tmp_path / "out.json.parts").exists()
    assert evaluate(*flags, "--models", "popularity,mult-dae", "--resume").code == 0
    ended = evaluate(*flags, "--models", "mult-dae")
    assert ended.code == 1
    assert ended.err.endswith("error: no model could be evaluated\n")


def test_evaluate_py_is_the_same_command(shop: Path) -> None:
    done = subprocess.run(
        [sys.executable, ROOT / "evaluate.py", "--data", shop, "--folds", "2", *MODELS],
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert "popularity" in done.stdout
    assert done.stderr.splitlines()[0].startswith("fold 1 of 2: popularity")


def test_help_names_every_flag(run: Any) -> None:
    ended = run("evaluate", "--help")
    assert ended.code == 0
    own = ("protocol", "folds", "cut", "horizon", "targets", "models", "settings", "set", "versus")
    for flag in (*own, "resume", "test-users", "k", "seed", "json", "data", "min-value"):
        assert f"--{flag}" in ended.out
