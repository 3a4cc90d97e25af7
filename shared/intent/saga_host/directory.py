"""The sagas of a context in Temporal: lists, their progress, and the signals of operators."""

from __future__ import annotations

import asyncio
import hashlib
import logging
from collections.abc import AsyncIterator, Collection, Iterable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any, Final

from google.protobuf.message import Message
from intent_contracts.intent.v1 import (
    CancelSagaRequest,
    GetSagaResponse,
    ListSagasRequest,
    ListSagasResponse,
    ResumeSagaRequest,
    SagaInfo,
    SagaProblem,
    SagaReport,
    SagaStatus,
    TerminateSagaRequest,
)
from temporalio.api.workflow.v1 import PendingActivityInfo
from temporalio.client import (
    Client,
    WorkflowExecutionDescription,
    WorkflowExecutionStatus,
    WorkflowFailureError,
    WorkflowQueryFailedError,
    WorkflowQueryRejectedError,
)
from temporalio.service import RPCError, RPCStatusCode

from intent.errors import InvalidCommand, NotFound, Rejected, StoreUnavailable, Unavailable
from intent.saga_host.ends import NoEnds, SagaEnds
from intent.saga_host.failures import reason_of, without_details
from intent.saga_host.listing import OVER, of_context, quoted, saga_info
from intent.saga_host.problems import problem_of
from intent.store.postgres import SagaEnd
from intent.temporal import names
from intent.temporal.attributes import CORRELATION_IDS, REPORTED_PROBLEMS, SAGA_STATUS, TENANTS
from intent.temporal.signing import PayloadRefused

__all__ = ["DirectorySettings", "SagaDirectory"]

_log: Final = logging.getLogger(__name__)
_PAGE: Final = 50
_RETRY_MS: Final = 1000
_RUNNING: Final = 'ExecutionStatus = "Running"'
_FAILED: Final = 'ExecutionStatus IN ("Failed", "Terminated", "Canceled", "TimedOut")'
_MOST_ASKED: Final = 20
"""How many failing sagas of a page are asked about for the reason."""
_FAILS: Final = (
    "its code fails, so it cannot report its steps; it is retried, loses nothing, and continues "
    "with a release that does not fail"
)
_FAILING: Final = SagaStatus.SAGA_STATUS_FAILING


@dataclass(frozen=True, slots=True)
class DirectorySettings:
    """How long to wait, in seconds.

    Attributes:
        temporal: For Temporal itself.
        report: For a worker of the context to report a saga's steps.
    """

    temporal: float = 5.0
    report: float = 3.0


