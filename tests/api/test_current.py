"""Which model answers: none yet, the current one, a newly published one, a damaged one."""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from api import Config, create_app
from recsys.artifacts import roll_back
from recsys.errors import SettingsError

Publish = Callable[..., str]


def test_without_a_model_it_is_well_but_not_ready(tmp_path: Path, publish_shop: Publish) -> None:
    client = create_app({"models": tmp_path / "models"}).test_client()
    assert client.get("/healthz").status_code == 200
    assert client.get("/").status_code == 200
    for path in ("/readyz", "/recommend?user=u001", "/similar?item=i1", "/items"):
        response = client.get(path)
        assert (response.status_code, response.mimetype) == (503, "application/problem+json")
        assert "no model" in response.get_json()["detail"]
    assert client.get("/recommend").status_code == 400  # what is malformed stays so
    version = publish_shop(tmp_path / "models")
    assert client.get("/readyz").get_json()["version"] == version
    assert client.get("/recommend?user=u001").status_code == 200


def test_a_new_model_is_noticed_and_so_is_a_roll_back(
    tmp_path: Path, publish_shop: Publish
) -> None:
    first = publish_shop(tmp_path, "popularity")
    client = create_app(Config(tmp_path)).test_client()
    assert client.get("/recommend?user=u001").get_json()["version"] == first
    second = publish_shop(tmp_path, "ease")
    answer = client.get("/recommend?user=u001").get_json()
    assert (answer["version"], answer["model"]) == (second, "ease")
    roll_back(tmp_path)
    assert client.get("/recommend?user=u001").get_json()["version"] == first


def test_the_model_is_opened_once(
    tmp_path: Path, publish_shop: Publish, caplog: pytest.LogCaptureFixture
) -> None:
    publish_shop(tmp_path, "popularity")
    with caplog.at_level(logging.INFO, "api"):
        client = create_app(Config(tmp_path)).test_client()
        for _ in range(3):
            client.get("/recommend?user=u001")
    assert [record.message for record in caplog.records if "serving" in record.message] == [
        f"serving popularity {(tmp_path / 'current').readlink()}"
    ]


def test_a_damaged_new_model_leaves_the_old_one_in_place(
    tmp_path: Path, publish_shop: Publish, caplog: pytest.LogCaptureFixture
) -> None:
    first = publish_shop(tmp_path, "popularity")
    client = create_app(Config(tmp_path)).test_client()
    second = publish_shop(tmp_path / "other", "ease")
    broken = tmp_path / second
    (tmp_path / "other" / second).rename(broken)
    (broken / "model.safetensors").write_bytes(b"half")
    aside = tmp_path / "aside"
    aside.symlink_to(second)
    aside.replace(tmp_path / "current")
    for _ in range(3):
        assert client.get("/recommend?user=u001").get_json()["version"] == first
    assert caplog.text.count("cannot open the model") == 1  # it is not tried over and over
    third = publish_shop(tmp_path, "ease")
    assert client.get("/readyz").get_json()["version"] == third


def test_a_damaged_model_is_the_reason_why_it_is_not_ready(
    tmp_path: Path, publish_shop: Publish
) -> None:
    version = publish_shop(tmp_path, "popularity")
    (tmp_path / version / "manifest.json").write_text("{}")
    client = create_app(Config(tmp_path)).test_client()
    response = client.get("/readyz")
    assert response.status_code == 503
    assert "manifest" in response.get_json()["detail"]


def test_requests_go_on_while_models_are_published(tmp_path: Path, publish_shop: Publish) -> None:
    versions = {publish_shop(tmp_path, "popularity")}
    app = create_app(Config(tmp_path))
    seen: list[tuple[int, str]] = []
    done = threading.Event()

    def keep_asking() -> None:
        client = app.test_client()
        while not done.is_set():
            response = client.get("/recommend?user=u001")
            seen.append((response.status_code, response.get_json()["version"]))

    threads = [threading.Thread(target=keep_asking) for _ in range(3)]
    for thread in threads:
        thread.start()
    for seed in range(3):
        versions.add(publish_shop(tmp_path, "ease", seed))
        time.sleep(0.1)
    done.set()
    for thread in threads:
        thread.join()
    assert {status for status, _ in seen} == {200}
    assert {version for _, version in seen} <= versions
    assert len({version for _, version in seen}) > 1


def test_the_environment_names_the_folder(
    tmp_path: Path, publish_shop: Publish, monkeypatch: pytest.MonkeyPatch
) -> None:
    version = publish_shop(tmp_path, "popularity")
    monkeypatch.setenv("RECSYS_MODELS", str(tmp_path))
    assert create_app().test_client().get("/readyz").get_json()["version"] == version


def test_an_unknown_setting_is_refused() -> None:
    with pytest.raises(SettingsError, match=r"unknown setting 'model'; there are .*models"):
        create_app({"model": "models"})
