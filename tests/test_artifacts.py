from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from recsys.artifacts import (
    list_versions,
    load_artifact,
    load_current,
    publish,
    read_manifest,
    roll_back,
)
from recsys.errors import ArtifactError, NotFittedError, UsageError
from recsys.ids import IdMap
from recsys.interactions.catalogue import Catalogue
from recsys.interactions.dataset import Dataset
from recsys.interactions.tables import Interactions
from recsys.interactions.weighting import Weighting
from recsys.models.linear import EASE, EASEConfig

FILES = ("model.safetensors", "data.safetensors", "items.parquet")


def make_dataset(*, times: bool = True, values: bool = True) -> Dataset:
    rng = np.random.default_rng(5)
    users, items = rng.integers(0, 9, 80), rng.integers(0, 6, 80)
    interactions = Interactions.from_events(
        users,
        items,
        shape=(9, 6),
        times=rng.integers(0, 10**15, 80) if times else None,
        values=rng.random(80).astype(np.float32) if values else None,
    )
    catalogue = Catalogue(
        ["Tea", "", "Œufs à l'été", "茶", "a\nb", "Cup"],
        [("food",), (), ("food", "cold"), (), ("x|y",), ()],
        np.array([1.5, np.nan, 0, 3, 4, 5]),
        {"title": ["t", None, "", "ü", "5", "6"], "size": [None] * 6},
    )
    ids = IdMap(["007", "ü", "a b", "1.0", "1", ""])
    people = IdMap([f"user {code}" for code in range(9)])
    weighting = Weighting(per_day_bought=0.3) if times else Weighting()
    return Dataset("shop", "data/shop", "ab" * 32, interactions, people, ids, catalogue, weighting)


DATASET = make_dataset()


def fitted(dataset: Dataset = DATASET, l2: float = 3.0) -> EASE:
    return EASE(EASEConfig(l2=l2)).fit(dataset.weighting.histories(dataset.interactions))


MODEL = fitted()


@pytest.fixture
def models(tmp_path: Path) -> Path:
    return tmp_path / "deep" / "models"


@pytest.fixture
def folder(models: Path) -> Path:
    return models / publish(models, fitted(), DATASET)


@pytest.mark.parametrize(("times", "values"), [(True, True), (True, False), (False, False)])
def test_what_is_loaded_is_what_was_published(models: Path, times: bool, values: bool) -> None:
    dataset = make_dataset(times=times, values=values)
    model = fitted(dataset)
    version = publish(models, model, dataset, metrics={"ndcg@100": 0.3})
    loaded = load_current(models)

    histories = dataset.weighting.histories(dataset.interactions)
    assert np.array_equal(loaded.model.score(histories), model.score(histories))
    assert loaded.model.config == EASEConfig(l2=3.0)
    assert loaded.weighting == dataset.weighting
    assert (loaded.users, loaded.items) == (dataset.users, dataset.items)
    for name in ("indptr", "items", "times", "values"):
        written = getattr(dataset.interactions, name)
        read = getattr(loaded.interactions, name)
        assert (read is None) == (written is None)
        assert written is None or (np.array_equal(read, written) and read.dtype == written.dtype)
    assert loaded.interactions.n_items == 6
    assert loaded.catalogue.titles == dataset.catalogue.titles
    assert loaded.catalogue.categories == dataset.catalogue.categories
    assert np.array_equal(loaded.catalogue.prices, dataset.catalogue.prices, equal_nan=True)
    assert loaded.catalogue.attributes == dataset.catalogue.attributes
    assert loaded.reference_time == dataset.interactions.newest
    manifest = loaded.manifest
    assert manifest.version == version == loaded.folder.name
    assert manifest.metrics == {"ndcg@100": 0.3}
    assert (manifest.data.users, manifest.data.items, manifest.data.interactions) == (9, 6, 80)
    assert (manifest.data.name, manifest.data.fingerprint) == ("shop", "ab" * 32)
    assert {"python", "numpy", "scipy"} <= manifest.libraries.keys()
    assert manifest.files.keys() == set(FILES)


def test_the_manifest_is_plain_json_with_a_relative_current_beside_it(folder: Path) -> None:
    content = json.loads((folder / "manifest.json").read_text(encoding="utf-8"))
    assert content["model"] == "ease"
    assert content["config"] == {"l2": 3.0, "target_half_life_days": None}
    assert content["format"] == 1
    assert (folder.parent / "current").readlink() == Path(folder.name)
    moved = folder.parent.rename(folder.parent.with_name("elsewhere"))
    assert load_current(moved).manifest.version == folder.name


