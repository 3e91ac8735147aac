from __future__ import annotations

import csv
import json
import math
from collections import Counter
from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from campaign_files import audience, read_part, rows_of, tree
from recsys.campaigns import parts, readers
from recsys.campaigns.audience import Audience
from recsys.campaigns.job import preview_campaign, run_campaign
from recsys.campaigns.manifest import Counts
from recsys.campaigns.spec import CampaignSpec
from recsys.campaigns.work import Work
from recsys.errors import DataError, RecsysError, UsageError
from recsys.files import sha256_of
from recsys.interactions.tables import FloatArray, Histories
from recsys.interactions.times import from_iso, to_iso
from recsys.models.linear import EASE
from recsys.recommender import Recommender

Asked = Callable[..., CampaignSpec]


def test_a_campaign_says_what_became_of_each_user(
    tmp_path: Path, asked: Asked, recommender: Recommender
) -> None:
    users = audience(
        tmp_path, "003,Ann,1", ",Bob,2", "no-one,Zoë,3", "003,Eve,4", "0009,Al,5", "greedy,Io,6",
        header="user_id,name,n",
    )  # fmt: skip
    out = tmp_path / "out"
    outcome = run_campaign(asked(users, k=3, fallback="none", min_items=2), out)
    served = {"model": "ease", "version": recommender.version, "arm": None}
    assert rows_of(out, "results") == [
        {"user_id": "003", "status": "sent", "reason": None, **served},
        {"user_id": "no-one", "status": "ineligible", "reason": "unknown user", **served},
        {
            "user_id": "0009", "status": "ineligible", **served,
            "reason": "no history to recommend from",
        },
        {
            "user_id": "greedy", "status": "sent", **served,
            "reason": "only 2 of 3: no other item may stand in this list",
        },
    ]  # fmt: skip
    sent = rows_of(out, "send")
    assert [(row["user_id"], row["name"], row["n"]) for row in sent] == [
        ("003", "Ann", "1"),
        ("greedy", "Io", "6"),
    ]
    assert (out / "rejected.csv").read_text() == (
        "row,user_id,reason\n3,,no user id\n5,003,user is in an earlier row\n"
    )
    assert outcome.manifest.counts == Counts(6, 2, 4, sent=2, ineligible=2)
    assert not outcome.done_before


def test_a_list_may_be_too_short_to_send(tmp_path: Path, asked: Asked) -> None:
    users = audience(tmp_path, "greedy", "001")
    for least, statuses in ((2, ["sent", "sent"]), (3, ["ineligible", "sent"])):
        out = tmp_path / str(least)
        run_campaign(asked(users, k=3, min_items=least), out)
        results = rows_of(out, "results")
        assert [row["status"] for row in results] == statuses
        assert results[0]["reason"] == "only 2 of 3: no other item may stand in this list"
        assert len(rows_of(out, "send")) == statuses.count("sent")


def test_lists_are_those_of_the_recommender(
    tmp_path: Path, asked: Asked, recommender: Recommender
) -> None:
    users = [*recommender.users.ids, "stranger"]
    at = int(datetime(1970, 1, 20, tzinfo=UTC).timestamp()) * 1_000_000
    for out, when in ((tmp_path / "a", None), (tmp_path / "b", at)):
        spec = asked(audience(tmp_path, *users), k=5, at=when)
        run_campaign(spec, out)
        sent = rows_of(out, "send")
        assert [row["user_id"] for row in sent] == users
        for row in sent:
            alone = recommender.recommend(row["user_id"], k=5, at=when)
            assert [line["item"] for line in row["items"]] == [line.item for line in alone.items]
            assert [line["score"] for line in row["items"]] == pytest.approx(
                [line.score for line in alone.items], rel=1e-5
            )
            assert [line["rank"] for line in row["items"]] == [1, 2, 3, 4, 5][: len(alone.items)]
    reasons = {row["user_id"]: row["reason"] for row in rows_of(tmp_path / "a", "results")}
    assert reasons["stranger"] == "popular items: unknown user"
    assert reasons["0009"] == "popular items: no history"
    assert tree(tmp_path / "a") != tree(tmp_path / "b")


