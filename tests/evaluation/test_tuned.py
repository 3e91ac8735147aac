"""Settings files: what was tuned for a data set and protocol is found, and nothing else."""

from __future__ import annotations

from pathlib import Path

import pytest

from recsys.errors import SettingsError, UsageError
from recsys.evaluation import tuned as module
from recsys.evaluation.entries import entries
from recsys.evaluation.tuned import Tuned, tuned_for, tuned_from
from recsys.interactions.dataset import Dataset


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setattr(module, "FOLDER", tmp_path)
    return tmp_path


def test_they_are_found_by_name_or_fingerprint(shop: Dataset, folder: Path) -> None:
    with pytest.raises(UsageError, match="'small-shop' and protocol strong; `recsys tune` makes"):
        tuned_from("tuned", shop, "strong")
    (folder / "another-shop.toml").write_text("[ease]\nl2 = 8\n")
    assert tuned_for(shop, "strong") is None
    for name in (shop.name, shop.fingerprint):
        file = folder / f"{name}.toml"
        file.write_text("[ease]\nl2 = 7\n")
        assert tuned_from("tuned", shop, "strong").models == {"ease": {"l2": 7}}
        file.unlink()


def test_those_of_the_protocol_go_before_those_of_any(shop: Dataset, folder: Path) -> None:
    (folder / "small-shop.toml").write_text("[ease]\nl2 = 1\n")
    (folder / "small-shop.temporal.toml").write_text("[ease]\nl2 = 2\n")
    assert tuned_from("tuned", shop, "temporal").models == {"ease": {"l2": 2}}
    assert tuned_from("tuned", shop, "strong").models == {"ease": {"l2": 1}}
    assert tuned_from("default", shop, "strong").models == {}


def test_what_is_written_is_read(tmp_path: Path) -> None:
    found = {"ease": {"ndcg@100": 0.3, "trials": 2}, "als": {"ndcg@100": 0.25}}
    ease = {"l2": 7.5, "target_half_life_days": None, "weights": {"baskets": 0.5}}
    models = {"ease": ease, "als": {"factors": 8}}
    written = Tuned({"data": "shop", "protocol": "strong"}, found, models)
    written.write(tmp_path / "a.toml")
    assert Tuned.read(tmp_path / "a.toml") == written
    assert written.winner == "ease"
    assert Tuned().winner is None


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("[eas]\nl2 = 1\n", "'eas' is no table of a model's settings"),
        ("ease = 3\n", "'ease' is no table"),
        ("tuned = 3\n", "tuned = 3 must be a table"),
        ("[tuned]\nfound = 3\n", "found = 3 must be a table"),
        ("[tuned.found]\nease = 3\n", r"found.ease = 3 must be a table"),
        ('[tuned.found.ease]\n"ndcg@100" = "high"\n', "'high' is no number"),
        ("[ease\n", "a.toml"),
    ],
)
def test_a_file_that_is_none_is_refused(tmp_path: Path, text: str, message: str) -> None:
    (tmp_path / "a.toml").write_text(text)
    with pytest.raises(SettingsError, match=message):
        Tuned.read(tmp_path / "a.toml")


def test_every_file_that_comes_with_the_code_can_be_used(shop: Dataset) -> None:
    files = list(module.FOLDER.glob("*.toml"))
    for file in files:
        tuned = Tuned.read(file)
        assert file.name.startswith(f"{tuned.origin['data']}.")
        assert entries(list(tuned.models), shop, settings=tuned.models)
        assert set(tuned.found) <= set(tuned.models)
