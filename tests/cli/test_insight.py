from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pyarrow.csv as pa_csv
import pyarrow.parquet as pq
import pytest

from recsys.interactions.dataset import load_dataset


def test_anomalies_of_a_data_set_and_of_a_model_are_the_same(
    run: Any, shop: Path, tmp_path: Path
) -> None:
    run("train", "--data", shop, "--model", "popularity", "--out", tmp_path)
    of_data = run("anomalies", "--data", shop, "--limit", 3)
    assert (of_data.code, of_data.err) == (0, "")
    assert run("anomalies", "--models", tmp_path, "--limit", 3).out == of_data.out
    for said in ("Strangest accounts", "Oddest events", "p taste", "why"):
        assert said in of_data.out


def test_anomalies_as_json(run: Any, shop: Path) -> None:
    said = json.loads(run("anomalies", "--data", shop, "--limit", 2, "--json").out)
    first, second = said["accounts"]
    assert first["rank"] == 1
    assert 0 < first["p"] <= second["p"] <= 1
    assert first["user"] in load_dataset(shop).users
    assert len(said["events"]) == 2
    assert said["events"][0]["last"].endswith("Z")


@pytest.mark.parametrize("ending", ["csv", "parquet"])
def test_all_accounts_are_written(run: Any, shop: Path, tmp_path: Path, ending: str) -> None:
    out = tmp_path / f"accounts.{ending}"
    ended = run("anomalies", "--data", shop, "--limit", 1, "--out", out)
    assert f"{out}: all 60 accounts" in ended.out
    table = pa_csv.read_csv(out) if ending == "csv" else pq.read_table(out)
    assert table["rank"].to_pylist() == list(range(1, 61))
    assert table.column_names[-1] == "reason"


def test_anomalies_refuse_what_cannot_be_meant(run: Any, shop: Path, tmp_path: Path) -> None:
    for flags, code, says in (
        (["--data", shop, "--limit", -1], 2, "--limit -1"),
        (["--data", shop, "--seed", -1], 2, "--seed"),
        (["--data", shop, "--out", tmp_path / "a.txt"], 2, ".csv or .parquet"),
        (["--data", shop, "--judge", "oracle"], 2, "unknown model 'oracle'"),
        (["--models", tmp_path / "none"], 1, "none"),
    ):
        ended = run("anomalies", *flags)
        assert ended.code == code
        assert says in ended.err
        assert "Traceback" not in ended.err


def test_denoise_writes_a_data_set_without_what_it_lists(
    run: Any, shop: Path, tmp_path: Path
) -> None:
    before = (shop / "events.csv").read_bytes()
    out = tmp_path / "clean"
    ended = run("denoise", "--data", shop, "--out", out, "--share", 0.1)
    assert (ended.code, ended.err) == (0, "")
    read, was = load_dataset(out), load_dataset(shop)
    removed = pa_csv.read_csv(out / "removed.csv")
    assert read.interactions.n_events + len(removed) == was.interactions.n_events
    assert 0 < len(removed) <= 0.1 * was.interactions.n_events + 1
    assert f"taken out {len(removed):,} of" in ended.out
    assert (shop / "events.csv").read_bytes() == before


def test_denoise_as_json(run: Any, shop: Path, tmp_path: Path) -> None:
    flags = ["--share", 0.05, "--json"]
    said = json.loads(run("denoise", "--data", shop, "--out", tmp_path / "x", *flags).out)
    assert Path(said["removed"]).is_file()
    assert said["removed_events"] >= said["removed_pairs"] > 0


def test_denoise_refuses_what_cannot_be_meant(run: Any, shop: Path, tmp_path: Path) -> None:
    new = tmp_path / "new"
    for flags, code, says in (
        (["--data", shop, "--out", new, "--share", 1], 2, "--share 1"),
        (["--data", shop, "--out", new, "--share", "nan"], 2, "--share nan"),
        (["--data", shop, "--out", shop], 2, "there is something already"),
        (["--out", new], 2, "--data is missing"),
        (["--data", tmp_path / "no", "--out", new], 1, "there is no such folder"),
    ):
        ended = run("denoise", *flags)
        assert ended.code == code
        assert says in ended.err
        assert not new.exists()


