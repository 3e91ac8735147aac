from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from recsys.recommender import Recommender, Rules


def test_json_is_the_answer_of_the_recommender(run: Any, published: Path) -> None:
    recommender = Recommender.open(published)
    ended = run("recommend", "--user", "u07", "--models", published, "--json")
    assert (ended.code, ended.err) == (0, "")
    assert json.loads(ended.out) == recommender.answer(recommender.recommend("u07"))


def test_every_rule_has_its_flag(run: Any, published: Path) -> None:
    recommender = Recommender.open(published)
    rules = Rules("tea", frozenset({"003", "005"}), include_seen=True)
    at = 1_706_745_600_000_000  # 2024-02-01
    flags = "--k 4 --category tea --exclude 003,005, --include-seen --at 2024-02-01 --json"
    ended = run("recommend", "--user", "u07", "--models", published, *flags.split())
    found = recommender.recommend("u07", k=4, rules=rules, at=at)
    assert json.loads(ended.out) == recommender.answer(found)
    assert len(found.items) == 4
    rules = Rules(
        only=frozenset(f"{item:03}" for item in range(20)),
        min_price=3.0,
        max_price=18.5,
        per_category=2,
        diversity=0.3,
    )
    only = ", ".join(sorted(rules.only or ()))
    flags = "--user u07 --min-price 3 --max-price 18.5 --per-category 2 --diversity .3 --json"
    ended = run("recommend", "--models", published, "--only", only, *flags.split())
    found = recommender.recommend("u07", rules=rules)
    assert json.loads(ended.out) == recommender.answer(found)
    flags = ["--attribute", "shape:round", "--attribute", "size:1..2", "--json"]
    ended = run("recommend", "--user", "u07", "--models", published, *flags)
    assert json.loads(ended.out)["note"] == "no item has an attribute 'shape'"


def test_new_products_are_marked(run: Any, published: Path) -> None:
    recommender = Recommender.open(published)
    found = recommender.recommend("u07", rules=Rules(newcomers=2, new_below=12))
    assert [one.new for one in found.items] == [False] * 8 + [True] * 2
    command = ("recommend", "--user", "u07", "--models", published)
    flags = ("--newcomers", 2, "--new-below", 12)
    told = json.loads(run(*command, *flags, "--json").out)
    assert told == recommender.answer(found)
    assert [one.get("new") for one in told["items"]] == [None] * 8 + [True] * 2
    assert f"{found.items[-1].title} (new)" in run(*command, *flags).out
    assert run(*command, "--newcomers", -1).code == 2


def test_a_person_sees_history_and_suggestions_side_by_side(run: Any, published: Path) -> None:
    recommender = Recommender.open(published)
    ended = run("recommend", "--user", "u07", "--models", published, "--k", 3)
    assert ended.code == 0
    assert "Taken by u07" in ended.out
    for entry in recommender.history("u07")[:10]:
        assert entry.title in ended.out  # brackets and all: a title is never markup
    for one in recommender.recommend("u07", k=3).items:
        assert f"{one.rank}   {one.item}    {one.title}" in ended.out
    assert recommender.version in ended.out


def test_a_stranger_gets_popular_items_and_is_told_so(run: Any, published: Path) -> None:
    ended = run("recommend", "--user", "стран\x1b[31m", "--models", published)
    assert ended.code == 0
    assert "Popular items" in ended.out
    assert "Nothing is known of user" in ended.out
    assert "\x1b" not in ended.out
    ended = run("recommend", "--user", "stranger", "--models", published, "--fallback", "none")
    assert (ended.code, ended.out, ended.err) == (1, "", "error: unknown user 'stranger'\n")


def test_a_short_list_carries_its_note(run: Any, published: Path) -> None:
    ended = run("recommend", "--user", "u07", "--models", published, "--category", "nowhere")
    assert "Note: no item is in category 'nowhere'." in ended.out


@pytest.mark.parametrize(
    ("flags", "code", "message"),
    [
        (["--k", "0"], 2, "k is 0"),
        (["--k", "many"], 2, "--k"),
        (["--at", "soon"], 2, "--at: 'soon' is no date"),
        (["--fallback", "all"], 2, "--fallback"),
        (["--attribute", "shape"], 2, "attribute 'shape' is neither NAME:VALUE nor"),
        (["--min-price", "5", "--max-price", "4"], 2, "min_price is 5"),
        (["--min-price", "nan"], 2, "min_price is nan"),
        (["--per-category", "0"], 2, "per_category is 0"),
        (["--diversity", "2"], 2, "diversity is 2"),
        (["--models", "absent"], 1, "absent: no model is published there"),
    ],
)
def test_what_cannot_be_meant_is_said_in_one_line(
    run: Any, published: Path, flags: list[str], code: int, message: str
) -> None:
    ended = run("recommend", "--user", "u07", "--models", published, *flags)
    assert (ended.code, ended.out) == (code, "")
    assert message in ended.err
    assert "Traceback" not in ended.err


def test_similar_lists_items_and_never_the_item_itself(run: Any, published: Path) -> None:
    recommender = Recommender.open(published)
    ended = run("similar", "--item", "007", "--models", published, "--k", 5, "--json")
    assert json.loads(ended.out) == recommender.similar_answer(
        "007", recommender.similar("007", k=5)
    )
    ended = run("similar", "--item", "007", "--models", published)
    assert "Similar to Thing [7]" in ended.out
    assert "007" not in ended.out
    ended = run("similar", "--item", "7", "--models", published)
    assert (ended.code, ended.err) == (1, "error: unknown item '7'\n")
