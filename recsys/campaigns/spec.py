"""What a campaign is asked to do: one typed spec, filled from a TOML file and from flags."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import Field

from recsys.errors import UsageError
from recsys.interactions.times import from_iso
from recsys.recommender import MOST, Fallback
from recsys.settings import read_toml, validated

Format = Literal["parquet", "csv", "jsonl"]
Layout = Literal["nested", "flat"]


@dataclass(frozen=True)
class CampaignSpec:
    """Everything that decides what a campaign writes, besides the model and the audience's rows.

    Attributes
    ----------
    users
        The audience file: Parquet, CSV or JSON lines, the latter two perhaps gzipped.
    user_column
        Its column of user ids.
    k
        Length of the lists.
    format
        What the parts are written as.
    layout
        `nested`: one column `items`; `flat`: `item_1, title_1, score_1, …` up to k.
    fallback
        What a user without history gets: `popular` items, or `none` (then they are ineligible).
    min_items
        Users with fewer items than this left for them are ineligible.
    users_per_part
        How many users one part holds; the last holds the rest.
    at
        Reference time for ages, microseconds since 1970 UTC; the model's own where None. Outside it
        is a date or time, UTC where it names no zone.
    models
        The folder of published models.
    engine
        Where the job runs: `local`, in this process.
    """

    users: Path
    user_column: Annotated[str, Field(min_length=1)] = "user_id"
    k: Annotated[int, Field(ge=1, le=MOST)] = 10
    format: Format = "parquet"
    layout: Layout = "nested"
    fallback: Fallback = "popular"
    min_items: Annotated[int, Field(ge=1, le=MOST)] = 1
    users_per_part: Annotated[int, Field(ge=1)] = 10_000
    at: int | None = None
    models: Path = Path("models")
    engine: Literal["local"] = "local"


def load_spec(path: Path | None, flags: Mapping[str, Any]) -> CampaignSpec:
    """Return the spec: flags (those that are not None) over the file's keys over the defaults.

    Paths in the file are relative to the folder it lies in, those in flags to where one stands.

    Raises
    ------
    SettingsError
        A file that cannot be read, an unknown key, a value of the wrong type or out of range.
    UsageError
        Neither names an audience, or fewer items are asked for than are required.
    """
    values: dict[str, Any] = {} if path is None else read_toml(path)
    for name in ("users", "models"):
        if path is not None and isinstance(values.get(name), str):
            values[name] = path.parent / values[name]
    values |= {name: value for name, value in flags.items() if value is not None}
    if "users" not in values:
        raise UsageError("no audience: give --users FILE, or `users` in the spec")
    where = "campaign" if path is None else str(path)
    if "at" in values:
        values["at"] = from_iso(str(values["at"]), "--at" if flags.get("at") else f"{where}: at")
    spec = validated(CampaignSpec, values, where)
    if spec.min_items > spec.k:
        raise UsageError(f"min_items = {spec.min_items} is more than k = {spec.k}")
    return spec
