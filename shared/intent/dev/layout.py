"""The data folder and the ports of `intent dev`."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType
from typing import Final

from intent.dev.services import PortTaken, require_free
from intent.errors import ConfigurationError
from intent.process.sockets import free_ports

__all__ = ["PORT_BASE", "DevLayout"]

PORT_BASE: Final = 7400
_MOST_CONTEXTS: Final = 30
_POSTGRES, _TEMPORAL, _REPLICAS, _UI, _ISSUER, _METRICS = 32, 33, 34, 80, 81, 100
_MOST_REPLICAS: Final = _UI - _REPLICAS
_LAST_BASE: Final = 65535 - 200


@dataclass(frozen=True, slots=True)
class DevLayout:
    """The folder and the ports of one development installation.

    The ports follow from one base: contexts listen on base + 1, + 2 and so on in the order of
    their names, PostgreSQL on base + 32, Temporal on base + 33, its UI on base + 80, an issuer of
    tokens on base + 81. The metrics of a process are 100 above its own port. A context may run as
    several processes: the first has the context's name, further ones are called ``orders-2`` and so
    on and listen from base + 34.

    Attributes:
        folder: The folder of data, logs and state.
        postgres: PostgreSQL's port.
        temporal: Temporal's port.
        ui: The port of Temporal's UI.
        contexts: The port of each process's gRPC server, by the process's name.
        metrics: The port of each process's metrics, by the process's name.
        issuer: The port of an issuer of tokens; 0: there is none.
    """

    folder: Path
    postgres: int
    temporal: int
    ui: int
    contexts: dict[str, int]
    metrics: dict[str, int]
    issuer: int = 0

    @classmethod
    def of(
        cls,
        folder: Path,
        contexts: Sequence[str],
        base: int = PORT_BASE,
        replicas: Mapping[str, int] = MappingProxyType({}),
        *,
        issuer: bool = False,
    ) -> DevLayout:
        """Return the layout for contexts.

        Args:
            folder: The folder.
            contexts: The contexts' names.
            base: The base of the ports; 0: free ports.
            replicas: The number of processes of a context, by its name; one by default.
            issuer: Whether there is an issuer of tokens.

        Raises:
            ConfigurationError: The base is out of range, or there are too many processes for it.
        """
        names = sorted(contexts)
        further = [f"{name}-{n}" for name in names for n in range(2, replicas.get(name, 1) + 1)]
        if base == 0:
            return cls._free(folder, names + further, issuer=issuer)
        if not 1024 <= base <= _LAST_BASE:
            raise ConfigurationError(f"the port base {base} must be 0 or between 1024 and {_LAST_BASE}")
        if len(names) > _MOST_CONTEXTS or len(further) > _MOST_REPLICAS:
            raise ConfigurationError(
                f"more than {_MOST_CONTEXTS} contexts, or {_MOST_REPLICAS} further processes of them, "
                "need free ports: use --port-base 0"
            )
        ports = {name: base + 1 + index for index, name in enumerate(names)}
        ports |= {name: base + _REPLICAS + index for index, name in enumerate(further)}
        metrics = {name: port + _METRICS for name, port in ports.items()}
        own = base + _ISSUER if issuer else 0
        return cls(folder, base + _POSTGRES, base + _TEMPORAL, base + _UI, ports, metrics, own)

    @classmethod
    def _free(cls, folder: Path, names: Sequence[str], *, issuer: bool) -> DevLayout:
        postgres, temporal, ui, own, *free = free_ports(4 + 2 * len(names))
        ports = dict(zip(names, free[: len(names)], strict=True))
        metrics = dict(zip(names, free[len(names) :], strict=True))
        return cls(folder, postgres, temporal, ui, ports, metrics, own if issuer else 0)

    @property
    def processes(self) -> Mapping[str, Sequence[str]]:
        """The names of each context's processes, by the context's name."""
        processes: dict[str, list[str]] = {}
        for name in self.contexts:
            processes.setdefault(name.partition("-")[0], []).append(name)
        return processes

    @property
    def logs(self) -> Path:
        """The folder of the logs."""
        return self.folder / "logs"

    def require_free(self) -> None:
        """Check that every port is free.

        Raises:
            ConfigurationError: One is taken; names it and says how to choose others.
        """
        needed = {self.postgres: "PostgreSQL", self.temporal: "Temporal", self.ui: "Temporal's UI"}
        if self.issuer:
            needed[self.issuer] = "the issuer of tokens"
        needed.update({port: f"the context {name}" for name, port in self.contexts.items()})
        needed.update({port: f"the metrics of {name}" for name, port in self.metrics.items()})
        for port, purpose in needed.items():
            try:
                require_free(port, purpose)
            except PortTaken as error:
                raise ConfigurationError(
                    f"{error}: end that process, or choose other ports with --port-base N "
                    "(or INTENT_DEV_PORT_BASE; 0: free ports)"
                ) from None
