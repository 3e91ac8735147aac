"""The report's section on training: loss and validation metric by epoch."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

from recsys.evaluation.compared import Compared, Result, figure, metric_name
from recsys.evaluation.results import COMPARED
from recsys.report import Axis, Cell, Column, Figure, LinePlot, Row, Section, Series, Table

_STAGES = {"choosing": "on train", "final": "again, on all"}
_NO_MORE = 0.002  # a validation metric that moves less says nothing


def learning_section(compared: Compared) -> Section | None:
    """Return loss and validation metric by epoch, of each model that has them."""
    figures, sentences = [], []
    for cut in compared.tested[-1:]:
        for result in compared.done(cut):
            curves = [curve for curve in result["curves"] if curve["points"]]
            if curves:
                figures.append(_figure(result, curves))
                sentences.append(_says(result["model"], curves))
    if not figures:
        return None
    return Section("Learning curves", compared.at_latest + " ".join(sentences), tuple(figures))


def _figure(result: Result, curves: Sequence[Result]) -> Figure:
    several = len({curve["split"] for curve in curves}) > 1
    names = [_name(curve, several) for curve in curves]
    keys = list(dict.fromkeys(key for c in curves for p in c["points"] for key in p))
    keys = sorted((key for key in keys if key != "epoch"), key=lambda key: key != "loss")
    best = [top["epoch"] for curve in curves if (top := _top(curve))]
    rules = ((float(best[0]), f"epoch {best[0]}"),) if len(best) == 1 else ()
    plots = []
    for key in keys:
        series = tuple(
            Series(name, points, number)
            for number, (name, curve) in enumerate(zip(names, curves, strict=True))
            if (points := _points(curve, key))
        )
        title = f"{result['model']}: {_measured(key)}"
        ends = "; ".join(
            f"{s.label}: {s.points[0][1]:.4g} to {s.points[-1][1]:.4g}" for s in series
        )
        plots.append(
            LinePlot(title, f"First to last epoch. {ends}.", Axis("epoch"), Axis(_measured(key)),
                     series, rules, labelled=False)
        )  # fmt: skip
    legend = tuple((name, number) for number, name in enumerate(names)) if len(names) > 1 else ()
    return Figure(tuple(plots), _table(result["model"], names, curves, keys), legend)


def _name(curve: Result, several: bool) -> str:
    stage = f"trained {_STAGES.get(curve['stage'], curve['stage'])}"
    return f"{curve['split']}: {stage}" if several else stage


def _measured(key: str) -> str:
    return "training loss" if key == "loss" else f"validation {metric_name(key)}"


def _points(curve: Result, key: str) -> tuple[tuple[float, float], ...]:
    points = curve["points"]
    return tuple((p["epoch"], p[key]) for p in points if p.get(key) is not None)


def _top(curve: Result) -> dict[str, Any] | None:
    """Return the epoch of the best validation metric, the first of equals."""
    points = [point for point in curve["points"] if point.get(COMPARED) is not None]
    return max(points, key=lambda point: point[COMPARED], default=None)


def _says(model: str, curves: Sequence[Result]) -> str:
    """Say where validation is best and what comes after."""
    validated = [(curve, top) for curve in curves if (top := _top(curve))]
    if not validated:
        last = curves[-1]["points"][-1]
        return f"{model} was trained for {_epochs(last['epoch'])} without validation."
    curve, top = validated[0]
    metric = metric_name(COMPARED)
    if len(validated) > 1:
        epochs = sorted(top["epoch"] for _, top in validated)
        after = f"epoch {epochs[0]}" + f" to {epochs[-1]}" * (epochs[0] != epochs[-1])
        return f"{model}: validation {metric} is best at {after}, over {len(validated)} splits."
    last = curve["points"][-1]
    best = f"{model}: validation {metric} is best, {figure(top[COMPARED])}, at epoch {top['epoch']}"
    if last["epoch"] == top["epoch"]:
        return f"{best}, the last; more epochs may give more."
    fall = top[COMPARED] - last[COMPARED]
    if fall < _NO_MORE:
        return f"{best} of {last['epoch']}, and level from there on."
    after = f"{best} of {last['epoch']}, and {figure(fall)} lower at the end"
    learns = last["loss"] < top["loss"] if "loss" in last and "loss" in top else False
    return f"{after}, while the training loss still falls: it overfits." if learns else f"{after}."


def _epochs(number: int) -> str:
    return "1 epoch" if number == 1 else f"{number} epochs"


def _table(
    model: str, names: Sequence[str], curves: Sequence[Result], keys: Sequence[str]
) -> Table:
    columns = (
        Column("Training", number=False),
        Column("Epoch"),
        *(Column(_measured(k)) for k in keys),
    )
    return Table(f"{model} by epoch", columns, tuple(_rows(names, curves, keys)))


def _rows(names: Sequence[str], curves: Sequence[Result], keys: Sequence[str]) -> Iterator[Row]:
    for name, curve in zip(names, curves, strict=True):
        top = _top(curve)
        for point in curve["points"]:
            cells = [Cell(name), Cell(str(point["epoch"]), point["epoch"])]
            for key in keys:
                value = point.get(key)
                cells.append(Cell("–") if value is None else Cell(f"{value:.4f}", value))
            yield Row(tuple(cells), best=point is top)