class SagaDirectory:
    """The sagas of one context.

    Lists come from Temporal's visibility, which lags by some moments; a single saga is asked itself.

    Args:
        context: The context.
        types: The full names of its sagas' messages.
        client: The Temporal client.
        settings: How long to wait.
        ends: Where the ends of sagas are kept that Temporal has forgotten; None: nowhere.
    """

    def __init__(
        self,
        context: str,
        types: Iterable[str],
        client: Client,
        settings: DirectorySettings | None = None,
        ends: SagaEnds | None = None,
    ) -> None:
        self._context = context
        self._types = tuple(sorted(types))
        self._client = client
        self._ends: SagaEnds = ends or NoEnds()
        self._settings = settings or DirectorySettings()

    async def page(self, tenant: str, request: ListSagasRequest) -> ListSagasResponse:
        """Return a page of a tenant's sagas, the newest first.

        Raises:
            InvalidCommand: The page token is invalid.
            Unavailable: Temporal is unavailable.
        """
        types = [type_ for type_ in self._types if request.type in ("", type_)]
        if not types:
            return ListSagasResponse()
        query = _query(self._context, types, tenant, request)
        listing = self._client.list_workflows(
            query,
            page_size=request.page_size or _PAGE,
            next_page_token=_within(query, request.page_token),
        )
        async with self._asking():
            if not await _fetched(listing, request.status):
                return ListSagasResponse()
        sagas = [saga_info(execution) for execution in listing.current_page or ()]
        if request.status:
            # Temporal lists a failing saga under the status before as well.
            failing = request.status == _FAILING
            sagas = [saga for saga in sagas if (saga.status == _FAILING) == failing]
        await self._add_problems(tenant, sagas)
        token = listing.next_page_token
        return ListSagasResponse(sagas=sagas, next_page_token=_mark(query) + token if token else b"")

    async def get(self, tenant: str, id_: str) -> GetSagaResponse:
        """Return a saga with its steps, or with a note that says why they are not known.

        Raises:
            NotFound: There is no such saga of this tenant in this context.
            Unavailable: Temporal is unavailable.
        """
        try:
            execution = await self._describe(tenant, id_)
        except NotFound:
            end = await self._ends.end_of(tenant, id_)
            if end is None:
                raise
            return _forgotten(end)
        response = GetSagaResponse(saga=saga_info(execution))
        async with self._asking():
            problem = await problem_of(self._client, execution, timedelta(seconds=self._settings.temporal))
        if problem is not None:
            _show_problem(response.saga, problem)
            response.note = _FAILS
        elif execution.status == WorkflowExecutionStatus.COMPLETED:
            async with self._asking():
                await self._add_result(id_, response)
        else:
            await self._ask_report(id_, response)
            await self._add_attempts(execution.raw_description.pending_activities, response.report)
        if execution.status not in (WorkflowExecutionStatus.RUNNING, WorkflowExecutionStatus.COMPLETED):
            await self._fill_in_failure(id_, response.report)
        # The saga itself knows its status earlier than the list.
        if response.report.status and response.saga.status != SagaStatus.SAGA_STATUS_FAILED:
            response.saga.status = response.report.status
        response.report.status = response.saga.status
        return response

    async def resume(self, tenant: str, request: ResumeSagaRequest, actor: str) -> None:
        """Resume a stuck saga; who decided it is recorded with the reason.

        Raises:
            NotFound: There is no such saga of this tenant in this context.
            Rejected: It is not stuck.
            Unavailable: Temporal is unavailable.
        """
        saga = (await self.get(tenant, request.id)).saga
        if saga.status != SagaStatus.SAGA_STATUS_STUCK:
            raise _refused("SAGA_NOT_STUCK", saga, "not stuck; there is nothing to resume")
        signal = ResumeSagaRequest(id=request.id, skip=request.skip, reason=_by(actor, request.reason))
        await self._signal(request.id, names.SAGA_RESUME, signal)

    async def cancel(self, tenant: str, request: CancelSagaRequest, actor: str) -> None:
        """End a saga at its next step; who decided it is recorded with the reason.

        Raises:
            NotFound: There is no such saga of this tenant in this context.
            Rejected: It has ended, or is being compensated already.
            Unavailable: Temporal is unavailable.
        """
        response = await self.get(tenant, request.id)
        saga = response.saga
        if saga.HasField("ended_at") or saga.status in OVER:
            raise _refused("SAGA_OVER", saga, "over; there is nothing to cancel")
        if saga.status == SagaStatus.SAGA_STATUS_COMPENSATING or response.report.failure_reason:
            raise _refused("SAGA_BEING_UNDONE", saga, "being undone already; resume it when it is stuck")
        signal = CancelSagaRequest(id=request.id, reason=_by(actor, request.reason))
        await self._signal(request.id, names.SAGA_CANCEL, signal)

    async def terminate(self, tenant: str, request: TerminateSagaRequest, actor: str) -> None:
        """End a saga at once, with what it did left as it is; who decided it is recorded with the reason.

        Raises:
            NotFound: There is no such saga of this tenant in this context.
            Rejected: It has ended.
            Unavailable: Temporal is unavailable.
        """
        execution = await self._describe(tenant, request.id)
        saga = saga_info(execution)
        if saga.HasField("ended_at"):
            raise _refused("SAGA_OVER", saga, "over; there is nothing to terminate")
        async with self._asking(request.id):
            await self._handle(request.id).terminate(reason=_by(actor, request.reason))
        failed, now = SagaStatus.SAGA_STATUS_FAILED, datetime.now(UTC)
        end = SagaEnd(tenant, request.id, failed, execution.start_time, now, actor, request.reason)
        try:
            await self._ends.record([end])
        except StoreUnavailable as error:
            # The end itself is recorded later, from what Temporal knows.
            _log.warning("%s terminated the saga %s, which is not recorded: %s", actor, request.id, error)

    async def _describe(self, tenant: str, id_: str) -> WorkflowExecutionDescription:
        type_, _, rest = id_.partition("/")
        if type_ not in self._types or not rest.startswith(f"{tenant}/"):
            raise _not_found(id_)
        async with self._asking(id_):
            execution: WorkflowExecutionDescription = await self._handle(id_).describe()
            return execution

    async def _add_problems(self, tenant: str, sagas: Iterable[SagaInfo]) -> None:
        """Add why sagas fail, for the first few."""
        failing = [saga for saga in sagas if saga.status == _FAILING][:_MOST_ASKED]
        limit = timedelta(seconds=self._settings.temporal)

        async def add(saga: SagaInfo) -> None:
            execution = await self._describe(tenant, saga.id)
            problem = await problem_of(self._client, execution, limit)
            if problem is not None:
                saga.problem.CopyFrom(problem)

        # Without it the list still says that they fail.
        await asyncio.gather(*map(add, failing), return_exceptions=True)

    async def _add_result(self, id_: str, response: GetSagaResponse) -> None:
        """Add the report with which a saga ended, if it is believed."""
        try:
            response.report.CopyFrom(await self._handle(id_).result() or SagaReport())
        except PayloadRefused as error:
            response.note = f"what Temporal keeps of its steps is not believed: {error}"

    async def _ask_report(self, id_: str, response: GetSagaResponse) -> None:
        """Ask a worker for the report; if none answers in time, note that."""
        limit = self._settings.report
        try:
            async with asyncio.timeout(limit):
                report = await self._handle(id_).query(
                    names.SAGA_REPORT, result_type=SagaReport, rpc_timeout=timedelta(seconds=limit)
                )
        except (TimeoutError, RPCError):
            response.note = (
                f"no worker of {self._context} reported the steps within {limit:g} s; "
                "the saga itself is safe and continues when one runs"
            )
        except (WorkflowQueryFailedError, WorkflowQueryRejectedError, PayloadRefused) as error:
            response.note = f"the saga cannot report its steps: {error}"
        else:
            response.report.CopyFrom(report)

    async def _add_attempts(self, pending: Iterable[PendingActivityInfo], report: SagaReport) -> None:
        """Add what Temporal knows of steps that it retries: the attempts, and why the last one failed."""
        steps = {step.path: step for step in report.steps}
        for activity in pending:
            step = steps.get(names.step_of_activity(activity.activity_id))
            if step is None or step.HasField("ended_at"):
                continue
            step.attempts += activity.attempt - 1
            if activity.HasField("last_failure"):
                bare = without_details(activity.last_failure)
                failure = await self._client.data_converter.decode_failure(bare)
                step.reason, step.detail = reason_of(failure)

    async def _fill_in_failure(self, id_: str, report: SagaReport) -> None:
        """Fill in why a saga ended without a report of its own."""
        async with self._asking(id_):
            try:
                await self._handle(id_).result()
            except WorkflowFailureError as error:
                report.failure_reason, report.failure_detail = reason_of(error.cause)
            except PayloadRefused as error:
                report.failure_reason, report.failure_detail = reason_of(error)

    async def _signal(self, id_: str, signal: str, argument: Message) -> None:
        async with self._asking(id_):
            await self._handle(id_).signal(signal, argument)

    def _handle(self, id_: str) -> Any:
        return self._client.get_workflow_handle(id_, result_type=SagaReport)

    @asynccontextmanager
    async def _asking(self, id_: str = "") -> AsyncIterator[None]:
        """Turn errors of Temporal into those of the caller."""
        try:
            async with asyncio.timeout(self._settings.temporal):
                yield
        except TimeoutError as error:
            raise _unavailable(f"no answer within {self._settings.temporal:g} s") from error
        except RPCError as error:
            if id_ and error.status in (RPCStatusCode.NOT_FOUND, RPCStatusCode.INVALID_ARGUMENT):
                raise _not_found(id_) from error
            raise _unavailable(error.message) from error


