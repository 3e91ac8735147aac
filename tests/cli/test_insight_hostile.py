"""The insight commands on logs with hostile words in them, and on logs with next to nothing."""

from __future__ import annotations

import csv
import json
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow.parquet as pq
import pytest

from recsys.interactions.dataset import load_dataset

TITLE = "</title><img src=x onerror=alert(1)>\x1b[31m"
OVERRIDE = "\N{RIGHT-TO-LEFT OVERRIDE}"
USERS = ('<script>alert("{}")</script>', "../../{}", "=cmd|'/C calc'!A{}", OVERRIDE + '{},"q"')

COMMANDS: dict[str, list[str]] = {
    "anomalies": ["--out", "accounts.csv"],
    "denoise": ["--out", "clean"],
    "embed": ["--set", "factors=3", "--out", "vectors"],
    "compress": ["--bytes", "2", "--out", "codes"],
    "generate": ["--out", "drawn"],
    "understand": ["--quick", "--report", "report.html"],
}
"""Each command, with what it writes last."""


@pytest.fixture(scope="module")
def hostile(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder, rng = tmp_path_factory.mktemp("hostile"), np.random.default_rng(3)
    users = [USERS[n % len(USERS)].format(n) for n in range(60)]
    items = [f"../<b>{n}" for n in range(25)]
    with (folder / "events.csv").open("w", encoding="utf-8", newline="") as stream:
        rows = csv.writer(stream)
        rows.writerow(("user_id", "item_id"))
        for user in users:
            rows.writerows((user, items[n]) for n in rng.choice(25, 9, replace=False))
    with (folder / "items.csv").open("w", encoding="utf-8", newline="") as stream:
        csv.writer(stream).writerows([("item_id", "title"), *((item, TITLE) for item in items)])
    return folder


def bare(folder: Path, *lines: str) -> Path:
    folder.mkdir()
    (folder / "events.csv").write_text("\n".join(("user_id,item_id", *lines)) + "\n")
    return folder


@pytest.mark.parametrize("command", COMMANDS)
def test_hostile_words_are_data_and_nothing_else(
    run: Any, hostile: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, command: str
) -> None:
    monkeypatch.chdir(tmp_path)
    ended = run(command, "--data", hostile, *COMMANDS[command])
    assert ended.code == 0, ended.err
    assert "\x1b" not in ended.out
    assert OVERRIDE not in ended.out
    assert [path.name for path in tmp_path.iterdir()] == [COMMANDS[command][-1]]
    for page in tmp_path.rglob("*.html"):
        text = page.read_text(encoding="utf-8")
        assert "<img" not in text
        assert "<script" not in text
        assert "&lt;img src=x" in text


def test_hostile_ids_come_back_as_they_were(run: Any, hostile: Path, tmp_path: Path) -> None:
    dataset = load_dataset(hostile)
    run("denoise", "--data", hostile, "--out", tmp_path / "clean")
    assert set(load_dataset(tmp_path / "clean").users.ids) == set(dataset.users.ids)
    run("embed", "--data", hostile, "--set", "factors=3", "--out", tmp_path / "v")
    written = pq.read_table(tmp_path / "v" / "users.parquet")["user_id"].to_pylist()
    assert written == list(dataset.users.ids)
    run("compress", "--data", hostile, "--bytes", 2, "--out", tmp_path / "codes")
    run("compress", "--decode", tmp_path / "codes", "--out", tmp_path / "back.csv")
    with (tmp_path / "back.csv").open(encoding="utf-8", newline="") as stream:
        back = {row["user_id"] for row in csv.DictReader(stream)}
    assert back == set(dataset.users.ids)
    said = json.loads(run("anomalies", "--data", hostile, "--json").out)
    assert {one["user"] for one in said["accounts"]} <= set(dataset.users.ids)


@pytest.mark.parametrize("command", COMMANDS)
def test_logs_that_cannot_be_read_are_refused(
    run: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, command: str
) -> None:
    monkeypatch.chdir(tmp_path)
    for name, lines, says in (
        ("empty", [], "holds no rows"),
        ("cut off", ["a,x", "b"], "row 3"),
        ("no user", ["a,x", ",y"], "row 3"),
    ):
        log = bare(tmp_path / name, *lines)
        ended = run(command, "--data", log, *COMMANDS[command])
        assert ended.code == 1
        assert says in ended.err
        assert "events.csv" in ended.err
        assert not (tmp_path / COMMANDS[command][-1]).exists()


@pytest.mark.parametrize("command", ["anomalies", "denoise", "compress", "generate"])
def test_a_log_of_one_account_is_too_little(
    run: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, command: str
) -> None:
    log = bare(tmp_path / "log", "a,x", "a,y")
    monkeypatch.chdir(tmp_path)
    ended = run(command, "--data", log, *COMMANDS[command])
    assert ended.code == 1
    assert "Traceback" not in ended.err
    assert [path.name for path in tmp_path.iterdir()] == ["log"]


def test_the_report_says_what_the_data_does_not_allow(run: Any, tmp_path: Path) -> None:
    log = bare(tmp_path / "log", "a,x", "b,x", "b,y", "c,z")
    assert run("understand", "--data", log, "--report", tmp_path / "report.html").code == 0
    page = (tmp_path / "report.html").read_text(encoding="utf-8")
    for title in ("Embeddings", "Compression", "Synthetic users", "How sure lists are"):
        assert f">{title}</h2>" in page
    assert page.count("The data does not allow this part") >= 4
    assert "of 3 accounts" in page
