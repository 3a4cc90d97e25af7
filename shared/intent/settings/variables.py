"""Settings as environment variables: their names, files with secrets, misspelt names."""

from __future__ import annotations

import difflib
import os
from collections.abc import Collection, Mapping
from pathlib import Path
from typing import Any

from pydantic import AliasChoices, BaseModel, ValidationError
from pydantic.fields import FieldInfo
from pydantic_settings import BaseSettings, PydanticBaseSettingsSource

from intent.errors import ConfigurationError

__all__ = ["PREFIX", "SecretFiles", "problems_of", "unknown_variables", "variable_of"]

PREFIX = "INTENT_"
_FILE = "_FILE"


def variable_of(name: str, field: FieldInfo) -> str:
    """Return the environment variable of a field of the settings."""
    alias = field.validation_alias
    if isinstance(alias, AliasChoices):
        return str(alias.choices[0])
    return PREFIX + name.upper()


class SecretFiles(PydanticBaseSettingsSource):
    """Source of the values in files that variables ending in ``_FILE`` name."""

    def __init__(self, settings_cls: type[BaseSettings], environ: Mapping[str, str] | None = None) -> None:
        super().__init__(settings_cls)
        self._environ = os.environ if environ is None else environ

    def get_field_value(self, field: FieldInfo, field_name: str) -> tuple[Any, str, bool]:
        """Return the content of the field's file without the final newline, or None."""
        variable = variable_of(field_name, field)
        path = self._environ.get(variable + _FILE)
        if path is None:
            return None, field_name, False
        if variable in self._environ:
            raise ConfigurationError(f"{variable} and {variable}{_FILE} are both set; keep one of them")
        try:
            return Path(path).read_text().rstrip("\r\n"), field_name, False
        except OSError as error:
            raise ConfigurationError(
                f"{variable}{_FILE} names {path}, which cannot be read: {error.strerror}"
            ) from None

    def __call__(self) -> dict[str, Any]:
        """Return the values of the fields that have a file, by field name."""
        values = {}
        for name, field in self.settings_cls.model_fields.items():
            value, key, _ = self.get_field_value(field, name)
            if value is not None:
                values[key] = value
        return values


def problems_of(error: ValidationError, settings: type[BaseModel]) -> str:
    """Return what is wrong with the settings, one sentence per variable, without secret values."""
    sentences = []
    for problem in error.errors():
        name = str(problem["loc"][0]) if problem["loc"] else ""
        sentences.append(_sentence(name, problem["msg"], problem["input"], settings))
    return "; ".join(dict.fromkeys(sentences))


def _sentence(name: str, message: str, value: object, settings: type[BaseModel]) -> str:
    fields = settings.model_fields
    by_variable = {variable_of(key, field): (key, field) for key, field in fields.items()}
    key, field = by_variable.get(name, (name, fields.get(name)))
    if field is None:
        return message
    shown = f"={value}" if field.repr and isinstance(value, str) else ""
    reason = message.removeprefix("Value error, ").removeprefix("Input ")
    return f"{variable_of(key, field)}{shown} {reason}"


def unknown_variables(
    settings: type[BaseModel],
    environ: Mapping[str, str] | None = None,
    *,
    known: Collection[str] = (),
) -> list[str]:
    """Return a sentence for each ``INTENT_`` variable that is not a setting, with the likely one.

    Args:
        settings: The settings.
        environ: The environment; None: that of this process.
        known: Variables that something else reads.
    """
    own = {variable_of(name, field) for name, field in settings.model_fields.items()}
    every = own | {name + _FILE for name in own} | set(known)
    sentences = []
    for name in sorted(os.environ if environ is None else environ):
        if name.startswith(PREFIX) and name not in every:
            near = difflib.get_close_matches(name, every, n=1)
            sentences.append(f"{name} is not a setting" + (f"; did you mean {near[0]}?" if near else ""))
    return sentences
