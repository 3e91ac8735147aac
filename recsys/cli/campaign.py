"""`recsys campaign`: score a customer base into files to mail, and enter them in the ledger."""

from __future__ import annotations

from collections.abc import Mapping
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from recsys.cli.model_options import store_option

if TYPE_CHECKING:
    from recsys.campaigns.job import Preview
    from recsys.campaigns.manifest import Counts, Manifest
    from recsys.campaigns.spec import CampaignSpec

_FILE = click.Path(path_type=Path)
_SHOWN = 3

_COMMANDS = {
    "init": ("recsys.cli.campaign_init:init", "Write a commented spec to start from."),
    "commit": ("recsys.cli.campaign_commit:commit", "Enter a campaign's sends in the ledger."),
    "results": ("recsys.cli.campaign_results:results", "Report what was bought afterwards."),
}


class _Campaign(click.Group):
    """A group that imports a command's module only to run it."""

    def list_commands(self, ctx: click.Context) -> list[str]:  # noqa: ARG002
        return list(_COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:  # noqa: ARG002
        if cmd_name not in _COMMANDS:
            return None
        module, _, attribute = _COMMANDS[cmd_name][0].partition(":")
        command: click.Command = getattr(import_module(module), attribute)
        return command

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:  # noqa: ARG002
        with formatter.section("Commands"):
            formatter.write_dl([(name, summary) for name, (_, summary) in _COMMANDS.items()])


@click.group(cls=_Campaign, invoke_without_command=True)
@click.option(
    "--spec", "spec_file", type=_FILE, help="TOML file; `recsys campaign init` makes one."
)
@click.option("--users", type=_FILE, help="Audience: .parquet, .csv[.gz], .jsonl[.gz], a folder.")
@click.option("--user-column", metavar="NAME", help="Its column of user ids [user_id].")
@click.option("--out", type=_FILE, help="Folder to make; it must not exist yet, or be empty.")
@click.option("--name", help="The campaign's name; decides who is held out and who in which arm.")
@click.option("--k", type=click.IntRange(1, 1000), help="How many items a user gets [10].")
@click.option(
    "--format", type=click.Choice(["parquet", "csv", "jsonl"]), help="Kind of the parts [parquet]."
)
@click.option(
    "--layout",
    type=click.Choice(["nested", "flat"]),
    help="One column items, or item_1, title_1, score_1, … [nested].",
)
@click.option(
    "--fallback",
    type=click.Choice(["popular", "none"]),
    help="What a user without history gets; none makes them ineligible [popular].",
)
@click.option(
    "--too-few",
    type=click.Choice(["ineligible", "fill"]),
    help="Whether popular items fill short lists up [ineligible].",
)
@click.option(
    "--min-items",
    type=click.IntRange(min=1),
    help="Users with fewer items left for them are ineligible [1].",
)
@click.option(
    "--users-per-part",
    type=click.IntRange(min=1),
    help="How many users a part holds, about [10000].",
)
@click.option("--at", metavar="TIME", help="Date or time that ages count from [now].")
@click.option("--models", type=_FILE, help="Folder of published models [models].")
@store_option
@click.option("--engine", type=click.Choice(["local", "ray"]), help="Where the job runs [local].")
@click.option("--ray-address", metavar="ADDRESS", help="Ray cluster to join [one starts here].")
@click.option("--workers", type=click.IntRange(min=1), help="How many processes [all cores].")
@click.option(
    "--device", type=click.Choice(["cpu", "cuda", "auto"]), help="Where networks score [cpu]."
)
@click.option(
    "--dry-run", is_flag=True, help="Do everything, show what would happen, write a preview alone."
)
@click.option("--restart", is_flag=True, help="Forget a run that was stopped, begin anew.")
@click.option("--commit", "enter", is_flag=True, help="Enter the sends in the ledger at the end.")
def campaign(
    *,
    spec_file: Path | None,
    out: Path | None,
    url: str | None,
    dry_run: bool,
    restart: bool,
    enter: bool,
    **flags: Any,
) -> None:
    """Score a customer base into files to mail: one row for every distinct user.

    Flags go before the spec's keys, those before the defaults in brackets. A run that was stopped
    goes on when the same command is given again.
    """
    from recsys.campaigns.job import preview_campaign, run_campaign
    from recsys.campaigns.loading import load_spec
    from recsys.errors import UsageError
    from recsys.store.live import store_url

    if click.get_current_context().invoked_subcommand is not None:
        return
    if out is None and not dry_run:
        raise UsageError("--out is missing: name a folder to write to, or try --dry-run")
    spec = load_spec(spec_file, flags)
    url = store_url(spec.models, url)
    if dry_run or out is None:
        with preview_campaign(spec, out, url=url) as preview:
            _print_preview(preview)
            if out is not None:
                _write_pages(preview, spec, out.with_name(f"{out.name}-preview"))
        return
    outcome = run_campaign(spec, out, url=url, restart=restart)
    if outcome.done_before:
        click.echo(f"This campaign is done already; nothing was changed in {out}.")
    _print_manifest(outcome.manifest, out)
    if enter:
        from recsys.cli.campaign_commit import print_commit

        print_commit(out, spec.models, url)


def _print_manifest(manifest: Manifest, out: Path) -> None:
    _print_counts(manifest.counts, manifest.reasons)
    _print_arms(manifest)
    parts = sum(part.path.startswith("send/") for part in manifest.parts)
    click.echo(f"{out / 'send'}: {parts} part{'s' * (parts != 1)} for the mail tool")


def _print_arms(manifest: Manifest) -> None:
    click.echo()
    for model in manifest.models:
        line = f"{model['model']}, version {model['version']}"
        if model["arm"] is not None:
            sent = manifest.arms[model["arm"]].get("sent", 0)
            line = f"arm {model['arm']}: {sent:,} sent; {line}"
        click.echo(line)


def _print_preview(preview: Preview) -> None:
    click.echo("Dry run: nothing was written.")
    _print_counts(preview.manifest.counts, preview.manifest.reasons)
    _print_arms(preview.manifest)
    final = preview.first
    for place, user in enumerate(final.users[:_SHOWN]):
        reason = "" if final.reasons[place] is None else f" ({final.reasons[place]})"
        click.echo(f"\n{user}: {final.statuses[place]}{reason}")
        items = final.lists.items[final.lists.row(place)].tolist()
        for rank, item in enumerate(items, 1):
            click.echo(
                f"{rank:>4}  {preview.run.items.ids[item]}  {preview.run.items.titles[item]}"
            )


def _write_pages(preview: Preview, spec: CampaignSpec, folder: Path) -> None:
    """Write what a person looks at before a campaign is run: the report and the first mails."""
    from recsys.campaigns.preview import first_mails, write_preview
    from recsys.campaigns.report import write_report
    from recsys.files import map_tensors

    mails = first_mails(preview.run, preview.first, spec.preview.mails)
    page = folder / "preview.html"
    write_preview(page, mails, title=spec.name, template=spec.preview.template)
    statistics = map(map_tensors, preview.statistics)
    write_report(folder / "report.html", preview.run, preview.manifest, statistics)
    click.echo(f"\n{page}: the first mails\n{folder / 'report.html'}: the report")


def _print_counts(counts: Counts, reasons: Mapping[str, Mapping[str, int]]) -> None:
    from dataclasses import asdict

    for name, count in asdict(counts).items():
        click.echo(f"{name:<10} {count:>10,}")
        for reason, users in reasons.get(name, {}).items():
            click.echo(f"{'':<10} {users:>10,} {reason}")
