"""What the first mails would look like: a template filled in, on one page, for people to judge."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pyarrow as pa
from jinja2 import (
    ChoiceLoader,
    Environment,
    PackageLoader,
    StrictUndefined,
    Template,
    TemplateSyntaxError,
)
from jinja2.sandbox import ImmutableSandboxedEnvironment

from recsys.campaigns.sources import USER
from recsys.errors import UsageError
from recsys.files import written_aside

if TYPE_CHECKING:
    from recsys.campaigns.final import Final
    from recsys.campaigns.opened import ItemTable, OpenRun

DESKTOP, PHONE = 640, 375
"""Widths in which a mail is shown, in pixels."""


@dataclass(frozen=True)
class MailItem:
    """An item of a mail.

    Attributes
    ----------
    rank
        Its place, from 1.
    item, title
        Its id and what it is called.
    score
        The model's.
    price
        None where it is not known.
    category
        Its first category, empty where it has none.
    """

    rank: int
    item: str
    title: str
    score: float
    price: float | None = None
    category: str = ""


@dataclass(frozen=True)
class Mail:
    """What a template is filled with, under these names.

    Attributes
    ----------
    user
        The id.
    columns
        The audience's own columns.
    arm
        None where the campaign has none.
    items
        The list, best first.
    """

    user: str
    columns: Mapping[str, Any]
    arm: str | None
    items: tuple[MailItem, ...]


def write_preview(path: Path, mails: Sequence[Mail], *, title: str, template: Path | None) -> None:
    """Write a page that shows mails as a desktop and a phone would.

    Whatever the mails say is escaped. A template sees the names of `Mail` and `title`, and runs in
    a sandbox: it reaches no file, no module, and changes nothing. A mail is shown in a frame of its
    own that runs no script and loads nothing.

    Parameters
    ----------
    path
        Where to.
    mails
        What to show.
    title
        The campaign's name.
    template
        A jinja2 file that makes one mail, as HTML; the default one where None.

    Raises
    ------
    UsageError
        The template cannot be read or filled in.
    """
    with _said(template):
        one = _default() if template is None else _given(template)
        shown = [(mail, one.render(title=title, **_names(mail))) for mail in mails]
    page = _pages().get_template("preview.html")
    html = page.render(title=title, mails=shown, desktop=DESKTOP, phone=PHONE)
    with written_aside(path) as aside:
        aside.write_bytes(html.encode("utf-8", "replace"))


def first_mails(run: OpenRun, final: Final, most: int) -> list[Mail]:
    """Return the mails of the first users of a shard who are sent, at most so many."""
    sent = [place for place, status in enumerate(final.statuses) if status == "sent"][:most]
    rows = final.rows.take(pa.array(sent, pa.int64())).to_pylist()
    mails = []
    for place, row in zip(sent, rows, strict=True):
        own = final.lists.row(place)
        pairs = zip(final.lists.items[own].tolist(), final.lists.scores[own].tolist(), strict=True)
        items = tuple(
            _item(run.items, number, rank, score) for rank, (number, score) in enumerate(pairs, 1)
        )
        columns = {name: value for name, value in row.items() if name != USER}
        mails.append(Mail(row[USER], columns, run.arms[final.arms[place]].pinned.name, items))
    return mails


def _item(items: ItemTable, number: int, rank: int, score: float) -> MailItem:
    return MailItem(
        rank,
        items.ids[number],
        items.titles[number],
        score,
        items.prices[number],
        next(iter(items.categories[number]), ""),
    )


def _names(mail: Mail) -> dict[str, Any]:
    return {"user": mail.user, "columns": mail.columns, "arm": mail.arm, "items": mail.items}


def _given(path: Path) -> Template:
    environment = ImmutableSandboxedEnvironment(autoescape=True, undefined=StrictUndefined)
    return environment.from_string(path.read_text(encoding="utf-8"))


def _default() -> Template:
    return _pages().get_template("mail.html")


@cache
def _pages() -> Environment:
    loaders = [PackageLoader("recsys.campaigns"), PackageLoader("recsys.report")]
    return Environment(
        loader=ChoiceLoader(loaders),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )


@contextmanager
def _said(template: Path | None) -> Iterator[None]:
    """Turn what goes wrong with a template into one line that names it."""
    try:
        yield
    except OSError as error:
        raise UsageError(f"template {template}: {error.strerror}") from error
    except UnicodeDecodeError as error:
        raise UsageError(f"template {template}: is not UTF-8 text") from error
    except Exception as error:  # a template may fail in any way that an expression can
        line = f" line {error.lineno}" if isinstance(error, TemplateSyntaxError) else ""
        said = " ".join(str(error).split()) or type(error).__name__
        raise UsageError(f"template {template}:{line} {said}") from error
