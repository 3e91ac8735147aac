import numpy as np

from recsys.models.autoencoders.elsa import ELSA, ELSAConfig
from recsys.models.base import RunOptions
from shops import tastes

CPU = RunOptions(seed=3, device="cpu")
SMALL = ELSAConfig(epochs=15, batch_size=30, learning_rate=0.03, factors=8)


def test_scores_are_the_papers_formula_and_no_item_speaks_for_itself() -> None:
    model, shop = ELSA(SMALL).fit(tastes(90, 0), options=CPU), tastes(7, 9)
    A = model.tensors()["factors"]
    assert A.shape == (30, 8)
    A = A / np.linalg.norm(A, axis=1, keepdims=True)
    B = A @ A.T - np.eye(30)
    np.testing.assert_allclose(np.diag(B), 0, atol=1e-6)
    np.testing.assert_allclose(model.score(shop), shop.matrix.toarray() @ B, rtol=1e-4, atol=1e-5)


def test_items_of_one_taste_come_to_point_one_way() -> None:
    model = ELSA(SMALL).fit(tastes(90, 0), options=CPU)
    A = model.tensors()["factors"]
    A = A / np.linalg.norm(A, axis=1, keepdims=True)
    same = np.arange(30)[:, None] % 4 == np.arange(30) % 4
    cosines = A @ A.T
    assert cosines[same & ~np.eye(30, dtype=bool)].mean() > cosines[~same].mean() + 0.3
