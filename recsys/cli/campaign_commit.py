"""`recsys campaign commit`: enter what a campaign sent in the ledger."""

from __future__ import annotations

from pathlib import Path

import click

from recsys.cli.model_options import store_options


@click.command()
@click.argument("run", type=click.Path(path_type=Path))
@store_options
def commit(run: Path, models: Path, url: str | None) -> None:
    """Enter the sends of the finished campaign in the folder RUN in the store's ledger.

    Do it when they were mailed. Once more changes nothing.
    """
    print_commit(run, models, url)


def print_commit(run: Path, models: Path, url: str | None) -> None:
    """Commit a run and say what came of it; users who stand in the way are listed."""
    from recsys.campaigns.commit import ConflictError
    from recsys.campaigns.commit import commit as enter
    from recsys.cli.model_options import opened_store

    store = opened_store(models, url)
    try:
        entered = enter(run, store)
    except ConflictError as error:
        for user, reason in error.users:
            click.echo(f"{user}\t{reason}")
        raise
    if entered.done_before:
        click.echo(f"{entered.campaign} is in the ledger already; nothing was changed.")
        return
    click.echo(f"{entered.campaign}: {entered.users:,} users, {entered.items:,} items entered")
    if entered.forgotten:
        click.echo(f"{entered.forgotten:,} users asked to be forgotten; nothing of theirs is kept")
