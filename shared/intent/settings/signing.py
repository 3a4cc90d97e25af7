"""The settings of the MACs of what goes over Temporal."""

from __future__ import annotations

from typing import Self

from pydantic import AwareDatetime, Field, model_validator
from pydantic_settings import BaseSettings

__all__ = ["SigningSettings"]


class SigningSettings(BaseSettings):
    """By what a process knows messages of the installation in Temporal; part of `Settings`."""

    temporal_keys: str = Field(
        "",
        description="Folder with the keys by which everything that goes over Temporal carries a MAC, one in "
        "each file, read again when they change; the last by name signs. Empty: whoever writes to the "
        "namespace is believed.",
    )
    temporal_unsigned_until: AwareDatetime | None = Field(
        None,
        description="Until when what carries no MAC is believed as well, such as `2027-01-31T12:00:00Z`: "
        "while keys are introduced. Leave it once it has passed. Unset: nothing without a MAC is.",
    )

    @model_validator(mode="after")
    def _require_keys(self) -> Self:
        if self.temporal_unsigned_until is not None and not self.temporal_keys:
            raise ValueError(
                "INTENT_TEMPORAL_UNSIGNED_UNTIL says until when messages without a MAC are believed, but "
                "without keys all are: set INTENT_TEMPORAL_KEYS as well"
            )
        return self
