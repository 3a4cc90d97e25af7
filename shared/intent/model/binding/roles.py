"""Checks that every command and query says who may call it."""

from __future__ import annotations

from intent.contracts import ANY_CALLER, Problems, Registry

__all__ = ["check_roles"]


def check_roles(context: str, registry: Registry, problems: Problems) -> None:
    """Report the commands and queries of a context that leave open who may call them.

    Only the context that answers them checks this: contracts of other contexts may be older.

    Args:
        context: The context's name.
        registry: The contracts.
        problems: Where to report.
    """
    for kind, contracts in (("command", registry.commands), ("query", registry.queries)):
        for contract in contracts.values():
            if contract.context != context:
                continue
            file = contract.message.DESCRIPTOR.file.name
            if not contract.roles:
                fix = (
                    f'set `roles` in its option (intent.v1.{kind}), e.g. roles: ["service"], '
                    f'or roles: ["{ANY_CALLER}"] if any authenticated caller may send it'
                )
                problems.add(file, contract.type, "does not say who may call it", fix)
            elif ANY_CALLER in contract.roles and len(contract.roles) > 1:
                others = ", ".join(sorted(contract.roles - {ANY_CALLER}))
                fix = f"keep `{ANY_CALLER}` for any caller, or only the roles that may call it"
                problems.add(file, contract.type, f"names {ANY_CALLER} besides {others}", fix)
