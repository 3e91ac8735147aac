"""The reference for people: whole, of one piece, and without the internet."""

from __future__ import annotations

import re
from collections.abc import Callable
from html.parser import HTMLParser
from typing import Any

import pytest

from api.problems import KINDS


class Page(HTMLParser):
    """The ids, links and files of a page, and its text."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.ids: list[str] = []
        self.links: list[str] = []
        self.tags: set[str] = set()
        self.words: list[str] = []
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.add(tag)
        said = {name: value or "" for name, value in attrs}
        self.ids += [said["id"]] if "id" in said else []
        self.links += [said[name] for name in ("href", "src") if name in said]
        assert "style" not in said
        assert not any(name.startswith("on") for name in said)

    def handle_data(self, data: str) -> None:
        self.words += data.split()


@pytest.fixture(scope="module")
def page(ask: Callable[..., Any]) -> Page:
    answer = ask("/docs")
    assert (answer.status, answer.mimetype) == (200, "text/html")
    return Page(answer.text)


def test_every_operation_and_every_model_has_a_place(page: Page, ask: Callable[..., Any]) -> None:
    description = ask("/openapi.json").json
    for path, methods in description["paths"].items():
        assert path in page.words
        for method, operation in methods.items():
            assert f"{method}-{operation['operationId']}" in page.ids
            names = [each["name"] for each in operation["parameters"]]
            assert not [name for name in names if name not in page.words]
    assert set(description["components"]["schemas"]) <= set(page.ids)
    assert set(KINDS) <= set(page.words)


def test_links_lead_somewhere_here(page: Page, ask: Callable[..., Any]) -> None:
    assert len(set(page.ids)) == len(page.ids)
    for link in set(page.links):
        if link.startswith("#"):
            assert link[1:] in page.ids
        else:
            assert link.startswith("/")
            assert ask(link).status == 200


def test_it_needs_neither_scripts_nor_other_sites(page: Page, ask: Callable[..., Any]) -> None:
    assert not page.tags & {"script", "style", "iframe", "img"}
    assert not re.search(r"url\(|@import|https?:", ask("/static/docs.css").text)


def test_every_kind_of_problem_is_listed(ask: Callable[..., Any]) -> None:
    for path in ("/recommend", "/similar?item=none", "/recommend?user=nobody&fallback=none"):
        assert ask(path).json["type"] in KINDS
