"""`recsys evaluate --report`: the page as a file."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any


def test_a_page_with_the_figures_of_the_json(run: Any, shop: Path, tmp_path: Path) -> None:
    out, page = tmp_path / "out.json", tmp_path / "deep" / "out.html"
    flags = ("--models", "popularity,ease", "--test-users", 10, "--json", out, "--report", page)
    ended = run("evaluate", "--data", shop, *flags)
    assert ended.code == 0, ended.err
    html = page.read_text(encoding="utf-8")
    assert html.startswith("<!doctype html>")
    assert "Models compared on corner-shop" in html
    for result in json.loads(out.read_text())["results"]:
        assert f'<data value="{result["metrics"]["ndcg@100"]["mean"]}">' in html
