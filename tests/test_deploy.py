"""Dockerfile, compose file and dashboard fit the program that they are for."""

from __future__ import annotations

import json
import re
import shlex
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import yaml

from api import create_app, metrics
from api.config import variables
from recsys.artifacts import publish
from recsys.cli.serve import serve
from recsys.cli.train import train
from recsys.ids import IdMap
from recsys.interactions.catalogue import Catalogue
from recsys.interactions.dataset import Dataset
from recsys.interactions.tables import Interactions
from recsys.interactions.weighting import Weighting
from recsys.models.registry import make_model

ROOT = Path(__file__).parents[1]
DEPLOY = ROOT / "deploy"


@pytest.fixture(scope="module")
def compose() -> Any:
    return yaml.safe_load((DEPLOY / "compose.yaml").read_text())


def instructions() -> list[tuple[str, str]]:
    text = (DEPLOY / "Dockerfile").read_text()
    lines = re.sub(r"\\\n", " ", text).splitlines()
    kept = [line for line in lines if line.strip() and not line.startswith("#")]
    return [(line.split()[0], line.partition(" ")[2].strip()) for line in kept]


def test_the_image_has_what_it_copies_and_starts() -> None:
    found = instructions()
    assert found[0][0] == "FROM"
    for word, rest in found:
        if word == "COPY":
            *sources, _ = rest.split()
            assert all((ROOT / source).exists() for source in sources)
    said = dict(found)
    command = json.loads(said["ENTRYPOINT"]) + json.loads(said["CMD"])
    assert command == ["recsys", "serve"]
    names = {pair.partition("=")[0] for pair in said["ENV"].split()}
    assert {name for name in names if name.startswith("RECSYS_")} <= set(variables().values())
    assert said["USER"] == "recsys"  # not root


def test_nothing_that_is_copied_is_left_out_of_the_context() -> None:
    ignored = set((ROOT / ".dockerignore").read_text().split())
    copied = {s for word, rest in instructions() if word == "COPY" for s in rest.split()[:-1]}
    assert not ignored & copied


def test_the_services_run_commands_that_exist(compose: Any) -> None:
    services = compose["services"]
    name, *flags = services["api"]["command"]
    assert name == "serve"
    serve.make_context("serve", flags)
    (shell,) = services["train"]["command"]
    name, *flags = shlex.split(shell.partition("|| recsys ")[2])
    assert name == "train"
    flags[flags.index("/data")] = str(ROOT / "data" / "online-retail")
    train.make_context("train", flags)


def test_the_services_fit_each_other(compose: Any) -> None:
    services = compose["services"]
    environment = services["api"]["environment"]
    assert set(environment) <= set(variables().values())
    database = services["database"]["environment"]
    url = environment["RECSYS_STORE"]
    assert f"{database['POSTGRES_USER']}:" in url
    assert url.endswith(f"@database/{database['POSTGRES_DB']}")
    assert set(services["api"]["depends_on"]) == set(services) - {"api"}
    for service in services.values():
        if "build" in service:
            context = (DEPLOY / service["build"]["context"]).resolve()
            assert (context / service["build"]["dockerfile"]).is_file()
        for volume in service["volumes"]:
            source = volume.split(":")[0]
            there = (DEPLOY / source).exists() if source.startswith(".") else True
            assert there
            assert source.startswith(".") or source in compose["volumes"]


@pytest.fixture(scope="module")
def exposed(tmp_path_factory: pytest.TempPathFactory) -> str:
    """What /metrics shows of a server that did a little of everything."""
    folder = tmp_path_factory.mktemp("deploy")
    interactions = Interactions.from_events(np.array([0, 0, 1]), np.array([0, 1, 1]), shape=(2, 2))
    catalogue = Catalogue(["X", "Y"], [(), ()], np.ones(2))
    shop = Dataset(
        "shop", "made up", "0" * 64, interactions, IdMap("ab"), IdMap("xy"), catalogue, Weighting()
    )
    histories = shop.weighting.histories(shop.interactions)
    publish(folder, make_model("popularity").fit(histories), shop)
    client = create_app({"models": folder}).test_client()
    assert client.get("/recommend?user=a").status_code == 200
    metrics.batch_scored(2)
    return client.get("/metrics").text


def test_the_dashboard_asks_for_metrics_that_there_are(exposed: str) -> None:
    board = json.loads((DEPLOY / "grafana-dashboard.json").read_text())
    there = set(re.findall(r"^(recsys_\w+)", exposed, re.MULTILINE))
    labels = set(re.findall(r'(\w+)="', exposed))
    places, ids = [], []
    for panel in board["panels"]:
        ids.append(panel["id"])
        places.append((panel["gridPos"]["x"], panel["gridPos"]["y"]))
        assert panel["title"]
        assert panel["targets"]
        for target in panel["targets"]:
            asked = set(re.findall(r"recsys_\w+", target["expr"]))
            assert asked
            assert asked <= there
            grouped = re.findall(r"by \(([^)]*)\)", target["expr"])
            named = {name.strip() for group in grouped for name in group.split(",")}
            named |= set(re.findall(r"{{(\w+)}}", target["legendFormat"]))
            assert named <= labels
            assert target["expr"].count("(") == target["expr"].count(")")
    assert len(set(ids)) == len(ids)
    assert len(set(places)) == len(places)
    everything = " ".join(
        target["expr"] for panel in board["panels"] for target in panel["targets"]
    )
    families = set(re.findall(r"^# TYPE (recsys_\w+?)(?:_total)? ", exposed, re.MULTILINE))
    unseen = {family for family in families if family not in everything}
    assert unseen == {"recsys_model_trained_timestamp_seconds"}  # the age says as much
