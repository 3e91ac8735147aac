"""A spec from a TOML file and from flags, checked as a whole."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import fields, replace
from pathlib import Path
from typing import Any, TypeVar

from recsys.campaigns.spec import (
    Arm,
    CampaignSpec,
    CategoryLimit,
    PreviewSpec,
    Query,
    Quota,
    RuleSpec,
    Suppression,
)
from recsys.errors import SettingsError, UsageError
from recsys.interactions.times import from_iso
from recsys.recommender import AttributeRule, Rules
from recsys.recommender import CategoryLimit as Limit
from recsys.settings import read_toml, validated

Table = TypeVar("Table")

_PATHS = ("users", "models", "source", "file", "only_file", "exclude_file", "template")


def load_spec(path: Path | None, flags: Mapping[str, Any]) -> CampaignSpec:
    """Return the spec: flags (those that are not None) over the file's keys over the defaults.

    Paths in the file are relative to the folder it lies in, those in flags to where one stands.

    Raises
    ------
    SettingsError
        A file that cannot be read, an unknown key, a value of the wrong type or out of range.
    UsageError
        Neither names an audience, or settings contradict each other.
    """
    where = "campaign" if path is None else str(path)
    values: dict[str, Any] = {} if path is None else _placed(read_toml(path), path.parent)
    values |= {name: value for name, value in flags.items() if value is not None}
    if "users" not in values:
        raise UsageError("no audience: give --users FILE, or `users` in the spec")
    if "at" in values:
        values["at"] = from_iso(str(values["at"]), "--at" if flags.get("at") else f"{where}: at")
    if isinstance(values["users"], Mapping):
        values["users"] = _table(Query, values["users"], f"{where}: users")
    _fill_tables(values, where)
    spec = validated(CampaignSpec, values, where)
    _check(spec, where)
    return spec


def rules_of(spec: RuleSpec) -> Rules:
    """Return the rules that hold for everybody, but for those that files of items add.

    Raises
    ------
    UsageError
        One that cannot be meant.
    """
    bought = spec.not_bought_days
    return Rules(
        category=spec.category,
        exclude=frozenset(spec.exclude),
        include_seen=bought == 0,
        seen_days=None if bought in (0, "ever") else float(bought),
        min_price=spec.min_price,
        max_price=spec.max_price,
        attributes=tuple(AttributeRule.parse(text) for text in spec.attributes),
        only=None if spec.only is None else frozenset(spec.only),
        per_category=spec.per_category,
        limits=tuple(Limit(name, each.min, each.max) for name, each in spec.categories.items()),
        variants=spec.variants,
        min_score=spec.min_score,
        min_probability=spec.min_probability,
        diversity=spec.diversity,
    )


def _fill_tables(values: dict[str, Any], where: str) -> None:
    """Turn the tables within a spec into their dataclasses, so that each is told by its name."""
    rules = values.get("rules", {})
    if "rules" in values:
        values["rules"] = _rules(rules, f"{where}: [rules]")
    for name, kind in (("quota", Quota), ("preview", PreviewSpec)):
        if name in values:
            values[name] = _table(kind, values[name], f"{where}: [{name}]")
    if "suppression" in values:
        place = f"{where}: [[suppression]]"
        values["suppression"] = tuple(
            _suppression(table, f"{place} {number}")
            for number, table in _numbered(values["suppression"], place)
        )
    if "arms" in values:
        place = f"{where}: [[arms]]"
        values["arms"] = tuple(
            _arm(table, rules, f"{place} {number}")
            for number, table in _numbered(values["arms"], place)
        )


def _numbered(tables: Any, place: str) -> list[tuple[int, Any]]:
    if not isinstance(tables, list | tuple):
        raise SettingsError(f"{place} is a list: write its name in [[…]] above each table")
    return list(enumerate(tables, 1))


def _table(kind: type[Table], values: Any, place: str) -> Table:
    if not isinstance(values, Mapping):
        raise SettingsError(f"{place} must be a table, not {values!r:.80}")
    return validated(kind, values, place)


def _suppression(values: Any, place: str) -> Suppression:
    if isinstance(values, Mapping) and isinstance(values.get("source"), Mapping):
        values = {**values, "source": _table(Query, values["source"], f"{place}: source")}
    return _table(Suppression, values, place)


def _arm(values: Any, rules: Mapping[str, Any], place: str) -> Arm:
    """Return an arm whose rules are the campaign's but for those it states itself."""
    if not isinstance(values, Mapping):
        raise SettingsError(f"{place} must be a table, not {values!r:.80}")
    own = values.get("rules", {})
    if not isinstance(own, Mapping):
        raise SettingsError(f"{place}: rules must be a table, not {own!r:.80}")
    return _table(Arm, {**values, "rules": _rules({**rules, **own}, f"{place}: rules")}, place)


