"""`--data` and every key of `dataset.toml` as a flag, made from the dataclasses they are."""

from __future__ import annotations

import dataclasses
import re
import types
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any, Literal, TypeVar, Union, get_args, get_origin, get_type_hints

import click

from recsys.errors import UsageError
from recsys.interactions.dataset import Dataset, DatasetSpec, load_dataset
from recsys.interactions.spec import SECTIONS, flag_of, is_url

Command = TypeVar("Command", bound=Callable[..., Any])


@dataclass(frozen=True)
class _Key:
    """One key of `dataset.toml`: its section (None for the top), name, type and documentation."""

    section: str | None
    name: str
    type: Any
    help: str

    @property
    def parameter(self) -> str:
        """Name under which a command gets the flag's value; it cannot clash with its own."""
        return f"dataset__{self.section or ''}__{self.name}"


def data_options(command: Command) -> Command:
    """Add `--data`, `--dataset` and a flag for each key of `dataset.toml` to a command.

    The command takes them as keywords and passes them on: `def train(model, **flags)`, then
    `dataset_from_flags(flags)`.
    """
    command = spec_options()(command)
    return click.option(
        "--data",
        metavar="DIR|FILE|URL",
        help="Folder or file of the events, or a database URL (sqlite:///shop.db).",
    )(command)


def spec_options(*, raw: bool = False) -> Callable[[Command], Command]:
    """Return what adds `--dataset` and a flag for each key; how to read alone where `raw`."""

    def add(command: Command) -> Command:
        return _add_spec_options(command, {None, "columns"} if raw else {None, *SECTIONS})

    return add


def _add_spec_options(command: Command, sections: set[str | None]) -> Command:
    for key in reversed([key for key in _keys() if key.section in sections]):
        command = click.option(
            flag_of(key.section, key.name),
            key.parameter,
            type=_click_type(key.type),
            default=None,
            metavar="TIME" if datetime in get_args(key.type) else None,
            help=key.help,
        )(command)
    return click.option(
        "--dataset",
        "dataset_file",
        type=click.Path(exists=True, dir_okay=False, path_type=Path),
        help="A dataset.toml that lies elsewhere than in the data folder.",
    )(command)


def dataset_from_flags(flags: Mapping[str, Any]) -> Dataset:
    """Load the data set that a command's flags describe.

    Parameters
    ----------
    flags
        What `data_options` gave the command; other keywords among them are ignored.

    Raises
    ------
    UsageError
        `--data` is absent, or a flag cannot be meant.
    DataError
        The data cannot be used.
    """
    source, spec = _source(flags), spec_of_data(flags)
    if is_url(source):  # only those may be a store, whose code is slow to import
        from recsys.store.training import load_data

        dataset = load_data(source, spec)
    else:
        dataset = load_dataset(source, spec)
    report = dataset.report
    if report is not None and report.bad_rows:
        rows = "bad row" if report.bad_rows == 1 else "bad rows"
        click.echo(
            f"{report.bad_rows:,} {rows} left out, listed in {report.bad_rows_file}", err=True
        )
    return dataset


def spec_of_data(flags: Mapping[str, Any]) -> DatasetSpec:
    """Return how a command's `--data` is read."""
    return spec_from_flags(_source(flags), flags)


def _source(flags: Mapping[str, Any]) -> str | Path:
    source = flags.get("data")
    if not source:
        raise UsageError("--data is missing: name a folder, a file or a database URL")
    return source if is_url(source) else Path(source)


def spec_from_flags(source: str | Path, flags: Mapping[str, Any]) -> DatasetSpec:
    """Return the spec of a data set: its `dataset.toml` with the flags going before."""
    said: dict[str, Any] = {}
    for key in _keys():
        value = flags.get(key.parameter)
        if value is not None:
            section = said if key.section is None else said.setdefault(key.section, {})
            section[key.name] = value
    return DatasetSpec.read(source, flags.get("dataset_file"), said)


def _keys() -> Iterator[_Key]:
    for section, kind in ((None, DatasetSpec), *SECTIONS.items()):
        hints, help_of = get_type_hints(kind), _documentation(kind)
        for field in dataclasses.fields(kind):
            if section is None and field.name in SECTIONS:
                continue
            yield _Key(section, field.name, hints[field.name], help_of.get(field.name, ""))


def _documentation(kind: type[Any]) -> dict[str, str]:
    """Return what a dataclass' docstring says of each attribute, on one line."""
    _, _, attributes = (kind.__doc__ or "").partition("----------\n")
    entries = re.findall(r"^ {4}(\w+)\n((?: {8}.*\n?)+)", attributes, flags=re.MULTILINE)
    return {name: " ".join(text.split()).replace("`", "") for name, text in entries}


def _click_type(annotation: Any) -> click.ParamType[Any]:
    """Return how click reads a field's type; bounds are the dataclass' own business."""
    kinds = [kind for kind in get_args(annotation) if kind is not types.NoneType]
    if get_origin(annotation) in (Union, types.UnionType):
        (annotation,) = kinds
    if get_origin(annotation) is Literal:
        return click.Choice(get_args(annotation))
    simple: dict[Any, click.ParamType[Any]] = {
        int: click.INT,
        float: click.FLOAT,
        str: click.STRING,
    }
    return simple.get(annotation, click.STRING)  # a datetime is read by the dataclass
