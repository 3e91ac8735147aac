"""The command line. Commands are imported when called, so `recsys --help` loads nothing heavy."""

from __future__ import annotations

import sys
from importlib import import_module
from io import TextIOWrapper

import click

from recsys import __version__
from recsys.errors import RecsysError, UsageError

COMMANDS: dict[str, tuple[str, str]] = {
    "train": ("recsys.cli.train:train", "Train a model and publish it."),
    "evaluate": ("recsys.cli.evaluate:evaluate", "Compare models on held-out data."),
    "tune": ("recsys.cli.tune:tune", "Find the best settings on validation users."),
    "inspect": ("recsys.cli.inspect:inspect", "Show what a data set holds and what was dropped."),
    "retrain": ("recsys.cli.retrain:retrain", "Train anew as last time; publish if not worse."),
    "anomalies": ("recsys.cli.anomalies:anomalies", "Rank accounts and events unlike the others."),
    "denoise": ("recsys.cli.denoise:denoise", "Take events out that nobody meant."),
    "generate": ("recsys.cli.generate:generate", "Write a data set of users that nobody is."),
    "understand": ("recsys.cli.understand:understand", "Write a report on what a log tells."),
    "embed": ("recsys.cli.embed:embed", "Write users and items as vectors, with segments."),
    "compress": ("recsys.cli.compress:compress", "Put histories into a few bytes each, and back."),
    "models": ("recsys.cli.models:models", "List published models, roll back."),
    "recommend": ("recsys.cli.recommend:recommend", "Print a user's recommendations."),
    "similar": ("recsys.cli.recommend:similar", "Print the items most like one."),
    "explain": ("recsys.cli.explain:explain", "Print why an item has its score for a user."),
    "serve": ("recsys.cli.serve:serve", "Serve the API and the page."),
    "campaign": ("recsys.cli.campaign:campaign", "Score a customer base into files to mail."),
    "store": ("recsys.cli.store:store", "Import, export, count, tidy, forget live events."),
    "items": ("recsys.cli.items:items", "Change titles, prices, stock, blocks while serving."),
    "keys": ("recsys.cli.keys:keys", "Make, list and remove API keys."),
}


class _Commands(click.Group):
    """A group that imports a command's module only to run it or to show its own help."""

    def list_commands(self, ctx: click.Context) -> list[str]:  # noqa: ARG002
        return list(COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:  # noqa: ARG002
        if cmd_name not in COMMANDS:
            return None
        module, _, attribute = COMMANDS[cmd_name][0].partition(":")
        command: click.Command = getattr(import_module(module), attribute)
        return command

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:  # noqa: ARG002
        with formatter.section("Commands"):
            formatter.write_dl([(name, summary) for name, (_, summary) in COMMANDS.items()])


@click.group(cls=_Commands, context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(__version__, prog_name="recsys")
def recsys() -> None:
    """Recommendations from autoencoders: train, evaluate, serve, mail."""


def run(command: click.Command) -> None:
    """Run a command and exit: 0 done, 1 failed, 2 used wrongly, 130 interrupted."""
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, TextIOWrapper):  # a terminal that cannot show … shows ? instead
            stream.reconfigure(errors="replace")
    try:
        command.main(standalone_mode=False)
    except click.ClickException as error:
        error.show()
        sys.exit(error.exit_code)
    except (click.Abort, KeyboardInterrupt):
        click.echo("interrupted", err=True)
        sys.exit(130)
    except RecsysError as error:
        click.echo(f"error: {error}", err=True)
        sys.exit(2 if isinstance(error, UsageError) else 1)


def main() -> None:
    """Entry point of the `recsys` console script."""
    run(recsys)
