"""Log lines: JSON, with the request's id, and nothing of a person."""

from __future__ import annotations

import json
import logging
import logging.config
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any
from urllib.error import HTTPError
from urllib.request import Request, urlopen

import pytest
from flask import Flask

from api import Config, create_app
from api.logs import JsonFormatter, logging_config


def test_a_plain_request_id_comes_back(app: Flask) -> None:
    for said in ("a", "order-7.line_1", "x" * 64):
        answer = app.test_client().get("/healthz", headers={"X-Request-ID": said})
        assert answer.headers["X-Request-ID"] == said


@pytest.mark.parametrize("said", [None, "", "a b", "x" * 65, 'a"b', "{}", "é", "1;2"])
def test_another_one_is_made_anew(app: Flask, said: str | None) -> None:
    headers = {} if said is None else {"X-Request-ID": said}
    ids = {app.test_client().get("/n", headers=headers).headers["X-Request-ID"] for _ in range(3)}
    assert len(ids) == 3
    assert all(re.fullmatch("[0-9a-f]{16}", name) for name in ids)


def test_a_log_line_has_the_id_of_its_request(
    models: Path, caplog: pytest.LogCaptureFixture
) -> None:
    app, lines = create_app({"models": models}), []
    caplog.handler.setFormatter(JsonFormatter())

    @app.get("/broken")
    def broken() -> str:
        raise RuntimeError("it is broken")

    app.test_client().get("/broken", headers={"X-Request-ID": "abc"})
    logging.getLogger("api").error("afterwards")
    lines = [json.loads(line) for line in caplog.handler.stream.getvalue().splitlines()]
    by_message = {line["message"].partition(" urn")[0]: line for line in lines}
    unexpected, afterwards = by_message["unexpected error"], by_message["afterwards"]
    assert unexpected["request_id"] == "abc"
    assert unexpected["level"] == "error"
    assert "RuntimeError: it is broken" in unexpected["traceback"]
    assert "request_id" not in afterwards
    assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z", afterwards["time"])


@pytest.mark.parametrize("form", ["json", "text"])
def test_a_line_is_one_line_whatever_is_logged(form: Any, capsys: Any) -> None:
    before = logging.root.handlers[:], logging.root.level
    try:
        logging.config.dictConfig(logging_config(Config(log_format=form, log_level="info")))
        fields = {"status": 200, "odd": Path("x")}
        logging.getLogger("api").info("a %s", "“quoted”", extra={"fields": fields})
        (line,) = capsys.readouterr().err.splitlines()
    finally:
        logging.root.handlers[:], logging.root.level = before
        for name in ("gunicorn.error", "api.access"):
            logging.getLogger(name).setLevel(logging.NOTSET)
    if form == "json":
        assert json.loads(line)["message"] == "a “quoted”"
        assert json.loads(line)["status"] == 200
    else:
        assert line.endswith("INFO api: a “quoted” status=200 odd=x")


def _refused(url: str, **request: Any) -> None:
    try:
        urlopen(Request(url, **request)).close()
    except HTTPError as error:
        error.close()


def test_the_access_log_says_nothing_of_people(
    models: Path, serving: Callable[..., Any], tmp_path: Path
) -> None:
    log, store = tmp_path / "log", f"sqlite:///{tmp_path / 'store.db'}"
    with serving(models, "--access-log", "--store", store, log=log) as running:
        urlopen(f"{running.url}/recommend?user=u001&exclude=secret-item").close()
        for path in ("/history?user=secret-user", "/secret-path", "/recommend?secret-name=1"):
            _refused(f"{running.url}{path}")
        headers = {"Authorization": "Bearer secret-key"}
        body = b'{"history": ["secret-basket"]}'
        _refused(f"{running.url}/recommend", data=body, headers=headers)
        _refused(f"{running.url}/users/secret-user", method="DELETE", headers=headers)
    lines = [json.loads(line) for line in log.read_text().splitlines()]
    assert "secret" not in log.read_text()
    assert "127.0.0.1" not in log.read_text()
    found = [(line["method"], line["route"], line["status"]) for line in lines]
    assert found == [
        ("GET", "/recommend", 200),
        ("GET", "/history", 404),
        ("GET", "(none)", 404),
        ("GET", "/recommend", 400),
        ("POST", "/recommend", 404),
        ("DELETE", "/users/<path:user>", 401),
    ]
    assert all(line["ms"] > 0 and line["request_id"] for line in lines)


def test_it_is_off_unless_asked_for(
    models: Path, serving: Callable[..., Any], tmp_path: Path
) -> None:
    log = tmp_path / "log"
    with serving(models, "--log-level", "debug", log=log) as running:
        urlopen(f"{running.url}/recommend?user=u001").close()
        _refused(f"{running.url}/history?user=u001{'x' * 10_000}")
    lines = [json.loads(line) for line in log.read_text().splitlines()]
    assert any(line["message"].startswith("serving ease") for line in lines)
    assert any(line["logger"] == "gunicorn.error" for line in lines)
    assert any("Invalid request" in line["message"] for line in lines)
    assert "api.access" not in {line["logger"] for line in lines}
    assert "u001" not in log.read_text()
    assert "127.0.0.1 " not in log.read_text()
