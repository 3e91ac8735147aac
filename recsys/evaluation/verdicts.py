"""What there is to see in an evaluation, in sentences worked out from its figures."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence

from recsys.evaluation.compared import (
    SURE,
    Compared,
    Result,
    accuracy,
    figure,
    listed,
    mean,
    metric_name,
    p_text,
    percent,
    seconds,
)
from recsys.evaluation.results import COMPARED

_SPELT_OUT = 3
"""So many cuts have a sentence each; of more, the winners are counted."""


def verdict(compared: Compared) -> str:
    """Say which model is best, by how much, and whether that could be chance."""
    tested = compared.tested
    if not tested:
        return "No model could be evaluated; the table says why."
    if len(tested) > _SPELT_OUT:
        sentences = [_winners(compared)]
    else:
        sentences = [
            (f"At {cut}: " if cut is not None else "") + _best_of(compared.ranked(cut))
            for cut in tested
        ]
    if compared.failed():
        names = dict.fromkeys(result["model"] for result in compared.failed())
        sentences.append(f"{listed(list(names))} failed; the table says why.")
    return " ".join(sentences)


def _winners(compared: Compared) -> str:
    """Say at how many cuts each model is best, and at how many that could be chance."""
    n = len(compared.tested)
    first = Counter(compared.ranked(cut)[0]["model"] for cut in compared.tested).most_common()
    (winner, times), *others = first
    where = f"all {n} cuts" if times == n else f"{times} of {n} cuts"
    says = f"{winner} has the highest {metric_name(COMPARED)} at {where}"
    if others:
        says += f", {listed([f'{model} at {count}' for model, count in others])}"
    chance = sum(
        any(compared.level_with_best(result) for result in compared.ranked(cut)[1:2])
        for cut in compared.tested
    )
    return f"{says}; at {chance} the lead over the next could be chance." if chance else f"{says}."


def _best_of(ranked: Sequence[Result]) -> str:
    best = ranked[0]
    reached = f"{metric_name(COMPARED)} {figure(accuracy(best))}"
    if len(ranked) == 1:
        low, high = best["metrics"][COMPARED]["ci95"]
        return (
            f"{best['model']} reaches {reached} (95 % interval {figure(low)}–{figure(high)}); "
            "there is no other result to compare it with."
        )
    second = ranked[1]["model"]
    against = best["versus_best_baseline"]
    baseline = None if against is None else against["baseline"]
    over = {second: best["versus"][second]}
    if baseline is not None and baseline != best["model"]:
        over |= {baseline: against}
    leads = [
        f"{_size(lead['difference'])} above {'the baseline, ' * (model == baseline)}{model} "
        f"({p_text(lead['p_value'])})"
        for model, lead in over.items()
    ]
    chance = [model for model, lead in over.items() if lead["p_value"] >= SURE]
    says = f"{best['model']} has the highest {reached}: {listed(leads)}."
    if baseline == best["model"]:
        says = f"No model is above the baseline. {says}"
    return f"{says} The lead over {listed(chance)} could be chance." if chance else says


def _size(difference: float) -> str:
    """Return a difference; a small one is not rounded to nothing."""
    return figure(difference) if difference >= 0.0005 else f"{difference:.1g}"


def on_lengths(compared: Compared, ks: Sequence[int]) -> str:
    """Say who finds most in lists of each length."""
    done = compared.done(compared.tested[-1])
    leaders: dict[str, list[str]] = {}
    for k in ks:
        leader = max(done, key=lambda result: mean(result, f"recall@{k}") or 0)
        leaders.setdefault(leader["model"], []).append(str(k))
    if len(done) == 1:
        first, last = (mean(done[0], f"recall@{k}") or 0 for k in (ks[0], ks[-1]))
        says = f"Recall goes from {figure(first)} in lists of {ks[0]} to {figure(last)} in {ks[-1]}"
    elif len(leaders) == 1:
        says = f"{next(iter(leaders))} has the highest recall at every length"
    else:
        by_model = [f"{model} in lists of {listed(at)}" for model, at in leaders.items()]
        says = f"Who has the highest recall depends on the length: {', '.join(by_model)}"
    return _sentence(compared, says)


def on_speed(compared: Compared) -> str:
    """Say what the best model costs, and which cost more and give less."""
    ranked = compared.ranked(compared.tested[-1])
    best = ranked[0]
    took = f"{best['model']} was fitted in {seconds(best['fit_seconds'])}"
    says = f"{took} and scores {best['score_users_per_second']:,.0f} users a second"
    if len(ranked) == 1:
        return _sentence(compared, says)
    quicker = [r["model"] for r in ranked[1:] if r["fit_seconds"] < best["fit_seconds"]]
    slower = [r["model"] for r in ranked[1:] if r["fit_seconds"] >= best["fit_seconds"]]
    says = f"{best['model']}, the most accurate, {says.removeprefix(best['model'] + ' ')}"
    if quicker:
        says += f"; {listed(quicker)} {_was(quicker)} fitted faster"
    if slower:
        says += f"; {listed(slower)} took longer and {_was(slower, 'is', 'are')} no more accurate"
    return _sentence(compared, says)


def _was(names: Sequence[str], one: str = "was", several: str = "were") -> str:
    return one if len(names) == 1 else several


def on_histories(compared: Compared) -> str:
    """Say who leads for short and for long histories, and how the best model's accuracy moves."""
    ranked = compared.ranked(compared.tested[-1])
    groups = [result["groups"]["history_length"] for result in ranked]
    leaders = [
        ranked[max(range(len(ranked)), key=lambda row: groups[row][number][COMPARED])]["model"]
        for number in range(len(groups[0]))
    ]
    best = ranked[0]["model"]
    first, last = groups[0][0], groups[0][-1]
    if len(groups[0]) == 1:
        return _sentence(
            compared, "All users were given about as many items, so there is one group"
        )
    moves = (
        f"goes from {figure(first[COMPARED])} for users with {span(first)} items to "
        f"{figure(last[COMPARED])} for those with {span(last)}"
    )
    if len(ranked) == 1:
        return _sentence(compared, f"{best} {moves}")
    if len(set(leaders)) == 1:
        return _sentence(compared, f"{best} leads in every group; it {moves}")
    led: dict[str, list[str]] = {}
    for leader, group in zip(leaders, groups[0], strict=True):
        led.setdefault(leader, []).append(span(group))
    others = [f"{model} for {listed(spans)} items" for model, spans in led.items()]
    return _sentence(compared, f"The leader changes: {', '.join(others)}; {best} {moves}")


