"""Writes the table of settings for the docs: ``python -m intent.settings.table``."""

from __future__ import annotations

import sys
from typing import Any, Final, Literal, get_args, get_origin

from pydantic.fields import FieldInfo
from pydantic_core import PydanticUndefined

from intent.settings.config import Settings
from intent.settings.variables import variable_of

__all__ = ["settings_table"]

_HEAD: Final = """# Settings

A process of Intent is set by environment variables. Each may be given as a file instead, by the
variable with `_FILE` appended, e.g. `INTENT_DATABASE_URL_FILE=/run/secrets/database`: use it for
secrets. A value that cannot work stops the start with a sentence that names the variable.

`intent dev` sets all of these for the contexts that it runs; it reads `INTENT_DEV_PORT_BASE` and
`INTENT_DEV_DATA` itself. The other commands read `INTENT_TARGET`, `INTENT_CONTEXT`,
`INTENT_TENANT`, `INTENT_ACTOR`, `INTENT_ROLES`, `INTENT_TOKEN` and `INTENT_TLS`.

A context may have variables of its own: those of `payments` and `shipping` are on the page about
their [simulators](simulators.md).

This page is made by `make docs` from `shared/intent/settings/config.py`.

| Variable | Default | What it sets |
| --- | --- | --- |
"""


def settings_table() -> str:
    """Returns the page with every setting: variable, default, meaning."""
    return _HEAD + "".join(_row(name, field) for name, field in Settings.model_fields.items())


def _row(name: str, field: FieldInfo) -> str:
    meaning = field.description or ""
    choices = _choices(field.annotation)
    if choices and not all(f"`{choice}`" in meaning for choice in choices):
        meaning += f" One of {', '.join(f'`{choice}`' for choice in choices)}."
    return f"| `{variable_of(name, field)}` | {_default(field)} | {meaning} |\n"


def _choices(annotation: Any) -> tuple[str, ...]:
    return get_args(annotation) if get_origin(annotation) is Literal else ()


def _default(field: FieldInfo) -> str:
    value = field.default
    if value is PydanticUndefined or value in ("", (), {}):
        return ""
    if isinstance(value, bool):
        return f"`{str(value).lower()}`"
    if isinstance(value, tuple):
        return f"`{','.join(value)}`"
    return f"`{value:g}`" if isinstance(value, float) else f"`{value}`"


if __name__ == "__main__":
    sys.stdout.write(settings_table())
