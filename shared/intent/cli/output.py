"""Print to standard output and standard error: the only place that does.

What is printed was often written by somebody else, so hidden characters are escaped. An encoding that
lacks a character gets its escape, and a reader that has gone ends the command quietly.
"""

from __future__ import annotations

import codecs
import json
import os
import sys
from typing import TYPE_CHECKING, Any, Final, NoReturn, TextIO

import typer

from intent.cli.exits import Exit
from intent.escaping import escaped, json_escape

if TYPE_CHECKING:
    from rich.console import Console

__all__ = ["echo", "echo_json", "markup", "open_console", "prepare_streams"]

_ERRORS: Final = "intent.escape"


def echo(text: str, *, err: bool = False) -> None:
    """Print a text and a line feed, hidden characters escaped.

    Args:
        text: The text; line feeds in it begin new lines.
        err: Whether to print to standard error.
    """
    stream = sys.stderr if err else sys.stdout
    # A process whose output was closed has none.
    if stream is None:
        return
    try:
        stream.write(escaped(text, lines=True) + "\n")
        stream.flush()
    except BrokenPipeError:
        _end_quietly(stream)


def echo_json(value: Any) -> None:
    """Print plain values as indented JSON."""
    echo(json.dumps(value, indent=2, ensure_ascii=False))


def markup(text: object) -> str:
    """Return a text for Rich's markup that is printed as it is, on one line, hidden characters escaped."""
    from rich.markup import escape

    return escape(escaped(str(text)))


def open_console(**options: Any) -> Console:
    """Return a console of Rich that ends the command quietly when its reader has gone.

    Args:
        options: Those of Rich's `Console`.
    """
    from rich.console import Console

    class QuietConsole(Console):
        def on_broken_pipe(self) -> NoReturn:
            _end_quietly(sys.stderr if self.stderr else sys.stdout)

    return QuietConsole(**options)


def prepare_streams() -> None:
    """Let standard output and standard error escape what their encoding lacks."""
    codecs.register_error(_ERRORS, _escape_unencodable)
    for stream in (sys.stdout, sys.stderr):
        if hasattr(stream, "reconfigure"):
            stream.reconfigure(errors=_ERRORS)


def _escape_unencodable(error: UnicodeError) -> tuple[str, int]:
    if not isinstance(error, UnicodeEncodeError):
        raise error
    return json_escape(error.object[error.start : error.end]), error.end


def _end_quietly(stream: TextIO) -> NoReturn:
    """End the command whose output nobody reads any more, as after ``| head``."""
    if hasattr(stream, "fileno"):
        # What is left in the buffer would fail again when the process ends.
        nowhere = os.open(os.devnull, os.O_WRONLY)
        os.dup2(nowhere, stream.fileno())
        os.close(nowhere)
    raise typer.Exit(Exit.NOT_READ)
