"""The flags that say what may stand in a list."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any, TypeVar

import click

from recsys.cli.model_options import names

if TYPE_CHECKING:
    from recsys.recommender import Rules

Command = TypeVar("Command", bound=Callable[..., Any])


def rule_options(command: Command) -> Command:
    """Add a flag for each rule; the command passes what it got to `rules_of`."""
    for option in reversed(
        (
            click.option("--category", metavar="NAME", help="Only items of this category."),
            click.option("--exclude", default="", metavar="ID,…", help="Items to leave out."),
            click.option("--only", metavar="ID,…", help="Only these items."),
            click.option("--min-price", type=float, help="Least price."),
            click.option("--max-price", type=float, help="Highest price."),
            click.option(
                "--attribute",
                "attributes",
                multiple=True,
                metavar="NAME:VALUE",
                help="Only items with this attribute, or one within NAME:LOW..HIGH; repeatable.",
            ),
            click.option(
                "--per-category", type=int, help="How many items of one category at most."
            ),
            click.option(
                "--diversity",
                default=0.0,
                show_default=True,
                help="How much unlikeness to the items above counts beside the score, 0 to 1.",
            ),
            click.option(
                "--include-seen", is_flag=True, help="Let items of the history come back."
            ),
            click.option(
                "--newcomers",
                default=0,
                show_default=True,
                metavar="N",
                help="How many places at most go to new products that are like the history.",
            ),
            click.option(
                "--new-below",
                default=5,
                show_default=True,
                metavar="N",
                help="A product is new that the model was trained on in fewer events than that.",
            ),
        )
    ):
        command = option(command)
    return command


def rules_of(
    *,
    exclude: str,
    only: str | None,
    attributes: tuple[str, ...],
    **others: Any,
) -> Rules:
    """Return the rules that the flags of `rule_options` state.

    Raises
    ------
    UsageError
        One that cannot be meant.
    """
    from recsys.recommender import AttributeRule, Rules

    return Rules(
        exclude=frozenset(names(exclude)),
        only=None if only is None else frozenset(names(only)),
        attributes=tuple(AttributeRule.parse(text) for text in attributes),
        **others,
    )
