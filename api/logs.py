"""Log lines as JSON, each with the id of the request that it belongs to.

Bodies, queries, keys and addresses never stand in a line: a request is logged by its route's
pattern, method, status and time.
"""

from __future__ import annotations

import json
import logging
import os
import re
import traceback
from contextvars import ContextVar
from datetime import UTC, datetime
from typing import Any

from api.config import Config

REQUEST_ID: ContextVar[str | None] = ContextVar("request_id", default=None)
"""The id of the request that this thread answers; None between requests."""

access_log = logging.getLogger("api.access")

_SANE = re.compile(r"[A-Za-z0-9._-]{1,64}")


def request_id(said: str | None) -> str:
    """Return the id that the client sent, where it is short and plain, or else a new one."""
    if said is not None and _SANE.fullmatch(said):
        return said
    return os.urandom(8).hex()


class JsonFormatter(logging.Formatter):
    """One JSON object a line: time, level, logger, message, and what there is besides.

    That is the request's id, the fields of `extra={"fields": {…}}`, and an exception's traceback.
    """

    def format(self, record: logging.LogRecord) -> str:
        """Return the line."""
        moment = datetime.fromtimestamp(record.created, UTC)
        line: dict[str, Any] = {
            "time": moment.isoformat(timespec="milliseconds").replace("+00:00", "Z"),
            "level": record.levelname.lower(),
            "logger": record.name,
            "message": record.getMessage(),
            "process": record.process,
        }
        if (request := REQUEST_ID.get()) is not None:
            line["request_id"] = request
        line |= getattr(record, "fields", {})
        if record.exc_info and record.exc_info[0] is not None:
            line["traceback"] = "".join(traceback.format_exception(*record.exc_info))
        return json.dumps(line, ensure_ascii=False, default=str)


class TextFormatter(logging.Formatter):
    """The same for people: `2011-12-09 12:50:00 WARNING api.current [ID]: message a=1`."""

    def __init__(self) -> None:
        super().__init__("%(asctime)s %(levelname)s %(name)s%(request)s: %(message)s%(more)s")

    def format(self, record: logging.LogRecord) -> str:
        """Return the line."""
        request = REQUEST_ID.get()
        record.request = "" if request is None else f" [{request}]"
        record.more = "".join(f" {k}={v}" for k, v in getattr(record, "fields", {}).items())
        return super().format(record)


def logging_config(config: Config) -> dict[str, Any]:
    """Return what `logging.config.dictConfig` takes: everything to standard error."""
    level = config.log_level.upper()
    formatters = {"json": {"()": JsonFormatter}, "text": {"()": TextFormatter}}
    # what gunicorn says at DEBUG has addresses as they came
    gunicorn = {"propagate": True, "handlers": [], "level": "INFO" if level == "DEBUG" else level}
    return {
        "version": 1,
        "disable_existing_loggers": False,
        "formatters": formatters,
        "handlers": {
            "out": {
                "class": "logging.StreamHandler",
                "formatter": config.log_format,
                "stream": "ext://sys.stderr",
            }
        },
        "root": {"level": level, "handlers": ["out"]},
        "loggers": {
            "gunicorn.error": gunicorn,
            access_log.name: {"level": "INFO" if config.access_log else "CRITICAL"},
        },
    }
