"""What is measured apart for popular and for rare items."""

from __future__ import annotations

import numpy as np

from recsys.evaluation.measuring import ITEM_GROUPS, Measure
from recsys.evaluation.results import pooled
from recsys.interactions.dataset import Dataset
from recsys.interactions.splits import weak_split
from recsys.interactions.weighting import Weighting
from recsys.models.registry import make_model


def test_each_group_of_items_holds_a_third_of_the_training_pairs(shop: Dataset) -> None:
    split = weak_split(shop.interactions, seed=1)
    train = Weighting().histories(split.training.full).matrix
    users = np.bincount(train.indices, minlength=train.shape[1])
    groups = Measure(split, shop.interactions.n_items, [20])._group_of
    for group in range(len(ITEM_GROUPS)):
        share = users[groups == group].sum() / users.sum()
        assert abs(share - 1 / 3) <= users.max() / users.sum()
    for popular, rarer in ((0, 1), (1, 2)):
        assert users[groups == popular].min() >= users[groups == rarer].max()


def test_what_is_found_of_the_groups_is_all_that_is_found(shop: Dataset) -> None:
    split = weak_split(shop.interactions, seed=1)
    model = make_model("popularity").fit(Weighting().training(split.training.full))
    measure = Measure(split, shop.interactions.n_items, [20])
    measured = measure(model, Weighting(), batch=7)
    measured = pooled([measured, measured])
    target = split.test.held_out(Weighting()).target.matrix
    per_user = np.diff(target.indptr)  # none has more than 20 to find: recall is a share of all
    assert per_user.max() <= 20
    row = np.repeat(np.arange(len(per_user)), per_user)
    found = np.zeros(len(per_user))
    for group, name in enumerate(ITEM_GROUPS):
        to_find = np.bincount(row[measure._group_of[target.indices] == group], minlength=len(found))
        values = measured.by_item_group[name][: len(found)]
        assert np.array_equal(np.isnan(values), to_find == 0)
        found += np.nan_to_num(values) * to_find
    assert np.allclose(found, measured.values["recall_all@20"][: len(found)] * per_user)
    assert found.sum() > 0
