"""The job: audience → shards → decisions → quotas → parts → manifest, whole or not at all."""

from __future__ import annotations

import tempfile
from collections import Counter
from collections.abc import Iterable, Iterator
from contextlib import closing, contextmanager
from dataclasses import asdict, dataclass
from functools import cached_property
from pathlib import Path

from recsys.campaigns.deciding import Status
from recsys.campaigns.engines import make_engine
from recsys.campaigns.final import Final
from recsys.campaigns.manifest import Manifest, Part
from recsys.campaigns.opened import Job, OpenRun
from recsys.campaigns.parts import rejected_rows, write_rejected
from recsys.campaigns.pinning import PinnedRun
from recsys.campaigns.publishing import Published, final_of, write_late
from recsys.campaigns.sources import files_of
from recsys.campaigns.spec import CampaignSpec
from recsys.campaigns.starting import Start, begin, finished
from recsys.campaigns.suppression import ListFacts, read_lists
from recsys.campaigns.tally import Tally
from recsys.campaigns.tasks import Done, Engine, Task
from recsys.campaigns.work import Work
from recsys.errors import RecsysError
from recsys.files import map_tensors, sync
from recsys.progress import progress
from recsys.store.items import ItemState


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


@dataclass(frozen=True, eq=False)
class Preview:
    """What a campaign would do.

    Attributes
    ----------
    manifest
        As it would be.
    run
        The run, open as long as the preview lasts.
    first
        What would become of the first shard's users.
    statistics
        What the report is made from.
    """

    manifest: Manifest
    run: OpenRun
    first: Final
    statistics: tuple[Path, ...]


def run_campaign(
    spec: CampaignSpec, out: Path, *, url: str | None = None, restart: bool = False
) -> Outcome:
    """Score the audience and write everything into the folder `out`.

    The work is done in a folder beside `out`, which takes its place at the end, so `out` is whole
    or absent. A run that was stopped goes on where it was. The same inputs give the same bytes.

    Parameters
    ----------
    spec
        What is asked for.
    out
        Where to.
    url
        The store's; None without a store.
    restart
        Whether to forget what was begun.

    Raises
    ------
    DataError
        The audience, a suppression list or a file of items cannot be read, or a column of the
        audience has a name that the output needs.
    UsageError
        `out` holds something else than this very campaign, or another one was begun.
    RecsysError
        Every user failed, the counts do not add up, or the folder cannot be written.
    """
    try:
        start = Start.of(spec, url)
        if manifest := finished(start, out):
            manifest.check(out)
            return Outcome(manifest, done_before=True)
        work = Work.beside(out)
        with work.locked():
            run = _begun(start, work, restart=restart)
            with closing(_Course(run, work, start)) as course:
                manifest = course.run()
            work.out.replace(out)
            sync(out.resolve().parent)
        work.remove()
    except OSError as error:
        place = f" ({error.filename})" if error.filename else ""
        raise RecsysError(f"cannot write {out}: {error.strerror or error}{place}") from error
    return Outcome(manifest, done_before=False)


def _begun(start: Start, work: Work, *, restart: bool) -> PinnedRun:
    """Begin a run or go on with one; a folder in which none came about is not left behind."""
    try:
        return begin(start, work, restart=restart)
    except BaseException:
        if not work.state.exists():
            work.remove()
        raise


@contextmanager
def preview_campaign(
    spec: CampaignSpec, out: Path | None = None, *, url: str | None = None
) -> Iterator[Preview]:
    """Do all that `run_campaign` does in a temporary folder, which is gone after the block.

    Raises
    ------
    RecsysError
        For the reasons that `run_campaign` has.
    """
    start = Start.of(spec, url)
    if out is not None:
        finished(start, out)
    with tempfile.TemporaryDirectory(prefix="recsys-campaign-") as folder:
        work = Work(Path(folder))
        with closing(_Course(begin(start, work, restart=False), work, start)) as course:
            manifest = course.run()
        run = course.opened
        statistics = tuple(work.statistics(shard) for shard in range(run.pinned.n_shards))
        yield Preview(manifest, run, final_of(run, 0), statistics)


