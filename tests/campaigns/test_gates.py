"""Who is not mailed: lists, consent, ledger, hold-out; each checked from what was written."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest

from campaign_files import audience, lists_of, results_of, rows_of, tree
from recsys.campaigns.commit import ConflictError, commit
from recsys.campaigns.job import run_campaign
from recsys.campaigns.spec import Arm, CampaignSpec, Query, Quota, RuleSpec, Suppression
from recsys.errors import DataError, StoreError, UsageError
from recsys.interactions.tables import FloatArray, Histories
from recsys.models.linear import EASE
from recsys.store.events import Event
from recsys.store.sending import Send
from recsys.store.store import Store, open_store

Asked = Callable[..., CampaignSpec]

DAY = 86_400_000_000
NOW = 20_000 * DAY
EVERYONE = [f"{user:03}" for user in range(37)]


def listed(folder: Path, *people: str, name: str = "no.csv") -> Path:
    path = folder / name
    path.write_text("\n".join(["user_id", *people]) + "\n")
    return path


def test_nobody_on_a_list_is_sent_anything(tmp_path: Path, asked: Asked) -> None:
    users = audience(tmp_path, *EVERYONE, "stranger")
    lists = (
        Suppression(listed(tmp_path, "001", " 002 ", "nobody")),
        Suppression(listed(tmp_path, "002", "stranger", name="b.csv"), name="complaints"),
    )
    run_campaign(asked(users, suppression=lists), out := tmp_path / "out")
    results = results_of(out)
    suppressed = {user: row for user, row in results.items() if row["status"] == "suppressed"}
    assert {user: row["reason"] for user, row in suppressed.items()} == {
        "001": "on suppression list no.csv",
        "002": "on suppression list complaints",
        "stranger": "on suppression list complaints",
    }
    assert {*lists_of(out)} == {*EVERYONE} - {"001", "002"}
    assert {row["user_id"] for row in rows_of(out, "send")} == {*EVERYONE} - {"001", "002"}


def test_a_list_may_come_from_a_database(tmp_path: Path, asked: Asked, store: Store) -> None:
    store.add_events([Event("1", "003", "x", time=5), Event("2", "004", "x", time=5)])
    query = Query(f"sqlite:///{store.file}", "SELECT user_id AS who FROM events")
    users = audience(tmp_path, "002", "003", "004")
    spec = asked(users, suppression=(Suppression(query, column="who"),))
    manifest = run_campaign(spec, out := tmp_path / "out").manifest
    assert {*lists_of(out)} == {"002"}
    assert manifest.counts.suppressed == 2


@pytest.mark.parametrize("how", ["gone", "empty", "shrunk", "damaged", "other"])
def test_a_list_that_cannot_be_trusted_stops_the_job(
    tmp_path: Path, asked: Asked, monkeypatch: pytest.MonkeyPatch, how: str
) -> None:
    people = [f"p{person}" for person in range(100)]
    no = listed(tmp_path, "001", *people)
    users = audience(tmp_path, "001", "002", "003")
    spec = asked(users, suppression=(Suppression(no, max_shrink=0.2),), at=NOW)
    score = EASE._score

    def tampered(self: EASE, histories: Histories) -> FloatArray:  # midway
        if how == "gone":
            no.unlink()
        elif how in ("empty", "damaged"):
            no.write_bytes(b"" if how == "empty" else b"user_id\n\xff\n")
        elif how == "shrunk":
            listed(tmp_path, "001", *people[:79])
        else:
            no.write_text("who\n001\n")
        return score(self, histories)

    with monkeypatch.context() as patched:
        patched.setattr(EASE, "_score", tampered)
        with pytest.raises(DataError, match=r"no\.csv: .*(exist|empty|80 people|UTF-8|no column)"):
            run_campaign(spec, out := tmp_path / "out")
    assert not out.exists()
    listed(tmp_path, "001", *people[:81])  # mended: within what may be gone
    run_campaign(spec, out)
    assert {*lists_of(out)} == {"002", "003"}
    (tmp_path / "no.csv").unlink()
    with pytest.raises(DataError, match=r"no\.csv: does not exist"):
        run_campaign(spec, tmp_path / "another")
    assert not (tmp_path / "another").exists()


def test_who_comes_onto_a_list_meanwhile_is_not_sent(
    tmp_path: Path, asked: Asked, monkeypatch: pytest.MonkeyPatch
) -> None:
    no = listed(tmp_path, "001")
    users = audience(tmp_path, "001", "002", "003", "greedy")
    spec = asked(users, suppression=(Suppression(no),), at=NOW, k=3, min_items=3)
    score = EASE._score

    def growing(self: EASE, histories: Histories) -> FloatArray:
        listed(tmp_path, "001", "003", "greedy")
        return score(self, histories)

    with monkeypatch.context() as patched:
        patched.setattr(EASE, "_score", growing)
        manifest = run_campaign(spec, out := tmp_path / "out").manifest
    assert {*lists_of(out)} == {"002"}
    assert results_of(out)["003"]["reason"] == "on suppression list no.csv"
    assert results_of(out)["greedy"]["status"] == "suppressed"  # before ineligible
    assert (manifest.suppression[0]["size"], manifest.late_suppression[0]["size"]) == (1, 3)


def test_consent_is_a_yes_and_nothing_else(tmp_path: Path, asked: Asked) -> None:
    said = ["yes", " TRUE", "1", "Y", "no", "0", "", "maybe", "nan"]
    rows = [f"{number:03},{word}" for number, word in enumerate(said)]
    users = audience(tmp_path, *rows, header="user_id,ok")
    run_campaign(asked(users, consent="ok"), out := tmp_path / "out")
    assert sorted(lists_of(out)) == ["000", "001", "002", "003"]
    assert {results_of(out)[f"{n:03}"]["reason"] for n in range(4, 9)} == {"no consent"}
    with pytest.raises(DataError, match=r"column .agreed.: has no such column.*there are .ok."):
        run_campaign(asked(users, consent="agreed"), tmp_path / "other")


def test_cool_down_and_cap_count_what_the_ledger_has(
    tmp_path: Path, asked: Asked, store: Store, url: str
) -> None:
    def sends(user: str, *days_ago: float) -> list[Send]:
        return [
            Send(f"c{ago}", user, item, int(NOW - ago * DAY)) for ago in days_ago for item in "ab"
        ]

    store.add_sends([*sends("001", 6.9), *sends("002", 7), *sends("003", 8, 9, 10, 40)])
    store.add_sends([*sends("004", 8, 9, 31), *sends("005", -1)])
    users = audience(tmp_path, "001", "002", "003", "004", "005", "006")
    spec = asked(users, cool_down_days=7.0, cap=3, cap_days=30.0, at=NOW)
    run_campaign(spec, out := tmp_path / "out", url=url)
    reasons = {user: row["reason"] for user, row in results_of(out).items()}
    assert reasons["001"] == reasons["005"] == "cool-down: sent a campaign within 7 days"
    assert reasons["003"] == "cap: 3 campaigns within 30 days"
    assert sorted(lists_of(out)) == ["002", "004", "006"]
    with pytest.raises(UsageError, match="need the ledger of a store: there is none"):
        run_campaign(spec, tmp_path / "other")


def test_what_was_sent_does_not_come_back(
    tmp_path: Path, asked: Asked, store: Store, url: str
) -> None:
    users = audience(tmp_path, "001", "002", "stranger")
    base = asked(users, k=4, at=NOW)
    run_campaign(base, tmp_path / "plain", url=url)
    before = lists_of(tmp_path / "plain")
    for campaign, ago in (("old", 50), ("new", 5)):
        place = 0 if campaign == "old" else 1
        store.add_sends(
            [Send(campaign, user, items[place], NOW - ago * DAY) for user, items in before.items()]
        )
    for rules, gone in (
        (RuleSpec(not_sent_days=10.0), [1]),
        (RuleSpec(not_sent_days="ever"), [0, 1]),
        (RuleSpec(not_sent_campaigns=1), [1]),
        (RuleSpec(not_sent_campaigns=2), [0, 1]),
        (RuleSpec(not_sent_campaigns=2, diversity=0.01), [0, 1]),
    ):
        out = tmp_path / f"{rules.not_sent_days}-{rules.not_sent_campaigns}-{rules.diversity}"
        run_campaign(replace(base, rules=rules), out, url=url)
        for user, items in lists_of(out).items():
            assert not {*items} & {before[user][place] for place in gone}
            kept = [item for place, item in enumerate(before[user]) if place not in gone]
            assert {*kept} <= {*items}


def test_people_who_asked_to_be_forgotten_are_not_mailed(
    tmp_path: Path, asked: Asked, store: Store, url: str
) -> None:
    store.forget("002")
    run_campaign(asked(audience(tmp_path, "001", "002")), out := tmp_path / "out", url=url)
    assert results_of(out)["002"]["reason"] == "asked to be forgotten"
    assert {*lists_of(out)} == {"001"}


def test_items_out_of_stock_are_in_no_list(
    tmp_path: Path, asked: Asked, store: Store, url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    spec = asked(audience(tmp_path, *EVERYONE), k=3, min_items=3, at=NOW)
    run_campaign(spec, tmp_path / "plain", url=url)
    sent = Counter(item for items in lists_of(tmp_path / "plain").values() for item in items)
    top, second = (item for item, _ in sent.most_common(2))
    store.set_item(top, {"in_stock": False})
    run_campaign(spec, tmp_path / "less", url=url)
    lists = lists_of(tmp_path / "less")
    assert all(top not in items and len(items) == 3 for items in lists.values())
    score = EASE._score

    def sold(self: EASE, histories: Histories) -> FloatArray:
        store.set_item(second, {"blocked": True})
        return score(self, histories)

    monkeypatch.setattr(EASE, "_score", sold)
    run_campaign(replace(spec, hold_out=0.3), tmp_path / "sold", url=url)
    results, sold_lists = results_of(tmp_path / "sold"), lists_of(tmp_path / "sold")
    for user, items in lists.items():
        if second in items:  # whether held out or not
            assert results[user]["status"] == "ineligible"
            assert results[user]["reason"] == "only 2 of 3: others went out of stock"
        elif results[user]["status"] == "sent":
            assert sold_lists[user] == items
    assert {row["status"] for row in results.values()} == {"sent", "ineligible", "held_out"}


def test_groups_are_told_by_hashes_alone(tmp_path: Path, asked: Asked, models: Path) -> None:
    people = [f"p{number}" for number in range(2000)]
    versions = sorted(path.name for path in models.iterdir() if not path.is_symlink())
    arms = (
        Arm("a", 0.25, version=versions[0]),
        Arm("b", 0.75, rules=RuleSpec(exclude=("0001", "0002"))),
    )
    users = audience(tmp_path, *EVERYONE, "greedy", *people)
    spec = asked(users, name="spring", arms=arms, hold_out=0.2, k=3, min_items=3, at=NOW)
    manifest = run_campaign(spec, out := tmp_path / "out").manifest
    results = results_of(out)
    shares = Counter(row["arm"] for row in results.values())
    assert shares["a"] / len(results) == pytest.approx(0.25, abs=0.03)
    held = [user for user, row in results.items() if row["status"] == "held_out"]
    assert len(held) / len(results) == pytest.approx(0.2, abs=0.03)
    assert Counter(results[user]["arm"] for user in held)["a"] / len(held) == pytest.approx(
        0.25, abs=0.08
    )
    assert results["greedy"]["status"] == "ineligible"  # before held out
    assert {row["version"] for row in results.values() if row["arm"] == "a"} == {versions[0]}
    assert {row["version"] for row in results.values() if row["arm"] == "b"} == {versions[1]}
    for user, items in lists_of(out).items():
        assert results[user]["arm"] == "a" or not {"0001", "0002"} & {*items}
    assert sum(manifest.arms["a"].values()) == shares["a"]
    smaller = audience(tmp_path, *EVERYONE[:9], *people[:99])
    run_campaign(replace(spec, users=smaller, users_per_part=20), tmp_path / "smaller")
    for user, row in results_of(tmp_path / "smaller").items():
        assert (row["arm"], row["status"]) == (results[user]["arm"], results[user]["status"])
    run_campaign(replace(spec, users=smaller, name="summer"), tmp_path / "summer")
    moved = [
        row["arm"] != results[user]["arm"] for user, row in results_of(tmp_path / "summer").items()
    ]
    assert any(moved)


def test_who_is_held_out_is_judged_like_the_others(tmp_path: Path, asked: Asked) -> None:
    """Else they would keep people for whom nothing is left, and the two would not compare."""
    people = [*EVERYONE, *(f"p{number}" for number in range(400))]
    base = asked(
        audience(tmp_path, *people), k=3, min_items=2, at=NOW, hold_out=0.4, users_per_part=90,
        quota=Quota(20, {f"{item:04}": 2 for item in range(12, 24)}),
    )  # fmt: skip
    run_campaign(base, tmp_path / "out")
    run_campaign(replace(base, quota=None), tmp_path / "plain")
    results, plain = results_of(tmp_path / "out"), results_of(tmp_path / "plain")
    shares = {}
    for group in ("sent", "held_out"):
        own = [user for user, row in plain.items() if row["status"] == group]
        statuses = Counter(results[user]["status"] for user in own)
        assert set(statuses) == {group, "ineligible"}
        shares[group] = statuses[group] / len(own)
        reasons = {results[user]["reason"].partition(": ")[2] for user in own
                   if results[user]["status"] == "ineligible"}  # fmt: skip
        assert all("quotas of others are used up" in reason for reason in reasons)
    assert 0.2 < shares["sent"] < 0.8
    assert shares["held_out"] == pytest.approx(shares["sent"], abs=0.1)
    sent = audience(tmp_path, *(user for user in people if plain[user]["status"] == "sent"))
    run_campaign(replace(base, users=sent), tmp_path / "without")
    assert lists_of(tmp_path / "out") == lists_of(tmp_path / "without")  # they take nothing away


def test_a_commit_is_entered_once(tmp_path: Path, asked: Asked, store: Store, url: str) -> None:
    spec = asked(audience(tmp_path, *EVERYONE), k=3, hold_out=0.3, cool_down_days=7.0)
    run_campaign(spec, out := tmp_path / "out", url=url)
    lists = lists_of(out)
    entered = commit(out, store)
    assert (entered.users, entered.items, entered.done_before) == (
        len(lists),
        3 * len(lists),
        False,
    )
    rows = store.sends_to(EVERYONE)
    assert Counter((send.user, send.item) for send in rows) == Counter(
        (user, item) for user, items in lists.items() for item in items
    )
    before = store.counters()
    assert commit(out, store).done_before
    assert (store.counters(), len(store.sends_to(EVERYONE))) == (before, len(rows))
    assert run_campaign(spec, out, url=url).done_before  # its own sends do not make it another
    run_campaign(spec, tmp_path / "next", url=url)
    assert {*lists_of(tmp_path / "next")} == set()
    assert {
        row["reason"] for user, row in results_of(tmp_path / "next").items() if user in lists
    } == {"cool-down: sent a campaign within 7 days"}


@pytest.mark.parametrize("kind", ["csv", "jsonl", "parquet"])
def test_a_commit_reads_every_format(
    tmp_path: Path, asked: Asked, store: Store, url: str, kind: str
) -> None:
    users = audience(tmp_path, "003,=1+1", "greedy,", header="user_id,note")
    for layout in ("flat", "nested"):
        out = tmp_path / layout
        run_campaign(asked(users, format=kind, layout=layout, k=5, at=NOW), out, url=url)
        assert commit(out, store).items == 5 + 2
    assert {send.time for send in store.sends_to(["003"])} == {NOW}


@pytest.mark.parametrize(
    ("differs", "reason"),
    [
        ({"cool_down_days": 7.0}, "cool-down: sent a campaign within 7 days"),
        ({"cap": 1}, "cap: 1 campaigns within 30 days"),
        ({"rules": RuleSpec(not_sent_days=3.0)}, "was sent item"),
        ({"rules": RuleSpec(not_sent_campaigns=1)}, "was sent item"),
    ],
)
def test_a_commit_that_others_made_impossible_changes_nothing(
    tmp_path: Path, asked: Asked, store: Store, differs: dict[str, object], reason: str
) -> None:
    url = f"sqlite:///{store.file}"
    first = asked(audience(tmp_path, "001", "002"), k=3, at=NOW, name="first")
    others = tmp_path / "others"
    others.mkdir()
    second = asked(audience(others, "002", "003"), k=3, at=NOW, name="second", **differs)
    run_campaign(first, tmp_path / "a", url=url)
    run_campaign(second, tmp_path / "b", url=url)
    commit(tmp_path / "a", store)
    before = (store.counters(), store.counts())
    with pytest.raises(ConflictError, match="1 user of this campaign may no longer") as refused:
        commit(tmp_path / "b", store)
    assert [(user, why[: len(reason)]) for user, why in refused.value.users] == [("002", reason)]
    assert (store.counters(), store.counts()) == before
    run_campaign(second, tmp_path / "c", url=url)
    commit(tmp_path / "c", store)


def test_a_commit_needs_the_same_store_and_whole_parts(
    tmp_path: Path, asked: Asked, store: Store, url: str
) -> None:
    run_campaign(asked(audience(tmp_path, "001")), out := tmp_path / "out", url=url)
    other = open_store(f"sqlite:///{tmp_path / 'other.db'}")
    with pytest.raises(StoreError, match="is not the store that this campaign was made with"):
        commit(out, other)
    other.close()
    with pytest.raises(UsageError, match="holds no finished campaign"):
        commit(tmp_path, store)
    (out / "send" / "part-00000.parquet").write_bytes(b"")
    with pytest.raises(UsageError, match="is not as this campaign wrote it"):
        commit(out, store)
    assert store.counts()["sends"] == 0


def test_a_run_goes_on_with_the_store_as_it_was(
    tmp_path: Path, asked: Asked, store: Store, url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    store.add_events([Event("0", "001", "0003", time=NOW - DAY)])
    spec = asked(audience(tmp_path, *EVERYONE), users_per_part=5, at=NOW, cool_down_days=7.0, k=3)
    run_campaign(spec, tmp_path / "undisturbed", url=url)
    score, batches = EASE._score, 0

    def stopping(self: EASE, histories: Histories) -> FloatArray:
        nonlocal batches
        batches += 1
        if batches == 3:
            raise KeyboardInterrupt
        return score(self, histories)

    with monkeypatch.context() as patched:
        patched.setattr(EASE, "_score", stopping)
        with pytest.raises(KeyboardInterrupt):
            run_campaign(spec, out := tmp_path / "out", url=url)
    store.add_events([Event(user, user, "0002") for user in EVERYONE])
    store.add_sends([])
    with store.ledger() as ledger:
        ledger.add([Send("other", user, "0001", NOW) for user in EVERYONE])
        ledger.close("run", "other", NOW, {})
    run_campaign(spec, out, url=url)
    assert tree(out) == tree(tmp_path / "undisturbed")
    with pytest.raises(ConflictError):
        commit(out, store)
    manifest = run_campaign(replace(spec, cool_down_days=None), tmp_path / "new", url=url).manifest
    assert manifest.store is not None
    assert manifest.store["events"] == 38
