"""Campaigns on Ray, in processes of their own: its libraries warn, which is an error here."""

from __future__ import annotations

import importlib.util
import subprocess
import sys
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest

from campaign_files import audience, tree
from campaign_kills import check_killed
from recsys.campaigns.job import run_campaign
from recsys.campaigns.spec import CampaignSpec
from recsys.interactions.times import from_iso
from recsys.store.store import Store

Asked = Callable[..., CampaignSpec]

needs_ray = pytest.mark.skipif(
    importlib.util.find_spec("ray") is None, reason="Ray is not installed"
)

PEOPLE = [*(f"{user:03}" for user in range(37)), *(f"p{number}" for number in range(200))]


def command(spec: CampaignSpec, out: Path) -> list[str]:
    return [
        sys.executable, "-m", "recsys", "campaign", "--users", str(spec.users),
        "--models", str(spec.models), "--out", str(out), "--at", "2024-10-04", "--k", "4",
        "--users-per-part", "30", "--engine", "ray", "--workers", "2",
    ]  # fmt: skip


def run(spec: CampaignSpec, out: Path) -> subprocess.CompletedProcess[str]:
    given = command(spec, out)
    return subprocess.run(given, capture_output=True, text=True, timeout=280, check=False)


def run_here(spec: CampaignSpec, out: Path) -> None:
    at = from_iso("2024-10-04", "at")
    run_campaign(replace(spec, at=at, k=4, users_per_part=30, workers=1), out)


@needs_ray
def test_outputs_are_those_of_the_local_engine(tmp_path: Path, asked: Asked) -> None:
    spec = asked(audience(tmp_path, *PEOPLE[:90]))
    run_here(spec, tmp_path / "local")
    done = run(spec, tmp_path / "ray")
    assert done.returncode == 0, done.stderr
    assert tree(tmp_path / "ray") == tree(tmp_path / "local")
    assert "Traceback" not in done.stderr
    assert len(tree(tmp_path / "ray")) >= 2 + 2 * 3


def test_without_ray_it_is_said_what_to_install(
    asked: Asked, monkeypatch: pytest.MonkeyPatch
) -> None:
    from recsys.campaigns.engines import make_engine
    from recsys.errors import MissingDependencyError

    monkeypatch.delitem(sys.modules, "recsys.campaigns.engines.ray", raising=False)
    monkeypatch.setitem(sys.modules, "ray", None)
    with pytest.raises(MissingDependencyError, match=r"needs ray: pip install 'recsys\[ray\]'"):
        make_engine(asked(Path("people.csv"), engine="ray"), "cpu")


@needs_ray
def test_an_address_where_nothing_listens_is_refused() -> None:
    code = (
        "from pathlib import Path; from recsys.campaigns.engines.ray import RayEngine;"
        "from recsys.campaigns.opened import Job; job = Job(Path('w'), Path('m'));"
        "[*RayEngine('127.0.0.1:1', 2).map(job, 'decide', [0])]"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert "RecsysError: --ray-address 127.0.0.1:1: nothing answers there" in done.stderr


@needs_ray
@pytest.mark.soak
@pytest.mark.timeout(3600)
def test_a_run_killed_fifty_times_goes_on_to_the_same_bytes(
    tmp_path: Path, asked: Asked, store: Store
) -> None:
    check_killed(tmp_path, asked, store, 50, "ray")


@needs_ray
def test_a_killed_run_goes_on_to_the_same_bytes(tmp_path: Path, asked: Asked, store: Store) -> None:
    check_killed(tmp_path, asked, store, 1, "ray")
