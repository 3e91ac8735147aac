from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow.csv as pa_csv
import pytest

from recsys.errors import UsageError
from recsys.ids import IdMap
from recsys.insight.attacks import with_noise
from recsys.insight.cleaned import REMOVED, write_cleaned
from recsys.insight.denoising import find_noise
from recsys.insight.fit import Fit, fit_of
from recsys.interactions.catalogue import Catalogue
from recsys.interactions.dataset import Dataset, load_dataset
from recsys.interactions.tables import MICROSECONDS_PER_DAY, Interactions
from recsys.interactions.weighting import Weighting


def test_noise_is_found(log: Interactions) -> None:
    noisy = with_noise(log, "random", 0.1, np.random.default_rng(0))
    noise = find_noise(noisy.interactions, fit_of(noisy.interactions), 0.1)
    bad = np.zeros(len(noise.noise), np.bool_)
    bad[noise.fit.pairs.of_event[noisy.noise]] = True
    auc = (noise.score[bad][:, None] < noise.score[~bad]).mean()
    assert auc > 0.8
    assert bad[noise.noise].mean() > 0.45


def test_no_more_than_the_share_and_never_an_accounts_best(log: Interactions, fit: Fit) -> None:
    noise = find_noise(log, fit, 0.15)
    assert round(0.13 * len(fit.pairs)) <= noise.noise.sum() <= round(0.15 * len(fit.pairs))
    assert noise.score[noise.noise].max() <= np.quantile(noise.score, 0.16)
    almost_all = find_noise(log, fit, 0.999)
    left = np.bincount(fit.pairs.users[~almost_all.noise], minlength=log.n_users)
    assert (left >= 1).all()
    assert almost_all.of_event.sum() == almost_all.noise[fit.pairs.of_event].sum()


def test_what_was_taken_on_several_days_is_kept(log: Interactions, fit: Fit) -> None:
    worst = int(np.argmin(find_noise(log, fit, 0.1).score))
    event = int(np.flatnonzero(fit.pairs.of_event == worst)[0])
    for later, kept in ((0, False), (3_600_000_000, False), (MICROSECONDS_PER_DAY, True)):
        again = bought_again(log, event, later)
        noise = find_noise(again, fit_of(again), 0.1)
        assert noise.again.sum() == kept
        assert noise.noise[worst] != kept
        assert find_noise(again, fit_of(again), 0.999).noise[worst] != kept


def bought_again(log: Interactions, event: int, later: int) -> Interactions:
    assert log.times is not None
    users, items = np.append(log.users, log.users[event]), np.append(log.items, log.items[event])
    times = np.append(log.times, log.times[event] // MICROSECONDS_PER_DAY * MICROSECONDS_PER_DAY)
    times[event] = times[-1]
    times[-1] += later
    return Interactions.from_events(users, items, shape=(log.n_users, log.n_items), times=times)


@pytest.mark.parametrize("share", [0, 1, -0.1, float("nan")])
def test_a_share_that_is_none_is_refused(log: Interactions, fit: Fit, share: float) -> None:
    with pytest.raises(UsageError, match="--share"):
        find_noise(log, fit, share)


@pytest.fixture
def dataset(log: Interactions) -> Dataset:
    n_items = log.n_items
    titles = [f'Dish "{n}", blue\nand 大' for n in range(n_items)]
    prices = np.where(np.arange(n_items) % 2, 1.25, np.nan)
    catalogue = Catalogue(
        titles,
        [("a", "b") if n % 3 else () for n in range(n_items)],
        prices,
        {"colour": ["red" if n % 5 else None for n in range(n_items)], "title": ["x"] * n_items},
    )
    users = IdMap(sorted(f"{n:05}" for n in range(log.n_users)))
    items = IdMap(sorted(f"é,{n:03}" for n in range(n_items)))
    weighting = Weighting(half_life_days=60.0)
    return Dataset("dishes", "dishes", "", log, users, items, catalogue, weighting)


def test_a_cleaned_data_set_is_read_again(dataset: Dataset, fit: Fit, tmp_path: Path) -> None:
    log = dataset.interactions
    noise = find_noise(log, fit, 0.1)
    out = tmp_path / "new" / "clean"
    cleaned = write_cleaned(out, dataset, noise)
    read, kept = load_dataset(out), log.where(~noise.of_event)
    assert read.users == dataset.users
    assert read.items == dataset.items
    for name in ("indptr", "items", "times", "values"):
        assert np.array_equal(getattr(read.interactions, name), getattr(kept, name))
    assert read.catalogue.titles == dataset.catalogue.titles
    assert read.catalogue.categories == dataset.catalogue.categories
    assert np.array_equal(read.catalogue.prices, dataset.catalogue.prices, equal_nan=True)
    assert read.catalogue.attributes["colour"] == dataset.catalogue.attributes["colour"]
    assert set(read.catalogue.attributes["title_"]) == {"x"}
    assert read.weighting == dataset.weighting
    assert (cleaned.events, cleaned.removed_events) == (log.n_events, noise.of_event.sum())


def test_what_was_taken_out_stands_beside_it(dataset: Dataset, fit: Fit, tmp_path: Path) -> None:
    noise = find_noise(dataset.interactions, fit, 0.1)
    write_cleaned(tmp_path / "clean", dataset, noise)
    newlines = pa_csv.ParseOptions(newlines_in_values=True)
    kinds = {"user_id": "string", "item_id": "string"}
    options = pa_csv.ConvertOptions(column_types=kinds)
    removed = pa_csv.read_csv(tmp_path / "clean" / REMOVED, None, newlines, options).to_pylist()
    gone = dataset.interactions.where(noise.of_event)
    assert [row["item_id"] for row in removed] == [dataset.items[item] for item in gone.items]
    assert [row["user_id"] for row in removed] == [dataset.users[user] for user in gone.users]
    assert {row["title"] for row in removed} <= set(dataset.catalogue.titles)
    assert all("of the other items suit the account less" in row["reason"] for row in removed)


def test_bare_logs_stay_bare(dataset: Dataset, tmp_path: Path) -> None:
    log = dataset.interactions
    bare = replace(
        dataset,
        interactions=Interactions(log.indptr, log.items, log.n_items),
        catalogue=Catalogue.untitled(dataset.items.ids),
        weighting=Weighting(),
    )
    fit = fit_of(bare.interactions)
    write_cleaned(tmp_path / "clean", bare, find_noise(bare.interactions, fit, 0.1))
    read = load_dataset(tmp_path / "clean")
    assert (read.interactions.times, read.interactions.values) == (None, None)
    assert read.weighting == Weighting()


def test_a_folder_that_holds_something_is_left_alone(
    dataset: Dataset, fit: Fit, tmp_path: Path
) -> None:
    (tmp_path / "mine").write_text("do not touch")
    with pytest.raises(UsageError, match="there is something already"):
        write_cleaned(tmp_path, dataset, find_noise(dataset.interactions, fit, 0.1))
    assert [path.name for path in tmp_path.iterdir()] == ["mine"]


def test_a_failure_leaves_nothing(
    dataset: Dataset, fit: Fit, tmp_path: Path, monkeypatch: Any
) -> None:
    def no_room(*_: Any) -> None:
        raise OSError("no room")

    monkeypatch.setattr("pyarrow.csv.write_csv", no_room)
    with pytest.raises(OSError, match="no room"):
        write_cleaned(tmp_path / "clean", dataset, find_noise(dataset.interactions, fit, 0.1))
    assert list(tmp_path.iterdir()) == []
