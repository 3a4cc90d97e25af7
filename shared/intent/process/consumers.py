"""The consumers in a context's process: those that it serves and those that it runs."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncIterator, Iterator
from contextlib import AsyncExitStack, asynccontextmanager
from functools import partial
from typing import Final

from intent.addresses import is_local
from intent.background import Background, BackgroundTask, stop_all
from intent.client import ConsumerRunner, IntentClient, SendCommand, TokenFile
from intent.commands import CommandRequest, WorkflowRouter
from intent.consumers import ConsumerDatabase, ConsumerServing, ConsumerSettings
from intent.contracts import Registry, validate
from intent.errors import ConfigurationError
from intent.guarding import Guard
from intent.model import BoundContext, Consumer, IntendedCommand
from intent.settings.config import Settings
from intent.store.postgres import PostgresEventStore
from intent.telemetry.metrics import Metrics
from intent.tls import Tls

__all__ = ["client_tls", "running_consumers", "serving_consumers"]

_log: Final = logging.getLogger(__name__)
_ROLES: Final = ("consumer", "consumer-all")
_RETRY_AFTER: Final = 30.0
"""Seconds until a consumer that was refused tries again: the other context may be fixed by then."""
_CONSUMERS_CHANGED: Final = "consumers"
"""The wake-up that processes send each other when the consumers changed."""


@asynccontextmanager
async def serving_consumers(
    store: PostgresEventStore, context: str, settings: Settings, metrics: Metrics, background: Background
) -> AsyncIterator[ConsumerServing]:
    """Serve consumers for the duration of the context."""
    database = ConsumerDatabase(store.pool, context)
    limits = ConsumerSettings(
        most_per_tenant=settings.max_consumers_per_tenant, days_kept=settings.consumer_days
    )
    host = ConsumerServing(
        store,
        database,
        limits,
        notify=lambda: store.wake_ups.tell(_CONSUMERS_CHANGED),
        background=background,
    )
    store.wake_ups.on(_CONSUMERS_CHANGED, host.refresh)
    metrics.watch_consumers(host.counters)
    await host.start()
    try:
        yield host
    finally:
        await host.stop()


@asynccontextmanager
async def running_consumers(
    context: BoundContext,
    settings: Settings,
    router: WorkflowRouter,
    metrics: Metrics,
    guard: Guard,
    background: Background,
) -> AsyncIterator[None]:
    """Run the consumers that a context declares, for the duration of the context manager.

    Raises:
        ConfigurationError: The address of a context whose events they consume is not set, the files of TLS
            cannot be used, or a token would be sent in plain text.
    """
    async with AsyncExitStack() as stack:
        runners = []
        for consumer, address in _addressed(context, settings):
            client = _client(context, context.consumers[consumer], address, settings)
            stack.push_async_callback(client.close)
            runners.append(
                client.consume(
                    consumer(), send=_sender(context.registry, router), all_tenants=True, guard=guard
                )
            )
        metrics.watch_consuming(lambda: [runner.figures for runner in runners])
        tasks = [
            background.start(f"consumer {runner.figures.name}", partial(_run_persistently, runner))
            for runner in runners
        ]
        try:
            yield
        finally:
            await _stop(runners, tasks, settings.drain_timeout)


def client_tls(settings: Settings, *, own: bool = False) -> Tls | None:
    """Return the TLS with which contexts are called; None: in plain text.

    Args:
        settings: The settings.
        own: Whether it is the own context, at an address that need not be in its certificate.

    Raises:
        ConfigurationError: A file cannot be read or is invalid.
    """
    wanted = bool(settings.tls_cert_path) if settings.context_tls is None else settings.context_tls
    if not wanted:
        return None
    tls = Tls(settings.tls_ca_path, settings.tls_cert_path, settings.tls_key_path)
    if own:
        tls.server_name = tls.current().name
    return tls


def _client(context: BoundContext, source: str, address: str, settings: Settings) -> IntentClient:
    """Return a client of the context whose events are consumed, with a token if there is a file of one."""
    own = source == context.name and source not in settings.context_addresses
    tls = client_tls(settings, own=own)
    if not settings.identity_token_file:
        if settings.identity_mode == "token" and tls is not None:
            # The certificate says who calls.
            return IntentClient.connect(address, credentials=tls, registry=context.registry)
        actor = f"service:{context.name}"
        return IntentClient.connect(
            address, actor=actor, roles=_ROLES, credentials=tls, registry=context.registry
        )
    protected = tls is not None or source == context.name or is_local(address)
    if not protected and not settings.identity_token_in_plain_text:
        raise ConfigurationError(
            f"the token in INTENT_IDENTITY_TOKEN_FILE would be sent to {address} in plain text: set "
            "INTENT_CONTEXT_TLS=true; or, where something else protects the network, such as a service mesh, "
            "INTENT_IDENTITY_TOKEN_IN_PLAIN_TEXT=true"
        )
    return IntentClient.connect(
        address,
        token=TokenFile(settings.identity_token_file),
        token_in_plain_text=True,
        credentials=tls,
        registry=context.registry,
    )


def _addressed(context: BoundContext, settings: Settings) -> Iterator[tuple[type[Consumer], str]]:
    """Yield each consumer with the address of the context whose events it consumes."""
    known = {context.name: f"{settings.host}:{settings.port}", **settings.context_addresses}
    for consumer, source in context.consumers.items():
        if source in known:
            yield consumer, known[source]
            continue
        missing = (
            f"the consumer {consumer.name} consumes the events of {source}, whose address is not set: set "
            f"INTENT_CONTEXT_ADDRESSES={source}=host:port"
        )
        if not settings.dev:
            raise ConfigurationError(missing)
        _log.warning("%s", missing)


def _sender(registry: Registry, router: WorkflowRouter) -> SendCommand:
    async def send(intended: IntendedCommand) -> None:
        contract = registry.command(intended.command.DESCRIPTOR.full_name)
        validate(intended.command)
        await router.handle(CommandRequest(contract, intended.command, intended.origin, applied_only=True))

    return send


async def _run_persistently(runner: ConsumerRunner) -> None:
    """Run a consumer until it is stopped, and try again when the other context refuses it."""
    while True:
        try:
            return await runner.run()
        except Exception as error:
            _log.exception("the consumer %s is refused: %s", runner.figures.name, error)
        await asyncio.sleep(_RETRY_AFTER)


async def _stop(runners: list[ConsumerRunner], tasks: list[BackgroundTask], patience: float) -> None:
    for runner in runners:
        runner.stop()
    await stop_all(tasks, patience)
