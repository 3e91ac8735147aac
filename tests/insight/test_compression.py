from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
import scipy.sparse as sp
from hypothesis import given, settings
from hypothesis import strategies as st

from insight_logs import four_tastes
from recsys.errors import ArtifactError, DataError, UsageError
from recsys.ids import IdMap
from recsys.insight.compression import Compression, compressor_of, measure_compression
from recsys.insight.compression_codes import Components, Quantiser, shares_found
from recsys.insight.compression_file import read_codes, write_codes
from recsys.insight.compression_report import compression_sections
from recsys.interactions.catalogue import Catalogue
from recsys.interactions.tables import Interactions
from recsys.interactions.weighting import Weighting
from recsys.report import Page, render


@pytest.fixture(scope="module")
def measured(log: Interactions) -> Compression:
    return measure_compression(log, (1, 3), ("8", "mixed"))


@pytest.fixture(scope="module")
def named(log: Interactions) -> SimpleNamespace:
    return SimpleNamespace(
        interactions=log,
        users=IdMap(f"u{user}" for user in range(log.n_users)),
        items=IdMap(f"i{item}" for item in range(log.n_items)),
        catalogue=Catalogue.untitled([f"{item}" for item in range(log.n_items)]),
    )


def latents(n: int, width: int, seed: int = 0) -> np.ndarray:
    scale = 4.0 / np.arange(1, width + 1)
    rng = np.random.default_rng(seed)
    return (rng.standard_normal((n, width)) * scale).astype(np.float32)


@settings(max_examples=25)
@given(
    st.integers(1, 5), st.sampled_from(["8", "4", "mixed"]), st.integers(1, 12), st.integers(0, 9)
)
def test_codes_decode_to_the_rounded_latents(
    n_bytes: int, bits: str, width: int, seed: int
) -> None:
    rows = latents(40, width, seed)
    quantiser = Quantiser.of(rows, n_bytes, bits)  # type: ignore[arg-type]
    other = latents(7, width, seed + 1)
    codes = quantiser.encode(other)
    assert codes.shape[1] <= n_bytes
    decoded = quantiser.decode(codes)
    for place, book in enumerate(quantiser.books):
        nearest = np.abs(other[:, place, None] - book[None]).min(axis=1)
        assert np.abs(decoded[:, place] - other[:, place]) == pytest.approx(nearest, abs=1e-4)


def test_mixed_bits_go_where_the_spread_is() -> None:
    rows = latents(2000, 12)
    mixed, even = Quantiser.of(rows, 3, "mixed"), Quantiser.of(rows, 3, "4")
    assert mixed.bits.sum() == even.bits.sum() == 24
    assert list(mixed.bits) == sorted(mixed.bits, reverse=True)

    def error(quantiser: Quantiser) -> float:
        back = np.tile(rows.mean(axis=0), (len(rows), 1))
        decoded = quantiser.decode(quantiser.encode(rows))
        back[:, : decoded.shape[1]] = decoded
        return float(((rows - back) ** 2).sum())

    assert error(mixed) < error(even)


def test_components_are_those_of_the_centred_histories(log: Interactions) -> None:
    histories = Weighting().histories(log).matrix
    found = Components.of(histories, 5, 0)
    dense = histories.toarray() / np.diff(histories.indptr)[:, None] ** 0.25
    _, _, vectors = np.linalg.svd(dense - dense.mean(axis=0), full_matrices=False)
    assert np.abs(np.einsum("wi,iw->w", vectors[:5], found.vectors)) == pytest.approx(1, abs=1e-3)
    assert found.latents(histories).mean(axis=0) == pytest.approx(0, abs=1e-4)


def test_the_share_found_is_of_the_n_likeliest() -> None:
    histories = sp.csr_array(np.array([[1, 1, 0, 0], [0, 0, 0, 0], [0, 0, 1, 0]], np.float32))
    scores = np.array([[0.9, 0.1, 0.5, 0.2], [1, 2, 3, 4], [0, 0.5, 1, 0]], np.float32)
    shares = shares_found(histories, iter([scores[:2], scores[2:]]))
    assert shares[[0, 2]].tolist() == [0.5, 1]
    assert np.isnan(shares[1])


