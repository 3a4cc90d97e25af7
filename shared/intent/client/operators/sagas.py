"""The client for operators of sagas."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Final

from intent_contracts.intent.v1 import (
    CancelSagaRequest,
    CancelSagaResponse,
    GetSagaRequest,
    GetSagaResponse,
    ListSagasRequest,
    ListSagasResponse,
    ResumeSagaRequest,
    ResumeSagaResponse,
    SagaInfo,
    SagaStatus,
    TerminateSagaRequest,
    TerminateSagaResponse,
)

from intent.client.connection import Connection

__all__ = ["SagasClient"]

_SAGAS: Final = "/intent.v1.Sagas"


class SagasClient:
    """Lists, resumes, cancels and terminates the sagas of a context, of the caller's tenant.

    Reading needs the role ``operator`` or ``service``, all else the role ``operator``.
    """

    def __init__(self, connection: Connection) -> None:
        self._connection = connection

    async def page(
        self,
        *,
        type: str = "",  # noqa: A002
        status: SagaStatus.ValueType = SagaStatus.SAGA_STATUS_UNSPECIFIED,
        correlation_id: str = "",
        page_size: int = 0,
        page_token: bytes = b"",
    ) -> ListSagasResponse:
        """Return a page of sagas, the newest first.

        Args:
            type: Only of this type, by the full name of its message.
            status: Only those with this status.
            correlation_id: Only those with this correlation id.
            page_size: The most sagas to return, up to 500; 0: 50.
            page_token: Where to continue: the previous page's ``next_page_token``.
        """
        request = ListSagasRequest(
            type=type,
            status=status,
            correlation_id=correlation_id,
            page_size=page_size,
            page_token=page_token,
        )
        return await self._connection.call(f"{_SAGAS}/ListSagas", request, ListSagasResponse)

    async def every(
        self,
        *,
        type: str = "",  # noqa: A002
        status: SagaStatus.ValueType = SagaStatus.SAGA_STATUS_UNSPECIFIED,
        correlation_id: str = "",
    ) -> AsyncIterator[SagaInfo]:
        """Yield sagas page by page, the newest first; see `page`."""
        token = b""
        while True:
            page = await self.page(
                type=type, status=status, correlation_id=correlation_id, page_size=500, page_token=token
            )
            for saga in page.sagas:
                yield saga
            token = page.next_page_token
            if not token:
                return

    async def get(self, id: str) -> GetSagaResponse:  # noqa: A002
        """Return one saga with its steps.

        Raises:
            NotFound: There is no such saga of this tenant in this context.
        """
        return await self._connection.call(f"{_SAGAS}/GetSaga", GetSagaRequest(id=id), GetSagaResponse)

    async def resume(self, id: str, *, skip: bool = False, reason: str = "") -> None:  # noqa: A002
        """Resume a stuck saga: retry its parked steps, or skip them.

        Args:
            id: The saga.
            skip: True to skip the parked steps, so that they count as rejected.
            reason: Why; recorded with the step.

        Raises:
            NotFound: There is no such saga.
            Rejected: It is not stuck.
        """
        request = ResumeSagaRequest(id=id, skip=skip, reason=reason)
        await self._connection.call(f"{_SAGAS}/ResumeSaga", request, ResumeSagaResponse)

    async def cancel(self, id: str, reason: str) -> None:  # noqa: A002
        """Cancel a saga: at its next step it ends and runs its compensations.

        Args:
            id: The saga.
            reason: Why; recorded.

        Raises:
            NotFound: There is no such saga.
            Rejected: It is over.
        """
        request = CancelSagaRequest(id=id, reason=reason)
        await self._connection.call(f"{_SAGAS}/CancelSaga", request, CancelSagaResponse)

    async def terminate(self, id: str, reason: str) -> None:  # noqa: A002
        """End a saga at once, with what it did left as it is; it never begins again.

        Args:
            id: The saga.
            reason: Why; recorded.

        Raises:
            NotFound: There is no such saga.
            Rejected: It is over.
        """
        request = TerminateSagaRequest(id=id, reason=reason)
        await self._connection.call(f"{_SAGAS}/TerminateSaga", request, TerminateSagaResponse)