@pytest.mark.parametrize("kind", ["parquet", "csv", "jsonl"])
@pytest.mark.parametrize("layout", ["nested", "flat"])
def test_every_format_holds_the_same(
    tmp_path: Path, asked: Asked, recommender: Recommender, kind: str, layout: str
) -> None:
    users = audience(tmp_path, "003,=1+1", "007,007", "greedy,", header="user_id,note")
    spec = asked(users, k=20, format=kind, layout=layout)  # type: ignore[arg-type]
    run_campaign(spec, out := tmp_path / "out")
    results = rows_of(out, "results")
    assert [(row["user_id"], row["status"]) for row in results] == [
        ("003", "sent"),
        ("007", "sent"),
        ("greedy", "sent"),
    ]
    sent = rows_of(out, "send")
    assert [row["note"] for row in sent] == ["=1+1", "007", ""]
    for row in sent:
        expected = [line.shown() for line in recommender.recommend(row["user_id"], k=20).items]
        if layout == "nested":
            items = json.loads(row["items"]) if kind == "csv" else row["items"]
        else:
            cells = [[row[f"{n}_{i}"] for n in ("item", "title", "score")] for i in range(1, 21)]
            items = [
                {"rank": i, "item": item, "title": title, "score": float(score)}
                for i, (item, title, score) in enumerate(cells, 1)
                if item
            ]
        assert [{**line, "score": None} for line in items] == [
            {**line, "score": None} for line in expected
        ]
        assert [line["score"] for line in items] == pytest.approx(
            [line["score"] for line in expected], rel=1e-5
        )


@pytest.mark.parametrize("kind", ["parquet", "csv", "jsonl"])
def test_own_columns_pass_through_with_their_types(tmp_path: Path, asked: Asked, kind: str) -> None:
    born = datetime(1990, 1, 2, 3, 4, 5, tzinfo=UTC)
    own = {"tags": ["ü", "b"], "born": born, "age": 7, "score": float("nan")}
    pq.write_table(pa.Table.from_pylist([{"user_id": "003", **own}]), tmp_path / "a.parquet")
    spec = asked(tmp_path / "a.parquet", format=kind)  # type: ignore[arg-type]
    run_campaign(spec, tmp_path / "out")
    (row,) = rows_of(tmp_path / "out", "send")
    assert list(row) == ["user_id", "tags", "born", "age", "score", "items"]
    del row["user_id"], row["items"]
    if kind == "parquet":
        assert math.isnan(row.pop("score"))
        assert row == {name: value for name, value in own.items() if name != "score"}
    elif kind == "csv":
        assert row == {
            "tags": '["ü", "b"]', "born": "1990-01-02 03:04:05.000000Z", "age": "7", "score": "nan",
        }  # fmt: skip
    else:
        assert row == {"tags": ["ü", "b"], "born": str(born), "age": 7, "score": None}


@pytest.mark.parametrize(("size", "parts"), [(1, 7), (2, 4), (5, 2), (7, 1), (100, 1)])
def test_parts_are_cut_by_count_and_say_the_same(
    tmp_path: Path, asked: Asked, monkeypatch: pytest.MonkeyPatch, size: int, parts: int
) -> None:
    monkeypatch.setattr(readers, "BATCH", 3)
    users = audience(tmp_path, "001", "002", "001", "x", "004", "002", "005")
    spec = asked(users, fallback="none", users_per_part=size)
    outcome = run_campaign(spec, out := tmp_path / "out")
    names = [f"part-{number:05d}.parquet" for number in range(parts)]
    assert sorted(path.name for path in (out / "results").iterdir()) == names
    assert sorted(path.name for path in (out / "send").iterdir()) == names
    found = [[row["user_id"] for row in read_part(out / "results" / name)] for name in names]
    order = ["001", "002", "x", "004", "005"]
    assert [user for part in found for user in part if len(found) == 1] in ([], order)
    assert sorted(user for part in found for user in part) == sorted(order)
    for name, users_of_part in zip(names, found, strict=True):
        assert users_of_part == sorted(users_of_part, key=order.index)
        sent = [row["user_id"] for row in read_part(out / "send" / name)]
        assert sent == [user for user in users_of_part if user != "x"]
    assert outcome.manifest.counts == Counts(7, 2, 5, sent=4, ineligible=1)


