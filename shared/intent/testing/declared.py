"""Checks the reasons of rejections in tests against the contracts."""

from __future__ import annotations

from intent.contracts import CommandContract

__all__ = ["assert_declared"]


def assert_declared(contract: CommandContract, reason: str, fault: str) -> None:
    """Fail when a command cannot be rejected for a reason by its contract.

    Args:
        contract: The command.
        reason: The reason.
        fault: What gives the reason, as the beginning of the message.

    Raises:
        AssertionError: The contract does not declare it; names the fix.
    """
    __tracebackhide__ = True
    if contract.may_reject(reason):
        return
    declared = ", ".join(contract.rejects) or "none"
    name = contract.message.DESCRIPTOR.name
    raise AssertionError(
        f"{fault} {contract.type} with {str(reason)!r}, which its contract does not declare (declared: "
        f"{declared}); add {str(reason)!r} to `rejects` in the option (intent.v1.command) of {name} in "
        f"proto/{contract.message.DESCRIPTOR.file.name} and run `make proto`, or give a declared reason"
    )
