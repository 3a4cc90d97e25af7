"""The names of a context's schema and roles."""

from __future__ import annotations

import re
from dataclasses import asdict, dataclass

from intent.errors import ConfigurationError

__all__ = ["RoleNames", "quoted"]

_NAME = re.compile(r"[a-z][a-z0-9_]{0,40}")


@dataclass(frozen=True, slots=True)
class RoleNames:
    """The names that belong to one context.

    Attributes:
        schema: Its schema.
        owner: Logs in to migrate; owns the schema.
        service: Logs in as the context's process.
        query: Logs in to answer queries, under row security.
        log: Cannot log in; owns the functions that alone write the log.
        projector: Cannot log in; may write the read models of every tenant.
    """

    schema: str
    owner: str
    service: str
    query: str
    log: str
    projector: str

    @classmethod
    def of(cls, context: str) -> RoleNames:
        """Returns the names for a context.

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
        """Returns the names by what they name."""
        return asdict(self)


def quoted(name: str) -> str:
    """Returns a name as an SQL identifier, whatever words SQL reserves."""
    return '"' + name.replace('"', '""') + '"'
