"""Files of items that a spec names, read into it, so that they count as they were at the start."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pyarrow as pa

from recsys.campaigns.sources import Block, Reading, ids_of
from recsys.campaigns.spec import CampaignSpec, Quota, RuleSpec
from recsys.errors import DataError

ITEM, QUOTA = "item_id", "quota"


def resolved(spec: CampaignSpec) -> tuple[CampaignSpec, dict[str, str]]:
    """Return the spec with the content of its files of items, and the files' SHA-256 by name.

    Raises
    ------
    DataError
        A file cannot be read, or lacks a column.
    """
    reader = _Reader()
    found = replace(
        spec,
        rules=reader.rules(spec.rules),
        arms=tuple(replace(arm, rules=reader.rules(arm.rules)) for arm in spec.arms),
        quota=None if spec.quota is None else reader.quota(spec.quota),
    )
    return found, reader.fingerprints


class _Reader:
    def __init__(self) -> None:
        self.fingerprints: dict[str, str] = {}

    def rules(self, rules: RuleSpec) -> RuleSpec:
        if rules.only_file is not None:
            listed = (*(rules.only or ()), *self._items(rules.only_file))
            rules = replace(rules, only=listed, only_file=None)
        if rules.exclude_file is not None:
            listed = (*rules.exclude, *self._items(rules.exclude_file))
            rules = replace(rules, exclude=listed, exclude_file=None)
        return rules

    def quota(self, quota: Quota) -> Quota:
        if quota.file is None:
            return quota
        named: dict[str, int] = {}
        for block in self._blocks(quota.file):
            items = _ids(block, quota.file, ITEM)
            limits = _ids(block, quota.file, QUOTA)
            for row, item, limit in zip(block.numbers.to_pylist(), items, limits, strict=True):
                if item is None:
                    continue
                if limit is None or not limit.isdecimal():
                    raise DataError(
                        "is no whole number from 0 on",
                        file=quota.file,
                        row=row,
                        column=QUOTA,
                        value=limit,
                    )
                named[item] = int(limit)
        return replace(quota, items={**named, **quota.items}, file=None)

    def _items(self, path: Path) -> list[str]:
        return [
            item
            for block in self._blocks(path)
            for item in _ids(block, path, ITEM)
            if item is not None
        ]

    def _blocks(self, path: Path) -> list[Block]:
        reading = Reading(path)
        blocks = list(reading.blocks())
        self.fingerprints[path.name] = reading.fingerprint()
        return blocks


def _ids(block: Block, path: Path, column: str) -> list[str | None]:
    if column not in block.rows.column_names:
        names = ", ".join(map(repr, block.rows.column_names))
        raise DataError(f"has no column {column!r}; its columns are {names}", file=path)
    ids: pa.ChunkedArray = ids_of(block.rows[column], block.file, column)
    found: list[str | None] = ids.to_pylist()
    return found
