"""What the API answers to requests that can be meant."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import pytest

from recsys.recommender import AttributeRule, HistoryEntry, Recommender, Rules

US = 1_000_000


def post(ask: Callable[..., Any], path: str = "/recommend", **body: Any) -> Any:
    answer = ask(path, "POST", json.dumps(body).encode())
    assert answer.status == 200, answer.text
    return answer.json


@pytest.mark.parametrize("user", ["u000", "u001", "u050", "u119", "nobody", "Zoë ☃"])
def test_recommend_is_the_recommenders_list(
    ask: Callable[..., Any], recommender: Recommender, user: str
) -> None:
    answer = ask(f"/recommend?user={user}&k=7").json
    assert answer == recommender.answer(recommender.recommend(user, k=7))
    assert len(answer["items"]) == 7
    assert list(answer) == ["user", "model", "version", "basis", "items"]


def test_recommend_leaves_out_what_the_user_has(
    ask: Callable[..., Any], recommender: Recommender
) -> None:
    seen = {item.item for item in recommender.history("u001")}
    assert not seen & {item["item"] for item in ask("/recommend?user=u001").json["items"]}
    path = "/recommend?user=u001&k=60&include_seen=true"
    assert seen < {item["item"] for item in ask(path).json["items"]}


def test_every_option_reaches_the_recommender(
    ask: Callable[..., Any], recommender: Recommender
) -> None:
    best = [item.item for item in recommender.recommend("u004", k=3).items]
    query = (
        f"user=u004&k=5&category=garden&exclude={best[0]},{best[2]},&include_seen=1&at=2011-06-01"
    )
    rules = Rules("garden", frozenset({best[0], best[2]}), include_seen=True)
    expected = recommender.recommend("u004", k=5, rules=rules, at=1_306_886_400 * US)
    assert ask(f"/recommend?{query}").json == recommender.answer(expected)
    options = {
        "k": 5,
        "category": "garden",
        "exclude": [best[0], best[2]],
        "include_seen": True,
        "at": 1_306_886_400,
    }
    assert post(ask, user="u004", **options) == recommender.answer(expected)
    options["exclude"] = f"{best[0]},{best[2]}"
    assert post(ask, user="u004", **options) == recommender.answer(expected)


def test_every_rule_reaches_the_recommender(
    ask: Callable[..., Any], recommender: Recommender
) -> None:
    only = [f"i{item}" for item in range(5, 50)]
    rules = Rules(
        exclude=frozenset(["i6", "i7"]),
        min_price=2.5,
        max_price=8.0,
        attributes=(AttributeRule.parse("colour:dark, red"), AttributeRule.parse("size:2..4")),
        only=frozenset(only),
        per_category=3,
        diversity=0.4,
    )
    expected = recommender.recommend("u004", k=5, rules=rules)
    assert len(expected.items) == 5
    assert expected.items != recommender.recommend("u004", k=5).items
    query = (
        "user=u004&k=5&exclude=i6&exclude=i7&min_price=2.5&max_price=8&attribute=colour:dark,%20red"
        f"&attribute=size:2..4&only={','.join(only)}&per_category=3&diversity=0.4"
    )
    assert ask(f"/recommend?{query}").json == recommender.answer(expected)
    options = {
        "k": 5,
        "exclude": ["i6", "i7"],
        "min_price": 2.5,
        "max_price": 8,
        "attribute": ["colour:dark, red", "size:2..4"],
        "only": only,
        "per_category": 3,
        "diversity": 0.4,
    }
    assert post(ask, user="u004", **options) == recommender.answer(expected)
    options |= {"only": ",".join(only), "exclude": "i6,i7"}
    assert post(ask, user="u004", **options) == recommender.answer(expected)
    attribute = options.pop("attribute")[1]
    both = "/recommend?attribute=colour:dark,%20red&attribute=size:2..4"
    assert post(ask, both, user="u004", **options) == recommender.answer(expected)
    rules = Rules(attributes=(AttributeRule.parse(attribute),))
    assert post(ask, user="u004", attribute=attribute) == recommender.answer(
        recommender.recommend("u004", rules=rules)
    )


def test_blank_and_empty_allow_lists_differ(ask: Callable[..., Any]) -> None:
    assert len(ask("/recommend?user=u001&only=&attribute=&exclude=").json["items"]) == 10
    assert len(post(ask, user="u001", only=None, min_price=None)["items"]) == 10
    none = post(ask, user="u001", only=[])
    assert none["items"] == []
    assert "note" in none


def test_an_unknown_attribute_is_an_empty_list_with_a_note(ask: Callable[..., Any]) -> None:
    for user in ("u001", "nobody"):
        answer = ask(f"/recommend?user={user}&attribute=shape:round").json
        assert (answer["items"], answer["note"]) == ([], "no item has an attribute 'shape'")


def test_unknown_user_gets_popular_items_or_a_404(ask: Callable[..., Any]) -> None:
    answer = ask("/recommend?user=nobody").json
    assert (answer["user"], answer["basis"], len(answer["items"])) == ("nobody", "popular", 10)
    refused = ask("/recommend?user=nobody&fallback=none")
    assert (refused.status, refused.json["type"]) == (404, "urn:recsys:problem:unknown-user")
    assert ask("/recommend?user=u001&fallback=none").json["basis"] == "history"


def test_unknown_category_is_an_empty_list_with_a_note(ask: Callable[..., Any]) -> None:
    answer = ask("/recommend?user=u001&category=attic").json
    assert answer["items"] == []
    assert "attic" in answer["note"]
    assert len(ask("/recommend?user=u001&category=").json["items"]) == 10
    only = ask("/recommend?user=u001&k=60&category=B%C3%BCro%20%26%20Caf%C3%A9").json
    assert only["items"]
    assert "note" in only


def test_post_takes_ids_and_entries(ask: Callable[..., Any], recommender: Recommender) -> None:
    entries = [
        HistoryEntry("i4"),
        HistoryEntry("0042", 1_310_000_000 * US, 3.0),
        HistoryEntry("i7", 1_306_886_400 * US + 500_000),
    ]
    history = [
        "i4",
        {"item": "0042", "time": 1_310_000_000, "value": 3},
        {"item": "i7", "time": "2011-06-01T02:00:00.5+02:00"},
    ]
    expected = recommender.answer(recommender.recommend_basket(entries, k=4))
    assert post(ask, history=history, k=4) == expected
    assert expected["user"] is None
    assert post(ask, "/recommend?k=4", history=history) == expected
    assert post(ask, history=history, k=4, user="u001") == {**expected, "user": "u001"}


def test_post_of_an_empty_history_is_popular(ask: Callable[..., Any]) -> None:
    assert post(ask, history=[])["basis"] == "popular"
    assert post(ask, history=[], fallback="none")["items"] == []


def test_a_stored_history_given_outright_gets_the_users_list(
    ask: Callable[..., Any], recommender: Recommender
) -> None:
    events = recommender.interactions
    code = recommender.users.code("u010")
    assert code is not None
    assert events.times is not None
    own = range(events.indptr[code], events.indptr[code + 1])
    history = [
        {"item": recommender.items[events.items[event]], "time": int(events.times[event]) / US}
        for event in own
    ]
    assert post(ask, history=history, user="u010") == ask("/recommend?user=u010").json


def test_similar(ask: Callable[..., Any], recommender: Recommender) -> None:
    answer = ask("/similar?item=0042&k=3").json
    assert answer == recommender.similar_answer("0042", recommender.similar("0042", k=3))
    assert "0042" not in [item["item"] for item in answer["items"]]


def test_explain(ask: Callable[..., Any], recommender: Recommender) -> None:
    answer = ask("/explain?user=u001&item=i5&at=2011-06-01").json
    assert answer == recommender.explain("u001", "i5", at=1_306_886_400 * US).shown()
    assert list(answer) == ["user", "item", "score", "because"]
    assert {one["item"] for one in answer["because"]} == {
        one.item for one in recommender.history("u001")
    }
    for path, kind in (("user=nobody&item=i5", "user"), ("user=u001&item=none", "item")):
        refused = ask(f"/explain?{path}")
        assert (refused.status, refused.json["type"]) == (404, f"urn:recsys:problem:unknown-{kind}")


def test_why(ask: Callable[..., Any], recommender: Recommender) -> None:
    answer = ask("/recommend?user=u001&k=4&why=true").json
    assert answer == recommender.answer(recommender.recommend("u001", k=4, why=True))
    for one in answer["items"]:
        explained = ask(f"/explain?user=u001&item={one['item']}").json
        assert one["score"] == pytest.approx(explained["score"], rel=1e-5)
        assert [each["item"] for each in one["because"]] == [
            each["item"] for each in explained["because"][:3]
        ]
    basket = post(ask, history=["i4", "i7"], k=2, why=True)
    assert all({each["item"] for each in one["because"]} == {"i4", "i7"} for one in basket["items"])
    assert ask("/recommend?user=nobody&k=1&why=true").json["items"][0]["because"] == []


def test_items_are_found_whatever_the_accents(ask: Callable[..., Any]) -> None:
    expected = {"item": "i3", "title": "Café crème jug", "category": ["kitchen"], "price": None}
    assert ask("/items?q=cafe%20CREME").json == {"items": [expected]}
    assert len(ask("/items?q=number&limit=5").json["items"]) == 5
    assert ask("/items?q=no-such-thing").json == {"items": []}
    assert "Café crème" in ask("/items?q=cafe").text  # as itself, not as \u escapes


def test_users_and_history(ask: Callable[..., Any]) -> None:
    assert ask("/users?q=U11&limit=2").json == {"users": ["u110", "u111"]}
    answer = ask("/history?user=u001").json
    assert answer["user"] == "u001"
    days = [item["last"] for item in answer["items"]]
    assert days == sorted(days, reverse=True)
    assert days[0].endswith("T00:00:00Z")
    assert set(answer["items"][0]) == {"item", "title", "times", "last"}
    assert ask("/history?user=u119").json["items"] == []
    assert ask("/history?user=nobody").status == 404


def test_health(ask: Callable[..., Any], recommender: Recommender) -> None:
    assert ask("/healthz").json == {"status": "ok"}
    assert ask("/readyz").json == {
        "status": "ready",
        "model": "ease",
        "version": recommender.version,
        "users": 120,
        "items": 60,
    }


def test_every_answer_forbids_foreign_content(ask: Callable[..., Any]) -> None:
    for path in ("/", "/recommend?user=u001", "/recommend", "/nothing", "/static/page.js"):
        headers = ask(path).headers
        assert headers["Content-Security-Policy"].startswith("default-src 'self'")
        assert headers["X-Content-Type-Options"] == "nosniff"


def test_server_and_app_answer_alike(
    ask: Callable[..., Any], ask_server: Callable[..., Any]
) -> None:
    for path in ("/recommend?user=u001", "/similar?item=i9", "/items?q=caf%C3%A9", "/readyz"):
        assert ask_server(path).json == ask(path).json
    body = b'{"history": ["i1", "i2"]}'
    assert ask_server("/recommend", "POST", body).json == ask("/recommend", "POST", body).json
