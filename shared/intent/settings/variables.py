"""How settings relate to environment variables: names, files with secrets, typing errors."""

from __future__ import annotations

import difflib
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from pydantic import AliasChoices, BaseModel, ValidationError
from pydantic.fields import FieldInfo
from pydantic_settings import BaseSettings, PydanticBaseSettingsSource

from intent.errors import ConfigurationError

__all__ = ["PREFIX", "SecretFiles", "problems_of", "unknown_variables", "variable_of"]

PREFIX = "INTENT_"
FILE = "_FILE"
_OF_THE_CLI = frozenset(
    f"INTENT_{name}" for name in ("TARGET", "TENANT", "ACTOR", "ROLES", "TOKEN", "TLS", "DEBUG")
)


def variable_of(name: str, field: FieldInfo) -> str:
    """Returns the environment variable of a field of the settings."""
    alias = field.validation_alias
    if isinstance(alias, AliasChoices):
        return str(alias.choices[0])
    return PREFIX + name.upper()


class SecretFiles(PydanticBaseSettingsSource):
    """Reads values from the files that variables ending in ``_FILE`` name."""

    def __init__(self, settings_cls: type[BaseSettings], environ: Mapping[str, str] | None = None) -> None:
        super().__init__(settings_cls)
        self._environ = os.environ if environ is None else environ

    def get_field_value(self, field: FieldInfo, field_name: str) -> tuple[Any, str, bool]:
        """Returns the content of the field's file, without the line's end, or None."""
        variable = variable_of(field_name, field)
        path = self._environ.get(variable + FILE)
        if path is None:
            return None, field_name, False
        if variable in self._environ:
            raise ConfigurationError(f"{variable} and {variable}{FILE} are both set; keep one of them")
        try:
            return Path(path).read_text().rstrip("\r\n"), field_name, False
        except OSError as error:
            raise ConfigurationError(
                f"{variable}{FILE} names {path}, which cannot be read: {error.strerror}"
            ) from None

    def __call__(self) -> dict[str, Any]:
        """Returns the values found, by field name."""
        found = {}
        for name, field in self.settings_cls.model_fields.items():
            value, key, _ = self.get_field_value(field, name)
            if value is not None:
                found[key] = value
        return found


def problems_of(error: ValidationError, settings: type[BaseModel]) -> str:
    """Tells what is wrong with the settings, one sentence a variable, without secret values."""
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


def unknown_variables(settings: type[BaseModel], environ: Mapping[str, str] | None = None) -> list[str]:
    """Returns a sentence for each ``INTENT_`` variable that is no setting, with the likely one."""
    known = {variable_of(name, field) for name, field in settings.model_fields.items()}
    known |= {name + FILE for name in known} | _OF_THE_CLI
    sentences = []
    for name in sorted(os.environ if environ is None else environ):
        if name.startswith(PREFIX) and name not in known and not name.startswith("INTENT_DEV_"):
            near = difflib.get_close_matches(name, known, n=1)
            sentences.append(f"{name} is no setting" + (f"; did you mean {near[0]}?" if near else ""))
    return sentences
