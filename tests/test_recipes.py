"""The recipes of published protocols, on small files in the layouts of the real ones."""

from __future__ import annotations

import importlib.util
import json
import os
import re
import shlex
import subprocess
import sys
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow.parquet as pq
import pytest

from recsys.cli.evaluate import evaluate
from recsys.errors import DataError
from recsys.evaluation.entries import entries
from recsys.evaluation.tuned import Tuned
from recsys.interactions.dataset import Dataset, DatasetSpec, load_dataset
from recsys.interactions.weighting import Weighting

ROOT = Path(__file__).parents[1]
BENCHMARKS = ROOT / "benchmarks"
SETS = ("ml-20m", "netflix", "msd")
MODELS = ("mult-vae", "mult-dae", "recvae", "ease")

Event = tuple[int, int, int]
"""User, item, and how many stars or plays."""


def events(seed: int, most: int) -> list[Event]:
    """120 users in three tastes among 30 items; a few users have hardly any."""
    rng = np.random.default_rng(seed)
    return [
        (user, (user % 3) * 10 + int(item) if rng.random() < 0.8 else int(rng.integers(30)), value)
        for user in range(120)
        for item in rng.choice(10, rng.integers(2, 10), replace=False)
        for value in (int(rng.integers(1, most + 1)),)
    ]


def distinct(rows: list[Event]) -> list[Event]:
    return [(user, item, value) for (user, item), value in {(u, i): v for u, i, v in rows}.items()]


def write_ml_20m(folder: Path, rows: list[Event]) -> None:
    lines = [f"{user},{item},{value + 0.5 * (item % 2)},1112486027" for user, item, value in rows]
    (folder / "ratings.csv").write_text("userId,movieId,rating,timestamp\n" + "\n".join(lines))
    movies = [f'{item},"Film, The ({1980 + item})",Drama|War' for item in range(30)]
    (folder / "movies.csv").write_text("movieId,title,genres\n" + "\n".join(movies) + "\n")


def movie(item: int, rows: list[Event]) -> str:
    lines = [f"{user},{value},2005-09-{1 + user % 30:02}" for user, of, value in rows if of == item]
    return "\n".join([f"{item}:", *lines]) + "\n"


def write_netflix(folder: Path, rows: list[Event]) -> None:
    """Two files, as combined; an item without a rating is between them."""
    texts = [movie(item, rows) for item in range(30)]
    (folder / "combined_data_1.txt").write_text("".join(texts[:12]) + "30:\n")
    (folder / "combined_data_2.txt").write_text("".join(texts[12:]))


def write_netflix_apart(folder: Path, rows: list[Event]) -> None:
    """A file a movie, with Windows' line ends."""
    (folder / "training_set").mkdir()
    for item in range(30):
        path = folder / "training_set" / f"mv_{item:07}.txt"
        path.write_bytes(movie(item, rows).replace("\n", "\r\n").encode())


def write_msd(folder: Path, rows: list[Event]) -> None:
    lines = [f"{user:040x}\tSO{item:016X}\t{value}" for user, item, value in rows]
    (folder / "train_triplets.txt").write_text("\n".join(lines) + "\n")


WRITERS: dict[str, Callable[[Path, list[Event]], None]] = {
    "ml-20m": write_ml_20m,
    "netflix": write_netflix,
    "msd": write_msd,
}


SPEC = importlib.util.spec_from_file_location("prepare", BENCHMARKS / "prepare.py")
preparing: Any = importlib.util.module_from_spec(SPEC)  # type: ignore[arg-type]
SPEC.loader.exec_module(preparing)  # type: ignore[union-attr]


def prepare(folder: Path) -> None:
    """Do what `python benchmarks/prepare.py FOLDER` does."""
    preparing.prepare.main([str(folder)], standalone_mode=False)


