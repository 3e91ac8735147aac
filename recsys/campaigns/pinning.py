"""What a run is made from, fixed at its first try: a restart finds it as it was."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from pydantic import TypeAdapter

from recsys.artifacts import list_versions, load_artifact, load_current
from recsys.campaigns.loading import all_rules, without
from recsys.campaigns.sources import place_of
from recsys.campaigns.spec import ELSEWHERE, CampaignSpec, Query, RuleSpec
from recsys.campaigns.suppression import ListFacts
from recsys.errors import UsageError
from recsys.interactions.times import to_iso
from recsys.store.pinned import Moment

FORMAT = 2
"""Version of what a campaign writes; a change of it is a change of every run key."""

_FIRST_DEPTH = 50


@dataclass(frozen=True)
class PinnedArm:
    """An arm with its model; one without a name where the campaign has no arms."""

    name: str | None
    share: float
    model: str
    version: str
    rules: RuleSpec


@dataclass(frozen=True)
class AudienceFacts:
    """The audience as it was read: its name, SHA-256, own columns, rows."""

    name: str
    sha256: str
    columns: tuple[str, ...]
    n_rows: int


@dataclass(frozen=True)
class Given:
    """What whoever starts a run gives it; a restart must give the same.

    Attributes
    ----------
    spec
        As `described` shows it.
    audience
        SHA-256 of its content.
    files
        SHA-256 of the files of items, by name.
    at
        The reference time; None for the start of the run.
    store
        A hash that tells the store from others; None without a store.
    """

    spec: Mapping[str, Any]
    audience: str
    files: Mapping[str, str]
    at: str | None
    store: str | None

    def differences(self, earlier: Given) -> list[str]:
        """Return what differs from an earlier run's, a line each; none where nothing does."""
        before, now = _flat(earlier.spec), _flat(self.spec)
        told = [
            f"{name}: {_shown(before.get(name))} → {_shown(now.get(name))}"
            for name in sorted({*before, *now})
            if before.get(name) != now.get(name)
        ]
        if self.audience != earlier.audience:
            told.append("the audience's content")
        for name in sorted({*self.files, *earlier.files}):
            if self.files.get(name) != earlier.files.get(name):
                told.append(f"the content of {name}")
        if self.at is not None and self.at != earlier.at:
            told.append(f"at: {earlier.at} → {self.at}")
        if self.store != earlier.store:
            told.append("the store")
        return told


@dataclass(frozen=True)
class PinnedRun:
    """A run: with the files in its work folder, all that its shards are made from.

    Attributes
    ----------
    format
        `FORMAT`.
    spec
        What was asked for, the content of its files of items included.
    described
        The spec as the manifest shows it.
    files
        SHA-256 of the files of items.
    at
        Reference time, microseconds since 1970 UTC.
    arms
        In the spec's order.
    audience, lists
        What was read at the start.
    store
        How far the store had come; None without a store.
    catalogue
        SHA-256 of what the store said of items.
    n_shards
        How many parts there are.
    """

    format: int
    spec: CampaignSpec
    described: Mapping[str, Any]
    files: Mapping[str, str]
    at: int
    arms: tuple[PinnedArm, ...]
    audience: AudienceFacts
    lists: tuple[ListFacts, ...]
    store: Moment | None
    catalogue: str | None
    n_shards: int

    @property
    def given(self) -> Given:
        """What it was given."""
        return Given(
            self.described,
            self.audience.sha256,
            self.files,
            to_iso(self.at),
            None if self.store is None else self.store.store,
        )

    @property
    def facts(self) -> dict[str, Any]:
        """What decides what the run writes, as the manifest shows it."""
        return {
            "format": self.format,
            "at": to_iso(self.at),
            "spec": self.described,
            "files": self.files,
            "audience": {
                "file": self.audience.name,
                "sha256": self.audience.sha256,
                "columns": list(self.audience.columns),
            },
            "models": [
                {"arm": arm.name, "model": arm.model, "version": arm.version} for arm in self.arms
            ],
            "suppression": [asdict(facts) for facts in self.lists],
            "store": None
            if self.store is None
            else {**asdict(self.store), "catalogue": self.catalogue},
        }

    @property
    def key(self) -> str:
        """SHA-256 over `facts`, in hexadecimal; the audience counts by its content alone."""
        text = json.dumps({**self.facts, "audience": self.audience.sha256}, sort_keys=True)
        return hashlib.sha256(text.encode()).hexdigest()

    @property
    def campaign(self) -> str:
        """What the ledger calls this run: another run of the campaign's name has another."""
        return f"{self.spec.name} {self.key[:12]}"

    @property
    def depth(self) -> int:
        """How long lists of candidates are at first."""
        return self.spec.k if self.spec.quota is None else max(4 * self.spec.k, _FIRST_DEPTH)

    def to_json(self) -> dict[str, Any]:
        """Return it as JSON holds it."""
        return {**_ADAPTER.dump_python(self, mode="json")}

    @classmethod
    def from_json(cls, text: str) -> PinnedRun:
        """Return what `to_json` showed; pydantic's ValidationError where it is something else."""
        return _ADAPTER.validate_json(text)