def span(group: Result) -> str:
    """Return how many items a group of users was given."""
    low, high = group["items_given"]
    return f"{low:,}" if low == high else f"{low:,}–{high:,}"


def on_items(compared: Compared, metric: str) -> str:
    """Say how the best model does on rare items, and who does best on them."""
    ranked = compared.ranked(compared.tested[-1])
    groups = {result["model"]: result["groups"]["items"] for result in ranked}
    best = ranked[0]["model"]
    says = f"{best} goes from {_of(groups[best][0], metric)} to {_of(groups[best][-1], metric)}"
    leader = max(groups, key=lambda model: groups[model][-1][metric] or 0)
    if leader != best:
        says += f"; {leader} has the highest there, {_of(groups[leader][-1], metric)}"
    return _sentence(compared, says)


def _of(group: Result, metric: str) -> str:
    return f"{figure(group[metric] or 0)} for {group['group']} items"


def on_variety(compared: Compared, k: int) -> str:
    """Say how much of the catalogue is listed, and how popular what is listed is."""
    ranked = compared.ranked(compared.tested[-1])
    shares = {r["model"]: mean(r, f"coverage@{k}") or 0.0 for r in ranked}
    widest, best = max(shares, key=lambda model: shares[model]), ranked[0]
    says = f"Lists of {k} by {widest} take in {percent(shares[widest])} of the catalogue"
    if widest != best["model"]:
        says += f", those by {best['model']}, the most accurate, {percent(shares[best['model']])}"
    bits = mean(best, f"novelty@{k}")
    if bits is not None:
        says += (
            f"; an item that {best['model']} lists is typically one that {percent(2**-bits)} of "
            "the users took"
        )
    return _sentence(compared, says)


def _sentence(compared: Compared, says: str) -> str:
    return f"{compared.at_latest}{says}."
