"""Settings from a file, the environment and flags, each over the one before."""

from __future__ import annotations

import json
import os
import re
import socket
import subprocess
import sys
import time
from collections.abc import Callable
from dataclasses import fields
from pathlib import Path
from typing import Any
from urllib.error import URLError
from urllib.request import urlopen

import pytest
from click.testing import CliRunner

from api.config import Config, flag, variables
from recsys.cli.serve import serve
from recsys.errors import SettingsError


def written(folder: Path, text: str) -> Path:
    file = folder / "serve.toml"
    file.write_text(text)
    return file


def test_each_goes_over_the_one_before(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    file = written(tmp_path, 'threads = 2\nport = 1\nlog_level = "info"\nread_keys = true')
    assert (Config.load(file).threads, Config.load(file).port) == (2, 1)
    monkeypatch.setenv("RECSYS_PORT", "2")
    monkeypatch.setenv("RECSYS_LOG_LEVEL", "error")
    assert (Config.load(file).threads, Config.load(file).port) == (2, 2)
    found = Config.load(file, {"port": 3, "read_keys": False})
    assert found == Config(threads=2, port=3, log_level="error", read_keys=False)
    monkeypatch.setenv("RECSYS_CONFIG", str(file))
    assert Config.of(None) == Config(threads=2, port=2, log_level="error", read_keys=True)


def test_texts_are_read_as_what_they_mean(monkeypatch: pytest.MonkeyPatch) -> None:
    said = {
        "RECSYS_MODELS": "shop/models",
        "RECSYS_READ_KEYS": "1",
        "RECSYS_RATE_LIMIT": "600",
        "RECSYS_CORS_ORIGINS": "https://a.example, http://localhost:3000",
        "RECSYS_WORKERS": "",
    }
    for name, value in said.items():
        monkeypatch.setenv(name, value)
    assert Config.load() == Config(
        models=Path("shop/models"),
        read_keys=True,
        rate_limit=600,
        cors_origins=("https://a.example", "http://localhost:3000"),
    )


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("ports = 1", "unknown setting 'ports'"),
        ("[serve]\nport = 1", "unknown setting 'serve'"),
        ("port = 70000", "port = 70000"),
        ("workers = 0", "workers = 0"),
        ("rate_limit = 0", "rate_limit = 0"),
        ('cors_origins = "shop.example"', "cors_origins"),
        ('cors_origins = ["https://shop.example/page"]', "cors_origins"),
        ('log_format = "xml"', "log_format = 'xml'"),
        ("port = ", "Invalid value"),
    ],
)
def test_what_cannot_be_meant(tmp_path: Path, text: str, said: str) -> None:
    with pytest.raises(SettingsError, match=re.escape(said)) as raised:
        Config.load(written(tmp_path, text))
    assert str(raised.value).startswith(f"{tmp_path / 'serve.toml'}: ")


def test_the_source_is_named(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    with pytest.raises(SettingsError, match=r"none\.toml"):
        Config.load(tmp_path / "none.toml")
    with pytest.raises(SettingsError, match=r"^--rate-limit: "):
        Config.load(flags={"rate_limit": -1})
    monkeypatch.setenv("RECSYS_THREADS", "many")
    with pytest.raises(SettingsError, match=r"^RECSYS_THREADS: threads = 'many'"):
        Config.load()


def test_help_shows_every_setting_with_its_default() -> None:
    text = " ".join(CliRunner().invoke(serve, ["--help"]).output.split())
    for field in fields(Config):
        assert f" {flag(field.name)} " in text
        if field.default not in (None, ()):
            shown = str(field.default).lower()
            after = text.partition(f" {flag(field.name)} ")[2]
            assert after.partition("[default: ")[2].startswith(f"{shown}]")
    assert len(set(variables().values())) == len(fields(Config))


def test_every_setting_is_in_the_docs() -> None:
    text = (Path(__file__).parents[2] / "docs" / "operation.md").read_text()
    assert not [field.name for field in fields(Config) if f"`{field.name}`" not in text]


@pytest.mark.parametrize(
    "arguments",
    [
        ["--port", "70000"],
        ["--log-format", "xml"],
        ["--config", "none.toml"],
        ["--rate-limit", "x"],
    ],
)
def test_a_wrong_flag_is_named(arguments: list[str]) -> None:
    command = [sys.executable, "-m", "recsys", "serve", *arguments]
    ended = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)
    assert ended.returncode == 2
    assert arguments[0] in ended.stderr or arguments[1] in ended.stderr
    assert "Traceback" not in ended.stderr


def test_gunicorn_alone_goes_by_file_and_environment(models: Path, tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    file = written(tmp_path, f'port = {port}\nworkers = 1\nlog_level = "info"')
    environment = {
        **os.environ,
        "RECSYS_CONFIG": str(file),
        "RECSYS_MODELS": str(models),
        "RECSYS_STORE": f"sqlite:///{tmp_path / 'store.db'}",
        "OMP_NUM_THREADS": "1",
    }
    command = [sys.executable, "-m", "gunicorn", "-c", "python:api.gunicorn_settings"]
    with (tmp_path / "log").open("w") as log, subprocess.Popen(
        [*command, "api:create_app()"], stderr=log, env=environment
    ) as process:  # fmt: skip
        try:
            assert json.loads(_patiently(f"http://127.0.0.1:{port}/readyz"))["status"] == "ready"
            assert b"recsys_model_workers" in _patiently(f"http://127.0.0.1:{port}/metrics")
        finally:
            process.terminate()
    lines = [json.loads(line) for line in (tmp_path / "log").read_text().splitlines()]
    assert any("serving ease" in line["message"] for line in lines)


def _patiently(url: str) -> Any:
    asked: Callable[..., Any] = urlopen
    for _ in range(200):
        try:
            with asked(url) as answer:
                return answer.read()
        except URLError:
            time.sleep(0.1)
    raise TimeoutError(url)
