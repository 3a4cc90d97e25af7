"""Refuses calls of activities whose arguments are not believed."""

from __future__ import annotations

from typing import Any

from temporalio.client import Interceptor as ClientInterceptor
from temporalio.worker import ActivityInboundInterceptor, ExecuteActivityInput, Interceptor

from intent.temporal.signing.converter import RefusedArgument
from intent.temporal.signing.refusals import PayloadRefused

__all__ = ["RefusingInterceptor"]


class RefusingInterceptor(ClientInterceptor, Interceptor):
    """Ends such a call for good; the SDK itself would have it repeated for ever.

    It is given to the client, whose workers have it too.
    """

    def intercept_activity(self, next: ActivityInboundInterceptor) -> ActivityInboundInterceptor:  # noqa: A002
        """Return what looks at the arguments of activities."""
        return _Activity(next)


class _Activity(ActivityInboundInterceptor):
    async def execute_activity(self, input: ExecuteActivityInput) -> Any:  # noqa: A002
        """Run an activity, unless an argument is refused.

        Raises:
            PayloadRefused: One is.
        """
        for argument in input.args:
            if isinstance(argument, RefusedArgument):
                raise PayloadRefused(argument.refusal)
        return await super().execute_activity(input)