def test_versions_sort_by_time_and_roll_back_goes_through_them(models: Path) -> None:
    versions = [publish(models, fitted(l2=l2), DATASET) for l2 in (1.0, 2.0, 3.0)]
    assert versions == sorted(versions)
    assert [(info.version, info.current) for info in list_versions(models)] == [
        (versions[2], True),
        (versions[1], False),
        (versions[0], False),
    ]
    assert roll_back(models) == versions[1]
    assert load_current(models).model.config.l2 == 2.0
    assert roll_back(models) == versions[0]
    with pytest.raises(UsageError, match="no version is older"):
        roll_back(models)
    assert roll_back(models, versions[2]) == versions[2]
    assert load_current(models).model.config.l2 == 3.0
    for name in ("nothing", "", ".", "..", "current", f"../models/{versions[0]}"):
        with pytest.raises(UsageError, match=versions[0]):
            roll_back(models, name)
    assert load_current(models).manifest.version == versions[2]


def test_roll_back_refuses_a_damaged_version_and_leaves_current(models: Path) -> None:
    old, new = (publish(models, fitted(), DATASET) for _ in range(2))
    _flip(models / old / "model.safetensors")
    with pytest.raises(ArtifactError, match="checksum"):
        roll_back(models)
    assert load_current(models).manifest.version == new


def test_roll_back_mends_a_dangling_current(models: Path) -> None:
    old, new = (publish(models, fitted(), DATASET) for _ in range(2))
    shutil.rmtree(models / new)
    with pytest.raises(ArtifactError, match=f"points to '{new}', which is not there"):
        load_current(models)
    assert roll_back(models) == old
    assert load_current(models).manifest.version == old


def _flip(path: Path) -> None:
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 1
    path.write_bytes(content)


def _truncate(path: Path) -> None:
    path.write_bytes(path.read_bytes()[:-1])


@pytest.mark.parametrize("name", FILES)
@pytest.mark.parametrize(
    ("damage", "reason"),
    [(_flip, "checksum"), (_truncate, "were published"), (Path.unlink, "missing")],
)
def test_a_damaged_file_is_named_and_refused(
    folder: Path, name: str, damage: Any, reason: str
) -> None:
    damage(folder / name)
    with pytest.raises(ArtifactError, match=f"{name}: .*{reason}|{name}: {reason}"):
        load_artifact(folder)


def _edit(folder: Path, **changes: Any) -> None:
    path = folder / "manifest.json"
    path.write_text(json.dumps(json.loads(path.read_text()) | changes))


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({"product": "other"}, "not a model that recsys published"),
        ({"format": 2, "files": "in another shape"}, "format 2 is newer than the 1"),
        ({"files": {}}, "does not name model.safetensors"),
        ({"files": [1]}, "damaged: files"),
        ({"model": None}, "damaged: model"),
        ({"model": "no-such"}, "unknown model"),
        ({"config": {"l3": 1}}, "unknown setting 'l3'"),
        ({"config": {"l2": -1}}, "l2"),
        ({"weighting": {"value": "much"}}, "value"),
        ({"model": "popularity", "config": {}}, "do not fit together"),
    ],
)
def test_a_manifest_that_cannot_be_meant_is_refused(
    folder: Path, changes: dict[str, Any], reason: str
) -> None:
    _edit(folder, **changes)
    with pytest.raises(ArtifactError, match=reason):
        load_artifact(folder)


@pytest.mark.parametrize("name", ["../secret", "/etc/passwd", "a/b", "..", "", "a\\b", "nul\0"])
def test_a_manifest_that_names_a_file_outside_its_folder_is_refused(
    folder: Path, name: str
) -> None:
    files = json.loads((folder / "manifest.json").read_text())["files"]
    _edit(folder, files={**files, name: files["items.parquet"]})
    with pytest.raises(ArtifactError, match="no file of its folder"):
        read_manifest(folder)


@pytest.mark.parametrize("content", [b"", b"{", b"[]", b"null", b"\xff\xfe", b'{"a": 1}'])
def test_what_is_no_manifest_is_refused(folder: Path, content: bytes) -> None:
    (folder / "manifest.json").write_bytes(content)
    with pytest.raises(ArtifactError, match=r"manifest\.json: (damaged|not a model)"):
        load_artifact(folder)