def test_more_bytes_keep_more_and_the_autoencoder_most(measured: Compression) -> None:
    assert {one.way for one in measured.kept} == {"autoencoder", "PCA", "item list"}
    assert len(measured.kept) == 2 * (2 * 2 + 1)
    for way in ("autoencoder", "PCA", "item list"):
        little, much = measured.best(way)
        assert little.share < much.share
    ours, pca = (measured.best(way)[1].share for way in ("autoencoder", "PCA"))
    assert ours > pca


def test_it_is_measured_on_users_that_nothing_was_learnt_from(log: Interactions) -> None:
    lengths = np.diff(Weighting().histories(log).matrix.indptr)
    tested = np.count_nonzero(lengths >= 5) // 5
    assert measure_compression(log, (2,), ("8",)).users == tested


def test_codes_come_back_from_their_file(named: SimpleNamespace, tmp_path: Path) -> None:
    compressor = compressor_of(named.interactions, 3, 1)
    written = write_codes(tmp_path / "codes", named, compressor)
    read = read_codes(tmp_path / "codes")
    assert np.array_equal(read.codes, written.codes)
    assert read.codes.shape == (300, 3)
    histories = dict(read.histories())
    assert dict(written.histories()) == histories
    matrix = Weighting().histories(named.interactions).matrix
    shares = []
    for user in range(300):
        own = {f"i{i}" for i in matrix.indices[matrix.indptr[user] : matrix.indptr[user + 1]]}
        assert len(histories[f"u{user}"]) == len(own)
        shares.append(len(own & set(histories[f"u{user}"])) / len(own))
    assert np.mean(shares) == pytest.approx(np.nanmean(compressor.kept(matrix)), abs=1e-6)


def test_what_a_code_keeps_does_not_depend_on_who_else_is_coded(log: Interactions) -> None:
    compressor = compressor_of(log, 3, 1)
    matrix = Weighting().histories(log).matrix
    together = compressor.kept(matrix)[:40]
    alone = [compressor.kept(sp.csr_array(matrix[[row]]))[0] for row in range(40)]
    # the last bits of a sum may turn a rounding, and so lead to another code as good
    assert np.mean(alone) == pytest.approx(np.mean(together), abs=0.02)


def test_other_files_are_refused(tmp_path: Path, named: SimpleNamespace) -> None:
    path = tmp_path / "codes"
    path.write_bytes(b"no such thing")
    with pytest.raises(ArtifactError, match="codes"):
        read_codes(path)
    from recsys.files import map_tensors, write_tensors

    write_codes(path, named, compressor_of(named.interactions, 2, 1))
    tensors = {name: np.array(array) for name, array in map_tensors(path).items()}
    write_tensors(path, {**tensors, "codes": tensors["codes"][:, :1]})
    with pytest.raises(ArtifactError, match="do not fit together"):
        read_codes(path)
    del tensors["bias"]
    write_tensors(path, tensors)
    with pytest.raises(ArtifactError, match="not a file of codes"):
        read_codes(path)


def test_what_cannot_be_meant_is_refused(log: Interactions) -> None:
    for size in (0, -1, 10**6):
        with pytest.raises(UsageError, match="--bytes"):
            measure_compression(log, (size,))
    with pytest.raises(DataError, match="three users and three items"):
        compressor_of(Interactions.from_events(np.array([0]), np.array([0]), shape=(1, 1)), 1, 1)
    with pytest.raises(DataError, match="five items"):
        measure_compression(four_tastes(4, 0), (1,))


def test_the_section_shows_all_ways(measured: Compression) -> None:
    (section,) = compression_sections(measured)
    assert section.says.startswith("In 3 bytes a user the autoencoder brings back")
    page = render(Page("Title", "Lead.", (), (section,)))
    for said in ("autoencoder", "PCA", "item list", "bytes a user"):
        assert said in page
