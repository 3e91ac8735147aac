"""Validation on a device gives what the lists and metrics of evaluation give."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import scipy.sparse as sp
import torch
from hypothesis import given
from hypothesis import strategies as st

from recsys.interactions.tables import HeldOut, Histories
from recsys.training import validation
from recsys.training.validation import DeviceHeldOut, validate

CPU = torch.device("cpu")


class Fixed:
    """Scores the i-th history by the i-th row of a matrix."""

    def __init__(self, scores: np.ndarray) -> None:
        self.scores, self.done = scores, 0

    def score(self, histories: Histories) -> np.ndarray:
        self.done += len(histories)
        return self.scores[self.done - len(histories) : self.done].copy()

    def __call__(self, batch: object) -> torch.Tensor:
        self.done += len(batch)
        return torch.tensor(self.scores[self.done - len(batch) : self.done])


@given(seed=st.integers(0, 2**32 - 1), n_items=st.integers(2, 300), repeats=st.booleans())
def test_it_equals_the_metric_of_evaluation(seed: int, n_items: int, repeats: bool) -> None:
    rng = np.random.default_rng(seed)
    share = rng.random()
    drawn = rng.random((12, n_items))
    of_given = drawn < share / 2
    of_target = (drawn > 1 - share / 2) | (of_given & (rng.random() < 0.5) & repeats)
    of_target[0, 0], of_given[0, 0] = True, repeats  # somebody has something to find
    sides = (Histories(sp.csr_array(side.astype(np.float32))) for side in (of_given, of_target))
    held_out = HeldOut(*sides, repeats=repeats)
    scores = rng.permuted(np.linspace(-1, 1, 12 * n_items, dtype=np.float32)).reshape(12, n_items)
    expected = validate(Fixed(scores), held_out)
    assert DeviceHeldOut(held_out, CPU).validate(Fixed(scores)) == pytest.approx(expected)


def test_users_are_scored_in_parts(held_out: HeldOut, monkeypatch: pytest.MonkeyPatch) -> None:
    scores = np.random.default_rng(0).random((len(held_out), 30), np.float32)
    whole = DeviceHeldOut(held_out, CPU).validate(Fixed(scores))
    monkeypatch.setattr(validation, "_BATCH", 7)
    assert DeviceHeldOut(held_out, CPU).validate(Fixed(scores)) == pytest.approx(whole)


def test_seen_items_count_where_they_may_be_found_again(held_out: HeldOut) -> None:
    again = replace(held_out, target=held_out.given)
    scores = np.random.default_rng(0).random((len(held_out), 30), np.float32)
    assert DeviceHeldOut(again, CPU).validate(Fixed(scores)) == 0
    assert DeviceHeldOut(replace(again, repeats=True), CPU).validate(Fixed(scores)) > 0.3