def _rules(values: Any, place: str) -> RuleSpec:
    if isinstance(values, Mapping) and isinstance(values.get("categories"), Mapping):
        limits = {
            name: _table(CategoryLimit, limit, f"{place}: categories.{name}")
            for name, limit in values["categories"].items()
        }
        values = {**values, "categories": limits}
    return _table(RuleSpec, values, place)


def _placed(values: Mapping[str, Any], folder: Path) -> dict[str, Any]:
    """Return the file's content with its paths relative to where one stands."""
    placed: dict[str, Any] = {}
    for name, value in values.items():
        if isinstance(value, Mapping):
            placed[name] = _placed(value, folder)
        elif isinstance(value, list):
            placed[name] = [
                _placed(each, folder) if isinstance(each, Mapping) else each for each in value
            ]
        else:
            is_path = name in _PATHS and isinstance(value, str)
            placed[name] = folder / value if is_path else value
    return placed


def _check(spec: CampaignSpec, where: str) -> None:
    """Refuse settings that contradict each other."""
    if spec.min_items > spec.k:
        raise UsageError(f"min_items = {spec.min_items} is more than k = {spec.k}")
    if spec.arms:
        total = sum(arm.share for arm in spec.arms)
        if abs(total - 1) > 1e-9:
            raise UsageError(f"{where}: the shares of the arms make {total:g}: they must make 1")
        names = [arm.name for arm in spec.arms]
        if len(set(names)) < len(names):
            raise UsageError(f"{where}: two arms have one name; give each its own")
    names = [name_of(each) for each in spec.suppression]
    if len(set(names)) < len(names):
        raise UsageError(f"{where}: two suppression lists have one name; give each its own `name`")
    for rules in all_rules(spec):
        rules_of(rules)
        least = sum(limit.min for limit in rules.categories.values())
        if least > spec.k:
            raise UsageError(f"{where}: categories need {least} items, more than k = {spec.k}")
        if spec.quota is not None and (rules.diversity or least):
            raise UsageError(
                f"{where}: a quota goes with neither diversity nor a category's min, by which an "
                "item's worth depends on the rest of the list; drop one of them"
            )


def all_rules(spec: CampaignSpec) -> tuple[RuleSpec, ...]:
    """Return the rules of each arm, or the campaign's own where there are no arms."""
    return tuple(arm.rules for arm in spec.arms) or (spec.rules,)


def name_of(suppression: Suppression) -> str:
    """Return what reasons call a suppression list."""
    if suppression.name is not None:
        return suppression.name
    source = suppression.source
    return source.name if isinstance(source, Path) else "query"


def without(spec: CampaignSpec, names: tuple[str, ...]) -> CampaignSpec:
    """Return the spec with these fields as they are by default."""
    defaults = {each.name: each for each in fields(CampaignSpec)}
    changed: dict[str, Any] = {}
    for name in names:
        factory = defaults[name].default_factory
        changed[name] = factory() if callable(factory) else defaults[name].default
    return replace(spec, **changed)
