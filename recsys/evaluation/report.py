"""An evaluation as a page to read: its tables, its plots, and what there is to see in them."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

from recsys.evaluation import verdicts
from recsys.evaluation.compared import (
    Compared,
    Result,
    accuracy,
    figure,
    listed,
    mean,
    memory,
    metric_name,
    p_text,
)
from recsys.evaluation.learning import learning_section
from recsys.evaluation.results import COMPARED
from recsys.evaluation.sections import (
    MODEL,
    histories_section,
    items_section,
    lengths_section,
    model_cell,
    speed_section,
    variety_section,
)
from recsys.evaluation.table import SHOWN
from recsys.report import (
    Axis,
    Bar,
    BarPlot,
    Cell,
    Column,
    Figure,
    Folded,
    Note,
    Page,
    Row,
    Section,
    Table,
)


def report_page(report: Mapping[str, Any]) -> Page:
    """Return the page of an evaluation.

    Parameters
    ----------
    report
        What `recsys.evaluation.runner.evaluate` returned, or its JSON.
    """
    compared = Compared(report)
    sections: list[Section | None] = [_accuracy(compared)]
    if compared.tested:
        sections += [
            _together(compared),
            lengths_section(compared),
            speed_section(compared),
            histories_section(compared),
            items_section(compared),
            variety_section(compared),
            learning_section(compared),
            _left_out(compared),
        ]
    sections.append(_settings(compared))
    return Page(
        title=f"Models compared on {report['dataset']}",
        lead=_lead(report),
        facts=tuple(_facts(compared)),
        sections=tuple(section for section in sections if section is not None),
        foot=f"recsys {report['version']}",
    )


def _lead(report: Mapping[str, Any]) -> str:
    """Return what the protocol answers."""
    if report["protocol"] == "temporal":
        taken = "first take" if report["targets"] == "first" else "take"
        return (
            f"Knowing only what came before a day, which items will customers {taken} in the "
            f"{report['horizon_days']} days from it on?"
        )
    return {
        "strong": "Given four fifths of the items of users that no model has seen, which are the "
        "others?",
        "weak": "Given four fifths of the items of every user, which are the others?",
        "given": "Given each user's items in the published training part, which are in its test "
        "part?",
    }[report["protocol"]]


def _facts(compared: Compared) -> Iterator[tuple[str, str]]:
    report = compared.report
    yield "Data set", report["dataset"]
    yield "Users, items", f"{report['users']:,}, {report['items']:,}"
    yield "Interactions", f"{report['interactions']:,}"
    folds = f", {report['folds']} folds" if report.get("folds") else ""
    yield "Protocol", report["protocol"] + folds
    if compared.tested:
        several = " at each cut" if len(compared.tested) > 1 else ""
        tested = [f"{_n_tested(compared, cut):,}" for cut in compared.tested]
        yield f"Users tested{several}", listed(tested, most=len(tested))
    yield "Seed", str(report["seed"])
    yield "Fingerprint of the data", report["fingerprint"][:12]


def _n_tested(compared: Compared, cut: str | None) -> int:
    n: int = compared.done(cut)[0]["metrics"][COMPARED]["n"]
    return n


def _accuracy(compared: Compared) -> Section:
    columns = (
        *(Column(metric_name(name)) for name in SHOWN),
        Column("vs baseline"),
        Column("Fit, s"),
        Column("Users/s"),
        Column("Peak memory"),
    )
    caption = "Means over users, with 95 % intervals"
    blocks: list[Table | Figure | Note] = [_table(compared, caption, columns, _main_cells)]
    if compared.tested:
        blocks += [_intervals(compared), Note(_how_sure(compared))]
    return Section("Accuracy", verdicts.verdict(compared), tuple(blocks))


def _together(compared: Compared) -> Section | None:
    """Show what the cuts say together, where there are several."""
    together = compared.together
    if together is None:
        return None
    pooled = compared.report["pooled"]
    caption = (
        f"Over the {len(pooled['cuts'])} cuts together: {pooled['results'][0]['n']:,} rows of "
        f"{pooled['users']:,} customers"
    )
    columns = (Column(metric_name(COMPARED)), Column("vs baseline"))
    note = (
        "Means run over all rows, one for each customer and cut. A customer tested at several cuts "
        "is one customer still: intervals and p-values resample customers, each with all its rows."
    )
    table = _table(together, caption, columns, _pooled_cells)
    says = verdicts.verdict(together)
    return Section("The cuts together", says, (table, _intervals(together), Note(note)))


def _intervals(compared: Compared) -> Figure:
    """Draw what results are ranked by, a group of bars for each cut."""
    groups = tuple(
        (
            str(cut) if cut else "",
            tuple(
                Bar(
                    result["model"],
                    accuracy(result),
                    figure(accuracy(result)),
                    compared.series(result["model"]),
                    tuple(result["metrics"][COMPARED]["ci95"]),
                )
                for result in compared.ranked(cut)
            ),
        )
        for cut in compared.tested
    )
    name = metric_name(COMPARED)
    axis = Axis(f"{name}, mean")
    title = f"{name} with 95 % intervals"
    return Figure((BarPlot(title, verdicts.verdict(compared), axis, groups),))


def _how_sure(compared: Compared) -> str:
    text = "Intervals are of the mean, by resampling users. "
    if any(len(compared.done(cut)) > 1 for cut in compared.tested):
        text += (
            "The p-values compare two models user by user, corrected for how many are compared, so "
            "a difference may be significant although intervals overlap. Level with the best means "
            "that the difference could be chance. "
        )
    return text + "Memory is the whole process's peak, data included."


def _table(
    compared: Compared,
    caption: str,
    columns: Sequence[Column],
    cells: Callable[[Compared, Result], Iterator[Cell]],
) -> Table:
    """Return a table with a row for each result, the failed ones too; the best is marked."""
    by_cut = compared.cuts != [None]
    rows = []
    for result in compared.report["results"]:
        start = [Cell(str(result["cut"]))] if by_cut else []
        if "error" in result:
            reason = Cell(f"failed: {result['error']}", span=len(columns))
            rows.append(Row((model_cell(compared, result), *start, reason)))
        else:
            best = result is compared.ranked(result["cut"])[0]
            rows.append(Row((_marked(compared, result), *start, *cells(compared, result)), best))
    cut_column = [Column("Cut", number=False)] if by_cut else []
    return Table(caption, (MODEL, *cut_column, *columns), tuple(rows))


def _marked(compared: Compared, result: Result) -> Cell:
    """Name a model and say whether it is the best of its cut or cannot be told from it."""
    if len(compared.done(result["cut"])) == 1:
        return model_cell(compared, result)
    if result is compared.ranked(result["cut"])[0]:
        return model_cell(compared, result, "best")
    level = compared.level_with_best(result)
    return model_cell(compared, result, "level with the best" if level else "")


def _main_cells(compared: Compared, result: Result) -> Iterator[Cell]:
    for name in SHOWN:
        yield _mean_cell(compared, result, name)
    yield _against_cell(result)
    yield Cell(f"{result['fit_seconds']:,.1f}", result["fit_seconds"])
    yield Cell(f"{result['score_users_per_second']:,.0f}", result["score_users_per_second"])
    yield Cell(memory(result["peak_memory_bytes"]), result["peak_memory_bytes"])


def _pooled_cells(compared: Compared, result: Result) -> Iterator[Cell]:
    yield _mean_cell(compared, result, COMPARED)
    yield _against_cell(result)


def _mean_cell(compared: Compared, result: Result, name: str) -> Cell:
    others = compared.done(result["cut"])
    value, (low, high) = result["metrics"][name]["mean"], result["metrics"][name]["ci95"]
    best = len(others) > 1 and value == max(mean(other, name) or 0 for other in others)
    return Cell(figure(value), value, f"{figure(low)}–{figure(high)}", best)


def _against_cell(result: Result) -> Cell:
    against = result["versus_best_baseline"]
    if against is None:
        return Cell("–")
    if against["baseline"] == result["model"]:
        return Cell("baseline")
    difference = against["difference"]
    return Cell(f"{difference:+.4f}".replace("-", "−"), difference, p_text(against["p_value"]))


def _left_out(compared: Compared) -> Section:
    """Count what the splits could not test."""
    by_cut = compared.cuts != [None]
    some = compared.done(compared.tested[0])[0]
    reasons = list(some["left_out"])
    rows = []
    for cut in compared.tested:
        counts = compared.done(cut)[0]["left_out"]
        n = _n_tested(compared, cut)
        cells = (Cell(f"{counts[reason]:,}", counts[reason]) for reason in reasons)
        rows.append(Row((Cell(str(cut or "All")), Cell(f"{n:,}", n), *cells)))
    columns = (
        Column("Cut" if by_cut else "Split", number=False),
        Column("Users tested"),
        *(Column(reason[0].upper() + reason[1:]) for reason in reasons),
    )
    return Section(
        "What could not be tested",
        "No model can list an item that is not in its training data, and a user with nothing to "
        "find has no result: both are left out, for all models alike.",
        (Table("Left out, counted", columns, tuple(rows)),),
    )


def _settings(compared: Compared) -> Section:
    blocks = []
    for model in compared.models:
        results = [r for r in compared.report["results"] if r["model"] == model]
        rows = [
            Row((Cell(name), Cell(_setting(value))))
            for name, value in _flat(results[0]["settings"])
        ]
        for result in results:
            for split, chosen in result.get("chosen", {}).items():
                rows += [
                    Row((Cell(name), Cell(_setting(value), note=f"chosen on validation, {split}")))
                    for name, value in _flat(chosen)
                ]
        columns = (Column("Setting", number=False), Column("Value", number=False))
        blocks.append(Folded(model, Table(f"Settings of {model}", columns, tuple(rows))))
    return Section("Settings", "Every setting of each model, defaults included.", tuple(blocks))


def _flat(settings: Mapping[str, Any], above: str = "") -> Iterator[tuple[str, Any]]:
    """Yield name and value of each setting, those of a table as `table.name`."""
    for name, value in settings.items():
        if isinstance(value, Mapping):
            yield from _flat(value, f"{above}{name}.")
        else:
            yield f"{above}{name}", value


def _setting(value: object) -> str:
    return "none" if value is None else str(value)
