"""Logs: one JSON object per line for machines, or coloured lines for people.

A line carries the ids of the call in which it was written (tenant, actor, command,
correlation, trace) and everything that the code passes as ``extra``. Hidden characters are escaped, so
that a line is one line, whatever it quotes.
"""

from __future__ import annotations

import json
import logging
import sys
from collections.abc import Mapping
from contextvars import ContextVar
from datetime import UTC, datetime
from typing import Any, Final, Protocol

from intent.escaping import escaped
from intent.settings.config import Settings

__all__ = ["ConsoleFormatter", "JsonFormatter", "LogFields", "current_call", "setup_logging", "trace_ids"]


class LogFields(Protocol):
    """A source of ids for log lines."""

    def log_fields(self) -> Mapping[str, str]:
        """Return the ids that are known, by field name."""
        ...


current_call: ContextVar[LogFields | None] = ContextVar("intent_current_call", default=None)
"""The call that the running task handles, or None."""

_MESSAGE_LENGTH: Final = 8_000
_STACK_LENGTH: Final = 32_000
_STANDARD: Final = frozenset(logging.makeLogRecord({}).__dict__) | {"message", "asctime", "taskName"}
_LIBRARIES: Final = {
    "temporalio": logging.WARNING,
    # What a saga must not use is in the error by which its task fails.
    "temporalio.worker.workflow_sandbox": logging.ERROR,
    "alembic": logging.WARNING,
    "grpc": logging.WARNING,
}


def setup_logging(settings: Settings) -> None:
    """Send the logs of this process to standard error, formatted according to the settings."""
    handler = logging.StreamHandler(sys.stderr)
    fixed = {"context": settings.context} if settings.context else {}
    handler.setFormatter(
        JsonFormatter(fixed) if settings.log_format == "json" else ConsoleFormatter(sys.stderr.isatty())
    )
    level = settings.log_level.upper()
    logging.basicConfig(level=level, handlers=[handler], force=True)
    logging.captureWarnings(True)
    for name, least in _LIBRARIES.items():
        logging.getLogger(name).setLevel(max(least, logging.getLevelName(level)))


def trace_ids(traceparent: str) -> dict[str, str]:
    """Return the ids of a W3C traceparent as log fields; nothing when it is malformed."""
    parts = traceparent.split("-")
    if len(parts) != 4 or len(parts[1]) != 32 or len(parts[2]) != 16:
        return {}
    return {"trace_id": parts[1], "span_id": parts[2]}


def _fields(record: logging.LogRecord) -> dict[str, Any]:
    call = current_call.get()
    fields: dict[str, Any] = dict(call.log_fields()) if call is not None else {}
    given = {name: value for name, value in record.__dict__.items() if name not in _STANDARD}
    fields.update((name, value) for name, value in given.items() if value != "")
    traceparent = fields.pop("traceparent", "")
    return {**trace_ids(traceparent), **fields} if traceparent else fields


class JsonFormatter(logging.Formatter):
    """Formatter that writes a record as one JSON object."""

    def __init__(self, fixed: Mapping[str, str] | None = None) -> None:
        """Take the fields that every line carries."""
        super().__init__()
        self._fixed = dict(fixed or {})

    def format(self, record: logging.LogRecord) -> str:
        """Return the line: time, level, logger and message first, then the ids."""
        line: dict[str, Any] = {
            "time": datetime.fromtimestamp(record.created, UTC).isoformat(timespec="milliseconds"),
            "level": record.levelname.lower(),
            "logger": record.name,
            "message": _within(record.getMessage(), _MESSAGE_LENGTH),
            **self._fixed,
            **_fields(record),
        }
        if record.exc_info and record.exc_info[0] is not None:
            line["error"] = record.exc_info[0].__name__
            line["stack"] = _within(self.formatException(record.exc_info), _STACK_LENGTH)
        return escaped(json.dumps(line, default=str, ensure_ascii=False))


class ConsoleFormatter(logging.Formatter):
    """Formatter that writes a record as a line for people."""

    _COLOURS: Final = {"WARNING": "33", "ERROR": "31", "CRITICAL": "31;1", "DEBUG": "2"}

    def __init__(self, colour: bool) -> None:
        """Take whether the terminal shows colours."""
        super().__init__()
        self._colour = colour

    def format(self, record: logging.LogRecord) -> str:
        """Return time, level, message and ids on one line, followed by the stack of an exception."""
        time = datetime.fromtimestamp(record.created).strftime("%H:%M:%S.%f")[:-3]
        ids = " ".join(f"{name}={value}" for name, value in _fields(record).items())
        level = record.levelname.lower()
        colour = self._COLOURS.get(record.levelname)
        if self._colour and colour:
            level = f"\x1b[{colour}m{level}\x1b[0m"
        message = _within(record.getMessage(), _MESSAGE_LENGTH)
        said = escaped(message + (f"  [{ids}]" if ids else ""))
        if not record.exc_info:
            return f"{time} {level} {said}"
        stack = _within(self.formatException(record.exc_info), _STACK_LENGTH)
        return f"{time} {level} {said}\n{escaped(stack, lines=True)}"


def _within(text: str, length: int) -> str:
    """Return the beginning and the end of a text that is too long: authors' errors may have megabytes."""
    if len(text) <= length:
        return text
    half = length // 2
    return f"{text[:half]} … {len(text) - 2 * half} characters … {text[-half:]}"
