"""The job: audience → shards → decisions → parts → manifest, whole or not at all."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from recsys.campaigns.audience import Audience
from recsys.campaigns.decisions import Decision, decide
from recsys.campaigns.manifest import Counts, Manifest, Part, Run, read_finished
from recsys.campaigns.parts import RejectedRows, results_table, send_columns, send_table, write_part
from recsys.campaigns.shards import Shard, cut
from recsys.campaigns.spec import CampaignSpec
from recsys.errors import DataError, RecsysError
from recsys.files import folder_written_aside
from recsys.progress import progress
from recsys.recommender import Recommender


@dataclass(frozen=True)
class Outcome:
    """What came of a campaign.

    Attributes
    ----------
    manifest
        What was written, or had been.
    done_before
        Whether the folder held this very campaign already, so that nothing was done.
    """

    manifest: Manifest
    done_before: bool


class Tally:
    """Rows and users counted by what became of them."""

    def __init__(self) -> None:
        self.rejected = 0
        self._users: Counter[tuple[str, str | None]] = Counter()

    def add(self, decisions: Iterable[Decision]) -> None:
        """Count users."""
        self._users.update((decision.status, decision.reason) for decision in decisions)

    def refuse_hopeless(self, at_least: int = 1) -> None:
        """Refuse to go on once that many users failed and no other did not.

        Raises
        ------
        RecsysError
            Each user failed; the message says why the first did.
        """
        statuses = {status for status, _ in self._users}
        if statuses == {"failed"} and self._users.total() >= at_least:
            raise RecsysError(f"not one user could be scored: {next(iter(self._users))[1]}")

    def counts(self, n_rows: int) -> Counts:
        """Return the counts of an audience file of `n_rows` rows, checked."""
        statuses: Counter[str] = Counter()
        for (status, _), count in self._users.items():
            statuses[status] += count
        counts = Counts(n_rows, self.rejected, self._users.total(), **statuses)
        counts.check()
        return counts

    def reasons(self, most: int = 10) -> dict[str, dict[str, int]]:
        """Return the commonest reasons of each status, with their counts."""
        reasons: dict[str, dict[str, int]] = {}
        for (status, reason), count in self._users.most_common():
            of_status = reasons.setdefault(status, {})
            if reason is not None and len(of_status) < most:
                of_status[reason] = count
        return {status: found for status, found in reasons.items() if found}


@dataclass
class Preview:
    """What a campaign would do.

    Attributes
    ----------
    counts, reasons
        As the manifest would have them.
    first
        What would become of the first users.
    """

    counts: Counts
    reasons: dict[str, dict[str, int]]
    first: list[Decision]


def run_campaign(spec: CampaignSpec, recommender: Recommender, out: Path) -> Outcome:
    """Score the audience and write everything into the folder `out`.

    The work is done in a folder beside `out`, which takes its place at the end, so `out` is whole
    or absent. The same inputs give the same bytes.

    Raises
    ------
    DataError
        The audience cannot be read, or a column of it has a name that the output needs.
    UsageError
        `out` holds something else than this very campaign.
    RecsysError
        Every user failed, the counts do not add up, or the folder cannot be written.
    """
    run = _checked(spec, recommender)
    if finished := read_finished(out, run.key):
        return Outcome(finished, done_before=True)
    try:
        with folder_written_aside(out) as folder:
            return Outcome(_write(run, folder), done_before=False)
    except OSError as error:
        raise RecsysError(f"cannot write {out}: {error.strerror or error}") from error


def preview_campaign(
    spec: CampaignSpec, recommender: Recommender, out: Path | None, first: int = 3
) -> Preview:
    """Do all that `run_campaign` does but write; keep the decisions on the first users.

    Raises
    ------
    RecsysError
        For the reasons that `run_campaign` has.
    """
    run = _checked(spec, recommender)
    if out is not None:
        read_finished(out, run.key)
    kept: list[Decision] = []
    tally = Tally()
    for _, decisions in _decided(run, tally, None):
        kept += decisions[: first - len(kept)]
    return Preview(tally.counts(run.audience.n_rows), tally.reasons(), kept)


def _checked(spec: CampaignSpec, recommender: Recommender) -> Run:
    audience = Audience.open(spec.users, spec.user_column)
    taken = set(audience.own_columns) & set(send_columns(spec))
    if taken:
        raise DataError(
            "the output has a column of this name",
            file=spec.users,
            column=min(taken),
            hint="rename it or leave it out",
        )
    return Run(spec, audience, recommender)


def _decided(
    run: Run, tally: Tally, rejected: RejectedRows | None
) -> Iterator[tuple[Shard, list[Decision]]]:
    """Yield each shard with its decisions, row for row, and count them."""
    audience, spec = run.audience, run.spec

    def reject(row: int, user: str | None, reason: str) -> None:
        tally.rejected += 1
        bar.advance()
        if rejected is not None:
            rejected.add(row, user, reason)

    with progress("campaign", audience.n_rows) as bar:
        for shard in cut(audience, spec.users_per_part, reject):
            decisions: list[Decision] = []
            for some in decide(shard.users, run.recommender, spec):
                decisions += some
                bar.advance(len(some))
            tally.add(decisions)
            tally.refuse_hopeless(at_least=1000)
            yield shard, decisions
    tally.refuse_hopeless()


def _write(run: Run, folder: Path) -> Manifest:
    """Do the whole job within a folder."""
    tally = Tally()
    parts: list[Part] = []
    with (folder / "rejected.csv").open("w", encoding="utf-8", newline="") as stream:
        for shard, decisions in _decided(run, tally, RejectedRows(stream)):
            parts += _write_shard(run, folder, shard, decisions)
    manifest = Manifest(
        **run.described,
        run_key=run.key,
        counts=tally.counts(run.audience.n_rows),
        reasons=tally.reasons(),
        parts=tuple(sorted(parts, key=lambda part: part.path)),
        rejected=Part.of(folder / "rejected.csv", folder, tally.rejected),
    )
    manifest.write(folder)
    return manifest


def _write_shard(
    run: Run, folder: Path, shard: Shard, decisions: Sequence[Decision]
) -> Iterator[Part]:
    """Write the shard's results and send parts."""
    recommender, kind = run.recommender, run.spec.format
    tables = {
        "results": results_table(decisions, recommender.model, recommender.version),
        "send": send_table(shard.rows, decisions, run.spec),
    }
    for place, table in tables.items():
        path = folder / place / f"part-{shard.number:05d}.{kind}"
        path.parent.mkdir(exist_ok=True)
        write_part(table, path, kind)
        yield Part.of(path, folder, len(table))
