"""Start and stop of all parts of a development installation."""

from __future__ import annotations

import asyncio
import fcntl
import json
import os
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack
from pathlib import Path
from typing import IO, Final

from intent.dev.identity import DevIssuer, DevWorkloads
from intent.dev.keys import DevKeys
from intent.dev.layout import DevLayout
from intent.dev.passwords import DevPasswords, renew_administrator
from intent.dev.services import Postgres, TemporalServer
from intent.dev.services.account import service_account
from intent.dev.services.files import open_log, private_folder
from intent.dev.state import ContextAddress, DevState
from intent.dev.supervision import SupervisedContext
from intent.errors import ConfigurationError
from intent.process.sockets import LOOPBACK

__all__ = ["DevStack"]

_ADMINISTRATOR: Final = "postgres"
Step = tuple[str, Callable[[], None]]


class DevStack:
    """PostgreSQL, Temporal and every context, each as one or more processes.

    Everything ends with this process, even when it is killed. Start and stop it from the
    main thread.

    Attributes:
        contexts: The contexts' processes.
        issuer: Who issues the tokens of callers; None: callers are believed.
    """

    def __init__(self, layout: DevLayout) -> None:
        self._layout = layout
        self._lock: IO[bytes] | None = None
        data = layout.folder / "postgres"
        private_folder(layout.folder, service_account(data))
        self._passwords = DevPasswords.of(layout.folder)
        self._keys = DevKeys.of(layout.folder)
        self._postgres = Postgres(
            data,
            port=layout.postgres,
            log=layout.logs / "postgres.log",
            password=self._passwords.for_role(_ADMINISTRATOR),
        )
        self._temporal = TemporalServer(
            log=layout.logs / "temporal.log",
            database=layout.folder / "temporal.db",
            port=layout.temporal,
            ui_port=layout.ui,
            ui=True,
        )
        self.issuer = self._issuer()
        self._workloads = DevWorkloads(layout.folder / "workloads")
        self.contexts: Sequence[SupervisedContext] = [
            self._context(context, process)
            for context, processes in layout.processes.items()
            for process in processes
        ]

    @property
    def state(self) -> DevState:
        """The addresses of everything."""
        return DevState(
            pid=os.getpid(),
            temporal=self._temporal.address,
            temporal_ui=self._temporal.ui_url or "",
            postgres=self._postgres.dsn,
            contexts={
                context: self._address(*processes) for context, processes in self._layout.processes.items()
            },
            issuer=self.issuer.url if self.issuer else "",
        )

    def _address(self, first: str, *others: str) -> ContextAddress:
        ports = self._layout
        return ContextAddress(
            target=f"{LOOPBACK}:{ports.contexts[first]}",
            metrics=f"http://{LOOPBACK}:{ports.metrics[first]}/metrics",
            others=tuple(f"{LOOPBACK}:{ports.contexts[other]}" for other in others),
        )

    def steps(self) -> Iterator[Step]:
        """Yield the steps of the start, in order: a title for the user, and the work.

        Each step raises `ConfigurationError` or `ServiceFailed` when it fails.
        """
        yield "Check the ports", self._claim
        yield "Start PostgreSQL", self._start_postgres
        yield "Start Temporal", lambda: _ignore(self._temporal.start())
        if self.issuer is not None:
            yield "Start the issuer of tokens", self.issuer.start
            yield "Write the contexts' tokens", lambda: self._workloads.write(list(self._layout.processes))
        for name in self._layout.processes:
            yield f"Migrate {name}", lambda name=name: self._migrate(name)  # type: ignore[misc]
        yield "Start the contexts", self._start_contexts
        for context in self.contexts:
            yield f"Wait for {context.name}", context.wait_until_ready
        yield "Write the addresses", lambda: self.state.write(self._layout.folder)

    def keep_running(self) -> Iterator[tuple[str, str]]:
        """Restart what has ended; yield the name of a process and what happened to it.

        Raises:
            ServiceFailed: PostgreSQL, Temporal or the issuer ended and cannot be restarted.
        """
        services = (("postgres", self._postgres), ("temporal", self._temporal), ("issuer", self.issuer))
        for name, service in services:
            if service is not None and not service.alive:
                yield name, "ended; restarting"
                service.restart()
        for context in self.contexts:
            news = context.keep_running()
            if news:
                yield context.name, news

    @property
    def started(self) -> bool:
        """Whether the start began: the folder and all ports were free."""
        return self._lock is not None

    def stop(self) -> None:
        """Stop everything that was started, in order: contexts first, so that they can finish their work."""
        if self._lock is None:
            return
        DevState.remove(self._layout.folder)
        with ExitStack() as stack:
            stack.callback(self._lock.close)
            stack.callback(self._postgres.stop)
            stack.callback(self._temporal.stop)
            if self.issuer is not None:
                stack.callback(self.issuer.stop)
            for context in self.contexts:
                context.ask_to_stop()
            for context in self.contexts:
                stack.callback(context.stop)

    def _claim(self) -> None:
        """Reserve the folder for this process and check that the ports are free."""
        # The file stays open: closing it would release the lock.
        lock = open_log(self._layout.folder / "lock")
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            lock.close()
            raise ConfigurationError(_runs_already(self._layout.folder)) from None
        try:
            self._layout.require_free()
        except ConfigurationError:
            lock.close()
            raise
        self._lock = lock

    def _migrate(self, name: str) -> None:
        from intent.contracts import Registry
        from intent.model import load_context
        from intent.process.schema import prepare_schema
        from intent.store.migrations.provisioning import Passwords
        from intent.store.roles import RoleNames

        names = RoleNames.of(name)
        asyncio.run(
            prepare_schema(
                load_context(name).bind(Registry.load()),
                self._dsn(name, "owner"),
                admin_url=self._postgres.dsn,
                passwords=Passwords(*map(self._password, (names.owner, names.service, names.query))),
            )
        )

    def _start_contexts(self) -> None:
        for context in self.contexts:
            context.start()

    def _context(self, context: str, process: str) -> SupervisedContext:
        metrics = self._layout.metrics[process]
        environment = {
            "INTENT_CONTEXT": context,
            "INTENT_DEV": "true",
            "INTENT_DEV_DATA": str(self._layout.folder.resolve()),
            "INTENT_HOST": LOOPBACK,
            "INTENT_PORT": str(self._layout.contexts[process]),
            "INTENT_METRICS_HOST": LOOPBACK,
            "INTENT_METRICS_PORT": str(metrics),
            "INTENT_DATABASE_URL": self._dsn(context, "service"),
            "INTENT_QUERY_DATABASE_URL": self._dsn(context, "query"),
            "INTENT_CONTEXT_ADDRESSES": ",".join(
                f"{other}={LOOPBACK}:{port}" for other, port in self._layout.contexts.items()
            ),
            "TEMPORAL_ADDRESS": self._temporal.address,
            "TEMPORAL_NAMESPACE": self._temporal.namespace,
            **self._identity(context),
            **self._keys.settings,
        }
        ready = f"http://{LOOPBACK}:{metrics}/readyz"
        log = self._layout.logs / f"{process}.log"
        return SupervisedContext(process, context, log, environment, ready)

    def _issuer(self) -> DevIssuer | None:
        layout = self._layout
        if not layout.issuer:
            return None
        folder, log = layout.folder / "issuer", layout.logs / "issuer.log"
        return DevIssuer(folder, layout.issuer, log, self._password)

    def _identity(self, context: str) -> dict[str, str]:
        """Return the settings by which a context identifies its callers, and itself to others."""
        if self.issuer is None:
            return {"INTENT_IDENTITY_MODE": "dev"}
        return {
            "INTENT_IDENTITY_MODE": "token",
            "INTENT_IDENTITY_ISSUERS": json.dumps([self.issuer.settings(), self._workloads.settings()]),
            "INTENT_IDENTITY_TOKEN_FILE": str(self._workloads.token_file(context)),
        }

    def _dsn(self, name: str, role: str) -> str:
        return self._postgres.dsn_for(f"{name}_{role}", self._password(f"{name}_{role}"))

    def _password(self, role: str) -> str:
        return self._passwords.for_role(role)

    def _start_postgres(self) -> None:
        self._postgres.start()
        asyncio.run(renew_administrator(self._postgres.dsn, self._password(_ADMINISTRATOR)))


def _runs_already(folder: Path) -> str:
    state = DevState.read(folder)
    who = f" (pid {state.pid})" if state is not None else ""
    return f"intent dev already runs from {folder}{who}: end it first, or choose another folder with --data"


def _ignore(_: object) -> None:
    """Discard a result, to turn a call into a step."""