@pytest.fixture(params=[1 << 20, 100], ids=["whole", "in small pieces"])
def block(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    """Files are read at once, and in blocks that end in the middle of lines."""
    monkeypatch.setattr(preparing, "_BLOCK", request.param)
    monkeypatch.setattr(preparing, "_ROWS", request.param)


def loaded(folder: Path, name: str, **clean: int) -> Dataset:
    file = BENCHMARKS / "datasets" / f"{name}.toml"
    return load_dataset(folder, DatasetSpec.read(folder, file, {"clean": clean} if clean else None))


def pairs(dataset: Dataset) -> set[tuple[str, str]]:
    interactions = dataset.interactions
    return {
        (dataset.users.ids[user], dataset.items.ids[item])
        for user, item in zip(interactions.users, interactions.items, strict=True)
    }


@pytest.fixture
def data(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder with all three data sets as who has them would lay them out."""
    for number, (name, write) in enumerate(WRITERS.items()):
        (tmp_path / name).mkdir()
        write(tmp_path / name, distinct(events(number, 5 if name != "msd" else 40)))
    monkeypatch.setenv("RECSYS_DATA", str(tmp_path))
    monkeypatch.chdir(ROOT)
    return tmp_path


def commands(name: str) -> Iterator[list[str]]:
    """Yield the commands that README.md gives for a data set, as a shell would read them."""
    readme = (BENCHMARKS / "README.md").read_text(encoding="utf-8")
    blocks = re.findall(r"```sh\n(.*?)```", readme, re.DOTALL)
    (block,) = [block for block in blocks if f"benchmarks/datasets/{name}.toml" in block]
    for command in block.replace("\\\n", " ").split("&&"):
        yield [os.path.expandvars(word) for word in shlex.split(command)]


SMALL = [
    *("--test-users", "15", "--min-user-items", "5", "--min-item-users", "1", "--min-value", "1"),
    *("--set", "mult-vae.hidden=[8, 4]", "--set", "mult-vae.epochs=1"),
    *("--set", "mult-dae.hidden=[8]", "--set", "mult-dae.epochs=1"),
    *("--set", "recvae.width=8", "--set", "recvae.latent=4", "--set", "recvae.epochs=4"),
]


@pytest.mark.parametrize("name", SETS)
def test_the_command_of_the_readme_runs(name: str, data: Path) -> None:
    """Word for word, with settings appended that make it take a second."""
    *before, last = commands(name)
    for command in before:
        assert command == ["python", "benchmarks/prepare.py", str(data / name)]
        done = subprocess.run([sys.executable, *command[1:]], capture_output=True, check=False)
        assert done.returncode == 0, done.stderr
    assert last[:2] == ["python", "evaluate.py"]
    evaluate.main([*last[2:], *SMALL], standalone_mode=False)
    report = json.loads((data / f"{name}.json").read_text())
    assert report["dataset"] == name
    assert report["protocol"] == "strong"
    assert [result["model"] for result in report["results"]] == list(MODELS)
    assert not [result["error"] for result in report["results"] if "error" in result]
    published = Tuned.read(BENCHMARKS / "recipes" / f"{name}.toml").models
    for result in report["results"]:
        for field, value in published[result["model"]].items():
            if field not in {"hidden", "width", "latent", "epochs"}:  # those of SMALL
                assert result["settings"][field] == value, field


@pytest.mark.parametrize(
    ("name", "test_users", "l2", "gamma"),
    [("ml-20m", 10_000, 500, 0.005), ("netflix", 40_000, 1000, 0.0035), ("msd", 50_000, 200, 0.01)],
)
def test_recipes_have_the_published_settings(
    name: str, test_users: int, l2: float, gamma: float, data: Path
) -> None:
    *_, command = commands(name)
    assert command[command.index("--test-users") + 1] == str(test_users)
    recipe = Tuned.read(BENCHMARKS / "recipes" / f"{name}.toml").models
    assert set(recipe) == set(MODELS)
    config = {
        entry.name: entry.described() for entry in entries(MODELS, Weighting(), settings=recipe)
    }
    assert config["ease"]["l2"] == l2
    assert config["recvae"]["gamma"] == gamma
    assert (config["mult-vae"]["hidden"], config["mult-dae"]["hidden"]) == ((600, 200), (200,))
    assert config["mult-vae"]["beta"] == 0.2
    for model in ("mult-vae", "mult-dae", "recvae"):
        assert config[model]["batch_size"] == 500
        assert config[model]["dropout"] == 0.5
        assert config[model]["patience"] == config[model]["epochs"]  # the best of all epochs


def test_annealing_reaches_its_top_at_step_40_000() -> None:
    """By the numbers of users that are left to train on."""
    for name, users, held_out in (
        ("ml-20m", 136_677, 10_000),
        ("netflix", 463_435, 40_000),
        ("msd", 571_355, 50_000),
    ):
        settings = Tuned.read(BENCHMARKS / "recipes" / f"{name}.toml").models["mult-vae"]
        steps = -(-(users - 2 * held_out) // settings["batch_size"])
        assert settings["anneal_epochs"] == pytest.approx(40_000 / steps, abs=0.5)


def test_ml_20m_is_four_stars_and_more(data: Path) -> None:
    rows = distinct(events(0, 5))
    liked = [(user, item) for user, item, value in rows if value + 0.5 * (item % 2) >= 4]
    n = Counter(user for user, _ in liked)
    dataset = loaded(data / "ml-20m", "ml-20m")
    assert pairs(dataset) == {(str(user), str(item)) for user, item in liked if n[user] >= 5}
    assert dataset.interactions.n_users < len(n)
    assert dataset.catalogue.titles[0].startswith("Film, The (")
    assert dataset.interactions.times is not None


@pytest.mark.usefixtures("block")
@pytest.mark.parametrize("write", [write_netflix, write_netflix_apart])
def test_netflix_in_both_layouts(
    write: Callable[[Path, list[Event]], None], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    rows = distinct(events(1, 5))
    write(tmp_path, rows)
    prepare(tmp_path)
    assert capsys.readouterr().out == f"{tmp_path}/events.parquet: {len(rows):,} events\n"
    table = pq.read_table(tmp_path / "events.parquet").to_pydict()
    read = zip(table["user_id"], table["item_id"], table["value"], strict=True)
    assert sorted(read) == sorted(rows)
    for user, day in zip(table["user_id"], table["timestamp"], strict=True):
        assert day.isoformat() == f"2005-09-{1 + user % 30:02}"
    liked = [(user, item) for user, item, value in rows if value >= 4]
    n = Counter(user for user, _ in liked)
    assert pairs(loaded(tmp_path, "netflix")) == {
        (str(user), str(item)) for user, item in liked if n[user] >= 5
    }


@pytest.mark.usefixtures("block")
def test_msd_by_its_minimums(tmp_path: Path) -> None:
    rows = distinct(events(2, 40))
    write_msd(tmp_path, rows)
    prepare(tmp_path)
    spec = DatasetSpec.read(tmp_path, BENCHMARKS / "datasets" / "msd.toml")
    assert (spec.clean.min_user_items, spec.clean.min_item_users) == (20, 200)
    assert spec.clean.min_value is None
    everything = loaded(tmp_path, "msd", min_user_items=1, min_item_users=1)
    assert pairs(everything) == {(f"{user:040x}", f"SO{item:016X}") for user, item, _ in rows}


@pytest.mark.parametrize(
    ("files", "message"),
    [
        ({}, "holds none of combined_data_*.txt, training_set/mv_*.txt and train_triplets.txt"),
        ({"combined_data_1.txt": "1:\n", "train_triplets.txt": ""}, "holds both"),
        ({"combined_data_1.txt": "1:\n"}, "its files hold no events"),
        ({"combined_data_1.txt": ""}, "combined_data_1.txt: is empty"),
        ({"combined_data_1.txt": "7,3,2005-01-01\n"}, "row 1 is '7,3,2005-01-01': not of the form"),
        (
            {"combined_data_1.txt": "1:\n7,3,2005-01-01\n2:\n8,4,2005-01-02\n9,4\n"},
            "combined_data_1.txt: row 5 is '9,4': not of the form customer,rating,date",
        ),
        (
            {"combined_data_1.txt": "1:\n7,3,2005-01-01\n2:\n8,4,2005-13-02\n"},
            "combined_data_1.txt: row 4 is '8,4,2005-13-02': not of the form",
        ),
        ({"train_triplets.txt": ""}, "train_triplets.txt: is empty"),
        (
            {"train_triplets.txt": "u\ts\t1\nu t 2\n"},
            "train_triplets.txt: row 2 is 'u t 2': not of the form user<tab>song<tab>plays",
        ),
        ({"train_triplets.txt": "u\ts\t1\nu\tt\tmany\n"}, "row 2 is 'u\\tt\\tmany'"),
    ],
)
def test_what_cannot_be_prepared_is_named(
    files: dict[str, str], message: str, tmp_path: Path
) -> None:
    for name, text in files.items():
        (tmp_path / name).write_text(text)
    with pytest.raises(DataError, match=re.escape(message)):
        prepare(tmp_path)
    assert {path.name for path in tmp_path.iterdir()} == set(files)  # nothing half-written