def _query(context: str, types: Collection[str], tenant: str, request: ListSagasRequest) -> str:
    """Return the visibility query of a list."""
    parts = [of_context(context, types), f"{TENANTS.name} = {quoted(tenant)}"]
    if request.correlation_id:
        parts.append(f"{CORRELATION_IDS.name} = {quoted(request.correlation_id)}")
    if request.status:
        parts.append(_has_status(request.status))
    return " AND ".join(parts)


def _mark(query: str) -> bytes:
    """Return the prefix of a list's page tokens, by which a token of another list is refused."""
    return hashlib.sha256(query.encode()).digest()[:8]


def _within(query: str, token: bytes) -> bytes | None:
    """Return Temporal's own page token; None for the first page.

    Raises:
        InvalidCommand: The token belongs to another list, or is malformed.
    """
    mark = _mark(query)
    if token and not token.startswith(mark):
        raise InvalidCommand(
            "PAGE_TOKEN_INVALID",
            "the page token does not belong to this list; take the next_page_token of its last page",
        )
    return token.removeprefix(mark) or None


async def _fetched(listing: Any, status: SagaStatus.ValueType) -> bool:
    """Fetch a page; return False when this version of Temporal knows nothing of workflows that fail."""
    try:
        await listing.fetch_next_page()
    except RPCError as error:
        if status != _FAILING or error.status != RPCStatusCode.INVALID_ARGUMENT:
            raise
        return False
    return True


