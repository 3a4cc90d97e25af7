"""Several processes of one context, and their metrics."""

from __future__ import annotations

import urllib.request
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass

from intent.dev.platform import ContextService, LocalPlatform
from intent.process.sockets import free_ports
from prometheus_client.parser import text_string_to_metric_families


@dataclass(frozen=True, slots=True)
class Replicas:
    """Processes of one context.

    Attributes:
        services: The processes.
        metrics: The port of each one's metrics.
    """

    services: Sequence[ContextService]
    metrics: Sequence[int]

    @property
    def target(self) -> str:
        """The target of a client that connects to all of them."""
        return "ipv4:" + ",".join(service.target for service in self.services)

    def restart_in_turn(self) -> None:
        """Restart one after the other, as a rollout does, waiting for each before the next."""
        for service in self.services:
            service.stop()
            assert service.process.exit_code == 0, (
                "it was killed because it did not end within its grace period"
            )
            service.start()

    def batched(self) -> list[int]:
        """Return the number of commands that each has sent in batches since it started."""
        return [int(_metric(port, "intent_batch_commands_sum")) for port in self.metrics]


@contextmanager
def replicas(platform: LocalPlatform, context: str, *builds: str) -> Iterator[Replicas]:
    """Run one process of a context for each build id; empty ones are unversioned."""
    metrics = free_ports(len(builds))
    with ExitStack() as stack:
        services = [
            stack.enter_context(versioned(platform, context, build, metrics_port=str(port)))
            for build, port in zip(builds, metrics, strict=True)
        ]
        yield Replicas(services, metrics)


def versioned(platform: LocalPlatform, context: str, build: str, **further: str) -> ContextService:
    """Return a process that is a version of its context, not started yet.

    Args:
        platform: What it runs on.
        context: The context.
        build: The build id; empty: unversioned.
        further: Settings, by field name.
    """
    variables = {f"INTENT_{name.upper()}": value for name, value in further.items()}
    if build:
        variables["TEMPORAL_WORKER_BUILD_ID"] = build
    return platform.service(context, environment=variables, log_level="warning")


def _metric(port: int, name: str) -> float:
    with urllib.request.urlopen(f"http://127.0.0.1:{port}/metrics", timeout=30) as answer:
        families = text_string_to_metric_families(answer.read().decode())
    return sum(sample.value for family in families for sample in family.samples if sample.name == name)
