from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from recsys.artifacts import list_versions, load_current
from recsys.interactions.dataset import load_dataset
from recsys.interactions.weighting import Weighting
from recsys.models.registry import DEFAULT_MODEL, make_model
from recsys.recommender import Recommender


def test_what_is_trained_is_published_and_answers(run: Any, shop: Path, tmp_path: Path) -> None:
    ended = run("train", "--data", shop, "--model", "ease", "--set", "l2=7", "--out", tmp_path)
    assert (ended.code, ended.err) == (0, "")
    (info,) = list_versions(tmp_path)
    dataset = load_dataset(shop)
    for said in ("corner-shop: 60 users, 25 items", "ease", "l2=7", f"{tmp_path / info.version}"):
        assert said in ended.out
    artifact = load_current(tmp_path)
    assert artifact.manifest.data.fingerprint == dataset.fingerprint
    assert artifact.users == dataset.users
    histories = dataset.weighting.histories(dataset.interactions)
    same = make_model("ease", {"l2": 7.0}).fit(histories)
    assert np.array_equal(artifact.model.score(histories), same.score(histories))
    assert Recommender.open(tmp_path).recommend("u07").basis == "history"


def test_without_a_model_named_it_is_the_default_one(run: Any, shop: Path, tmp_path: Path) -> None:
    for number, flags in enumerate(([], ["--model", "auto"])):
        out = run("train", "--data", shop, "--out", tmp_path / str(number), *flags).out
        assert DEFAULT_MODEL in out
        assert load_current(tmp_path / str(number)).manifest.model == DEFAULT_MODEL


def test_json_says_what_was_published(run: Any, shop: Path, tmp_path: Path) -> None:
    flags = ["--model", "ease", "--set", "ease.l2=2.5", "--json"]
    ages = ["--half-life-days", 30, "--train-half-life-days", 20]
    ended = run("train", "--data", shop, "--out", tmp_path, *flags, *ages)
    said = json.loads(ended.out)
    manifest = load_current(tmp_path).manifest
    assert said["version"] == manifest.version
    assert Path(said["folder"]) == tmp_path / manifest.version
    assert said["config"] == manifest.config == {"l2": 2.5, "target_half_life_days": None}
    assert said["weighting"] == manifest.weighting
    assert manifest.weighting["half_life_days"] == 30
    assert load_current(tmp_path).weighting == Weighting(30, train_half_life_days=20)
    assert said["seconds"] > 0


def test_a_model_that_chooses_says_what_and_how_good_it_was(
    run: Any, shop: Path, tmp_path: Path
) -> None:
    flags = "--model mult-dae --set epochs=3 --set hidden=[8] --set batch_size=20 --device cpu"
    command = ["train", "--data", shop, *flags.split(), "--seed", 3]
    checkpoints = ["--checkpoints", tmp_path / "checkpoints"]
    ended = run(*command, "--out", tmp_path / "a", *checkpoints)
    assert ended.code == 0
    manifest = load_current(tmp_path / "a").manifest
    assert f"validation ndcg@100 {manifest.metrics['validation ndcg@100']:.4f}" in ended.out
    assert manifest.config["hidden"] == [8]
    assert "torch" in manifest.libraries
    # the same seed again, and resumed after the end: the same model
    run(*command, "--out", tmp_path / "b")
    run(*command, "--out", tmp_path / "c", *checkpoints, "--resume")
    first, *others = (Recommender.open(tmp_path / name).recommend("u07") for name in "abc")
    assert others == [first, first]


@pytest.mark.parametrize(
    ("flags", "code", "message"),
    [
        (["--model", "gpt"], 2, "unknown model 'gpt'"),
        (["--set", "size=3"], 2, "unknown setting 'size'"),
        (["--model", "ease", "--set", "l2=-1"], 2, "l2"),
        (["--model", "ease", "--set", "l2"], 2, "write MODEL.FIELD=VALUE"),
        (["--settings", "tuned"], 2, "recsys tune"),
        (["--resume"], 2, "--resume needs --checkpoints"),
        (["--value-weight", "1"], 2, "value"),
        (["--data", "absent"], 1, "absent"),
    ],
)
def test_what_cannot_be_meant_is_said_in_one_line_and_nothing_is_published(
    *, run: Any, shop: Path, tmp_path: Path, flags: list[str], code: int, message: str
) -> None:
    ended = run("train", "--data", shop, "--out", tmp_path, *flags)
    assert (ended.code, message in ended.err) == (code, True), ended.err
    assert len(ended.err.splitlines()) == 1
    assert list_versions(tmp_path) == []


def test_a_folder_that_cannot_take_models_is_refused_before_any_work(
    run: Any, shop: Path, tmp_path: Path
) -> None:
    (tmp_path / "current").mkdir()
    ended = run("train", "--data", shop, "--out", tmp_path)
    assert (ended.code, ended.out) == (1, "")
    assert "move it away" in ended.err


def test_data_that_nobody_can_be_spared_from_still_trains(run: Any, tmp_path: Path) -> None:
    (tmp_path / "events.csv").write_text("user_id,item_id\nu,a\nu,b\nv,a\n")
    ended = run("train", "--data", tmp_path, "--out", tmp_path / "models")
    assert ended.code == 0
    found = Recommender.open(tmp_path / "models").recommend("v", k=1)
    assert [one.item for one in found.items] == ["b"]
