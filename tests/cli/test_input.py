"""Input that nobody could mean: the command line says what to do, and never calls it a defect."""

from __future__ import annotations

import contextlib
import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from google.protobuf.message import Message
from hypothesis import given, settings
from hypothesis import strategies as st
from intent.cli.exits import UsageError
from intent.cli.messages import message_of, read_json
from intent_contracts.intent.v1 import RecordedEvent, SubmitRequest
from intent_contracts.orders.v1 import ListOrders, OrderView, PlaceOrder

from .running import Done, environment, intent

SEND = ("send", "ConfirmOrder")


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ('{"order_id": "ö"}'.encode("utf-16"), "is not UTF-8: byte 1 cannot be read; save it as UTF-8"),
        ('{"order_id": "ö"}'.encode("latin-1"), "is not UTF-8: byte 15 cannot be read"),
        (bytes(range(256)), "is not UTF-8"),
        (b"", "is empty; a message without fields is {}"),
        (b" \n", "is empty"),
        (b"\0", "this is not JSON"),
        (b"[" * 100_000, "nested more than 100 levels deep"),
        (b'{"order_id":' * 5_000, "nested more than 100 levels deep"),
        (b'{"order_id": ' + b"[" * 200 + b"]" * 200 + b"}", "nested more than 100 levels deep"),
        (b'{"order_id": ' + b"9" * 5_000 + b"}", "a number has more digits than any field"),
        (b"7", "it must be an object, not the number 7"),
        (b"null", "it must be an object, not null"),
        (b'{"order_id": "\\ud800"}', "is not a valid orders.v1.ConfirmOrder"),
        (b'\xef\xbb\xbf{"order": "o-1"}', "there is no field order"),
    ],
)
def test_a_file_that_holds_no_message_is_refused(tmp_path: Path, content: bytes, message: str) -> None:
    file = tmp_path / "message.json"
    file.write_bytes(content)
    done = intent(*SEND, "-f", str(file))
    assert (done.code, message in done.err) == (2, True), done.err
    assert "defect" not in done.err


@pytest.mark.parametrize(
    ("path", "message"),
    [
        (".", ". cannot be read: Is a directory"),
        ("no.json", "no.json cannot be read: No such file or directory"),
        ("a\0b", "cannot be read"),
        ("x" * 5_000, "cannot be read: File name too long"),
        ("/dev/zero", "/dev/zero is larger than 64 MiB, which no message may be"),
    ],
)
def test_a_file_that_cannot_be_read_is_named(path: str, message: str) -> None:
    with pytest.raises(UsageError, match=message):
        read_json(None, Path(path))


ANYTHING: st.SearchStrategy[Any] = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats()
    | st.text()
    | st.sampled_from(
        ["\ud800", "-1", "1e400", "NaN", "2026-01-31T12:00:00Z", "1_0", "0x1", "intent.v1.Event"]
    ),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=6,
)


@st.composite
def objects(draw: st.DrawFn, kind: Any, depth: int = 3) -> dict[str, Any]:
    """Draw an object with a message's fields and any values, some of which fit."""
    found: dict[str, Any] = {}
    for field in draw(st.lists(st.sampled_from(list(kind.fields)), max_size=4, unique=True)):
        value = draw(ANYTHING)
        if field.message_type is not None and depth and draw(st.booleans()):
            value = draw(objects(field.message_type, depth - 1)) if field.message_type.fields else {}
            value = [value] if field.is_repeated and draw(st.booleans()) else value
        found[draw(st.sampled_from([field.name, field.json_name]))] = value
    return found


@settings(deadline=None, max_examples=300)
@given(st.data(), st.sampled_from([PlaceOrder, ListOrders, OrderView, SubmitRequest, RecordedEvent]))
def test_any_json_is_a_message_or_an_error_that_says_why(data: st.DataObject, kind: type[Message]) -> None:
    value = data.draw(objects(kind.DESCRIPTOR) | ANYTHING)
    # Whatever else it raised would be called a defect.
    with contextlib.suppress(UsageError):
        assert isinstance(message_of(kind, json.dumps(value)), kind)


@given(st.text())
def test_any_text_is_a_message_or_an_error_that_says_why(text: str) -> None:
    with contextlib.suppress(UsageError):
        message_of(PlaceOrder, text)


def _run(command: str, **variables: str) -> Done:
    """Run a line of shell, in which `$intent` is the command line."""
    done = subprocess.run(
        ["bash", "-c", command],
        env=environment(intent=f"{sys.executable} -m intent.cli", **variables),
        capture_output=True,
        check=False,
        timeout=120,
    )
    return Done(done.returncode, done.stdout.decode(), done.stderr.decode())


@pytest.mark.parametrize(
    ("redirection", "message"),
    [
        ("< /dev/null", "standard input is empty"),
        ("<&-", "give the JSON as an argument, with -f FILE, or on standard input"),
        ("<<< $'\\xff'", "standard input is not UTF-8"),
        ("$'\\xff'", "argument 3 is not UTF-8: \\udcff"),
        ('$\'{"order": "\\e[31m"}\'', "this is not JSON: Invalid control character"),
    ],
)
def test_standard_input_and_arguments_may_be_anything(redirection: str, message: str) -> None:
    done = _run(f"$intent send ConfirmOrder {redirection}")
    assert (done.code, message in done.err) == (2, True), done.err


ASCII = {
    "LC_ALL": "C",
    "LANG": "C",
    "PYTHONUTF8": "0",
    "PYTHONCOERCECLOCALE": "0",
    "PYTHONIOENCODING": "ascii",
}


def test_a_terminal_that_lacks_a_letter_gets_its_escape() -> None:
    done = _run("""$intent send ConfirmOrder '{"ö😀": 1}'""", **ASCII)
    assert done.code == 2
    assert r"there is no field \u00f6\ud83d\ude00" in done.err
    shown = _run("$intent describe orders.v1.PlaceOrder; $intent --help", **ASCII)
    assert (shown.code, shown.err) == (0, "")


@pytest.mark.parametrize(
    ("command", "code"),
    [
        ("$intent describe orders | head -1 > /dev/null; exit ${PIPESTATUS[0]}", {0, 141}),
        ("$intent describe orders | true; exit ${PIPESTATUS[0]}", {0, 141}),
        ("$intent describe nothing 2>&1 | true; exit ${PIPESTATUS[0]}", {2, 141}),
        ("$intent describe orders >&-", {0}),
        ("$intent describe nothing 2>&-", {2}),
        ("$intent describe orders > /dev/full", {5}),
    ],
)
def test_output_that_nobody_reads_ends_the_command_quietly(command: str, code: set[int]) -> None:
    done = _run(command)
    assert done.code in code, done.err
    for word in ("Traceback", "Exception", "defect", "Error:"):
        assert word not in done.err


def test_the_reader_of_a_pipe_that_is_gone_ends_the_command() -> None:
    reading, writing = os.pipe()
    os.close(reading)
    done = subprocess.run(
        [sys.executable, "-m", "intent.cli", "describe", "orders"],
        stdout=writing,
        stderr=subprocess.PIPE,
        env=environment(),
        check=False,
    )
    os.close(writing)
    assert (done.returncode, done.stderr) == (141, b"")
