"""Beginning a run, or finding the one that was begun."""

from __future__ import annotations

import hashlib
import time
from dataclasses import dataclass
from pathlib import Path

from recsys.campaigns.audience import Audience
from recsys.campaigns.gates import looks_back
from recsys.campaigns.intake import spill
from recsys.campaigns.manifest import Manifest, finished_in
from recsys.campaigns.parts import send_columns
from recsys.campaigns.pinning import (
    FORMAT,
    AudienceFacts,
    Given,
    PinnedRun,
    described,
    pinned_arms,
)
from recsys.campaigns.resolving import resolved
from recsys.campaigns.sources import place_of
from recsys.campaigns.spec import CampaignSpec, Source
from recsys.campaigns.suppression import read_lists
from recsys.campaigns.work import Work
from recsys.errors import DataError, UsageError
from recsys.interactions.times import to_iso
from recsys.store.pinned import pin
from recsys.store.store import Store, open_store


@dataclass(frozen=True, eq=False)
class Start:
    """What a run is started with, read and checked.

    Attributes
    ----------
    asked, spec
        The spec, without and with the content of its files of items.
    files
        SHA-256 of those files.
    audience
        Who is to be mailed.
    url, store, identity
        The store, and a hash that tells it from others; None without one.
    """

    asked: CampaignSpec
    spec: CampaignSpec
    files: dict[str, str]
    audience: Audience
    url: str | None
    store: Store | None
    identity: str | None

    @classmethod
    def of(cls, spec: CampaignSpec, url: str | None) -> Start:
        """Read what can be read before anything is written.

        Raises
        ------
        RecsysError
            It cannot be read, or cannot be meant.
        """
        whole, files = resolved(spec)
        audience = Audience.open(spec.users, spec.user_column)
        _check_columns(spec, audience)
        store = None if url is None else open_store(url, create=False)
        _check_ledger(spec, store)
        identity = None if store is None else pin(store)[0].store
        return cls(spec, whole, files, audience, url, store, identity)

    @property
    def device(self) -> str:
        """Where networks score.

        Raises
        ------
        UsageError
            It is not there.
        """
        if self.asked.device == "cpu" or self.asked.engine == "ray":  # a cluster knows its own
            return "cpu" if self.asked.device == "cpu" else "cuda"
        from recsys.training.device import choose_device

        return str(choose_device(self.asked.device))

    @property
    def given(self) -> Given:
        """What is compared with a run that was begun."""
        at = None if self.asked.at is None else to_iso(self.asked.at)
        shown = described(self.asked)
        return Given(shown, self.audience.fingerprint, self.files, at, self.identity)


def _check_columns(spec: CampaignSpec, audience: Audience) -> None:
    place = place_of(spec.users)
    taken = set(audience.own_columns) & set(send_columns(spec))
    if taken:
        raise DataError(
            "the output has a column of this name",
            file=place,
            column=min(taken),
            hint="rename it or leave it out",
        )
    if spec.consent is not None and spec.consent not in audience.own_columns:
        raise DataError(
            "has no such column, by which `consent` is told",
            file=place,
            column=spec.consent,
            hint=f"there are {', '.join(map(repr, audience.own_columns)) or 'none but the ids'}",
        )


def _check_ledger(spec: CampaignSpec, store: Store | None) -> None:
    """Refuse rules on earlier sends where there is no ledger to look them up in."""
    if store is None and looks_back(spec, 0) is not None:
        raise UsageError(
            "cool-down, cap and not_sent rules need the ledger of a store: there is none; "
            "name it with --store, or make it with `recsys store import`"
        )


def finished(start: Start, out: Path) -> Manifest | None:
    """Return the manifest of this very campaign if `out` holds it.

    Raises
    ------
    UsageError
        It holds something else; the message says what differs.
    """
    manifest = finished_in(out)
    if manifest is not None and (told := start.given.differences(manifest.given)):
        raise UsageError(
            f"--out {out} holds another campaign; what differs: {'; '.join(told)}. Name a folder "
            "that does not exist yet, or remove this one"
        )
    return manifest


def begin(start: Start, work: Work, *, restart: bool) -> PinnedRun:
    """Return the run that was begun in the work folder, or begin one.

    Raises
    ------
    UsageError
        It was begun with something else; the message says what differs.
    DataError
        A suppression list cannot be trusted, or the audience changed meanwhile.
    """
    work.folder.mkdir(parents=True, exist_ok=True)
    earlier = None if restart else work.read()
    if earlier is not None:
        if told := start.given.differences(earlier.given):
            raise UsageError(
                f"a run was begun in {work.folder} with something else: {'; '.join(told)}. Give "
                "the same again, or begin anew with --restart"
            )
        return earlier
    work.clear()
    spec, audience, store = start.spec, start.audience, start.store
    arms = pinned_arms(spec)
    before = {} if store is None else store.list_sizes()
    lists = read_lists(spec, work.suppressed, before)
    moment, catalogue = None, None
    if store is not None:
        moment, states = pin(store)
        catalogue = hashlib.sha256(work.write_states(states).encode()).hexdigest()
    n_shards = -(-audience.n_rows // spec.users_per_part)
    spill(audience, n_shards, work.intake)
    run = PinnedRun(
        format=FORMAT,
        spec=spec,
        described=described(start.asked),
        files=start.files,
        at=time.time_ns() // 1000 if spec.at is None else spec.at,
        arms=arms,
        audience=AudienceFacts(
            _name(spec.users), audience.fingerprint, tuple(audience.own_columns), audience.n_rows
        ),
        lists=lists,
        store=moment,
        catalogue=catalogue,
        n_shards=n_shards,
    )
    work.write(run)
    return run


def _name(source: Source) -> str:
    return source.name if isinstance(source, Path) else "query"