_ADAPTER = TypeAdapter(PinnedRun)
_SPECS = TypeAdapter(CampaignSpec)


def pinned_arms(spec: CampaignSpec) -> tuple[PinnedArm, ...]:
    """Return the arms with the versions of their models as they are now.

    Raises
    ------
    ArtifactError
        A model cannot be trusted, or there is none.
    UsageError
        There is no such version.
    """
    named: list[tuple[str | None, float, str]]
    named = [(arm.name, arm.share, arm.version) for arm in spec.arms] or [(None, 1.0, "current")]
    models: dict[str, tuple[str, str]] = {}
    for _, _, version in named:
        if version not in models:
            models[version] = _model(spec.models, version)
    return tuple(
        PinnedArm(name, share, *models[version], rules)
        for (name, share, version), rules in zip(named, all_rules(spec), strict=True)
    )


def described(spec: CampaignSpec) -> dict[str, Any]:
    """Return a spec as the manifest shows it: files by their names, databases without secrets."""
    plain = without(spec, ELSEWHERE)
    shown = _SPECS.dump_python(plain, mode="python")
    for name in (*ELSEWHERE, "users"):
        del shown[name]
    if isinstance(spec.users, Query):
        shown["users"] = {"url": place_of(spec.users), "query": spec.users.query}
    listed: dict[str, Any] = json.loads(json.dumps(_by_name(shown)))
    return listed


def _model(models: Path, version: str) -> tuple[str, str]:
    """Return name and version of a model; whoever works with it checks its files, each byte."""
    there = {info.version: info for info in list_versions(models)}
    if version == "current":
        found = next((info for info in there.values() if info.current), None)
    elif version in there:
        found = there[version]
    else:
        listed = ", ".join(there) or "none"
        raise UsageError(f"{models}: no version {version!r}; there are {listed}")
    if found is not None and found.manifest is not None and found.problem is None:
        return found.manifest.model, found.manifest.version
    opened = load_current(models) if version == "current" else load_artifact(models / version)
    return opened.manifest.model, opened.manifest.version


def _by_name(value: Any) -> Any:
    if isinstance(value, Path):
        return value.name
    if isinstance(value, Mapping):
        if value.keys() == {"url", "query"}:
            url = place_of(Query(value["url"], value["query"]))
            return {"url": url, "query": value["query"]}
        return {name: _by_name(inner) for name, inner in value.items()}
    if isinstance(value, list | tuple):
        return [_by_name(inner) for inner in value]
    return value


def _flat(values: Any, name: str = "") -> dict[str, Any]:
    if isinstance(values, Mapping) and values:
        inner = [_flat(value, f"{name}.{key}" if name else key) for key, value in values.items()]
    elif isinstance(values, list) and values and all(isinstance(each, Mapping) for each in values):
        inner = [_flat(value, f"{name}[{place}]") for place, value in enumerate(values, 1)]
    else:
        return {name: values}
    return {key: value for some in inner for key, value in some.items()}


def _shown(value: Any) -> str:
    return "none" if value is None else f"{value!r:.60}"
