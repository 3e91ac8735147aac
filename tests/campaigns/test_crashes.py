"""Runs that are killed, disks that are full, parts that are damaged: all or nothing, and again."""

from __future__ import annotations

import resource
import signal
from collections.abc import Callable
from pathlib import Path

import pytest

from campaign_files import audience, results_of, tree
from campaign_kills import check_killed
from recsys.campaigns.job import run_campaign
from recsys.campaigns.spec import CampaignSpec, Quota
from recsys.errors import RecsysError
from recsys.interactions.tables import FloatArray, Histories
from recsys.models.linear import EASE
from recsys.store.store import Store

Asked = Callable[..., CampaignSpec]

NOW = 20_000 * 86_400_000_000
PEOPLE = [*(f"{user:03}" for user in range(37)), *(f"p{number}" for number in range(200))]


def test_a_killed_run_goes_on_to_the_same_bytes(tmp_path: Path, asked: Asked, store: Store) -> None:
    check_killed(tmp_path, asked, store, 3, "local")


@pytest.mark.soak
@pytest.mark.timeout(3600)
def test_a_run_killed_fifty_times_goes_on_to_the_same_bytes(
    tmp_path: Path, asked: Asked, store: Store
) -> None:
    check_killed(tmp_path, asked, store, 50, "local")


def test_outputs_do_not_depend_on_the_workers(tmp_path: Path, asked: Asked) -> None:
    for workers in (1, 2):
        spec = asked(audience(tmp_path, *PEOPLE), users_per_part=60, workers=workers, at=NOW, k=5)
        run_campaign(spec, tmp_path / f"{workers}")
    assert tree(tmp_path / "1") == tree(tmp_path / "2")


@pytest.mark.parametrize("quota", [None, Quota(60)])
def test_a_full_disk_is_said_and_publishes_nothing(
    tmp_path: Path, asked: Asked, quota: Quota | None
) -> None:
    rows = [f"{user},{'x' * 300}" for user in PEOPLE]
    users = audience(tmp_path, *rows, header="user_id,note")
    spec = asked(users, at=NOW, format="csv", quota=quota)
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    before = signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    for limit in (2_000, 20_000, 60_000):
        try:
            resource.setrlimit(resource.RLIMIT_FSIZE, (limit, hard))
            with pytest.raises(RecsysError, match="File too large"):
                run_campaign(spec, tmp_path / "out")
        finally:
            resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
        assert not (tmp_path / "out").exists()
    signal.signal(signal.SIGXFSZ, before)
    run_campaign(spec, tmp_path / "out")
    run_campaign(spec, tmp_path / "other")
    assert tree(tmp_path / "out") == tree(tmp_path / "other")


@pytest.mark.parametrize("place", ["audience", "decided"])
def test_a_damaged_shard_is_said_and_publishes_nothing(
    tmp_path: Path, asked: Asked, monkeypatch: pytest.MonkeyPatch, place: str
) -> None:
    spec = asked(audience(tmp_path, *PEOPLE), users_per_part=30, at=NOW)
    score, batches = EASE._score, 0

    def damaging(self: EASE, histories: Histories) -> FloatArray:
        nonlocal batches
        batches += 1
        if batches == 4:
            raise KeyboardInterrupt
        return score(self, histories)

    with monkeypatch.context() as patched:
        patched.setattr(EASE, "_score", damaging)
        with pytest.raises(KeyboardInterrupt):
            run_campaign(spec, out := tmp_path / "out")
    for file in sorted((tmp_path / ".out.work" / place).iterdir())[:1]:
        file.write_bytes(file.read_bytes()[:100])
    with pytest.raises(RecsysError, match=rf"\.out\.work/{place}.*cannot be read.*(again|anew)"):
        run_campaign(spec, out)
    assert not out.exists()
    run_campaign(spec, out, restart=True)
    assert len(results_of(out)) == len(PEOPLE)


def test_two_at_once_do_not_get_in_each_others_way(tmp_path: Path, asked: Asked) -> None:
    from recsys.campaigns.work import Work

    spec = asked(audience(tmp_path, "001"))
    with (
        Work.beside(tmp_path / "out").locked(),
        pytest.raises(RecsysError, match="another process is at this campaign"),
    ):
        run_campaign(spec, tmp_path / "out")
