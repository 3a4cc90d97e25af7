"""A running pod: its containers as processes on this machine, at an address of its own on loopback."""

from __future__ import annotations

import asyncio
import base64
import os
import signal
import sys
from collections.abc import Callable
from contextlib import suppress
from itertools import count
from pathlib import Path
from typing import Any

import aiohttp
import grpc
from grpc_health.v1 import health_pb2, health_pb2_grpc

from .accounts import Accounts
from .resources import kind_of
from .store import Missing, Store

__all__ = ["RunningPod"]

Manifest = dict[str, Any]
_ADDRESSES = count(1)
_SECRET = kind_of("", "v1", "secrets")


class RunningPod:
    """A pod and its processes.

    Attributes:
        manifest: The pod.
        address: Its address.
        stopped_within: Seconds that its end took after SIGTERM, once it has ended so.
        killed: Whether it had to be killed because its grace period was over.
    """

    def __init__(
        self,
        store: Store,
        manifest: Manifest,
        folder: Path,
        resolve: Callable[[str, str], str],
        accounts: Accounts,
    ) -> None:
        number = next(_ADDRESSES)
        self.manifest = manifest
        self.address = f"127.{1 + os.getpid() % 200}.{number // 250}.{1 + number % 250}"
        self.stopped_within: float | None = None
        self.killed = False
        self._store = store
        self._folder = folder / manifest["metadata"]["name"]
        self._resolve = resolve
        self._accounts = accounts
        self._process: asyncio.subprocess.Process | None = None
        self.log = folder / f"{manifest['metadata']['name']}.log"

    async def run_to_end(self) -> int:
        """Run the init containers one after the other, then the container; return the last exit code."""
        spec = self.manifest["spec"]
        for container in [*spec.get("initContainers", []), *spec["containers"]]:
            await self.start(container)
            assert self._process is not None
            if code := await self._process.wait():
                return code
        return 0

    async def start(self, container: Manifest) -> None:
        """Start a container."""
        self._folder.mkdir(parents=True, exist_ok=True)
        assert container["command"] == ["intent"]
        with self.log.open("ab") as log:
            self._process = await asyncio.create_subprocess_exec(
                *(sys.executable, "-m", "intent.cli", *container["args"]),
                env=self._environment(container),
                stdin=asyncio.subprocess.DEVNULL,
                stdout=log,
                stderr=log,
            )

    @property
    def running(self) -> bool:
        """Whether its process is there."""
        return self._process is not None and self._process.returncode is None

    @property
    def code(self) -> int | None:
        """The exit code of its process, once it has ended."""
        return None if self._process is None else self._process.returncode

    async def ready(self) -> bool:
        """Run the readiness probe of its container."""
        container = self.manifest["spec"]["containers"][0]
        return self.running and await self._probe(container, container["readinessProbe"])

    async def live(self) -> bool:
        """Run the liveness probe of its container."""
        container = self.manifest["spec"]["containers"][0]
        return self.running and await self._probe(container, container["livenessProbe"])

    async def metrics(self) -> str:
        """Return the metrics of its container."""
        container = self.manifest["spec"]["containers"][0]
        port = next(one["containerPort"] for one in container["ports"] if one["name"] == "metrics")
        url = f"http://{self.address}:{port}/metrics"
        async with aiohttp.ClientSession() as session, session.get(url) as response:
            return await response.text()

    async def stop(self) -> None:
        """Send SIGTERM, and kill the process when its grace period is over."""
        if not self.running:
            return
        assert self._process is not None
        loop = asyncio.get_running_loop()
        started = loop.time()
        self._process.send_signal(signal.SIGTERM)
        try:
            grace = self.manifest["spec"].get("terminationGracePeriodSeconds", 30)
            await asyncio.wait_for(self._process.wait(), grace)
        except TimeoutError:
            self.killed = True
            self._process.kill()
            await self._process.wait()
        self.stopped_within = loop.time() - started

    def _environment(self, container: Manifest) -> dict[str, str]:
        mounts = {mount["mountPath"]: self._volume(mount["name"]) for mount in container["volumeMounts"]}
        environment = {name: os.environ[name] for name in ("PATH", "HOME") if name in os.environ}
        for variable in container["env"]:
            environment[variable["name"]] = self._value(variable, mounts)
        return environment

    def _value(self, variable: Manifest, mounts: dict[str, Path]) -> str:
        if "valueFrom" in variable:
            reference = variable["valueFrom"]["secretKeyRef"]
            return self._secret(reference["name"])[reference["key"]].decode()
        value: str = variable["value"]
        if variable["name"].endswith("_HOST"):
            return self.address
        if variable["name"] == "INTENT_TARGET":
            name, _, port = value.partition(":")
            return f"{self._resolve(self._namespace, name)}:{port}"
        if variable["name"] == "INTENT_CONTEXT_ADDRESSES":
            context, _, address = value.partition("=")
            name, _, port = address.partition(":")
            with suppress(Missing):  # It may be installed later.
                return f"{context}={self._resolve(self._namespace, name)}:{port}"
        for path, folder in mounts.items():
            if value == path:
                return str(folder)
            if value.startswith(f"{path}/") or path.startswith("/run/"):
                value = value.replace(f"{path}/", f"{folder}/")
        return value

    def _volume(self, name: str) -> Path:
        """Write the files of a volume and return their folder."""
        folder: Path = self._folder / name
        folder.mkdir(parents=True, exist_ok=True)
        volume = next(one for one in self.manifest["spec"]["volumes"] if one["name"] == name)
        if "secret" in volume:
            data = self._secret(volume["secret"]["secretName"])
            every = [{"key": key, "path": key} for key in data]
            for item in volume["secret"].get("items", every):
                (folder / item["path"]).write_bytes(data[item["key"]])
        for source in volume.get("projected", {}).get("sources", []):
            self._accounts.project(source, self.manifest, folder)
        return folder

    def _secret(self, name: str) -> dict[str, bytes]:
        assert _SECRET is not None
        found = self._store.get(_SECRET, self._namespace, name)
        return {key: base64.b64decode(value) for key, value in found["data"].items()}

    @property
    def _namespace(self) -> str:
        namespace: str = self.manifest["metadata"]["namespace"]
        return namespace

    async def _probe(self, container: Manifest, probe: Manifest) -> bool:
        timeout = probe["timeoutSeconds"]
        if "grpc" in probe:
            return await self._serving(probe["grpc"]["port"], timeout)
        ports = {port["name"]: port["containerPort"] for port in container["ports"]}
        url = f"http://{self.address}:{ports[probe['httpGet']['port']]}{probe['httpGet']['path']}"
        try:
            limit = aiohttp.ClientTimeout(timeout)
            async with aiohttp.ClientSession(timeout=limit) as session, session.get(url) as response:
                return response.status == 200
        except (aiohttp.ClientError, TimeoutError):
            return False

    async def _serving(self, port: int, timeout: float) -> bool:
        async with grpc.aio.insecure_channel(f"{self.address}:{port}") as channel:
            try:
                request = health_pb2.HealthCheckRequest()
                answer = await health_pb2_grpc.HealthStub(channel).Check(request, timeout=timeout)
            except grpc.RpcError:
                return False
            serving: bool = answer.status == health_pb2.HealthCheckResponse.SERVING
            return serving
