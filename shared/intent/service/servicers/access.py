"""Who may call what: the commands and queries of contracts, and the methods of the platform.

A method of the platform that stands in no row here is not served, so that none is open because
nobody thought of it.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Final

from intent.contracts import ANY_CALLER, CommandContract, QueryContract, Registry
from intent.errors import ConfigurationError
from intent.service.calls import AnyMethod
from intent.service.servicers.audit import AUDIT
from intent.service.servicers.commands import COMMANDS
from intent.service.servicers.consumer_rights import CONSUME_ROLES, OPERATE_ROLES
from intent.service.servicers.consumers import CONSUMERS
from intent.service.servicers.events import EVENTS
from intent.service.servicers.projections import PROJECTIONS
from intent.service.servicers.sagas import SAGAS
from intent.service.settings import ServiceSettings

__all__ = ["ANYBODY", "AccessRow", "PlatformAccess", "access_rows", "listed", "platform_access"]

ANYBODY: Final = "anybody"
"""Stands for callers who need not say who they are."""

_PLATFORM: Final = "/intent."
_ANY: Final = frozenset({ANY_CALLER})
_CARRIED: Final = "whoever may send the command that it carries"


@dataclass(frozen=True, slots=True)
class AccessRow:
    """One thing that one role may do.

    Attributes:
        role: The role; ``*``: any authenticated caller; `ANYBODY`: callers who do not say who they are.
        context: The context that answers; empty: every one.
        kind: ``command``, ``query`` or ``method``.
        name: The full name of the message, or of the platform's method.
        limit: To what it is limited; empty: to nothing within the tenant.
    """

    role: str
    context: str
    kind: str
    name: str
    limit: str = ""


@dataclass(frozen=True, slots=True)
class PlatformAccess:
    """Who may call a method of the platform.

    Attributes:
        roles: The roles of which a caller needs one.
        limit: To what it is limited then.
        unlimited: The roles to which the limit does not apply.
    """

    roles: frozenset[str]
    limit: str = ""
    unlimited: frozenset[str] = frozenset()

    def limit_of(self, role: str) -> str:
        """Return to what a role is limited; empty: to nothing within the tenant."""
        return "" if role in self.unlimited else self.limit


def platform_access(settings: ServiceSettings) -> Mapping[str, PlatformAccess]:
    """Return who may call the methods of the platform, by their full names."""
    own_consumers = "consumers whose names are the caller's"
    carried = PlatformAccess(_ANY, _CARRIED)
    joining = PlatformAccess(CONSUME_ROLES, own_consumers)
    consuming = PlatformAccess(OPERATE_ROLES, own_consumers, OPERATE_ROLES - CONSUME_ROLES)
    reading = PlatformAccess(settings.event_roles or _ANY)
    operating = PlatformAccess(settings.operator_roles or _ANY)
    of_all_tenants = PlatformAccess(operating.roles, "callers that are bound to no tenant")
    looking = PlatformAccess(settings.saga_roles or _ANY)
    services = {
        COMMANDS: {
            "Execute": carried,
            "Submit": carried,
            "GetCommand": PlatformAccess(_ANY, "commands whose id the caller knows and may choose"),
            "Describe": PlatformAccess(_ANY),
        },
        CONSUMERS: {
            "Consume": joining,
            **dict.fromkeys(
                ("ListConsumers", "RemoveConsumer", "ListParked", "ReplayParked", "DropParked"), consuming
            ),
        },
        EVENTS: {"ReadStream": reading, "Subscribe": reading},
        AUDIT: dict.fromkeys(("ListAudit", "GetAuditHeads"), of_all_tenants),
        PROJECTIONS: dict.fromkeys(("ListProjections", "RebuildProjection", "SkipEvent"), of_all_tenants),
        SAGAS: {
            **dict.fromkeys(("GetSaga", "ListSagas"), looking),
            **dict.fromkeys(("CancelSaga", "ResumeSaga", "TerminateSaga"), operating),
        },
    }
    return {f"/{service}/{name}": each for service, rows in services.items() for name, each in rows.items()}


def listed(methods: Iterable[AnyMethod], settings: ServiceSettings) -> Iterator[AnyMethod]:
    """Yield methods, once it is certain that those of the platform are open to whom the table says.

    Raises:
        ConfigurationError: The platform would serve one that stands in no row, or to other roles.
    """
    table = platform_access(settings)
    for method in methods:
        if method.name.startswith(_PLATFORM):
            row = table.get(method.name)
            if row is None or row.roles - _ANY != method.roles:
                raise ConfigurationError(
                    f"{method.name} would be open to other roles than intent.service.servicers.access says: "
                    f"{sorted(method.roles) or 'any caller'}; give it a row there with these roles"
                )
        yield method


def access_rows(registry: Registry, settings: ServiceSettings | None = None) -> list[AccessRow]:
    """Return what each role may do: role by role, of each context in turn, last of every context.

    Args:
        registry: The contracts.
        settings: Those of the services; by default as a context starts with.
    """
    rows = [
        *_rows_of("command", registry.commands.values()),
        *_rows_of("query", registry.queries.values()),
        *(
            AccessRow(role, "", "method", name, each.limit_of(role))
            for name, each in platform_access(settings or ServiceSettings()).items()
            for role in each.roles
        ),
        *(AccessRow(ANYBODY, "", "method", f"/grpc.health.v1.Health/{name}") for name in ("Check", "Watch")),
        AccessRow(
            ANY_CALLER, "", "method", "/grpc.reflection.v1.ServerReflection/ServerReflectionInfo", "where on"
        ),
    ]
    return sorted(rows, key=lambda row: (row.role, row.context or "~", row.kind, row.name))


def _rows_of(kind: str, contracts: Iterable[CommandContract | QueryContract]) -> Iterator[AccessRow]:
    for contract in contracts:
        limits = {each.role: str(each) for each in contract.owned}
        for role in contract.roles:
            yield AccessRow(role, contract.context, kind, contract.type, limits.get(role, ""))
