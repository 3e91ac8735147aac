"""What stands in lists, under any rules: checked from the files, by means of their own."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np
import pytest
from drawn import publish_drawn
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from campaign_files import audience, lists_of, results_of, rows_of
from recsys.artifacts import load_current
from recsys.campaigns import deciding, scoring
from recsys.campaigns.job import run_campaign
from recsys.campaigns.spec import (
    CampaignSpec,
    CategoryLimit,
    Quota,
    RuleSpec,
    Suppression,
)
from recsys.interactions.tables import MICROSECONDS_PER_DAY
from recsys.models.scoring import Scorer
from recsys.recommender import Recommender
from recsys.store.sending import Send
from recsys.store.store import open_store

Asked = Callable[..., CampaignSpec]

ITEMS = [f"{item:04}" for item in range(24)]
PEOPLE = [*(f"{user:03}" for user in range(37)), "greedy", "cursed", "0009", "no one", "stranger"]
NOW = 300 * MICROSECONDS_PER_DAY

_some_items = st.lists(st.sampled_from(ITEMS), max_size=8, unique=True)
_limits = st.builds(
    lambda low, more: CategoryLimit(low, low + more), st.integers(0, 2), st.integers(0, 2)
)


@st.composite
def rule_specs(draw: st.DrawFn, *, quota: bool) -> RuleSpec:
    limits = draw(st.dictionaries(st.sampled_from(["mugs", "plates", "gifts"]), _limits))
    if quota:
        limits = {name: CategoryLimit(0, limit.max) for name, limit in limits.items()}
    return RuleSpec(
        not_bought_days=draw(st.sampled_from(["ever", 0.0, 30.0, 100.0])),
        not_sent_days=draw(st.sampled_from([None, "ever", 20.0])),
        not_sent_campaigns=draw(st.sampled_from([None, 1])),
        only=draw(st.none() | st.lists(st.sampled_from(ITEMS), min_size=6).map(tuple)),
        exclude=tuple(draw(_some_items)),
        min_price=draw(st.none() | st.just(2.0)),
        max_price=draw(st.none() | st.just(9.0)),
        categories=limits,
        per_category=draw(st.none() | st.integers(1, 3)),
        variants=draw(st.none() | st.just("style")),
        diversity=0.0 if quota else draw(st.sampled_from([0.0, 0.4])),
        min_score=draw(st.none() | st.just(0.02)),
    )


def problems(
    items: list[str], user: str, rules: RuleSpec, sent: list[Send], recommender: Recommender
) -> list[str]:
    """Return what is wrong with a list, by the catalogue, the history and the ledger."""
    catalogue, codes = recommender.catalogue, [ITEMS.index(item) for item in items]
    found = ["twice"] if len({*items}) < len(items) else []
    since = 0.0 if rules.not_bought_days == "ever" else NOW - rules.not_bought_days * 86_400e6
    history = recommender.history(user) if recommender.known([user])[0] else ()
    bought = {each.item for each in history if (each.last or 0) >= since}
    found += ["bought"] if rules.not_bought_days != 0 and bought & {*items} else []
    again = {
        send.item
        for send in sent
        if send.user == user
        and (
            rules.not_sent_days == "ever"
            or (rules.not_sent_days and send.time > NOW - rules.not_sent_days * 86_400e6)
            or (rules.not_sent_campaigns and send.campaign == "late")
        )
    }
    found += ["sent before"] if again & {*items} else []
    found += ["not allowed"] if rules.only is not None and {*items} - {*rules.only} else []
    found += ["excluded"] if {*items} & {*rules.exclude} else []
    prices = catalogue.prices[codes]
    found += (
        ["cheap"] if rules.min_price is not None and not (prices >= rules.min_price).all() else []
    )
    found += (
        ["dear"] if rules.max_price is not None and not (prices <= rules.max_price).all() else []
    )
    counts = Counter(name for code in codes for name in catalogue.categories[code])
    for name, limit in rules.categories.items():
        if not limit.min <= counts[name] <= (99 if limit.max is None else limit.max):
            found.append(f"{counts[name]} of {name}")
    if rules.per_category is not None and max(counts.values(), default=0) > rules.per_category:
        found.append("too many of a category")
    styles = [style for code in codes if (style := catalogue.attributes["style"][code])]
    found += ["variants"] if rules.variants and len({*styles}) < len(styles) else []
    return found


@given(data=st.data(), seed=st.integers(0, 2**32 - 1))
@settings(
    max_examples=12, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
def test_no_list_breaks_a_rule(
    models: Path, asked: Asked, recommender: Recommender, data: st.DataObject, seed: int
) -> None:
    rng = np.random.default_rng(seed)
    quota = data.draw(st.none() | st.integers(0, 6))
    rules = data.draw(rule_specs(quota=quota is not None))
    people = data.draw(st.lists(st.sampled_from(PEOPLE), min_size=1, max_size=60))
    banned = {user for user in PEOPLE if rng.random() < 0.2}
    differs: dict[str, Any] = {
        "k": 4,
        "min_items": data.draw(st.sampled_from([1, 4])),
        "too_few": data.draw(st.sampled_from(["ineligible", "fill"])),
        "hold_out": data.draw(st.sampled_from([0.0, 0.3])),
        "users_per_part": data.draw(st.sampled_from([7, 1000])),
    }
    sent = [
        Send(campaign, user, str(rng.choice(ITEMS)), NOW - days * MICROSECONDS_PER_DAY)
        for campaign, days in (("early", 60), ("late", 9))
        for user in PEOPLE[::2]
    ]
    with TemporaryDirectory() as name:
        folder = Path(name)
        store = open_store(url := f"sqlite:///{folder / 'store.db'}")
        store.add_sends(sent)
        store.close()
        lists = (folder / "no.csv").write_text("\n".join(["user_id", *banned])) and (
            Suppression(folder / "no.csv"),
        )
        spec = asked(
            audience(folder, *people),
            rules=rules,
            suppression=lists,
            quota=None if quota is None else Quota(quota, {"0001": 1}),
            at=NOW,
            **differs,
        )
        with pytest.MonkeyPatch.context() as patched:
            if data.draw(st.booleans(), "as for many users of a large catalogue"):
                patched.setattr(deciding, "_MANY", 1)
                patched.setattr(scoring, "_SMALL", -1_000_000)
            manifest = run_campaign(spec, out := folder / "out", url=url).manifest
        results, found = results_of(out), lists_of(out)
    assert {*results} == {*people}
    assert {user for user, row in results.items() if row["status"] == "suppressed"} == (
        banned & {*people}
    )
    assert {*found} == {user for user, row in results.items() if row["status"] == "sent"}
    assert manifest.counts.input == len(people)
    for user, items in found.items():
        assert problems(items, user, rules, sent, recommender) == [], (user, items)
        assert differs["min_items"] <= len(items) <= 4
    if quota is not None:
        taken = Counter(item for items in found.values() for item in items)
        assert taken.pop("0001", 0) <= 1
        assert max(taken.values(), default=0) <= quota


def test_a_short_list_is_filled_with_popular_items(
    tmp_path: Path, asked: Asked, models: Path
) -> None:
    users = audience(tmp_path, "001", "002", "greedy", "stranger")
    rules = RuleSpec(min_score=0.05, exclude=("0000",))
    run_campaign(asked(users, k=8, rules=rules, at=NOW), tmp_path / "short")
    run_campaign(asked(users, k=8, rules=rules, at=NOW, too_few="fill"), tmp_path / "filled")
    short, filled = lists_of(tmp_path / "short"), lists_of(tmp_path / "filled")
    artifact = load_current(models)
    taken = np.bincount(artifact.interactions.items, minlength=24)
    assert 0 < len(short["001"]) < 8
    for user in ("001", "002"):
        own = len(short[user])
        assert filled[user][:own] == short[user]
        rest = [taken[ITEMS.index(item)] for item in filled[user][own:]]
        assert len(filled[user]) == 8
        assert rest == sorted(rest, reverse=True)
        assert (
            results_of(tmp_path / "filled")[user]["reason"] == f"{8 - own} of 8 are popular items"
        )
    assert set(filled["greedy"]) <= {"0005", "0023"}


def test_many_users_get_the_lists_that_each_would_get(
    tmp_path: Path, asked: Asked, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What is sent before and scores too low comes out, and others move up."""
    publish_drawn(tmp_path / "models", 900, 60)
    users = [f"user-{user}" for user in range(60)]
    store = open_store(url := f"sqlite:///{tmp_path / 'store.db'}")
    spec = asked(audience(tmp_path, *users), models=tmp_path / "models", k=5, at=NOW)
    run_campaign(spec, tmp_path / "plain", url=url)
    before = lists_of(tmp_path / "plain")
    again = [Send("old", user, item, NOW) for user in users[::2] for item in before[user][:3]]
    store.add_sends(again)
    store.close()
    spec = replace(spec, rules=RuleSpec(not_sent_days=5.0, min_score=0.02, exclude=("item-3",)))
    run_campaign(spec, tmp_path / "few", url=url)
    monkeypatch.setattr(deciding, "_MANY", 1)
    monkeypatch.setattr(scoring, "_SMALL", 0)
    run_campaign(spec, tmp_path / "many", url=url)
    # as on a GPU: "auto" is the processor where there is none
    prepare = Scorer.prepare
    monkeypatch.setattr(Scorer, "prepare", lambda self, _: prepare(self, "auto"))
    run_campaign(spec, tmp_path / "device", url=url)
    few, many, device = (rows_of(tmp_path / name, "send") for name in ("few", "many", "device"))
    for one, other in [*zip(few, many, strict=True), *zip(few, device, strict=True)]:
        assert [line["item"] for line in one["items"]] == [line["item"] for line in other["items"]]
        assert [line["score"] for line in one["items"]] == pytest.approx(
            [line["score"] for line in other["items"]], rel=1e-5
        )
    lists = lists_of(tmp_path / "many")
    assert not {(send.user, send.item) for send in again} & {
        (user, item) for user, items in lists.items() for item in items
    }
    assert Counter(map(len, lists.values()))[5] > 30
