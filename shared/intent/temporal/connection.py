"""The connection to Temporal."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from datetime import timedelta
from functools import cache
from pathlib import Path
from typing import Any

from temporalio.api.operatorservice.v1 import ListSearchAttributesRequest
from temporalio.api.workflowservice.v1 import DescribeNamespaceRequest
from temporalio.client import Client
from temporalio.converter import DataConverter
from temporalio.runtime import (
    LogForwardingConfig,
    LoggingConfig,
    PrometheusConfig,
    Runtime,
    TelemetryConfig,
)
from temporalio.service import RPCError, RPCStatusCode, TLSConfig

from intent.addresses import is_local
from intent.errors import ConfigurationError, ServerUnavailable
from intent.settings.config import Settings
from intent.temporal.attributes import SEARCH_ATTRIBUTES
from intent.temporal.converter import data_converter
from intent.temporal.signing import (
    KeyRing,
    RefusingInterceptor,
    Report,
    Signing,
    log_refusal,
    signed_converter,
)

__all__ = ["connect_temporal", "require_namespace", "temporal_problem", "temporal_runtime"]

_log = logging.getLogger(__name__)

_CHECK = timedelta(seconds=2)
_NO_ANSWER = (
    RPCStatusCode.UNAVAILABLE,
    RPCStatusCode.CANCELLED,
    RPCStatusCode.DEADLINE_EXCEEDED,
    RPCStatusCode.RESOURCE_EXHAUSTED,
    RPCStatusCode.UNAUTHENTICATED,
)
"""The statuses of calls that may succeed later, with the same settings; an API key may be rotated."""


async def connect_temporal(
    settings: Settings,
    *,
    runtime: Runtime | None = None,
    interceptors: Sequence[Any] = (),
    report: Report = log_refusal,
) -> Client:
    """Connect to Temporal as the settings say.

    Args:
        settings: The settings.
        runtime: The SDK's runtime, see `temporal_runtime`; None: one that is shared.
        interceptors: What sees every call; workers of this client have them too.
        report: Is told of what comes from Temporal and is refused.

    Raises:
        ServerUnavailable: Temporal does not answer, or refuses.
        ConfigurationError: The address is none, a file cannot be read, an API key would be sent in plain
            text, or the keys for MACs cannot be used.
    """
    converter, refusing = _signing(settings, report)
    tls = _tls(settings)
    if settings.temporal_api_key and not tls and not is_local(settings.temporal_address):
        raise ConfigurationError(
            f"the API key would be sent to {settings.temporal_address} in plain text: set TEMPORAL_TLS=true"
        )
    try:
        return await Client.connect(
            settings.temporal_address,
            namespace=settings.temporal_namespace,
            api_key=settings.temporal_api_key or None,
            tls=tls,
            data_converter=converter,
            interceptors=[*refusing, *interceptors],
            runtime=runtime or _shared_runtime(),
        )
    except ValueError as error:
        raise ConfigurationError(
            f"{settings.temporal_address} cannot be the address of Temporal ({error}); set TEMPORAL_ADDRESS"
        ) from error
    except (RPCError, RuntimeError) as error:
        raise _unavailable(settings.temporal_address, error) from error


def _signing(settings: Settings, report: Report) -> tuple[DataConverter, list[Any]]:
    """Return the converter, and what refuses calls of activities."""
    if not settings.temporal_keys:
        return data_converter, []
    signing = Signing(KeyRing(settings.temporal_keys), settings.temporal_unsigned_until, report)
    return signed_converter(signing), [RefusingInterceptor()]


async def temporal_problem(client: Client) -> str:
    """Return what is wrong with Temporal in a few words; empty when it is healthy."""
    try:
        healthy = await client.service_client.check_health(timeout=_CHECK)
    except RPCError as error:
        return f"Temporal is unavailable: {error.message}"
    return "" if healthy else "Temporal is not healthy"


async def require_namespace(client: Client) -> None:
    """Check that the namespace exists and has the platform's search attributes.

    Raises:
        ServerUnavailable: Temporal does not answer.
        ConfigurationError: It does not, or some are missing; Temporal would refuse every batch.
    """
    request = DescribeNamespaceRequest(namespace=client.namespace)
    try:
        await client.workflow_service.describe_namespace(request, timeout=_CHECK)
    except RPCError as error:
        if error.status in _NO_ANSWER:
            raise _unavailable(client.service_client.config.target_host, error) from error
        if error.status is RPCStatusCode.NOT_FOUND:
            raise ConfigurationError(
                f"Temporal has no namespace {client.namespace}; create it, or set TEMPORAL_NAMESPACE"
            ) from error
        _log.info("the namespace is not checked: %s", error.message)
    await _require_search_attributes(client)


async def _require_search_attributes(client: Client) -> None:
    try:
        known = await client.operator_service.list_search_attributes(
            ListSearchAttributesRequest(namespace=client.namespace), timeout=_CHECK
        )
    except RPCError as error:
        if error.status in _NO_ANSWER:
            raise _unavailable(client.service_client.config.target_host, error) from error
        # Where the service may not ask, as on Temporal Cloud, whoever set up the namespace is responsible.
        _log.info("the search attributes of the namespace are not checked: %s", error.message)
        return
    missing = sorted(SEARCH_ATTRIBUTES.keys() - known.custom_attributes.keys())
    if missing:
        flags = " ".join(f"--name {name} --type {SEARCH_ATTRIBUTES[name]}" for name in missing)
        raise ConfigurationError(
            f"the Temporal namespace {client.namespace} lacks search attributes; create them with "
            f"`temporal operator search-attribute create {flags}`"
        )


_CORE_LOGS = LoggingConfig(
    # Workflow tasks that fail are logged by the SDK's Python part as well.
    filter="temporalio_sdk_core=WARN,temporalio_client=WARN,temporalio_sdk_core::worker::workflow=ERROR,ERROR",
    forwarding=LogForwardingConfig(logger=logging.getLogger("temporalio.core")),
)
"""The SDK's core writes to this process's log, in its format."""


@cache
def _shared_runtime() -> Runtime:
    """Return the runtime of the SDK for all that serve no metrics of it."""
    return Runtime(telemetry=TelemetryConfig(logging=_CORE_LOGS))


def temporal_runtime(metrics_address: str | None) -> Runtime | None:
    """Return a runtime of the SDK that serves its metrics, ``host:port``; None: the shared one."""
    if metrics_address is None:
        return None
    prometheus = PrometheusConfig(
        bind_address=metrics_address,
        counters_total_suffix=True,
        unit_suffix=True,
        durations_as_seconds=True,
    )
    return Runtime(telemetry=TelemetryConfig(metrics=prometheus, logging=_CORE_LOGS))


def _unavailable(address: str, error: Exception) -> ServerUnavailable:
    return ServerUnavailable(
        f"Temporal does not answer at {address}; start it, or set TEMPORAL_ADDRESS ({_first_line(error)})"
    )


def _tls(settings: Settings) -> TLSConfig | bool:
    paths = (
        settings.temporal_tls_server_ca_cert_path,
        settings.temporal_tls_client_cert_path,
        settings.temporal_tls_client_key_path,
    )
    if not any(paths) and not settings.temporal_tls_server_name:
        return settings.temporal_tls
    authority, certificate, key = (_bytes(path) for path in paths)
    return TLSConfig(
        server_root_ca_cert=authority,
        client_cert=certificate,
        client_private_key=key,
        domain=settings.temporal_tls_server_name or None,
    )


def _bytes(path: str) -> bytes | None:
    if not path:
        return None
    try:
        return Path(path).read_bytes()
    except OSError as error:
        raise ConfigurationError(f"cannot read {path} for Temporal: {error.strerror}") from error


def _first_line(error: Exception) -> str:
    return str(error).strip().splitlines()[0] if str(error).strip() else type(error).__name__
