"""The flags that say how to hold out, shared by the commands that measure."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from datetime import date
from typing import TYPE_CHECKING, Any, TypeVar

import click

from recsys.errors import UsageError

if TYPE_CHECKING:
    from recsys.evaluation.protocols import Protocol
    from recsys.interactions.dataset import Dataset

Command = TypeVar("Command", bound=Callable[..., Any])

# what one protocol alone asks: the attribute of `Protocol`, the protocol, the flag
_ASKED = {
    "folds": ("strong", "--folds"),
    "test_users": ("strong", "--test-users"),
    "cuts": ("temporal", "--cut"),
    "horizon_days": ("temporal", "--horizon"),
    "targets": ("temporal", "--targets"),
}


def read_by(read: Callable[[str], Any]) -> Callable[..., Any]:
    """Return a click callback that reads an option's text, such as `Read 10,20` documents."""

    def callback(_: click.Context, option: click.Parameter, text: str | None) -> Any:
        if text is None:
            return None
        try:
            return read(text)
        except ValueError as error:
            example = (read.__doc__ or "").removeprefix("Read ").rstrip(".")
            raise UsageError(f"{option.opts[0]} {text}: write it like {example}") from error

    return callback


def _days(text: str) -> tuple[date, ...]:
    """Read `2011-03-01,2011-06-01`."""
    return tuple(sorted({date.fromisoformat(part.strip()) for part in text.split(",")}))


def _number_of_days(text: str) -> int:
    """Read `90d`."""
    found = re.fullmatch(r"0*([1-9][0-9]{0,4})d", text.strip())
    if not found:
        raise ValueError
    return int(found[1])


_OPTIONS = (
    click.option(
        "--protocol",
        "kind",
        type=click.Choice(["strong", "weak", "temporal", "given"]),
        help="How to hold out. Default: given for a published split, temporal with --cut, "
        "else strong.",
    ),
    click.option("--folds", type=int, metavar="K", help="strong: test all users once, in K parts."),
    click.option(
        "--test-users", type=int, metavar="N", help="strong: users to test.  [default: 800]"
    ),
    click.option(
        "--cut",
        "cuts",
        callback=read_by(_days),
        metavar="DATE,…",
        help="temporal: days (YYYY-MM-DD, 00:00 UTC) to cut at.",
    ),
    click.option(
        "--horizon",
        "horizon_days",
        callback=read_by(_number_of_days),
        metavar="DAYS",
        help="temporal: how long to look, as 90d.  [default: 90d]",
    ),
    click.option(
        "--targets",
        type=click.Choice(["first", "all"]),
        help="temporal: find what users took for the first time, or all.  [default: first]",
    ),
)


def protocol_options(command: Command) -> Command:
    """Add the flags of a protocol to a command, which hands them on to `protocol_from`."""
    for option in reversed(_OPTIONS):
        command = option(command)
    return command


def checked_protocol(flags: dict[str, Any]) -> dict[str, Any]:
    """Take the protocol's flags out of a command's, and refuse those that do not go together."""
    kind = flags.pop("kind")
    asked = {name: flags.pop(name) for name in _ASKED}
    asked = {name: value for name, value in asked.items() if value is not None}
    kinds = {_ASKED[name][0] for name in asked}
    for name in asked:
        only, flag = _ASKED[name]
        if kind not in {None, only} or len(kinds) > 1:
            raise UsageError(f"{flag} is for --protocol {only} alone")
    if "folds" in asked and "test_users" in asked:
        raise UsageError("--test-users does not go with --folds, which test every user")
    if "temporal" in {kind, *kinds} and "cuts" not in asked:
        raise UsageError("--protocol temporal needs days to cut at: --cut 2011-06-01,…")
    return asked if kind is None else {"kind": kind, **asked}


def protocol_from(asked: Mapping[str, Any], dataset: Dataset) -> Protocol:
    """Return the protocol asked for; flags that one protocol alone has choose it."""
    from recsys.evaluation.protocols import Protocol

    if "kind" in asked:
        return Protocol(**asked)
    if "cuts" in asked:
        return Protocol("temporal", **asked)
    return Protocol("given" if dataset.test is not None and not asked else "strong", **asked)