def test_rejected_rows_are_in_their_order_however_many(
    tmp_path: Path, asked: Asked, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(parts, "_REJECTED", 3)
    rows = [f"{number % 9:03}" for number in range(60)]
    run_campaign(asked(audience(tmp_path, *rows), users_per_part=7), out := tmp_path / "out")
    with (out / "rejected.csv").open(newline="") as stream:
        rejected = [(row["row"], row["user_id"]) for row in csv.DictReader(stream)]
    assert rejected == [(f"{number + 2}", rows[number]) for number in range(9, 60)]


def test_the_manifest_tells_what_is_there(
    tmp_path: Path, asked: Asked, recommender: Recommender
) -> None:
    users = audience(tmp_path, "001", "x", "001", "003")
    spec = asked(users, k=4, users_per_part=2, at=1_000_000)
    run_campaign(spec, out := tmp_path / "out")
    manifest = json.loads((out / "manifest.json").read_text())
    version = recommender.version
    assert manifest["models"] == [{"arm": None, "model": "ease", "version": version}]
    assert manifest["audience"] == {
        "file": "audience.csv", "sha256": sha256_of(users), "columns": [],
    }  # fmt: skip
    assert manifest["at"] == to_iso(1_000_000)
    assert manifest["spec"]["k"] == 4
    assert manifest["reasons"] == {"sent": {"popular items: unknown user": 1}}
    assert manifest["counts"] == {
        "input": 4, "rejected": 1, "audience": 3,
        "sent": 3, "suppressed": 0, "ineligible": 0, "held_out": 0, "failed": 0,
    }  # fmt: skip
    parts = {part["path"]: part for part in [*manifest["parts"], manifest["rejected"]]}
    assert {*parts, "manifest.json"} == {*tree(out)} - {"report.html"}
    for path, part in parts.items():
        assert part["sha256"] == sha256_of(out / path)
        assert path == "rejected.csv" or part["count"] == len(read_part(out / path))


def test_one_user_who_fails_does_not_cost_the_others(
    tmp_path: Path, asked: Asked, moody: None
) -> None:
    users = audience(tmp_path, "001", "cursed", "002", "x")
    outcome = run_campaign(asked(users), out := tmp_path / "out")
    failed = [row for row in rows_of(out, "results") if row["status"] == "failed"]
    assert [(row["user_id"], row["reason"]) for row in failed] == [
        ("cursed", "ValueError: item 5 makes me sad")
    ]
    assert [row["user_id"] for row in rows_of(out, "send")] == ["001", "002", "x"]
    assert outcome.manifest.counts == Counts(4, 0, 4, sent=3, failed=1)


def test_when_every_user_fails_nothing_is_written(
    tmp_path: Path, asked: Asked, moody: None
) -> None:
    users = audience(tmp_path, "cursed", "cursed")
    with pytest.raises(RecsysError, match="not one user could be scored: ValueError: item 5"):
        run_campaign(asked(users), tmp_path / "out")
    assert not (tmp_path / "out").exists()
    assert not (tmp_path / ".out.work" / "state.json").exists()


def test_an_interrupted_run_goes_on(
    tmp_path: Path, asked: Asked, monkeypatch: pytest.MonkeyPatch
) -> None:
    users = audience(tmp_path, *(f"{user:03}" for user in range(20)))
    spec = asked(users, users_per_part=3)
    score, batches = EASE._score, 0

    def interrupted(self: EASE, histories: Histories) -> FloatArray:
        nonlocal batches
        batches += 1
        if batches == 4:
            raise KeyboardInterrupt
        return score(self, histories)

    with monkeypatch.context() as patched:
        patched.setattr(EASE, "_score", interrupted)
        with pytest.raises(KeyboardInterrupt):
            run_campaign(spec, out := tmp_path / "out")
    assert not out.exists()
    decided = sorted((tmp_path / ".out.work" / "decided").iterdir())
    assert 1 <= len(decided) < 7
    before = [path.stat().st_mtime_ns for path in decided]
    run = Work(tmp_path / ".out.work").read()
    with pytest.raises(UsageError, match=r"was begun .* k: 10 → 3\. Give the same .*--restart"):
        run_campaign(asked(users, users_per_part=3, k=3), out)
    assert [path.stat().st_mtime_ns for path in decided] == before
    manifest = run_campaign(spec, out).manifest
    assert run is not None
    assert (manifest.run_key, manifest.at) == (run.key, to_iso(run.at))
    assert not (tmp_path / ".out.work").exists()
    run_campaign(replace(spec, at=run.at), tmp_path / "other")
    assert tree(tmp_path / "other") == tree(out)


def test_restart_begins_anew(tmp_path: Path, asked: Asked, monkeypatch: pytest.MonkeyPatch) -> None:
    users = audience(tmp_path, "001", "002")

    def interrupted(self: EASE, histories: Histories) -> FloatArray:
        raise KeyboardInterrupt

    with monkeypatch.context() as patched:
        patched.setattr(EASE, "_score", interrupted)
        with pytest.raises(KeyboardInterrupt):
            run_campaign(asked(users), tmp_path / "out")
    with pytest.raises(UsageError, match="k: 10 → 3"):
        run_campaign(asked(users, k=3), tmp_path / "out")
    outcome = run_campaign(asked(users, k=3), tmp_path / "out", restart=True)
    assert outcome.manifest.spec["k"] == 3


def test_the_same_run_again_changes_nothing(tmp_path: Path, asked: Asked) -> None:
    users = audience(tmp_path, "001", "x", "001", "003")
    spec = asked(users)
    first = run_campaign(spec, out := tmp_path / "out")
    before = {path: path.stat().st_mtime_ns for path in [out, *out.rglob("*")]}
    again = run_campaign(spec, out)
    assert again.done_before
    assert (again.manifest.run_key, again.manifest.parts) == (
        first.manifest.run_key,
        first.manifest.parts,
    )
    assert {path: path.stat().st_mtime_ns for path in [out, *out.rglob("*")]} == before
    at = from_iso(first.manifest.at, "at")
    run_campaign(replace(spec, at=at), tmp_path / "other")
    assert tree(tmp_path / "other") == tree(out)


def test_a_folder_with_anything_else_is_refused(tmp_path: Path, asked: Asked) -> None:
    users = audience(tmp_path, "001", "002")
    spec, out = asked(users), tmp_path / "deep" / "out"
    out.mkdir(parents=True)
    run_campaign(spec, out)  # an empty folder is as good as none
    before = tree(out)

    with pytest.raises(UsageError, match=r"holds another campaign; what differs: k: 10 → 3\."):
        run_campaign(asked(users, k=3), out)
    audience(tmp_path, "001", "003")
    with pytest.raises(UsageError, match="what differs: the audience's content"):
        run_campaign(spec, out)
    audience(tmp_path, "001", "002")
    assert tree(out) == before

    (out / "send" / "part-00000.parquet").write_bytes(b"PAR1")
    with pytest.raises(UsageError, match=r"part-00000\.parquet is not as this campaign wrote it"):
        run_campaign(spec, out)
    (out / "manifest.json").write_text("{}")
    with pytest.raises(UsageError, match=r"manifest\.json is no manifest of a campaign"):
        run_campaign(spec, out)
    (out / "manifest.json").unlink()
    with pytest.raises(UsageError, match="not empty and holds no finished campaign"):
        run_campaign(spec, out)
    with pytest.raises(UsageError, match="is a file"):
        run_campaign(spec, users)
    assert sorted(path.name for path in out.parent.iterdir()) == ["out"]


def test_a_folder_that_cannot_be_made_is_one_line(tmp_path: Path, asked: Asked) -> None:
    users = audience(tmp_path, "001")
    with pytest.raises(RecsysError, match=r"cannot write .*audience\.csv/out: Not a directory"):
        run_campaign(asked(users), users / "out")


def test_an_audience_that_changes_meanwhile_is_refused(
    tmp_path: Path, asked: Asked, monkeypatch: pytest.MonkeyPatch
) -> None:
    users = audience(tmp_path, "001", "002")
    read_once = Audience.blocks

    def grown(self: Audience) -> Any:
        audience(tmp_path, "001", "002", "003")
        return read_once(self)

    with monkeypatch.context() as patched:
        patched.setattr(Audience, "blocks", grown)
        with pytest.raises(DataError, match=r"audience\.csv: changed while it was read; run again"):
            run_campaign(asked(users), tmp_path / "out")
    assert not (tmp_path / "out").exists()
    manifest = run_campaign(asked(users), tmp_path / "out").manifest
    assert manifest.counts == Counts(3, 0, 3, sent=3)


@pytest.mark.parametrize(
    ("layout", "column", "clashes"),
    [("nested", "items", True), ("nested", "item_1", False), ("flat", "title_3", True),
     ("flat", "title_4", False), ("flat", "items", False)],
)  # fmt: skip
def test_own_columns_may_not_be_called_like_ours(
    tmp_path: Path, asked: Asked, layout: str, column: str, clashes: bool
) -> None:
    users = audience(tmp_path, "001,1", header=f"user_id,{column}")
    spec = asked(users, k=3, layout=layout)  # type: ignore[arg-type]
    if clashes:
        with pytest.raises(DataError, match=rf"column '{column}': the output has a column of this"):
            run_campaign(spec, tmp_path / "out")
        assert not (tmp_path / "out").exists()
    else:
        run_campaign(spec, tmp_path / "out")
        assert rows_of(tmp_path / "out", "send")[0][column] == "1"


def test_a_preview_counts_like_the_run_and_writes_nothing(
    tmp_path: Path, asked: Asked, recommender: Recommender
) -> None:
    users = audience(tmp_path, "001", "x", "001", "003", "004")
    spec = asked(users, at=recommender.reference_time)
    with preview_campaign(spec, tmp_path / "out") as preview:
        assert [path.name for path in tmp_path.iterdir()] == ["audience.csv"]
        assert preview.first.users == ["001", "x", "003", "004"]
        items = preview.first.lists.items[preview.first.lists.row(0)].tolist()
        expected = recommender.recommend("001").items
        assert [preview.run.items.ids[item] for item in items] == [each.item for each in expected]
    assert preview.manifest == run_campaign(spec, tmp_path / "out").manifest
    with (
        pytest.raises(UsageError, match="holds another campaign"),
        preview_campaign(asked(users, k=3), tmp_path / "out"),
    ):
        pass


_ids = st.sampled_from(["", "  ", "001", "002", "003", "1", "greedy", "cursed", "0009", "Ünknown"])
_rows = st.lists(_ids, min_size=1, max_size=30)


@given(users=_rows, size=st.integers(1, 9), data=st.data())
@settings(
    max_examples=15, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
def test_each_user_has_one_row_and_counts_add_up(
    asked: Asked, moody: None, users: list[str], size: int, data: st.DataObject
) -> None:
    distinct = list(dict.fromkeys(user for user in users if user.strip()))
    if not set(distinct) - {"cursed"}:
        return
    with TemporaryDirectory() as name:
        folder = Path(name)
        path = audience(
            folder, *(f'"{user}",{row}' for row, user in enumerate(users)), header="user_id,row"
        )
        fallback = data.draw(st.sampled_from(["popular", "none"]))
        spec = asked(path, k=4, fallback=fallback, min_items=data.draw(st.integers(1, 4)),
                            users_per_part=size)  # fmt: skip
        try:
            counts = run_campaign(spec, out := folder / "out").manifest.counts
        except RecsysError as error:
            assert "not one user could be scored" in str(error)  # noqa: PT017
            return
        results, sent = rows_of(out, "results"), rows_of(out, "send")
        assert sorted(row["user_id"] for row in results) == sorted(distinct)
        statuses = Counter(row["status"] for row in results)
        assert all(row["reason"] for row in results if row["status"] != "sent")
        assert {row["user_id"]: int(row["row"]) for row in sent} == {
            row["user_id"]: users.index(row["user_id"])
            for row in results
            if row["status"] == "sent"
        }
        assert statuses["failed"] == ("cursed" in distinct)
        with (out / "rejected.csv").open(newline="") as stream:
            rejected = list(csv.DictReader(stream))
        assert len(rejected) + len(distinct) == len(users)
        assert all(users[int(row["row"]) - 2].strip() == row["user_id"] for row in rejected)
        assert counts == Counts(
            len(users),
            len(rejected),
            len(distinct),
            **{status: statuses[status] for status in statuses},
        )