class _Course:
    """A run on its way from what is decided already to its output."""

    def __init__(self, run: PinnedRun, work: Work, start: Start) -> None:
        self._run, self._work, self._start = run, work, start
        url = None if run.store is None else start.url
        self.job = Job(work.folder, start.asked.models, url, start.device)
        self._engine: Engine = make_engine(start.asked, self.job.device)

    @cached_property
    def opened(self) -> OpenRun:
        """The run, opened in this process."""
        return OpenRun.open(self.job)

    def run(self) -> Manifest:
        """Do what is left, and return the manifest; everything lies in `work.out` then."""
        shards = range(self._run.n_shards)
        left = [shard for shard in shards if not self._work.decided(shard).exists()]
        self._decide(left)
        if self._run.spec.quota is not None:
            self._assign()
        late = self._look_again()
        done = [each.published for each in self._tracked("publish", [*shards], "writing")]
        published = [each for each in done if each is not None]
        return self._complete(published, late)

    def close(self) -> None:
        """End what works at it."""
        self._engine.close()

    def _decide(self, left: list[int]) -> None:
        statuses: Counter[Status] = Counter()
        for done in self._tracked("decide", left, "scoring"):
            statuses.update(done.statuses)
            hopeless = set(statuses) == {"failed"} and len(left) == self._run.n_shards
            if hopeless and (statuses.total() >= 1000 or done.shard == left[-1]):
                self._refuse_hopeless(done.reason)

    def _refuse_hopeless(self, reason: str | None) -> None:
        self._work.clear()  # what failed for everyone must not be taken for decided
        raise RecsysError(f"not one user could be scored: {reason}")

    def _assign(self) -> None:
        """Deal out items of which there are too few for everyone."""
        from recsys.campaigns.assigning import assign_items

        if not all(self._work.assigned(n).exists() for n in range(self._run.n_shards)):
            assign_items(self.opened)

    def _look_again(self) -> tuple[ListFacts, ...]:
        """Read suppression lists and stock once more, just before publishing."""
        work, store = self._work, self._start.store
        work.late.mkdir(exist_ok=True)
        before = {facts.name: facts.size for facts in self._run.lists}
        late = read_lists(self._run.spec, work.late / "suppressed.safetensors", before)
        withheld: set[str] = set()
        if store is not None and self._run.store is not None:
            withheld = _off_sale(store.items()) - _off_sale(work.read_states())
        write_late(work, withheld)
        return late

    def _tracked(self, task: Task, shards: list[int], title: str) -> Iterator[Done]:
        rows = self._run.audience.n_rows
        with progress(title, rows * len(shards) // self._run.n_shards) as bar:
            for done in self._engine.map(self.job, task, shards):
                bar.advance(done.users)
                yield done

    def _complete(self, published: list[Published], late: tuple[ListFacts, ...]) -> Manifest:
        """Write what is about the whole campaign."""
        from recsys.campaigns.report import write_report

        run, work = self._run, self._work
        tally = Tally(run, published)
        counts = tally.counts()
        if counts.failed == counts.audience:
            failed = next(iter(tally.reasons()["failed"]))
            self._refuse_hopeless(failed)
        rejected = rejected_rows([work.rejected(n) for n in range(run.n_shards)], counts)
        several = isinstance(run.spec.users, Path) and len(files_of(run.spec.users)) > 1
        path = work.out / "rejected.csv"
        write_rejected(path, rejected, several=several)
        sync(path)
        manifest = Manifest(
            **{**run.facts, "models": tuple(run.facts["models"])},
            run_key=run.key,
            campaign=run.campaign,
            late_suppression=tuple(asdict(facts) for facts in late),
            counts=counts,
            arms=tally.arms(),
            reasons=tally.reasons(),
            parts=tuple(sorted(tally.parts, key=lambda part: part.path)),
            rejected=Part.of(path, work.out, counts.rejected),
        )
        manifest.write(work.out)
        statistics = (map_tensors(work.statistics(n)) for n in range(run.n_shards))
        write_report(work.out / "report.html", self.opened, manifest, statistics)
        return manifest


def _off_sale(states: Iterable[ItemState]) -> set[str]:
    return {state.item for state in states if state.blocked or not state.in_stock}
