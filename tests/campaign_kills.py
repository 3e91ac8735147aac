"""Campaigns that are killed, again and again, until they are let through."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

import numpy as np

from campaign_files import audience, lists_of, tree
from recsys.campaigns.commit import commit
from recsys.campaigns.spec import CampaignSpec
from recsys.store.store import Store

Asked = Callable[..., CampaignSpec]

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
    """Start a run until it ends, killed with all its processes at so many random moments."""
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
            began = time.monotonic()
            with suppress(subprocess.TimeoutExpired):
                process.wait(rng.uniform(0.5, longest))
                longest = time.monotonic() - began  # as fast as the machine is now
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
    """Fail where a run that is killed comes out otherwise, or sends anything twice."""
    url = f"sqlite:///{store.file}"
    people = folder / "people"
    people.mkdir()
    (folder / "no.csv").write_text("user_id\n003\np7\n")
    spec = asked(audience(people, *PEOPLE), engine=engine)
    undisturbed = folder / "undisturbed"
    subprocess.run(command(folder, asked(spec.users), undisturbed, url), check=True, timeout=300)
    began = time.monotonic()
    subprocess.run(command(folder, spec, folder / "same", url), check=True, timeout=300)
    longest, out = time.monotonic() - began, folder / "killed"
    assert tree(folder / "same") == tree(undisturbed)  # whatever the engine
    kill_and_go_on(lambda to: command(folder, spec, to, url), out, times, longest)
    assert tree(out) == tree(undisturbed)
    assert not (folder / ".killed.work").exists()
    commit(out, store)
    commit(out, store)
    sends = [(send.user, send.item) for send in store.sends_to(PEOPLE)]
    lists = lists_of(out)
    assert sorted(sends) == sorted((user, item) for user, own in lists.items() for item in own)
    assert len({*sends}) == len(sends)
