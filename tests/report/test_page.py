"""A page as a file: one, whole, safe, and with its figures."""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

from recsys.report import (
    Axis,
    Bar,
    BarPlot,
    Cell,
    Column,
    Figure,
    Folded,
    Note,
    Page,
    Row,
    Section,
    Table,
    render,
    write_page,
)

Reader = Callable[[str], Any]


def page(text: str = "a word") -> Page:
    row = Row((Cell(text, series=0), Cell("0.12", 0.1234, note=text)), best=True)
    failed = Row((Cell(text), Cell(text, span=2)))
    table = Table(text, (Column(text, number=False), Column(text)), (row, failed))
    plot = BarPlot(text, text, Axis(text), ((text, (Bar(text, 1.0, text, 0),)),))
    blocks = (table, Figure((plot,), table), Figure((plot, plot), None, ((text, 0),)),
              Folded(text, table), Note(text))  # fmt: skip
    return Page(text, text, ((text, text),), (Section(text, text, blocks),) * 3, text)


def test_every_text_is_escaped(read: Reader) -> None:
    hostile = "<img src=x onerror='alert(1)'>\"&</style></title><!--"
    html = render(page(hostile))
    seen = read(html)
    assert "img" not in {tag for tag, _ in seen.tags}
    assert not [name for _, found in seen.tags for name in found if name.startswith("on")]
    assert seen.text.startswith(f"{hostile} {hostile}")


def test_the_file_needs_nothing_else(read: Reader) -> None:
    html = render(page())
    seen = read(html)
    assert {"script", "link", "img", "iframe"}.isdisjoint(tag for tag, _ in seen.tags)
    assert not re.search(r"https?://|url\(|@import", html)
    assert "default-src 'none'" in seen.values("meta", "content")[1]


def test_names_within_the_page_are_unique_and_found(read: Reader) -> None:
    seen = read(render(page()))
    ids = [found["id"] for _, found in seen.tags if "id" in found]
    assert len(ids) == len(set(ids))
    wanted = " ".join(found.get("aria-labelledby", "") for _, found in seen.tags).split()
    assert wanted
    assert set(wanted) <= set(ids)
    assert {target.removeprefix("#") for target in seen.values("a", "href")} <= set(ids)


def test_tables_keep_exact_figures_and_their_headings(read: Reader) -> None:
    seen = read(render(page()))
    assert set(seen.values("data", "value")) == {"0.1234"}
    assert {"col", "row"} == set(seen.values("th", "scope"))
    assert "2" in seen.values("td", "colspan")


def test_a_page_without_sections_or_facts(read: Reader) -> None:
    assert read(render(Page("Empty", "", (), ()))).text == "Empty Empty"


def test_the_file_is_written_whole_whatever_the_text(tmp_path: Path) -> None:
    write_page(tmp_path / "deep" / "out.html", page("no Unicode: \udcff"))
    assert "no Unicode: ?" in (tmp_path / "deep" / "out.html").read_text(encoding="utf-8")
    assert [file.name for file in (tmp_path / "deep").iterdir()] == ["out.html"]
