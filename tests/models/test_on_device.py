"""Lists made on a device: here the processor, which every machine has."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import scipy.sparse as sp
import torch
from drawn import publish_drawn
from hypothesis import given, settings
from hypothesis import strategies as st

from recsys.artifacts import load_current
from recsys.interactions.tables import Histories
from recsys.models.linear import EASE
from recsys.models.on_device import DeviceScan
from recsys.models.scoring import Scorer
from recsys.topk import top_k


@settings(max_examples=60, deadline=None)
@given(st.data())
def test_lists_are_those_of_top_k_ties_and_masks_included(data: st.DataObject) -> None:
    b, n, k = (data.draw(st.integers(1, most)) for most in (5, 12, 8))
    value = st.sampled_from([-1.0, 0.0, 0.5, 2.0])
    scores = np.array(data.draw(st.lists(value, min_size=b * n, max_size=b * n)), np.float32)
    scores = scores.reshape(b, n)
    allowed = np.array(data.draw(st.lists(st.booleans(), min_size=n, max_size=n)))
    matrix = np.array(data.draw(st.lists(st.booleans(), min_size=b * n, max_size=b * n)))
    histories = Histories(sp.csr_array(matrix.reshape(b, n).astype(np.float32)))
    nnz = int(matrix.sum())
    barred = np.array(data.draw(st.lists(st.booleans(), min_size=nnz, max_size=nnz)), np.bool_)
    found = DeviceScan(lambda _: torch.tensor(scores), n).top(histories, k, allowed, barred)
    expected = scores.copy()
    expected[histories.cells(barred)] = -np.inf
    expected[:, ~allowed] = -np.inf
    best = top_k(expected, k)
    assert (found.counts == best.counts).all()
    for row in range(b):
        assert found.row(row)[0].tolist() == best.row(row)[0].tolist()
        assert found.row(row)[1].tolist() == best.row(row)[1].tolist()


def test_a_network_lists_there_what_it_lists_here(tmp_path: Path) -> None:
    publish_drawn(tmp_path, 700, 40)
    artifact = load_current(tmp_path)
    histories = artifact.weighting.histories(artifact.interactions)
    barred = np.ones(histories.matrix.nnz, np.bool_)
    scores = artifact.model.scores_on("cpu")
    assert scores is not None
    there = DeviceScan(scores, 700).top(histories, 20, None, barred)
    here = Scorer(artifact.model).top(histories, 20, barred=barred)
    assert (there.items == here.items).all()
    assert there.scores == pytest.approx(here.scores, rel=1e-5)


def test_a_scorer_lists_on_a_device_where_the_model_is_a_network(tmp_path: Path) -> None:
    publish_drawn(tmp_path, 60, 10)
    artifact = load_current(tmp_path)
    scorer = Scorer(artifact.model)
    scorer.prepare("auto")
    assert isinstance(scorer._scan, DeviceScan)
    histories = artifact.weighting.histories(artifact.interactions)
    other = Scorer(EASE().fit(histories))
    other.prepare("auto")
    assert other.top(histories, 5).counts.tolist() == [5] * 10
