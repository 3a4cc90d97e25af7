"""Log lines: one JSON object each, with the ids of the call."""

from __future__ import annotations

import json
import logging
from collections.abc import Iterator, Mapping
from typing import Any

import pytest
from intent.telemetry.logs import ConsoleFormatter, JsonFormatter, current_call

_TRACEPARENT = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"


class _Call:
    def log_fields(self) -> Mapping[str, str]:
        return {"tenant": "acme", "command_id": "c-1", "traceparent": _TRACEPARENT}


@pytest.fixture
def call() -> Iterator[None]:
    token = current_call.set(_Call())
    yield
    current_call.reset(token)


def _record(message: str, *, error: bool = False, **extra: Any) -> logging.LogRecord:
    info = None
    if error:
        try:
            raise ValueError("boom")
        except ValueError as caught:
            info = (type(caught), caught, caught.__traceback__)
    record = logging.LogRecord("intent.test", logging.WARNING, "f.py", 1, message, None, info)
    record.__dict__.update(extra)
    return record


def test_a_line_is_one_json_object_with_the_ids_of_its_call(call: None) -> None:
    line = JsonFormatter({"context": "orders"}).format(_record("two\nlines", error_id="e-1"))
    assert "\n" not in line
    found = json.loads(line)
    assert found["message"] == "two\nlines"
    assert found["level"] == "warning"
    assert (found["context"], found["tenant"], found["command_id"]) == ("orders", "acme", "c-1")
    assert found["trace_id"] == "0af7651916cd43dd8448eb211c80319c"
    assert found["span_id"] == "b7ad6b7169203331"
    assert found["error_id"] == "e-1"


def test_ids_given_with_a_line_win_over_those_of_the_call(call: None) -> None:
    assert json.loads(JsonFormatter().format(_record("m", tenant="other")))["tenant"] == "other"


def test_a_line_without_a_call_has_no_ids() -> None:
    assert set(json.loads(JsonFormatter().format(_record("m")))) == {"time", "level", "logger", "message"}


def test_an_exception_is_part_of_the_line() -> None:
    found = json.loads(JsonFormatter().format(_record("failed", error=True)))
    assert found["error"] == "ValueError"
    assert "boom" in found["stack"]


def test_a_value_that_json_does_not_know_is_written_as_text() -> None:
    assert json.loads(JsonFormatter().format(_record("m", what={1, 2})))["what"] == "{1, 2}"


def test_a_line_for_people_has_level_message_and_ids(call: None) -> None:
    line = ConsoleFormatter(colour=False).format(_record("slow"))
    assert "warning slow" in line
    assert "tenant=acme" in line
    assert "\x1b" not in line


HIDDEN = "a\nb\x1b[2J\x9b31m\u2028\u202e\ud800 \x7f"


@pytest.mark.parametrize("formatter", [JsonFormatter(), ConsoleFormatter(colour=False)])
def test_a_line_is_one_line_whatever_it_quotes(formatter: logging.Formatter) -> None:
    line = formatter.format(_record(HIDDEN, user=HIDDEN))
    assert len(line.splitlines()) == 1
    line.encode()
    assert not set(line) & set("\x1b\x9b\x7f\u202e\u2028")
    assert r"a\nb\u001b[2J\u009b31m\u2028\u202e\ud800 \u007f" in line


def test_an_escaped_line_means_what_was_logged() -> None:
    assert json.loads(JsonFormatter().format(_record(HIDDEN)))["message"] == HIDDEN


@pytest.mark.parametrize("formatter", [JsonFormatter(), ConsoleFormatter(colour=False)])
def test_an_error_of_megabytes_makes_no_line_of_megabytes(formatter: logging.Formatter) -> None:
    long = "a long story " * 500_000
    try:
        raise ValueError(long)
    except ValueError as error:
        record = logging.LogRecord("intent.test", logging.ERROR, "f.py", 1, long + "its end", None, None)
        record.exc_info = (type(error), error, error.__traceback__)
    line = formatter.format(record)
    assert len(line) < 50_000
    assert "its end" in line
    assert "ValueError: a long story" in line
