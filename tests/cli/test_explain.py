from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from recsys.recommender import Recommender


def test_json_is_what_the_api_answers(run: Any, published: Path) -> None:
    recommender = Recommender.open(published)
    flags = ["--user", "u07", "--item", "007", "--models", published]
    ended = run("explain", *flags, "--json")
    assert (ended.code, ended.err) == (0, "")
    assert json.loads(ended.out) == recommender.explain("u07", "007").shown()
    ended = run("explain", *flags, "--at", "2024-02-01", "--json")
    at = 1_706_745_600_000_000
    assert json.loads(ended.out) == recommender.explain("u07", "007", at=at).shown()


def test_a_person_sees_what_adds_most_first(run: Any, published: Path) -> None:
    found = Recommender.open(published).explain("u07", "007")
    ended = run("explain", "--user", "u07", "--item", "007", "--models", published)
    assert "Thing [7]: score" in ended.out  # brackets and all
    places = [ended.out.index(one.title) for one in found.because]
    assert places == sorted(places)
    assert len(places) > 1


def test_whom_or_what_nobody_knows_is_named(run: Any, published: Path) -> None:
    ended = run("explain", "--user", "stranger", "--item", "007", "--models", published)
    assert (ended.code, ended.err) == (1, "error: unknown user 'stranger'\n")
    ended = run("explain", "--user", "u07", "--item", "7", "--models", published)
    assert (ended.code, ended.err) == (1, "error: unknown item '7'\n")


def test_recommend_says_why(run: Any, published: Path) -> None:
    recommender = Recommender.open(published)
    flags = ["--user", "u07", "--models", published, "--k", 3, "--why"]
    found = recommender.recommend("u07", k=3, why=True)
    ended = run("recommend", *flags, "--json")
    assert json.loads(ended.out) == recommender.answer(found)
    ended = run("recommend", *flags)
    assert "because of" in ended.out
