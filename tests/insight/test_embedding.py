from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pyarrow.parquet as pq
import pytest

from recsys.errors import MissingDependencyError, UsageError
from recsys.ids import IdMap
from recsys.insight import embedding, segments
from recsys.insight.embedding import Embeddings, embeddings_of
from recsys.insight.embedding_files import write_embeddings
from recsys.insight.embedding_report import embedding_sections
from recsys.insight.latents import nearest
from recsys.insight.segments import places_of, segments_of
from recsys.interactions.catalogue import Catalogue
from recsys.interactions.tables import Interactions
from recsys.interactions.weighting import Weighting
from recsys.models.registry import make_model
from recsys.report import Page, render


@pytest.fixture(scope="module")
def named(log: Interactions) -> SimpleNamespace:
    return SimpleNamespace(
        interactions=log,
        users=IdMap(f"u{user}" for user in range(log.n_users)),
        items=IdMap(f"i{item}" for item in range(log.n_items)),
        catalogue=Catalogue.untitled([f"<b>{item}" for item in range(log.n_items)]),
    )


@pytest.fixture(scope="module")
def found(named: SimpleNamespace) -> Embeddings:
    model = make_model("pure-svd", {"factors": 6})
    model.fit(Weighting().training(named.interactions))
    return embeddings_of(named, model, Weighting(), 1)


def test_neighbours_are_the_nearest_by_cosine() -> None:
    vectors = np.array([[1, 0], [2, 0.1], [0, 1], [0, 0], [-1, 0]], np.float32)
    near = nearest(vectors, 3)
    assert near.row(0)[0].tolist() == [1, 2, 4]
    assert near.row(0)[1].tolist() == pytest.approx([2 / np.hypot(2, 0.1), 0, -1], abs=1e-6)
    assert near.counts.tolist() == [3, 3, 3, 0, 3]  # what lies nowhere is near to none


def test_neighbours_have_the_same_taste(found: Embeddings) -> None:
    first = found.neighbours.items[:, 0]
    assert np.mean(first % 4 == np.arange(len(first)) % 4) > 0.9


def test_segments_are_the_four_tastes(named: SimpleNamespace, found: Embeddings) -> None:
    groups = found.segments
    assert groups is not None
    assert len(groups.sizes) == 4
    assert max(groups.silhouettes, key=lambda k: groups.silhouettes[k]) == 4
    taste = np.arange(named.interactions.n_users) % 4
    for segment, (size, typical) in enumerate(zip(groups.sizes, groups.typical, strict=True)):
        assert size == np.count_nonzero(groups.of_user == segment)
        (own,) = np.unique(taste[groups.of_user == segment])
        assert {one.item % 4 for one in typical} == {own}
        assert all(one.lift > 1 and one.share >= 0.1 for one in typical)
        assert (groups.of_item[own::4] == segment).all()
    assert list(groups.sizes) == sorted(groups.sizes, reverse=True)


def test_too_few_users_have_no_segments(named: SimpleNamespace, found: Embeddings) -> None:
    matrix = Weighting().histories(named.interactions).matrix
    assert segments_of(found.users.mean[:7], matrix[:7], 1) is None
    assert places_of(found.items[:4], 1) is None


def test_a_map_keeps_tastes_together(found: Embeddings) -> None:
    assert found.places is not None
    assert found.places.shape == (len(found.mapped), 2)
    distance = np.linalg.norm(found.places[:, None] - found.places[None], axis=2)
    np.fill_diagonal(distance, np.inf)
    nearest_on_map = found.mapped[distance.argmin(axis=1)]
    assert np.mean(nearest_on_map % 4 == found.mapped % 4) > 0.9


