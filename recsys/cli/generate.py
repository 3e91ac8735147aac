"""`recsys generate`: a data set of users that nobody is."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from recsys.cli.data_options import data_options, dataset_from_flags
from recsys.cli.model_options import models_option
from recsys.cli.tables import print_json

if TYPE_CHECKING:
    import numpy as np

    from recsys.insight.accounts import Log
    from recsys.insight.generation import Synthetic
    from recsys.insight.generation_measures import Fidelity
    from recsys.interactions.tables import Histories
    from recsys.models.base import RunOptions
    from recsys.models.variational import Variational

_MILLION = 1_000_000


@click.command()
@models_option
@data_options
@click.option(
    "--out",
    type=click.Path(path_type=Path),
    required=True,
    metavar="FOLDER",
    help="New folder for the data set.",
)
@click.option(
    "--users",
    "number",
    type=click.IntRange(1, _MILLION),
    help="How many users.  [as many as they are drawn like]",
)
@click.option(
    "--segment",
    type=click.Path(path_type=Path, dir_okay=False),
    help="File of user ids, one a line: draw users like these.",
)
@click.option(
    "--between", nargs=2, metavar="ID ID", help="Draw users whose taste lies between two users'."
)
@click.option("--prior", is_flag=True, help="Draw tastes from the prior, not like any user's.")
@click.option(
    "--temperature",
    default=0.5,
    show_default=True,
    help="Lower keeps to what is likeliest, higher wanders.",
)
@click.option(
    "--seed",
    default=98765,
    show_default=True,
    type=click.IntRange(min=0),
    help="Seeds all that is random.",
)
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
def generate(
    *,
    models: Path,
    out: Path,
    number: int | None,
    segment: Path | None,
    between: tuple[str, str] | None,
    prior: bool,
    temperature: float,
    seed: int,
    as_json: bool,
    **data_flags: Any,
) -> None:
    """Write a data set of synthetic users, drawn from what a variational model learnt.

    It learns from --data, else it is the current model in --models; one that is not variational
    lends its data, and a mult-vae is trained on that. The users have no times and no quantities.
    No history of 3 items or more is a real user's.
    """
    import numpy as np

    from recsys.errors import UsageError
    from recsys.insight.cleaned import check_folder
    from recsys.insight.generation import Sampling, Tastes
    from recsys.insight.generation import generate as draw
    from recsys.insight.generation_data import write_synthetic
    from recsys.insight.generation_measures import compare
    from recsys.models.base import RunOptions
    from recsys.settings import validated

    if (segment is not None) + (between is not None) + prior > 1:
        raise UsageError("--segment, --between and --prior: take one of them")
    sampling = validated(Sampling, {"temperature": temperature}, "--temperature")
    check_folder(out)
    log, model, histories = _learnt(models, data_flags, RunOptions(seed=seed))
    rows = _rows(log, segment, between)
    some = histories.rows(rows)
    tastes = Tastes.of(model, some)
    if between is not None:
        tastes = tastes.between()
    drawn = draw(
        model,
        tastes.prior() if prior else tastes,
        number or (len(some) if between is None else 100),
        real=histories.matrix,
        rng=np.random.default_rng(seed),
        sampling=sampling,
    )
    like = None
    if between is None:
        like = compare(drawn.histories, some.matrix, everyone=histories.matrix)
    write_synthetic(out, log, drawn, f"Synthetic users, drawn by {model.name}; nobody's records")
    _say(out, drawn, like, as_json=as_json)


def _learnt(
    models: Path, flags: dict[str, Any], options: RunOptions
) -> tuple[Log, Variational, Histories]:
    """Return ids and titles, a fitted variational model, and what it was fitted on."""
    from recsys.artifacts import load_current
    from recsys.insight.generation_measures import fitted_generator
    from recsys.interactions.weighting import Weighting
    from recsys.models.variational import Variational

    if flags["data"]:
        log: Log = dataset_from_flags(flags)
    else:
        log = artifact = load_current(models)
        if isinstance(artifact.model, Variational):
            weighted = artifact.weighting.histories(artifact.interactions, artifact.reference_time)
            return log, artifact.model, weighted
    model = fitted_generator(log.interactions, options)
    return log, model, Weighting().histories(log.interactions)


def _rows(
    log: Log, segment: Path | None, between: tuple[str, str] | None
) -> np.ndarray[tuple[int], np.dtype[np.int64]]:
    """Return the rows of the users that others are drawn like."""
    import numpy as np

    from recsys.errors import DataError, NotFoundError

    has_some = np.diff(log.interactions.indptr) > 0
    if between is not None:
        codes = [log.users.code(user) for user in between]
        for user, code in zip(between, codes, strict=True):
            if code is None or not has_some[code]:
                raise NotFoundError("user", user)
        return np.array(codes, np.int64)
    if segment is None:
        return np.flatnonzero(has_some)
    try:
        lines = segment.read_text(encoding="utf-8-sig").splitlines()
    except (OSError, UnicodeDecodeError) as error:
        raise DataError(f"it cannot be read ({error})", file=segment) from error
    found = []
    for number, user in enumerate((line.strip() for line in lines), start=1):
        code = log.users.code(user)
        if code is None and user:
            raise DataError(
                "no such user", file=segment, row=number, value=user, hint="one id a line"
            )
        if code is not None and has_some[code]:
            found.append(code)
    if not found:
        raise DataError("names no user with an item; put one id on each line", file=segment)
    return np.unique(np.array(found, np.int64))


def _say(out: Path, drawn: Synthetic, like: Fidelity | None, *, as_json: bool) -> None:
    import numpy as np

    users, events = drawn.histories.shape[0], drawn.histories.nnz
    said: dict[str, Any] = {
        "folder": str(out),
        "users": users,
        "events": events,
        "redrawn": drawn.redrawn,
        "left_out": drawn.given_up,
    }
    if like is not None:
        said |= {
            "popularity_correlation": like.popularity,
            "pair_correlation": like.together,
            "length_distance": like.lengths,
            "exact_copies": like.copies,
        }
        if len(like.nearest) and len(like.nearest_real):
            said["nearest_real"] = float(np.median(like.nearest))
            said["nearest_real_of_real"] = float(np.median(like.nearest_real))
    if as_json:
        print_json(said)
        return
    click.echo(f"drawn      {users:,} users, {events:,} events, no times, no quantities")
    if like is not None:
        click.echo(f"items      as popular as they are: correlation {like.popularity:.3f}")
        click.echo(f"pairs      as often together: correlation {like.together:.3f}")
        click.echo(f"lengths    distributions at most {like.lengths:.1%} apart")
        click.echo(f"copies     {like.copies} of a real history of 5 items or more")
    if "nearest_real" in said:
        click.echo(
            f"privacy    half are at least {said['nearest_real']:.2f} from the nearest real user; "
            f"of real users half {said['nearest_real_of_real']:.2f} from another"
        )
    if drawn.given_up:
        click.echo(f"left out   {drawn.given_up:,} that stayed copies of a real history")
    click.echo(f"written    {out}")
