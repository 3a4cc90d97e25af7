"""The names of a context's schema and roles."""

from __future__ import annotations

import re
from dataclasses import asdict, dataclass

from intent.errors import ConfigurationError

__all__ = ["RoleNames", "quoted"]

_NAME = re.compile(r"[a-z][a-z0-9_]{0,40}")


@dataclass(frozen=True, slots=True)
class RoleNames:
    """The names of one context.

    Attributes:
        schema: Its schema.
        owner: The role that logs in to migrate and owns the schema.
        service: The role as which the context's process logs in.
        query: The role that logs in to answer queries, under row level security.
        log: The role, without login, that owns the only functions that write the log.
        projector: The role, without login, that may write the read models of every tenant.
    """

    schema: str
    owner: str
    service: str
    query: str
    log: str
    projector: str

    @classmethod
    def of(cls, context: str) -> RoleNames:
        """Return the names for a context.

        Raises:
            ConfigurationError: The context's name cannot be a schema.
        """
        if not _NAME.fullmatch(context):
            raise ConfigurationError(
                f"{context!r} cannot name a schema: use lower-case letters, digits and underscores, "
                "beginning with a letter, 41 at most"
            )
        kinds = ("owner", "service", "query", "log", "projector")
        return cls(context, *(f"{context}_{kind}" for kind in kinds))

    def as_dict(self) -> dict[str, str]:
        """Return the names by their kind."""
        return asdict(self)


def quoted(name: str) -> str:
    """Return a name as an SQL identifier, reserved words included."""
    return '"' + name.replace('"', '""') + '"'
