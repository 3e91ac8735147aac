"""`recsys tune` as it is typed: the file it writes is what evaluate and train start from."""

from __future__ import annotations

import json
import tomllib
from pathlib import Path
from typing import Any

import pytest

from recsys.artifacts import load_current
from recsys.evaluation import tuned as settings_files


@pytest.fixture
def tune(run: Any, shop: Path, tmp_path: Path) -> Any:
    files = ("--study", tmp_path / "study.sqlite", "--out", tmp_path / "tuned.toml")
    return lambda *flags: run("tune", "--data", shop, "--trials", 2, *files, *flags)


def test_what_is_found_is_kept_evaluated_and_trained(
    tune: Any, run: Any, shop: Path, tmp_path: Path
) -> None:
    file = tmp_path / "tuned.toml"
    ended = tune("--test-users", 10, "--models", "popularity,ease,blend")
    assert ended.code == 0, ended.err
    for said in ("ease 2/2", "best:", str(file)):
        assert said in ended.out + ended.err
    found = tomllib.loads(file.read_text())
    assert found["tuned"]["data"] == "corner-shop"
    assert {name: facts["trials"] for name, facts in found["tuned"]["found"].items()} == {
        "popularity": 2,
        "ease": 2,
        "blend": 2,
    }
    out = tmp_path / "out.json"
    settings = ("--settings", file)
    flags = ("--test-users", 10, "--models", "ease,blend", "--json", out)
    assert run("evaluate", "--data", shop, *settings, *flags).code == 0
    ease = json.loads(out.read_text())["results"][0]
    assert ease["settings"]["l2"] == found["ease"]["l2"]
    models = tmp_path / "models"
    assert run("train", "--data", shop, *settings, "--out", models).code == 0
    scores = {name: facts["ndcg@100"] for name, facts in found["tuned"]["found"].items()}
    assert load_current(models).manifest.model == max(scores, key=lambda name: scores[name])


def test_models_tuned_before_stay_and_what_was_found_elsewhere_goes(
    tune: Any, tmp_path: Path
) -> None:
    file = tmp_path / "tuned.toml"
    tune("--test-users", 10, "--models", "popularity")
    tune("--test-users", 10, "--models", "ease")
    assert {"popularity", "ease"} <= set(tomllib.loads(file.read_text()))
    tune("--test-users", 12, "--models", "ease")
    assert "popularity" not in tomllib.loads(file.read_text())


def test_train_takes_what_won_by_each_protocol(
    tune: Any, run: Any, shop: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(settings_files, "FOLDER", tmp_path)
    (tmp_path / "corner-shop.strong.toml").write_text(
        '[tuned.found.ease]\n"ndcg@100" = 0.3\n[ease]\nl2 = 7\n'
    )
    (tmp_path / "corner-shop.temporal.toml").write_text(
        '[tuned.found.mult-dae]\n"ndcg@100" = 0.3\n[mult-dae]\nhidden = [8]\nepochs = 2\n'
    )
    for protocol, won in (("strong", "ease"), ("temporal", "mult-dae")):
        ended = run("train", "--data", shop, "--protocol", protocol, "--out", tmp_path / "m")
        assert ended.code == 0, ended.err
        assert load_current(tmp_path / "m").manifest.model == won
    assert "training  ease  l2=7" in run("train", "--data", shop, "--out", tmp_path / "m").out
    default = run("train", "--data", shop, "--settings", "default", "--out", tmp_path / "m").out
    assert "dan-edlae" in default


def test_a_cut_is_tuned_on_what_came_before_it(tune: Any, tmp_path: Path) -> None:
    ended = tune("--cut", "2024-07-01,2024-09-01", "--horizon", "60d", "--models", "popularity")
    assert ended.code == 0, ended.err
    origin = tomllib.loads((tmp_path / "tuned.toml").read_text())["tuned"]
    assert origin["protocol"] == "temporal"
    assert origin["cuts"] == ["2024-07-01", "2024-09-01"]


def test_the_most_popular_items_alone(tune: Any, tmp_path: Path) -> None:
    assert tune("--test-users", 10, "--models", "ease", "--popular", 8).code == 0
    assert tomllib.loads((tmp_path / "tuned.toml").read_text())["tuned"]["items"] == 8


@pytest.mark.parametrize(
    ("flags", "message"),
    [
        (("--models", "easy"), "unknown model 'easy'"),
        (("--models", "ease:a.toml"), "a.toml"),
        (("--models", "ease", "--set", "als.factors=8"), "als is not among --models"),
        (("--models", "ease", "--set", "ease.l3=8"), "unknown setting 'l3'"),
        (("--trials", "0"), "--trials"),
        (("--cap", "0"), "--cap"),
        (("--popular", "1"), "--popular"),
        (("--test-users", "10", "--validation-users", "0"), "take from 1 to"),
        (("--cut", "2024-07-01", "--validation-users", "5"), "for --protocol strong alone"),
        (("--protocol", "temporal"), "needs days to cut at"),
        (("--settings", "nowhere.toml"), "nowhere.toml"),
        (("--settings", "tuned"), "`recsys tune` makes them"),
    ],
)
def test_what_cannot_be_meant(tune: Any, flags: tuple[str, ...], message: str) -> None:
    ended = tune(*flags)
    assert ended.code == 2
    assert message in ended.err


def test_a_study_that_is_none_is_refused(run: Any, shop: Path, tmp_path: Path) -> None:
    (tmp_path / "study.sqlite").write_text("no database")
    flags = ("--study", tmp_path / "study.sqlite", "--out", tmp_path / "tuned.toml")
    ended = run("tune", "--data", shop, "--test-users", 10, "--models", "ease", *flags)
    assert ended.code == 2
    assert f"--study {tmp_path / 'study.sqlite'}: cannot be used for a study" in ended.err
    (tmp_path / "file").write_text("")
    ended = run("tune", "--data", shop, "--test-users", 10, "--study", tmp_path / "file" / "s")
    assert ended.code == 2
    assert f"--study {tmp_path / 'file' / 's'}: cannot" in ended.err
