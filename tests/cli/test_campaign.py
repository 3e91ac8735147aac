from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest
from click.testing import CliRunner, Result

from recsys.artifacts import publish
from recsys.cli.campaign import campaign
from recsys.errors import DataError, RecsysError, UsageError
from recsys.ids import IdMap
from recsys.interactions.catalogue import Catalogue
from recsys.interactions.dataset import Dataset
from recsys.interactions.tables import Interactions
from recsys.interactions.weighting import Weighting
from recsys.models.popularity import Popularity


@pytest.fixture(scope="module")
def models(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a folder with a published model: 007 took item b, 008 took a and b."""
    folder = tmp_path_factory.mktemp("campaign") / "models"
    events = Interactions.from_events(np.array([0, 1, 1]), np.array([1, 0, 1]), shape=(2, 3))
    dataset = Dataset(
        name="shop",
        source="generated",
        fingerprint="0" * 64,
        interactions=events,
        users=IdMap(["007", "008"]),
        items=IdMap(["a", "b", "c"]),
        catalogue=Catalogue(["Apple", "Bread", "Crème"], [()] * 3, np.full(3, np.nan)),
        weighting=Weighting(),
    )
    publish(folder, Popularity().fit(dataset.weighting.histories(events)), dataset)
    return folder


@pytest.fixture
def users(tmp_path: Path) -> Path:
    path = tmp_path / "audience.csv"
    path.write_text("user_id,name\n007,Ann\nx,Bob\n007,Ann\n")
    return path


def invoke(arguments: Sequence[object], **options: bool) -> Result:
    return CliRunner().invoke(campaign, [str(argument) for argument in arguments], **options)


def test_it_writes_and_says_what(tmp_path: Path, models: Path, users: Path) -> None:
    out = tmp_path / "out"
    command = ["--users", users, "--models", models, "--out", out, "--format", "csv"]
    command += ["--layout", "flat", "--k", 2, "--fallback", "none"]
    result = invoke(command, catch_exceptions=False)
    assert result.exit_code == 0
    lines = [line.split() for line in result.output.splitlines()]
    assert ["input", "3"] in lines
    assert ["rejected", "1"] in lines
    assert ["sent", "1"] in lines
    assert ["1", "unknown", "user"] in lines
    assert f"{out / 'send'}: 1 part for the mail tool" in result.output
    assert (out / "send" / "part-00000.csv").read_text() == (
        '"user_id","name","item_1","title_1","score_1","item_2","title_2","score_2"\n'
        '"007","Ann","a","Apple",1,"c","Crème",0\n'
    )
    again = invoke(command, catch_exceptions=False)
    assert "done already; nothing was changed" in again.output


def test_a_spec_says_the_same_as_flags(tmp_path: Path, models: Path, users: Path) -> None:
    spec = tmp_path / "campaign.toml"
    spec.write_text(
        f'users = "audience.csv"\nmodels = {json.dumps(str(models))}\nk = 2\nat = 2024-01-01\n'
    )
    first = invoke(["--spec", spec, "--out", tmp_path / "a"], catch_exceptions=False)
    second = invoke(
        [
            "--users",
            users,
            "--models",
            models,
            "--k",
            2,
            "--at",
            "2024-01-01",
            "--out",
            tmp_path / "b",
        ],
        catch_exceptions=False,
    )
    assert (first.exit_code, second.exit_code) == (0, 0)
    manifests = [(tmp_path / name / "manifest.json").read_bytes() for name in ("a", "b")]
    assert manifests[0] == manifests[1]


def test_a_dry_run_shows_the_first_lists(tmp_path: Path, models: Path, users: Path) -> None:
    before = sorted(tmp_path.iterdir())
    result = invoke(["--users", users, "--models", models, "--dry-run"], catch_exceptions=False)
    assert result.exit_code == 0
    assert sorted(tmp_path.iterdir()) == before
    assert "nothing was written" in result.output
    assert "\n007: sent" in result.output
    assert "\n   1  a  Apple\n" in result.output
    assert "\nx: sent (popular items: unknown user" in result.output


def test_what_is_wrong_is_said(tmp_path: Path, models: Path, users: Path) -> None:
    out = tmp_path / "o"
    for arguments, kind, message in (
        (["--users", users, "--models", models], UsageError, "--out is missing"),
        (["--models", models, "--out", tmp_path / "o"], UsageError, "no audience: give --users"),
        (["--users", users, "--models", tmp_path, "--out", out], RecsysError, "no model is publ"),
        (["--users", "no.csv", "--models", models, "--out", out], DataError, "does not exist"),
        (["--users", users, "--models", models, "--out", tmp_path], UsageError, "is not empty"),
    ):
        result = invoke(arguments)
        assert isinstance(result.exception, kind)
        assert message in str(result.exception)
    assert [path.name for path in tmp_path.iterdir()] == ["audience.csv"]  # nothing is left
    for flag, value in (("--k", "0"), ("--k", "1001"), ("--engine", "dask"), ("--format", "xml")):
        assert invoke(["--users", users, flag, value]).exit_code == 2


def test_nothing_heavy_is_loaded_for_help() -> None:
    code = (
        "import sys; from click.testing import CliRunner; from recsys.cli.campaign import campaign;"
        "print(CliRunner().invoke(campaign, ['--help']).output);"
        "print(*({'torch', 'pyarrow', 'numpy', 'scipy'} & {*sys.modules}), 'loaded')"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True, timeout=60
    )
    assert "--users-per-part" in done.stdout
    assert done.stdout.splitlines()[-1] == "loaded"