def test_a_folder_without_manifest_is_refused_and_listed_with_the_reason(folder: Path) -> None:
    (folder / "manifest.json").unlink()
    with pytest.raises(ArtifactError, match="half-written"):
        load_current(folder.parent)
    (info,) = list_versions(folder.parent)
    assert info.current
    assert info.manifest is None
    assert info.problem is not None
    assert "half-written" in info.problem


def test_a_folder_with_nothing_in_it_says_what_to_do(tmp_path: Path) -> None:
    with pytest.raises(ArtifactError, match="recsys train"):
        load_current(tmp_path)
    assert list_versions(tmp_path) == []
    for act in (list_versions, load_current, roll_back):
        with pytest.raises(ArtifactError, match="recsys train"):
            act(tmp_path / "absent")


def test_a_failed_publish_leaves_nothing_behind(models: Path) -> None:
    version = publish(models, fitted(), DATASET)
    with pytest.raises(NotFittedError):
        publish(models, EASE(), DATASET)
    with pytest.raises(ValueError, match="JSON"):  # NaN is no JSON
        publish(models, fitted(), DATASET, metrics={"ndcg@100": float("nan")})
    assert {path.name for path in models.iterdir()} == {version, "current"}


def test_publishing_refuses_a_folder_that_cannot_hold_models(tmp_path: Path) -> None:
    occupied = tmp_path / "file"
    occupied.write_text("x")
    with pytest.raises(ArtifactError, match="cannot be a folder for models"):
        publish(occupied, fitted(), DATASET)
    (tmp_path / "models" / "current").mkdir(parents=True)
    with pytest.raises(ArtifactError, match="move it away"):
        publish(tmp_path / "models", fitted(), DATASET)
    assert [path.name for path in (tmp_path / "models").iterdir()] == ["current"]


def test_publishers_at_once_do_not_disturb_each_other(models: Path) -> None:
    model = fitted()
    with ThreadPoolExecutor(8) as pool:
        versions = set(pool.map(lambda _: publish(models, model, DATASET), range(24)))
    assert len(versions) == 24
    assert {path.name for path in models.iterdir()} == versions | {"current"}
    assert {info.version for info in list_versions(models) if info.problem is None} == versions
    assert load_current(models).manifest.version in versions


def publish_and_die(models: Path, step: int) -> bool:
    """Publish in a child process that is killed at its step-th open, mkdir, rename, link or unlink.

    Returns whether it ended before that.
    """
    child = os.fork()
    if child == 0:
        left = step

        def count(event: str, _: object) -> None:
            nonlocal left
            if event in ("open", "os.mkdir", "os.rename", "os.symlink", "os.remove", "os.rmdir"):
                left -= 1
                if left < 0:
                    os.kill(os.getpid(), signal.SIGKILL)

        sys.addaudithook(count)
        publish(models, MODEL, DATASET)
        os._exit(0)
    return os.waitpid(child, 0)[1] == 0


def die_at_every_step(models: Path) -> None:
    """Check after each death that `current` is whole: the one before, or the new one."""
    current, switched = publish(models, MODEL, DATASET), []
    for step in range(1000):
        ended = publish_and_die(models, step)
        found = load_current(models).manifest.version
        infos = list_versions(models)
        assert all(info.problem is None for info in infos)
        assert found in (current, infos[0].version)
        switched.append(found != current)
        current = found
        if ended:
            break
    assert ended
    assert switched[-1]
    assert switched.count(False) > 20  # deaths before the switch, the last step but a few


def test_a_publisher_killed_at_any_step_leaves_a_whole_current(models: Path) -> None:
    script = (
        "import sys, pathlib, test_artifacts as t; t.die_at_every_step(pathlib.Path(sys.argv[1]))"
    )
    environment = {**os.environ, "PYTHONPATH": str(Path(__file__).parent), "OMP_NUM_THREADS": "1"}
    command = [sys.executable, "-c", script, str(models)]
    done = subprocess.run(
        command, env=environment, timeout=120, check=False, capture_output=True, text=True
    )
    assert done.returncode == 0, done.stderr
    assert any(path.name.startswith(".") for path in models.iterdir())  # what the dead left
    assert all(not info.version.startswith(".") for info in list_versions(models))
    after = publish(models, MODEL, DATASET)
    assert load_current(models).manifest.version == after
