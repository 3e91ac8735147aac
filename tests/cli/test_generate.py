from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from recsys.artifacts import publish
from recsys.interactions.dataset import load_dataset
from recsys.models.autoencoders.mult_vae import MultVAE, MultVAEConfig


@pytest.fixture(scope="module")
def vae(tmp_path_factory: pytest.TempPathFactory, shop: Path) -> Path:
    """A folder of models in which a small mult-vae is current."""
    models, dataset = tmp_path_factory.mktemp("vae"), load_dataset(shop)
    config = MultVAEConfig(hidden=(16, 4), epochs=3, patience=None)
    model = MultVAE(config).fit(dataset.weighting.histories(dataset.interactions))
    publish(models, model, dataset)
    return models


def test_what_is_generated_can_be_trained_on(run: Any, vae: Path, tmp_path: Path) -> None:
    out = tmp_path / "synthetic"
    ended = run("generate", "--models", vae, "--out", out, "--users", 80)
    assert (ended.code, ended.err) == (0, "")
    assert "no times, no quantities" in ended.out
    assert "copies     0 of a real history" in ended.out
    read = load_dataset(out)
    assert len(read.users) <= 80
    assert read.users.ids[0].startswith("synthetic-")
    trained = run("train", "--data", out, "--model", "popularity", "--out", tmp_path / "models")
    assert trained.code == 0


def test_a_data_set_is_learnt_from_first(run: Any, shop: Path, tmp_path: Path) -> None:
    ended = run("generate", "--data", shop, "--out", tmp_path / "new", "--json")
    said = json.loads(ended.out)
    assert said["users"] + said["left_out"] == 60
    assert said["exact_copies"] == 0
    assert 0 <= said["nearest_real"] <= 1
    assert Path(said["folder"]).is_dir()


def test_a_segment_and_a_way_between_two(run: Any, vae: Path, tmp_path: Path) -> None:
    ids = tmp_path / "ids.txt"
    ids.write_text("u01\n\nu02\nu03\n", encoding="utf-8")
    like = run("generate", "--models", vae, "--out", tmp_path / "a", "--segment", ids, "--json")
    said = json.loads(like.out)
    assert said["users"] + said["left_out"] == 3
    way = run("generate", "--models", vae, "--out", tmp_path / "b", "--between", "u01", "u02")
    assert way.code == 0
    assert "popular" not in way.out  # two users are no measure of popularity
    prior = run("generate", "--models", vae, "--out", tmp_path / "c", "--prior")
    assert prior.code == 0


def test_generate_refuses_what_cannot_be_meant(
    run: Any, vae: Path, shop: Path, tmp_path: Path
) -> None:
    new, ids, empty = tmp_path / "new", tmp_path / "ids.txt", tmp_path / "empty.txt"
    ids.write_text("u01\nnobody\n", encoding="utf-8")
    empty.write_bytes(b"")
    folder = tmp_path / "taken"
    folder.mkdir()
    (folder / "x").touch()
    for flags, code, says in (
        (["--out", folder], 2, "there is something already"),
        (["--out", new, "--users", 0], 2, "--users"),
        (["--out", new, "--temperature", 0], 2, "--temperature"),
        (["--out", new, "--prior", "--between", "u01", "u02"], 2, "take one of them"),
        (["--out", new, "--between", "u01", "nobody"], 1, "unknown user 'nobody'"),
        (["--out", new, "--segment", ids], 1, "row 2"),
        (["--out", new, "--segment", empty], 1, "names no user"),
        (["--out", new, "--segment", tmp_path / "none.txt"], 1, "cannot be read"),
    ):
        ended = run("generate", "--models", vae, *flags)
        assert ended.code == code
        assert says in ended.err
        assert "Traceback" not in ended.err
        assert not new.exists()
    assert run("generate", "--data", shop / "no", "--out", new).code == 1


def test_the_quick_report(run: Any, shop: Path, tmp_path: Path) -> None:
    out = tmp_path / "report.html"
    ended = run("understand", "--data", shop, "--report", out, "--quick")
    assert ended.code == 0
    assert f"written {out}" in ended.out
    assert "Noise" in ended.err  # progress
    html = out.read_text(encoding="utf-8")
    for title in ("Strange accounts", "Odd events", "Noise", "How sure lists are"):
        assert f">{title}</h2>" in html
    assert "<svg" in html


def test_the_report_needs_a_file_and_a_log(run: Any, shop: Path, tmp_path: Path) -> None:
    assert "is a directory" in run("understand", "--data", shop, "--report", tmp_path).err
    ended = run("understand", "--models", tmp_path / "none", "--report", tmp_path / "a.html")
    assert ended.code == 1
    assert not (tmp_path / "a.html").exists()


def test_recommend_says_how_sure_it_is(run: Any, shop: Path, tmp_path: Path) -> None:
    run("train", "--data", shop, "--model", "ease", "--out", tmp_path)
    flags = ["--models", tmp_path, "--user", "u01", "--k", 3, "--uncertainty"]
    said = json.loads(run("recommend", *flags, "--json").out)
    assert {"probability", "stability"} <= set(said["items"][0])
    assert said["items"][0]["stability"] is None
    ended = run("recommend", *flags)
    assert "probability" in ended.out
    assert "stability: only variational models" in ended.out
