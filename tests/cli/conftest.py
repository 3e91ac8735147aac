"""Running `recsys` as a shell would, and a small shop to run it on."""

from __future__ import annotations

import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest

from recsys.artifacts import publish
from recsys.cli import main
from recsys.interactions.dataset import load_dataset
from recsys.models.registry import make_model


@dataclass(frozen=True)
class Ended:
    """What a command left: its exit code, and what it printed."""

    code: int
    out: str
    err: str


Run = Callable[..., Ended]


@pytest.fixture
def run(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> Run:
    """Return a function that runs `recsys ARGUMENTS…` in this process."""

    def run(*arguments: object) -> Ended:
        monkeypatch.setattr(sys, "argv", ["recsys", *map(str, arguments)])
        code = 0
        try:
            main()
        except SystemExit as exit_:
            code = exit_.code if isinstance(exit_.code, int) else 0
        printed = capsys.readouterr()
        return Ended(code, printed.out, printed.err)

    return run


@pytest.fixture(scope="session")
def shop(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A data set of 60 users (`u00` …) and 25 items (`007`, …), two categories, with times."""
    folder = tmp_path_factory.mktemp("data") / "corner-shop"
    folder.mkdir()
    rng = np.random.default_rng(11)
    rows = [
        f"u{user:02},{item:03},2024-{1 + day // 28:02}-{1 + day % 28:02}T12:00:00Z"
        for user in range(60)
        for item, day in zip(
            rng.choice(25, rng.integers(2, 12), replace=False),
            rng.integers(0, 300, 12),
            strict=False,
        )
    ]
    (folder / "events.csv").write_text("\n".join(["user_id,item_id,timestamp", *rows]) + "\n")
    items = [f"{i:03},Thing [{i}],{'tea' if i % 2 else 'cups|all'},{i}.5" for i in range(25)]
    (folder / "items.csv").write_text("\n".join(["item_id,title,category,price", *items]) + "\n")
    return folder


@pytest.fixture(scope="session")
def published(tmp_path_factory: pytest.TempPathFactory, shop: Path) -> Path:
    """A folder of models in which `ease`, trained on the shop, is current. Don't change it."""
    models = tmp_path_factory.mktemp("published")
    dataset = load_dataset(shop)
    model = make_model("ease").fit(dataset.weighting.histories(dataset.interactions))
    publish(models, model, dataset)
    return models