def test_embeddings_of_a_data_set(run: Any, shop: Path, tmp_path: Path) -> None:
    out = tmp_path / "vectors"
    ended = run("embed", "--data", shop, "--set", "factors=4", "--out", out)
    assert (ended.code, ended.err) == (0, "")
    assert "users     60 of 4 numbers" in ended.out
    assert sorted(path.name for path in out.iterdir())[-3:] == [
        "segments.parquet",
        "users.npy",
        "users.parquet",
    ]
    assert "Map of the catalogue" in (out / "map.html").read_text()
    again = run("embed", "--data", shop, "--out", out)
    assert again.code == 2
    assert "there is something already" in again.err


def test_embeddings_of_a_published_model(run: Any, shop: Path, tmp_path: Path) -> None:
    run("train", "--data", shop, "--model", "ease", "--out", tmp_path / "m")
    refused = run("embed", "--models", tmp_path / "m", "--out", tmp_path / "a")
    assert refused.code == 2
    assert "ease has no latents" in refused.err
    assert not (tmp_path / "a").exists()
    set_alone = run("embed", "--models", tmp_path / "m", "--set", "l2=1", "--out", tmp_path / "a")
    assert (set_alone.code, "name a --model" in set_alone.err) == (2, True)
    no_value = run("embed", "--data", shop, "--set", "factors", "--out", tmp_path / "a")
    assert (no_value.code, "--set factors: write FIELD=VALUE" in no_value.err) == (2, True)
    of_other = run(
        "embed", "--models", tmp_path / "m", "--model", "als", "--set", "factors=3",
        "--out", tmp_path / "a", "--json",
    )  # fmt: skip
    said = json.loads(of_other.out)
    assert (said["model"], said["users"], said["variances"]) == ("als", [60, 3], False)


def test_compression_is_compared_written_and_read(run: Any, shop: Path, tmp_path: Path) -> None:
    said = json.loads(run("compress", "--data", shop, "--bytes", "3", "--json").out)
    assert {one["n_bytes"] for one in said["kept"]} == {3}
    assert {one["bits"] for one in said["kept"] if one["way"] != "item list"} == {"mixed"}
    both = ["--bytes", 3, "--bits", "4,mixed", "--json"]
    said = json.loads(run("compress", "--data", shop, *both).out)
    assert {one["bits"] for one in said["kept"] if one["way"] == "PCA"} == {"4", "mixed"}
    codes, back = tmp_path / "codes.safetensors", tmp_path / "back.csv"
    ended = run("compress", "--data", shop, "--bytes", 2, "--out", codes)
    assert (ended.code, ended.err) == (0, "")
    assert "60 of 2 bytes" in ended.out
    assert run("compress", "--decode", codes, "--out", back).code == 0
    dataset = load_dataset(shop)
    table = pa_csv.read_csv(back)
    assert set(table["user_id"].to_pylist()) <= set(dataset.users.ids)
    for flags, says in (
        (["--data", shop, "--bytes", "few"], "--bytes few"),
        (["--data", shop, "--bytes", "0"], "from 1 to"),
        (["--data", shop, "--bytes", "1,2", "--out", codes], "name one"),
        (["--data", shop, "--bits", "4,8", "--out", codes], "name one"),
        (["--data", shop, "--bits", "5"], "--bits 5: there are 8, 4, mixed"),
        (["--decode", codes], "--out"),
    ):
        ended = run("compress", *flags)
        assert ended.code == 2
        assert says in ended.err
    missing = run("compress", "--decode", tmp_path / "none", "--out", tmp_path / "b.csv")
    assert (missing.code, "there is no such file" in missing.err) == (1, True)
    other = run("compress", "--decode", shop / "events.csv", "--out", tmp_path / "b.csv")
    assert (other.code, "not a whole safetensors file" in other.err) == (1, True)