def _has_status(status: SagaStatus.ValueType) -> str:
    """Return the part of a query that narrows a list to sagas of a status."""
    if status == _FAILING:
        return f"{_RUNNING} AND {REPORTED_PROBLEMS.name} IS NOT NULL"
    if status == SagaStatus.SAGA_STATUS_FAILED:
        return _FAILED
    named = f"{SAGA_STATUS.name} = {quoted(names.saga_status(status))}"
    if status == SagaStatus.SAGA_STATUS_RUNNING:
        # One that has not waited yet has not set its status.
        return f"{_RUNNING} AND ({named} OR {SAGA_STATUS.name} IS NULL)"
    return named if status in OVER else f"{_RUNNING} AND {named}"


def _forgotten(end: SagaEnd) -> GetSagaResponse:
    """Return what is kept of a saga that Temporal has forgotten."""
    type_, tenant, correlation = end.saga.split("/", 2)
    status = SagaStatus.ValueType(end.status)
    saga = SagaInfo(id=end.saga, type=type_, tenant_id=tenant, correlation=correlation, status=status)
    saga.started_at.FromDatetime(end.started_at)
    saga.ended_at.FromDatetime(end.ended_at)
    report = SagaReport(status=status)
    if end.ended_by:
        report.failure_reason, report.failure_detail = "TERMINATED", _by(end.ended_by, end.reason)
    note = "it ended so long ago that Temporal has forgotten its steps"
    return GetSagaResponse(saga=saga, report=report, note=note)


def _show_problem(saga: SagaInfo, problem: SagaProblem) -> None:
    saga.status = _FAILING
    saga.problem.CopyFrom(problem)


def _by(actor: str, reason: str) -> str:
    return f"{actor}: {reason}" if reason else actor


def _not_found(id_: str) -> NotFound:
    return NotFound("SAGA_NOT_FOUND", f"there is no saga {id_} here", metadata={"id": id_[:200]})


def _refused(reason: str, saga: SagaInfo, why: str) -> Rejected:
    status = names.saga_status(saga.status)
    return Rejected(reason, f"the saga {saga.id} ({status}) is {why}", metadata={"status": status})


def _unavailable(why: str) -> Unavailable:
    return Unavailable("TEMPORAL_UNAVAILABLE", f"Temporal is unavailable: {why}", retry_after_ms=_RETRY_MS)
