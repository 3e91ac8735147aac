"""`recsys compress`: histories in a few bytes each, and back."""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any, get_args

import click

from recsys.cli.data_options import data_options, dataset_from_flags
from recsys.cli.model_options import models_option, names
from recsys.cli.tables import new_table, print_json, print_table

if TYPE_CHECKING:
    from rich.table import Table

    from recsys.insight.accounts import Log
    from recsys.insight.compression import Compression
    from recsys.insight.compression_codes import Bits

_FILE = click.Path(path_type=Path, dir_okay=False)


@click.command()
@models_option
@data_options
@click.option(
    "--bytes",
    "sizes",
    metavar="N,…",
    help="Bytes a user.  [8,16,32,64,128 are compared; with --out: 32]",
)
@click.option(
    "--bits",
    "kinds",
    default="mixed",
    show_default=True,
    metavar="KIND,…",
    help="How their bits are shared out: 8 or 4 for each latent, or mixed, by need.",
)
@click.option("--out", type=_FILE, help="Write the codes, or what --decode finds, to this file.")
@click.option(
    "--decode", type=_FILE, help="Turn a file of codes back into histories, a .csv named by --out."
)
@click.option(
    "--seed",
    default=98765,
    show_default=True,
    type=click.IntRange(min=0),
    help="Holds users out, and seeds training.",
)
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
def compress(
    *,
    models: Path,
    sizes: str | None,
    kinds: str,
    out: Path | None,
    decode: Path | None,
    seed: int,
    as_json: bool,
    **data_flags: Any,
) -> None:
    """Compare how much of a history a few bytes keep, or write such codes.

    The users are those of --data, else those that the current model in --models was trained on.
    Without --out, users are held out, and an autoencoder's codes are compared with those of PCA
    and with a plain list of items. With --out, an autoencoder of one size is trained on all users,
    and their codes are written; --decode reads them back.
    """
    from recsys.errors import UsageError

    if decode is not None:
        if out is None:
            raise UsageError("--decode: name the file to write with --out")
        _decode(decode, out, as_json=as_json)
    elif out is not None:
        wanted = _numbers(sizes or "32"), _kinds(kinds)
        _write(out, _log(models, data_flags), *wanted, seed, as_json=as_json)
    else:
        wanted = _numbers(sizes or ""), _kinds(kinds)
        _say(_compared(_log(models, data_flags), *wanted, seed), as_json=as_json)


def _log(models: Path, flags: dict[str, Any]) -> Log:
    if flags["data"]:
        return dataset_from_flags(flags)
    from recsys.artifacts import load_current

    return load_current(models)


def _numbers(text: str) -> list[int]:
    from recsys.errors import UsageError
    from recsys.insight.compression import check_sizes

    try:
        sizes = sorted({int(part) for part in names(text)})
    except ValueError as error:
        raise UsageError(f"--bytes {text}: write whole numbers, such as 16,32") from error
    if sizes:
        check_sizes(sizes)
    return sizes


def _kinds(text: str) -> list[Bits]:
    from recsys.errors import UsageError
    from recsys.insight.compression_codes import Bits

    kinds = [kind for kind in get_args(Bits) if kind in names(text)]
    if not kinds or set(names(text)) - set(kinds):
        raise UsageError(f"--bits {text}: there are {', '.join(get_args(Bits))}")
    return kinds


def _compared(log: Log, sizes: list[int], kinds: list[Bits], seed: int) -> Compression:
    from recsys.insight.compression import SIZES, measure_compression

    return measure_compression(log.interactions, sizes or SIZES, kinds, seed)


def _say(found: Compression, *, as_json: bool) -> None:
    if as_json:
        print_json(asdict(found))
        return
    print_table(_table(found))
    click.echo(
        f"share of the history among the n likeliest items, n its length: means of {found.users:,} "
        "held-out users"
    )


def _table(found: Compression) -> Table:
    table = new_table("What comes back of a history")
    table.add_column("way", no_wrap=True)
    for heading in ("bits", "bytes", "latents or items", "share"):
        table.add_column(heading, no_wrap=True, justify="right")
    for one in sorted(found.kept, key=lambda one: (one.n_bytes, -one.share)):
        table.add_row(one.way, one.bits, f"{one.n_bytes}", f"{one.width}", f"{one.share:.3f}")
    return table


def _write(
    out: Path, log: Log, sizes: list[int], kinds: list[Bits], seed: int, *, as_json: bool
) -> None:
    import numpy as np

    from recsys.errors import UsageError
    from recsys.insight.compression import compressor_of, histories_of
    from recsys.insight.compression_codes import shares_found
    from recsys.insight.compression_file import write_codes

    if len(sizes) != 1 or len(kinds) != 1:
        raise UsageError("--bytes, --bits: a file has codes of one size and kind; name one of each")
    compressor = compressor_of(log.interactions, sizes[0], seed, kinds[0])
    coded = write_codes(out, log, compressor)
    histories = histories_of(log.interactions)
    share = float(np.nanmean(shares_found(histories, coded.decoder.scores(coded.codes))))
    users, size = coded.codes.shape
    if as_json:
        print_json({"file": str(out), "users": users, "bytes": size, "share": share})
        return
    click.echo(f"codes     {users:,} of {size} bytes")
    click.echo(f"found     {share:.1%} of a history among its n likeliest items (these users)")
    click.echo(f"written   {out}; back with: recsys compress --decode {out} --out histories.csv")


def _decode(path: Path, out: Path, *, as_json: bool) -> None:
    import csv

    from recsys.files import written_aside
    from recsys.insight.compression_file import read_codes

    coded, pairs = read_codes(path), 0
    with written_aside(out) as aside, aside.open("w", encoding="utf-8", newline="") as stream:
        rows = csv.writer(stream)
        rows.writerow(("user_id", "item_id"))
        for user, items in coded.histories():
            rows.writerows((user, item) for item in items)
            pairs += len(items)
    if as_json:
        print_json({"file": str(out), "users": len(coded.users), "pairs": pairs})
        return
    click.echo(f"written   {out}: {pairs:,} pairs of {len(coded.users):,} users")
