"""From a page to one HTML file that needs nothing else: no script, no font, no network."""

from __future__ import annotations

from functools import cache
from pathlib import Path

from jinja2 import Environment, PackageLoader, StrictUndefined, Template

from recsys.files import written_aside
from recsys.report.page import Page
from recsys.report.svg import key

WIDE, NARROW = 860, 400
"""Widths that plots are drawn for: the whole page, and a phone or half the page."""


def render(page: Page) -> str:
    """Return the page as HTML; every text in it is escaped."""
    return _template().render(page=page, wide=WIDE, narrow=NARROW, key=key)


def write_page(path: Path, page: Page) -> None:
    """Write the page aside and rename it."""
    html = render(page).encode("utf-8", "replace")  # a file name in a label may be no Unicode
    with written_aside(path) as aside:
        aside.write_bytes(html)


@cache
def _template() -> Template:
    environment = Environment(
        loader=PackageLoader("recsys.report"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    return environment.get_template("page.html")
