"""A real installation with a canary wherever a secret can be given."""

from __future__ import annotations

import itertools
import json
import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path

import grpc
from intent.dev.platform import ContextService
from intent.dev.services import ManagedProcess, Postgres, TemporalServer
from intent.process.sockets import free_port

from ..support.authority import Authority
from ..support.issuer import AUDIENCE, new_key
from .canaries import Canaries
from .clumsy_issuer import ClumsyIssuer, clumsy_issuer
from .collector import Collector, collector

__all__ = ["ISSUER", "Installation", "installed"]

ISSUER = "https://issuer.test"
_PATIENCE = 300
_POSTGRES = {"log_statement": "all", "log_connections": "on", "log_disconnections": "on"}


@dataclass
class Installation:
    """The installation.

    Attributes:
        folder: Where its files are; those of the secrets are in the folder `secrets` in it.
        canaries: The secrets.
        postgres: PostgreSQL, which logs every statement.
        temporal: Temporal, which keeps its data in a file.
        collector: Gets the spans.
        issuer: An issuer that refuses everybody.
        metrics: The port of the metrics.
    """

    folder: Path
    canaries: Canaries
    postgres: Postgres
    temporal: TemporalServer
    collector: Collector
    issuer: ClumsyIssuer
    metrics: int

    def __post_init__(self) -> None:
        self.secrets = self.folder / "secrets"
        self.secrets.mkdir()
        self.authority = Authority()
        self.authority.write(self.secrets / "ca.pem")
        self.certificate, self.key = self.authority.issue(self.secrets, "orders", "127.0.0.1", "localhost")
        self.canaries.plant("private key", self.key.read_text().splitlines()[1])
        self.port = free_port()
        self._runs = itertools.count(1)
        self._environment = self._settings()

    @property
    def target(self) -> str:
        """Where the context is served."""
        return f"127.0.0.1:{self.port}"

    @property
    def credentials(self) -> grpc.ChannelCredentials:
        """What clients believe."""
        return grpc.ssl_channel_credentials((self.secrets / "ca.pem").read_bytes())

    @property
    def outputs(self) -> bytes:
        """What all processes have written."""
        return b"\n".join(path.read_bytes() for path in sorted(self.folder.glob("*.log")))

    def url(self, role: str, password: str) -> str:
        """Return the URL of a role."""
        return self.postgres.dsn_for(f"orders_{role}" if role != "postgres" else role, password)

    def environment(self, **changes: str) -> dict[str, str]:
        """Return the settings of a process; an empty one is left out."""
        own = ("INTENT_", "TEMPORAL_", "OTEL_")
        kept = {name: value for name, value in os.environ.items() if not name.startswith(own)}
        changed = {**self._environment, **changes}
        return {**kept, **{name: value for name, value in changed.items() if value}}

    def intent(self, *arguments: str, **changes: str) -> int:
        """Run the command line, keep what it writes, and return its exit code."""
        with (self.folder / f"run-{next(self._runs)}.log").open("wb") as log:
            done = subprocess.run(
                [sys.executable, "-m", "intent.cli", *arguments],
                env=self.environment(**changes),
                stdout=log,
                stderr=subprocess.STDOUT,
                stdin=subprocess.DEVNULL,
                timeout=_PATIENCE,
                check=False,
            )
        return done.returncode

    def service(self) -> ContextService:
        """Return the process of the context, which is not started yet."""
        process = ManagedProcess(
            "context orders",
            [sys.executable, "-m", "intent.cli", "serve", "orders"],
            self.folder / "orders.log",
            environment=self.environment(),
            grace=60,
        )
        service = ContextService("orders", self.port, process)
        service.credentials = self.credentials
        return service

    def _settings(self) -> dict[str, str]:
        new, folder = self.canaries.new, self.secrets
        query = folder / "query-url"
        query.write_text(self.url("query", new("password of the query role")) + "\n")
        keys = folder / "jwks.json"
        keys.write_text(json.dumps({"keys": [new_key("ES256", "es").as_dict(private=False)]}))
        wants_token = self.canaries.file(folder / "issuer-token", "token for the issuer's keys")
        macs = folder / "macs"
        macs.mkdir()
        self.canaries.file(macs / "1", "key for MACs")
        issuers = [
            {"issuer": ISSUER, "jwks_file": str(keys)},
            {"issuer": self.issuer.url, "jwks_url": self.issuer.url, "token_file": str(wants_token)},
        ]
        return {
            "INTENT_CONTEXT": "orders",
            "INTENT_PORT": str(self.port),
            "INTENT_METRICS_PORT": str(self.metrics),
            "INTENT_LOG_LEVEL": "debug",
            "INTENT_CRASH_FOLDER": str(self.folder / "crashes"),
            "INTENT_DATABASE_URL": self.url("service", new("password of the service role")),
            "INTENT_QUERY_DATABASE_URL_FILE": str(query),
            "INTENT_OWNER_DATABASE_URL": self.url("owner", new("password of the owner")),
            "INTENT_ADMIN_DATABASE_URL": self.postgres.dsn,
            "INTENT_IDENTITY_ISSUERS": json.dumps(issuers),
            "INTENT_IDENTITY_AUDIENCE": AUDIENCE,
            "INTENT_IDENTITY_TOKEN_FILE": str(self.canaries.file(folder / "token", "token for contexts")),
            "INTENT_TLS_CERT_PATH": str(self.certificate),
            "INTENT_TLS_KEY_PATH": str(self.key),
            "INTENT_TEMPORAL_KEYS": str(macs),
            "TEMPORAL_ADDRESS": self.temporal.address,
            "TEMPORAL_API_KEY": new("API key for Temporal"),
            "OTEL_EXPORTER_OTLP_ENDPOINT": f"http://127.0.0.1:{self.collector.port}",
            "OTEL_EXPORTER_OTLP_HEADERS": f"authorization=Bearer%20{new('token for the collector')}",
        }


@contextmanager
def installed(folder: Path) -> Iterator[Installation]:
    """Run an installation whose schema is there, for the duration of the block."""
    folder.chmod(0o755)
    canaries = Canaries()
    password = canaries.new("password of the administrator")
    with ExitStack() as stack:
        postgres = Postgres(
            folder / "postgres", durable=False, settings=_POSTGRES, password=password, log=folder / "pg.txt"
        )
        stack.enter_context(postgres)
        temporal = TemporalServer(log=folder / "temporal.log", database=folder / "temporal.db")
        stack.enter_context(temporal)
        spans, issuer = stack.enter_context(collector()), stack.enter_context(clumsy_issuer())
        made = Installation(folder, canaries, postgres, temporal, spans, issuer, free_port())
        assert made.intent("migrate", "orders", "--provision") == 0, made.outputs.decode()
        yield made
