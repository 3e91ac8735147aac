"""Runs that are killed, disks that are full, parts that are damaged: all or nothing, and again."""

from __future__ import annotations

import os
import resource
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from campaign_files import audience, lists_of, results_of, tree
from recsys.campaigns.commit import commit
from recsys.campaigns.job import run_campaign
from recsys.campaigns.spec import CampaignSpec
from recsys.errors import RecsysError
from recsys.interactions.tables import FloatArray, Histories
from recsys.models.linear import EASE
from recsys.store.store import Store

Asked = Callable[..., CampaignSpec]

NOW = 20_000 * 86_400_000_000
PEOPLE = [*(f"{user:03}" for user in range(37)), *(f"p{number}" for number in range(200))]

_RUN = """
import sys
from pathlib import Path
from recsys.cli import main
if __name__ == "__main__":
    sys.argv = ["recsys", "campaign", *sys.argv[1:]]
    main()
"""


def command(folder: Path, spec: CampaignSpec, out: Path, url: str) -> list[str]:
    """Return a command that does the same as `run_campaign`, in processes of its own."""
    script, file = folder / "run.py", folder / "campaign.toml"
    script.write_text(_RUN)
    file.write_text(
        f'users = "{spec.users}"\nmodels = "{spec.models}"\nat = 2024-10-04\nk = 4\n'
        "users_per_part = 20\nhold_out = 0.1\ncool_down_days = 7\nquota = { default = 30 }\n"
        f'[[suppression]]\nsource = "{folder / "no.csv"}"\n'
    )
    return [
        sys.executable, str(script), "--spec", str(file), "--out", str(out), "--store", url,
        "--engine", spec.engine, "--workers", "2",
    ]  # fmt: skip


def kill_and_go_on(
    started: Callable[[Path], list[str]], out: Path, times: int, longest: float
) -> None:
    """Start a run until it ends, killed at so many random moments."""
    rng, killed = np.random.default_rng(times), 0
    while True:
        process = subprocess.Popen(
            started(out),
            stdout=subprocess.DEVNULL,
            stderr=subprocess.PIPE,
            start_new_session=True,
        )
        try:
            if killed >= times:
                _, said = process.communicate(timeout=300)
                assert process.returncode == 0, said
                return
            time.sleep(rng.uniform(0.5, longest))
            assert not out.exists() or (out / "manifest.json").is_file()
            killed += process.poll() is None
        finally:
            if process.poll() is None:
                os.killpg(process.pid, signal.SIGKILL)  # workers, too: the power is gone
            process.wait()
            if process.stderr is not None:
                process.stderr.close()
        if out.exists():  # it was quicker: from the start once more
            subprocess.run(["rm", "-r", str(out)], check=True)


def check_killed(folder: Path, asked: Asked, store: Store, times: int, engine: str) -> None:
    url = f"sqlite:///{store.file}"
    people = folder / "people"
    people.mkdir()
    (folder / "no.csv").write_text("user_id\n003\np7\n")
    spec = asked(audience(people, *PEOPLE), engine=engine)
    undisturbed = folder / "undisturbed"
    began = time.monotonic()
    subprocess.run(command(folder, spec, undisturbed, url), check=True, timeout=300)
    longest, out = time.monotonic() - began, folder / "killed"
    kill_and_go_on(lambda to: command(folder, spec, to, url), out, times, longest)
    assert tree(out) == tree(undisturbed)
    assert not (folder / ".killed.work").exists()
    commit(out, store)
    commit(out, store)
    sends = [(send.user, send.item) for send in store.sends_to(PEOPLE)]
    lists = lists_of(out)
    assert sorted(sends) == sorted((user, item) for user, own in lists.items() for item in own)
    assert len({*sends}) == len(sends)


def test_a_killed_run_goes_on_to_the_same_bytes(tmp_path: Path, asked: Asked, store: Store) -> None:
    check_killed(tmp_path, asked, store, 3, "local")


@pytest.mark.soak
def test_a_run_killed_fifty_times_goes_on_to_the_same_bytes(
    tmp_path: Path, asked: Asked, store: Store
) -> None:
    check_killed(tmp_path, asked, store, 50, "local")


def test_outputs_do_not_depend_on_the_workers(tmp_path: Path, asked: Asked) -> None:
    for workers in (1, 2):
        spec = asked(audience(tmp_path, *PEOPLE), users_per_part=60, workers=workers, at=NOW, k=5)
        run_campaign(spec, tmp_path / f"{workers}")
    assert tree(tmp_path / "1") == tree(tmp_path / "2")


def test_a_full_disk_is_said_and_publishes_nothing(tmp_path: Path, asked: Asked) -> None:
    rows = [f"{user},{'x' * 300}" for user in PEOPLE]
    spec = asked(audience(tmp_path, *rows, header="user_id,note"), at=NOW, format="csv")
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
