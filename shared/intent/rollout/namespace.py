"""Setup of the Temporal namespace: retention and search attributes."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import timedelta

from google.protobuf.duration_pb2 import Duration
from temporalio.api.enums.v1 import IndexedValueType
from temporalio.api.namespace.v1 import NamespaceConfig
from temporalio.api.operatorservice.v1 import AddSearchAttributesRequest, ListSearchAttributesRequest
from temporalio.api.workflowservice.v1 import (
    DescribeNamespaceRequest,
    RegisterNamespaceRequest,
    UpdateNamespaceRequest,
)
from temporalio.client import Client
from temporalio.service import RPCError, RPCStatusCode

from intent.errors import ConfigurationError
from intent.rollout.waiting import Report, patiently
from intent.temporal import SEARCH_ATTRIBUTES

__all__ = ["prepare_namespace"]

_RETENTION = timedelta(days=3)
_REFUSED = {RPCStatusCode.PERMISSION_DENIED, RPCStatusCode.UNIMPLEMENTED, RPCStatusCode.UNAUTHENTICATED}


async def prepare_namespace(
    client: Client, *, retention: timedelta | None, wait: float, report: Report
) -> Sequence[str]:
    """Create the client's namespace and its search attributes, unless they exist.

    Running it twice, or from two places at once, is safe.

    Args:
        client: A client of the namespace.
        retention: How long closed workflows are kept; None: three days in a new namespace, unchanged
            in one that exists.
        wait: Seconds that Temporal may be unavailable or may take to know a new namespace everywhere.
        report: Gets sentences for the user.

    Returns:
        What was done, one sentence each; empty when everything existed.

    Raises:
        ConfigurationError: Temporal refuses, or an attribute exists with another type.
        RPCError: Temporal stays unavailable.
    """

    async def namespace() -> list[str]:
        return await _namespace(client, retention)

    async def attributes() -> list[str]:
        return await _attributes(client, SEARCH_ATTRIBUTES)

    async def attributes_known() -> None:
        if await _missing(client, SEARCH_ATTRIBUTES):
            raise RPCError("the search attributes are not known everywhere yet", RPCStatusCode.NOT_FOUND, b"")

    try:
        done = await patiently(namespace, wait, report)
        done += await patiently(attributes, wait, report, transient=_transient)
        await patiently(attributes_known, wait, report, transient=_transient)
    except RPCError as error:
        if error.status in _REFUSED:
            raise _refused(client.namespace, error) from error
        raise
    return done


async def _namespace(client: Client, retention: timedelta | None) -> list[str]:
    name = client.namespace
    try:
        described = await client.workflow_service.describe_namespace(DescribeNamespaceRequest(namespace=name))
    except RPCError as error:
        if error.status is not RPCStatusCode.NOT_FOUND:
            raise
        return await _register(client, retention or _RETENTION)
    known = described.config.workflow_execution_retention_ttl.ToTimedelta()
    if retention is None or retention == known:
        return []
    config = NamespaceConfig(workflow_execution_retention_ttl=_duration(retention))
    await client.workflow_service.update_namespace(UpdateNamespaceRequest(namespace=name, config=config))
    return [f"the namespace {name} keeps closed workflows {_days(retention)} instead of {_days(known)}"]


async def _register(client: Client, retention: timedelta) -> list[str]:
    request = RegisterNamespaceRequest(
        namespace=client.namespace,
        workflow_execution_retention_period=_duration(retention),
        description="Intent",
    )
    try:
        await client.workflow_service.register_namespace(request)
    except RPCError as error:
        if error.status is not RPCStatusCode.ALREADY_EXISTS:
            raise
        return []
    return [f"the namespace {client.namespace} was created; it keeps closed workflows {_days(retention)}"]


async def _attributes(client: Client, wanted: Mapping[str, str]) -> list[str]:
    missing = await _missing(client, wanted)
    if not missing:
        return []
    request = AddSearchAttributesRequest(
        namespace=client.namespace,
        search_attributes={name: _type(wanted[name]) for name in missing},
    )
    try:
        await client.operator_service.add_search_attributes(request)
    except RPCError as error:
        if error.status is not RPCStatusCode.ALREADY_EXISTS:
            raise
    return [f"the search attribute {name} was created" for name in missing]


async def _missing(client: Client, wanted: Mapping[str, str]) -> list[str]:
    """Return the names of the attributes that do not exist.

    Raises:
        ConfigurationError: One exists with another type.
    """
    request = ListSearchAttributesRequest(namespace=client.namespace)
    known = (await client.operator_service.list_search_attributes(request)).custom_attributes
    for name, kind in wanted.items():
        if name in known and known[name] != _type(kind):
            raise ConfigurationError(
                f"the search attribute {name} of the namespace {client.namespace} must be of type {kind}; "
                f"remove it with `temporal operator search-attribute remove --name {name}` and run this again"
            )
    return sorted(wanted.keys() - known.keys())


def _type(kind: str) -> IndexedValueType.ValueType:
    """Return Temporal's number for a type such as ``KeywordList``."""
    upper = "".join(f"_{letter}" if letter.isupper() else letter.upper() for letter in kind)
    return IndexedValueType.Value(f"INDEXED_VALUE_TYPE{upper}")


def _transient(error: Exception) -> bool:
    # Not every part of Temporal knows a new namespace at once.
    transient = {RPCStatusCode.NOT_FOUND, RPCStatusCode.UNAVAILABLE, RPCStatusCode.DEADLINE_EXCEEDED}
    return isinstance(error, RPCError) and error.status in transient


def _refused(namespace: str, error: RPCError) -> ConfigurationError:
    attributes = ", ".join(f"{name} ({kind})" for name, kind in SEARCH_ATTRIBUTES.items())
    return ConfigurationError(
        f"Temporal does not let this identity set up the namespace {namespace} ({error.message}); where "
        "it is managed by other means, as on Temporal Cloud, create it there with these search attributes: "
        f"{attributes}"
    )


def _duration(span: timedelta) -> Duration:
    duration = Duration()
    duration.FromTimedelta(span)
    return duration


def _days(span: timedelta) -> str:
    days = span / timedelta(days=1)
    return f"{days:g} day{'' if days == 1 else 's'}"
