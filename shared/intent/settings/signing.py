"""The settings of the MACs of what goes over Temporal."""

from __future__ import annotations

from datetime import datetime
from itertools import pairwise
from typing import Annotated, Any, Final, NamedTuple, Self

from pydantic import AwareDatetime, BeforeValidator, Field, TypeAdapter, ValidationError, model_validator
from pydantic_settings import BaseSettings, NoDecode

__all__ = ["SigningSettings", "Window", "Windows"]

_TIME: Final[TypeAdapter[datetime]] = TypeAdapter(AwareDatetime)
_FORM: Final = (
    "must be a time with its zone such as 2027-01-31T12:00:00Z, windows such as "
    "2027-03-01T09:00:00Z/2027-03-02T09:00:00Z, or several separated by commas"
)


class Window(NamedTuple):
    """A time in which what carries no MAC is believed.

    Attributes:
        since: When it begins; None: it has no beginning.
        until: When it is over.
    """

    since: datetime | None
    until: datetime


def _windows(value: object) -> Any:
    """Read windows in the form of the setting.

    Raises:
        ValueError: They have another form, or are not in order.
    """
    if not isinstance(value, str):
        return value
    windows = [_window(part.strip()) for part in value.split(",") if part.strip()]
    if any(window.since is not None and window.since >= window.until for window in windows):
        raise ValueError("a window must begin before it ends")
    for before, after in pairwise(windows):
        if after.since is None or after.since < before.until:
            raise ValueError(
                "each further window must have a beginning, not before the end of the one before it: append "
                "a window that begins now, and change none"
            )
    return tuple(windows)


def _window(text: str) -> Window:
    since, slash, until = text.rpartition("/")
    try:
        return Window(
            _TIME.validate_python(since.strip()) if slash else None, _TIME.validate_python(until.strip())
        )
    except ValidationError:
        raise ValueError(_FORM) from None


Windows = Annotated[tuple[Window, ...], NoDecode, BeforeValidator(_windows)]


class SigningSettings(BaseSettings):
    """By what a process knows messages of the installation in Temporal; part of `Settings`."""

    temporal_keys: str = Field(
        "",
        description="Folder with the keys by which everything that goes over Temporal carries a MAC, one in "
        "each file, read again when they change; the last by name signs, of those whose name does not end in "
        "`.old`. Empty: whoever writes to the namespace is believed.",
    )
    temporal_unsigned_until: Windows = Field(
        (),
        description="Until when what carries no MAC is believed as well, such as `2027-01-31T12:00:00Z`: "
        "while keys are introduced. Leave it once it has passed, and append further windows, such as "
        "`,2027-03-01T09:00:00Z/2027-03-02T09:00:00Z`. Unset: nothing without a MAC is.",
    )

    @model_validator(mode="after")
    def _require_keys(self) -> Self:
        if self.temporal_unsigned_until and not self.temporal_keys:
            raise ValueError(
                "INTENT_TEMPORAL_UNSIGNED_UNTIL says until when messages without a MAC are believed, but "
                "without keys all are: set INTENT_TEMPORAL_KEYS as well"
            )
        return self
