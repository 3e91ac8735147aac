"""`recsys campaign`: score a customer base into files to mail."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from recsys.cli.model_options import store_option

if TYPE_CHECKING:
    from recsys.campaigns.job import Preview
    from recsys.campaigns.manifest import Counts, Manifest
    from recsys.recommender import Recommender

_FILE = click.Path(path_type=Path)


@click.command()
@click.option("--spec", "spec_file", type=_FILE, help="TOML file with these flags as keys.")
@click.option("--users", type=_FILE, help="Audience: .parquet, .csv, .csv.gz, .jsonl, .jsonl.gz.")
@click.option("--user-column", metavar="NAME", help="Its column of user ids [user_id].")
@click.option("--out", type=_FILE, help="Folder to make; it must not exist yet, or be empty.")
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
    "--min-items",
    type=click.IntRange(min=1),
    help="Users with fewer items left for them are ineligible [1].",
)
@click.option(
    "--users-per-part", type=click.IntRange(min=1), help="How many users a part holds [10000]."
)
@click.option("--at", metavar="TIME", help="Date or time that ages count from [the data's].")
@click.option("--models", type=_FILE, help="Folder of published models [models].")
@store_option
@click.option("--engine", type=click.Choice(["local"]), help="Where the job runs [local].")
@click.option(
    "--dry-run", is_flag=True, help="Score and count, show the first lists, write nothing."
)
def campaign(
    spec_file: Path | None, out: Path | None, url: str | None, dry_run: bool, **flags: Any
) -> None:
    """Score a customer base into files to mail: one row for every distinct user.

    Flags go before the spec's keys, those before the defaults in brackets.
    """
    from dataclasses import replace

    from recsys.campaigns.job import preview_campaign, run_campaign
    from recsys.campaigns.spec import load_spec
    from recsys.errors import UsageError
    from recsys.store.live import open_live

    if out is None and not dry_run:
        raise UsageError("--out is missing: name a folder to write to, or try --dry-run")
    spec = load_spec(spec_file, flags)
    recommender = open_live(spec.models, url, required=True)
    if spec.at is None:  # events that come while it runs must not change anyone's ages
        spec = replace(spec, at=recommender.reference_time)
    if dry_run or out is None:
        _print_preview(preview_campaign(spec, recommender, out), recommender)
        return
    outcome = run_campaign(spec, recommender, out)
    if outcome.done_before:
        click.echo(f"This campaign is done already; nothing was changed in {out}.")
    _print_manifest(outcome.manifest, out)


def _print_manifest(manifest: Manifest, out: Path) -> None:
    _print_counts(manifest.counts, manifest.reasons)
    for model in manifest.models:
        click.echo(f"\n{model['model']}, version {model['version']}")
    parts = sum(part.path.startswith("send/") for part in manifest.parts)
    click.echo(f"{out / 'send'}: {parts} part{'s' * (parts != 1)} for the mail tool")


def _print_preview(preview: Preview, recommender: Recommender) -> None:
    click.echo("Dry run: nothing was written.")
    _print_counts(preview.counts, preview.reasons)
    click.echo(f"\n{recommender.model}, version {recommender.version}")
    for decision in preview.first:
        reason = "" if decision.reason is None else f" ({decision.reason})"
        click.echo(f"\n{decision.user}: {decision.status}{reason}")
        for line in decision.items:
            click.echo(f"{line.rank:>4}  {line.item}  {line.title}")


def _print_counts(counts: Counts, reasons: Mapping[str, Mapping[str, int]]) -> None:
    from dataclasses import asdict

    for name, count in asdict(counts).items():
        click.echo(f"{name:<10} {count:>10,}")
        for reason, users in reasons.get(name, {}).items():
            click.echo(f"{'':<10} {users:>10,} {reason}")
