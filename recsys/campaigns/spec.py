"""What a campaign is asked to do: one typed spec, filled from a TOML file and from flags."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Annotated, Literal

from pydantic import ConfigDict, Field

from recsys.recommender import MOST, Fallback

Format = Literal["parquet", "csv", "jsonl"]
Layout = Literal["nested", "flat"]
Name = Annotated[str, Field(min_length=1, max_length=100)]
Days = Annotated[float, Field(gt=0, allow_inf_nan=False)]
Share = Annotated[float, Field(ge=0, le=1)]

_STRICT = ConfigDict(extra="forbid")


@dataclass(frozen=True)
class Query:
    """What a query on a database gives: `{ url = "…", query = "SELECT …" }`."""

    __pydantic_config__ = _STRICT
    url: str
    query: str


Source = Path | Query


@dataclass(frozen=True)
class Suppression:
    """A list of people who must not be mailed, read at the start and again before publishing.

    Attributes
    ----------
    source
        A file or folder as an audience may be, or a query.
    column
        Its column of user ids.
    name
        What reasons call the list; the source's name where None.
    max_shrink
        Share of its people by which the list may be smaller than when it was last read.
    """

    __pydantic_config__ = _STRICT
    source: Source
    column: Name = "user_id"
    name: Name | None = None
    max_shrink: Share = 0.2


@dataclass(frozen=True)
class CategoryLimit:
    """How many items of a category a list has at least, and at most."""

    __pydantic_config__ = _STRICT
    min: Annotated[int, Field(ge=0, le=MOST)] = 0
    max: Annotated[int, Field(ge=0, le=MOST)] | None = None


@dataclass(frozen=True)
class RuleSpec:
    """What may stand in a list; see `recommender.Rules`, which this is turned into.

    Attributes
    ----------
    not_bought_days
        Items bought within so many days are left out; `ever`: all that were ever bought; 0: none.
    not_sent_days
        Items sent to the user within so many days are left out; `ever`: all that were ever sent.
    not_sent_campaigns
        Items that the newest so many campaigns of the ledger sent to the user are left out.
    only, only_file, exclude, exclude_file
        Items allowed and items left out, listed here or in a file with a column `item_id`.
    category, min_price, max_price, attributes, per_category, diversity, min_score, min_probability
        As in `recommender.Rules`; an attribute is `NAME:VALUE` or `NAME:LOW..HIGH`.
    categories
        Limits by category.
    variants
        An attribute; of the items with one value of it, a list has one at most.
    """

    __pydantic_config__ = _STRICT
    not_bought_days: Annotated[float, Field(ge=0, allow_inf_nan=False)] | Literal["ever"] = "ever"
    not_sent_days: Days | Literal["ever"] | None = None
    not_sent_campaigns: Annotated[int, Field(ge=1)] | None = None
    only: tuple[str, ...] | None = None
    only_file: Path | None = None
    exclude: tuple[str, ...] = ()
    exclude_file: Path | None = None
    category: str | None = None
    categories: Mapping[str, CategoryLimit] = field(default_factory=dict)
    min_price: float | None = None
    max_price: float | None = None
    attributes: tuple[str, ...] = ()
    per_category: int | None = None
    variants: str | None = None
    diversity: float = 0.0
    min_score: float | None = None
    min_probability: float | None = None


@dataclass(frozen=True)
class Arm:
    """One arm of a test: who is in it is told by a hash of campaign and user.

    Attributes
    ----------
    share
        Of all users; the shares of all arms make 1.
    version
        The version of the model in the folder of models; `current` as it is at the start.
    rules
        Rules that differ from those of the campaign.
    """

    __pydantic_config__ = _STRICT
    name: Name
    share: Annotated[float, Field(gt=0, le=1)]
    version: str = "current"
    rules: RuleSpec = field(default_factory=RuleSpec)


@dataclass(frozen=True)
class Quota:
    """How many users an item may be sent to over the whole campaign.

    Attributes
    ----------
    default
        For items that are not named; None for no limit.
    items
        By item.
    file
        A file with the columns `item_id` and `quota`; `items` goes before it.
    """

    __pydantic_config__ = _STRICT
    default: Annotated[int, Field(ge=0)] | None = None
    items: Mapping[str, Annotated[int, Field(ge=0)]] = field(default_factory=dict)
    file: Path | None = None


@dataclass(frozen=True)
class PreviewSpec:
    """What a dry run shows: so many mails, in a jinja2 template of one's own or the default."""

    __pydantic_config__ = _STRICT
    mails: Annotated[int, Field(ge=1, le=100)] = 5
    template: Path | None = None


@dataclass(frozen=True)
class CampaignSpec:
    """Everything that decides what a campaign writes, besides the models, the audience, the store.

    Attributes
    ----------
    users
        The audience: Parquet, CSV or JSON lines, the latter two perhaps gzipped, a folder of such
        files, or a query.
    name
        Decides, with a user's id, who is held out and who is in which arm; stands in the ledger.
    user_column
        The audience's column of user ids.
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
    too_few
        What becomes of a list shorter than k: `fill` adds popular items within the rules;
        `ineligible` adds none. Either way, fewer than `min_items` make the user ineligible.
    users_per_part
        How many users one part holds, about.
    at
        Reference time for ages and "last N days", microseconds since 1970 UTC; the start of the
        run's first try where None. Outside it is a date or time, UTC where it names no zone.
    models
        The folder of published models.
    engine, ray_address
        Where the job runs: `local`, in processes of this machine, or `ray`, in a cluster at this
        address, or in one that starts here.
    workers
        How many processes; None for one a core, or one a GPU.
    device
        Where networks score: `cpu`, `cuda`, or `auto`, a GPU where there is one.
    consent
        A column of the audience that must say yes: true, yes, y or 1, whatever the case.
    suppression
        Lists of people who must not be mailed.
    cool_down_days
        Nobody is mailed who was sent a campaign within so many days.
    cap, cap_days
        Nobody is sent more than `cap` campaigns in `cap_days` days, this one included.
    hold_out
        Share of users who are held out, to compare with.
    rules, arms, quota, preview
        See there.
    """

    users: Source
    name: Name = "campaign"
    user_column: Name = "user_id"
    k: Annotated[int, Field(ge=1, le=MOST)] = 10
    format: Format = "parquet"
    layout: Layout = "nested"
    fallback: Fallback = "popular"
    min_items: Annotated[int, Field(ge=1, le=MOST)] = 1
    too_few: Literal["ineligible", "fill"] = "ineligible"
    users_per_part: Annotated[int, Field(ge=1)] = 10_000
    at: int | None = None
    models: Path = Path("models")
    engine: Literal["local", "ray"] = "local"
    ray_address: str | None = None
    workers: Annotated[int, Field(ge=1)] | None = None
    device: Literal["cpu", "cuda", "auto"] = "cpu"
    consent: Name | None = None
    suppression: tuple[Suppression, ...] = ()
    cool_down_days: Days | None = None
    cap: Annotated[int, Field(ge=1)] | None = None
    cap_days: Days = 30
    hold_out: Annotated[float, Field(ge=0, lt=1)] = 0.0
    rules: RuleSpec = field(default_factory=RuleSpec)
    arms: tuple[Arm, ...] = ()
    quota: Quota | None = None
    preview: PreviewSpec = field(default_factory=PreviewSpec)


ELSEWHERE = ("models", "engine", "ray_address", "workers", "device", "at", "preview")
"""Fields that do not decide what is written, or stand in the run on their own."""