def test_files_say_the_same_as_the_arrays(
    named: SimpleNamespace, found: Embeddings, tmp_path: Path
) -> None:
    write_embeddings(tmp_path / "out", named, found)
    users = pq.read_table(tmp_path / "out" / "users.parquet")
    assert users["user_id"].to_pylist() == named.users.ids
    assert np.array_equal(np.array(users["embedding"].to_pylist(), np.float32), found.users.mean)
    assert np.array_equal(np.load(tmp_path / "out" / "users.npy"), found.users.mean)
    assert set(users["segment"].to_pylist()) == {1, 2, 3, 4}
    assert not (tmp_path / "out" / "users-variance.npy").exists()
    items = pq.read_table(tmp_path / "out" / "items.parquet")
    assert np.array_equal(np.load(tmp_path / "out" / "items.npy"), found.items)
    assert items["x"].null_count == named.interactions.n_items - len(found.mapped)
    neighbours = pq.read_table(tmp_path / "out" / "neighbours.parquet").to_pylist()
    assert neighbours[0]["rank"] == 1
    assert neighbours[0]["neighbour_id"] == named.items[int(found.neighbours.items[0, 0])]
    segment = pq.read_table(tmp_path / "out" / "segments.parquet").to_pylist()[0]
    assert segment["segment"] == 1
    assert segment["users"] == found.segments.sizes[0]  # type: ignore[union-attr]


def test_variances_are_written_where_there_are_some(named: SimpleNamespace, tmp_path: Path) -> None:
    model = make_model("mult-vae", {"hidden": [12, 5], "epochs": 2, "patience": None})
    model.fit(Weighting().training(named.interactions))
    found = embeddings_of(named, model, Weighting(), 1)
    write_embeddings(tmp_path / "out", named, found)
    assert found.users.variance is not None
    assert found.users.variance.shape == found.users.mean.shape == (300, 5)
    assert found.items.shape == (named.interactions.n_items, 12)
    assert np.array_equal(np.load(tmp_path / "out" / "users-variance.npy"), found.users.variance)


def test_the_sections_show_segments_map_and_neighbours(
    named: SimpleNamespace, found: Embeddings
) -> None:
    sections = embedding_sections(named, found)
    assert [one.title for one in sections] == ["Segments", "Map of the catalogue", "Neighbours"]
    page = render(Page("Title", "Lead.", (), sections))
    assert "4 segments" in sections[0].says
    assert page.count("<title>&lt;b&gt;0</title>") == 2  # once on the wide map, once on the narrow
    assert "<b>0" not in page


def test_without_scikit_learn_there_are_neighbours_and_a_hint(
    named: SimpleNamespace, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    for module in (embedding, segments):
        monkeypatch.setattr(module, "has_sklearn", lambda: False)
    model = make_model("pure-svd", {"factors": 3})
    model.fit(Weighting().training(named.interactions))
    found = embeddings_of(named, model, Weighting(), 1)
    assert found.segments is None
    assert found.places is None
    (section,) = embedding_sections(named, found)
    assert "recsys[insight]" in render(Page("Title", "Lead.", (), (section,)))
    write_embeddings(tmp_path / "out", named, found)
    assert "x" not in pq.read_schema(tmp_path / "out" / "items.parquet").names
    with pytest.raises(MissingDependencyError, match=r"recsys\[insight\]"):
        places_of(found.items, 1)
    with pytest.raises(MissingDependencyError, match="grouping users"):
        segments_of(found.users.mean, Weighting().histories(named.interactions).matrix, 1)


def test_what_too_little_data_leaves_out_is_not_put_on_scikit_learn(named: SimpleNamespace) -> None:
    log = Interactions.from_events(np.array([0, 1, 1]), np.array([0, 0, 1]), shape=(2, 2))
    small = SimpleNamespace(**{**vars(named), "interactions": log})
    model = make_model("pure-svd", {"factors": 2}).fit(Weighting().training(log))
    found = embeddings_of(small, model, Weighting(), 1)
    assert found.left_out == "segments: too few users differ; map: there are too few items"


def test_what_vectors_tell_is_shown_beside_pca(named: SimpleNamespace, found: Embeddings) -> None:
    worth = {"mult-vae, 6 numbers": 0.25, "PCA, 6 numbers": 0.241}
    section = embedding_sections(named, found, worth)[-1]
    assert section.title == "What vectors tell"
    assert "0.250 by the vectors of mult-vae, 6 numbers, 0.241 by those of PCA" in section.says
    assert "0.2410" in render(Page("Title", "Lead.", (), (section,)))


@pytest.mark.parametrize("name", ["ease", "popularity", "blend"])
def test_models_without_latents_say_so(named: SimpleNamespace, name: str) -> None:
    model = make_model(name)
    with pytest.raises(UsageError, match=f"{name} has no latents"):
        embeddings_of(named, model, Weighting(), 1)
    with pytest.raises(UsageError, match="pure-svd"):
        model.embed_items()
