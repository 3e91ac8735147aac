"""The sections of an evaluation's report that follow the main one: each a plot and its figures."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence

from recsys.evaluation import verdicts
from recsys.evaluation.compared import (
    Compared,
    Result,
    accuracy,
    figure,
    mean,
    metric_name,
    percent,
)
from recsys.evaluation.results import COMPARED
from recsys.report import (
    Axis,
    Cell,
    Column,
    Figure,
    LinePlot,
    Note,
    Plot,
    Point,
    Row,
    ScatterPlot,
    Section,
    Series,
    Table,
)

MODEL = Column("Model", number=False)

_OF_ITEMS = "recall@20"
_USUAL_LENGTH = 20
_LEAST_SECONDS = 1e-3  # times are kept to this; an axis of ratios has no 0
_NAMES = {
    1: ["All histories"],
    2: ["Shorter histories", "Longer histories"],
    3: ["Shortest histories", "Middle", "Longest histories"],
}


def model_cell(compared: Compared, result: Result, note: str = "") -> Cell:
    """Name a model, with its mark."""
    return Cell(result["model"], note=note, series=compared.series(result["model"]))


def _by_cut(compared: Compared, plot: Callable[[str | None, str], Plot]) -> tuple[Plot, ...]:
    """Return a plot for each cut; it is given the cut and what its title ends with."""
    return tuple(plot(cut, f", {cut}" if cut else "") for cut in compared.tested)


def lengths_section(compared: Compared) -> Section | None:
    """Show recall for each length of list."""
    ks = compared.report["k"]
    if len(ks) < 2:
        return None
    says = verdicts.on_lengths(compared, ks)

    def plot(cut: str | None, ending: str) -> Plot:
        series = tuple(
            Series(
                result["model"],
                tuple((float(k), mean(result, f"recall@{k}") or 0.0) for k in ks),
                compared.series(result["model"]),
            )
            for result in compared.done(cut)
        )
        x = Axis("length of the list, k", log=True, ticks=tuple((float(k), str(k)) for k in ks))
        return LinePlot(f"Recall by length{ending}", says, x, Axis("Recall@k", zero=True), series)

    names = [f"recall@{k}" for k in ks]
    return Section(
        "Recall by length of the list",
        says,
        (
            Figure(_by_cut(compared, plot), _metrics_table(compared, "Recall by length", names)),
            Note(
                "Recall@k divides by k where a user has more than k items to be found, so it may "
                "fall as lists grow."
            ),
        ),
    )


def _metrics_table(compared: Compared, caption: str, names: Sequence[str]) -> Table:
    def cells(result: Result) -> Iterator[Cell]:
        for name in names:
            value = mean(result, name)
            yield Cell("–") if value is None else Cell(figure(value), value)

    return result_table(compared, caption, [metric_name(name) for name in names], cells)


def result_table(
    compared: Compared,
    caption: str,
    headings: Sequence[str],
    cells: Callable[[Result], Iterator[Cell]],
) -> Table:
    """Return a table with a row for each result."""
    by_cut = compared.cuts != [None]
    cut_column = [Column("Cut", number=False)] if by_cut else []
    rows = tuple(
        Row((model_cell(compared, r), *([Cell(str(cut))] if by_cut else []), *cells(r)))
        for cut in compared.tested
        for r in compared.done(cut)
    )
    return Table(caption, (MODEL, *cut_column, *map(Column, headings)), rows)


def speed_section(compared: Compared) -> Section:
    """Show accuracy against the time to fit and the speed of serving."""
    says = verdicts.on_speed(compared)
    name = metric_name(COMPARED)

    def scatter(title: str, label: str, cost: Callable[[Result], float]) -> tuple[Plot, ...]:
        return _by_cut(
            compared,
            lambda cut, ending: ScatterPlot(
                f"{title}{ending}",
                says,
                Axis(label, log=True),
                Axis(name),
                tuple(_point(compared, result, cost(result)) for result in compared.done(cut)),
            ),
        )

    plots = (
        *scatter(
            f"{name} against time to fit",
            "seconds to fit",
            lambda result: max(result["fit_seconds"], _LEAST_SECONDS),
        ),
        *scatter(
            f"{name} against speed of scoring",
            "users scored a second",
            lambda result: result["score_users_per_second"],
        ),
    )
    note = Note(
        "Higher is more accurate. Further left is faster to fit, further right faster to score. "
        "Time to fit includes choosing on validation users. The figures are in the first table."
    )
    return Section("Accuracy and speed", says, (Figure(plots), note))


def _point(compared: Compared, result: Result, x: float) -> Point:
    low, high = result["metrics"][COMPARED]["ci95"]
    series = compared.series(result["model"])
    return Point(result["model"], x, accuracy(result), series, (low, high))


def histories_section(compared: Compared) -> Section:
    """Show accuracy for users with short and with long histories."""
    says = verdicts.on_histories(compared)

    def plot(cut: str | None, ending: str) -> Plot:
        done = compared.done(cut)
        groups = done[0]["groups"]["history_length"]
        ticks = tuple((float(n), verdicts.span(group)) for n, group in enumerate(groups))
        series = tuple(
            Series(
                result["model"],
                tuple(
                    (float(n), group[COMPARED])
                    for n, group in enumerate(result["groups"]["history_length"])
                ),
                compared.series(result["model"]),
            )
            for result in done
        )
        x = Axis("items given", ticks=ticks)
        name = metric_name(COMPARED)
        return LinePlot(f"{name} by history{ending}", says, x, Axis(name, zero=True), series)

    return Section(
        "Short and long histories",
        says,
        (
            Figure(_by_cut(compared, plot), _history_table(compared)),
            Note("Groups are thirds of the tested users; within a group nothing is tested."),
        ),
    )


def _history_table(compared: Compared) -> Table:
    every = [r["groups"]["history_length"] for cut in compared.tested for r in compared.done(cut)]
    names = _NAMES[max(map(len, every))]

    def cells(result: Result) -> Iterator[Cell]:
        groups = result["groups"]["history_length"]
        for group in groups:
            note = f"{verdicts.span(group)} items, {group['n']:,} users"
            yield Cell(figure(group[COMPARED]), group[COMPARED], note)
        for _ in names[len(groups) :]:
            yield Cell("–")

    return result_table(compared, f"{metric_name(COMPARED)} by items given", names, cells)


def items_section(compared: Compared) -> Section | None:
    """Show how much is found of popular and of rare items, where that was measured."""
    done = [result for cut in compared.tested for result in compared.done(cut)]
    if not all(result["groups"].get("items") for result in done):
        return None
    says = verdicts.on_items(compared, _OF_ITEMS)
    name = metric_name(_OF_ITEMS)

    def plot(cut: str | None, ending: str) -> Plot:
        results = compared.done(cut)
        names = [group["group"] for group in results[0]["groups"]["items"]]
        series = tuple(
            Series(
                result["model"],
                tuple(
                    (float(n), group[_OF_ITEMS])
                    for n, group in enumerate(result["groups"]["items"])
                    if group[_OF_ITEMS] is not None
                ),
                compared.series(result["model"]),
            )
            for result in results
        )
        x = Axis("items by popularity", ticks=tuple((float(n), s) for n, s in enumerate(names)))
        return LinePlot(f"{name} by popularity{ending}", says, x, Axis(name, zero=True), series)

    def cells(result: Result) -> Iterator[Cell]:
        for group in result["groups"]["items"]:
            value = group[_OF_ITEMS]
            yield Cell("–") if value is None else Cell(figure(value), value)

    headings = [group["group"].capitalize() for group in done[0]["groups"]["items"]]
    table = result_table(compared, f"{name} by popularity of the items", headings, cells)
    return Section("Popular and rare items", says, (Figure(_by_cut(compared, plot), table),))


def variety_section(compared: Compared) -> Section:
    """Show how much of the catalogue is listed, how popular, and how alike within a list."""
    ks = compared.report["k"]
    k = _USUAL_LENGTH if _USUAL_LENGTH in ks else ks[0]
    says = verdicts.on_variety(compared, k)

    def cells(result: Result) -> Iterator[Cell]:
        coverage, bits = mean(result, f"coverage@{k}"), mean(result, f"novelty@{k}")
        diversity = mean(result, f"diversity@{k}")
        yield Cell("–") if coverage is None else Cell(percent(coverage), coverage)
        yield Cell("–") if diversity is None else Cell(figure(diversity), diversity)
        yield Cell("–") if bits is None else Cell(f"{bits:.2f}", bits)
        yield Cell("–") if bits is None else Cell(percent(2**-bits), 2**-bits)

    def plot(cut: str | None, ending: str) -> Plot:
        points = tuple(
            _point(compared, result, 100 * (mean(result, f"coverage@{k}") or 0.0))
            for result in compared.done(cut)
        )
        name = metric_name(COMPARED)
        x = Axis(f"% of the catalogue in any list of {k}", zero=True)
        return ScatterPlot(f"{name} against coverage{ending}", says, x, Axis(name), points)

    headings = ["Coverage", "Diversity", "Novelty, bits", "Popularity"]
    return Section(
        "Variety and popularity",
        says,
        (
            result_table(compared, f"Of the lists of {k}", headings, cells),
            Note(
                "Coverage: the part of the catalogue that is in any user's list. Diversity: 1 − "
                "the mean cosine of a list's items. Novelty: mean −log2 of the share of the "
                "training users who took an item; popularity is that share, as a geometric mean."
            ),
            Figure(_by_cut(compared, plot)),
        ),
    )
