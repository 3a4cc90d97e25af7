"""The cluster as tests see it."""

from __future__ import annotations

import asyncio
import base64
import threading
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Self

import yaml
from aiohttp import web

from .accounts import Accounts
from .apiserver import application
from .controllers import Controllers
from .resources import KINDS, kind_of
from .store import Store

__all__ = ["Cluster"]

Manifest = dict[str, Any]


class Cluster:
    """An API server and a kubelet in a thread of their own; a context manager.

    Args:
        folder: Where pods keep their files and logs, and the kubeconfig is.
    """

    def __init__(self, folder: Path) -> None:
        self.kubeconfig = folder / "kubeconfig"
        self.folder = folder
        self.store = Store()
        self.accounts = Accounts(folder)
        self.controllers = Controllers(self.store, folder, self.accounts)
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, name="cluster", daemon=True)
        self._runner = web.AppRunner(application(self.store), access_log=None, shutdown_timeout=0.5)
        self._running: asyncio.Task[None] | None = None

    def __enter__(self) -> Self:
        """Start it."""
        self._thread.start()
        port = self._call(self._start())
        self.kubeconfig.write_text(yaml.safe_dump(_kubeconfig(f"http://127.0.0.1:{port}")))
        return self

    def __exit__(self, *_: object) -> None:
        """End it and all that runs in it."""
        self._call(self._stop())
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join()
        self._loop.close()

    @property
    def environment(self) -> dict[str, str]:
        """The environment with which helm and kubectl reach it."""
        return {"KUBECONFIG": str(self.kubeconfig), "HELM_CACHE_HOME": str(self.folder / "helm")}

    def add_secret(self, namespace: str, name: str, data: Mapping[str, str]) -> None:
        """Add a Secret."""
        encoded = {key: base64.b64encode(value.encode()).decode() for key, value in data.items()}
        metadata = {"name": name, "namespace": namespace}
        secret = {"apiVersion": "v1", "kind": "Secret", "metadata": metadata, "data": encoded}
        self._sync(lambda: self.store.create(_known("", "v1", "secrets"), secret))

    def objects(self, namespace: str, *kinds: str) -> dict[tuple[str, str], Manifest]:
        """Return the objects of a namespace by kind and name; no kinds: of every kind."""

        def listed() -> dict[tuple[str, str], Manifest]:
            return {
                (kind.kind, one["metadata"]["name"]): one
                for kind in KINDS
                if kind.namespaced and (not kinds or kind.kind in kinds)
                for one in self.store.list(kind, namespace)
            }

        found: dict[tuple[str, str], Manifest] = self._sync(listed)
        return found

    def metrics(self) -> str:
        """Return the metrics of every pod of a Deployment."""
        pods = [pod for running in self.controllers.pods.values() for pod in running]
        texts: list[str] = [self._call(pod.metrics()) for pod in pods]
        return "\n".join(texts)

    def logs(self) -> str:
        """Return the logs of the pods, for a test that failed."""
        return "\n".join(
            f"== {path.name}\n{path.read_text()[-3000:]}" for path in sorted(self.folder.glob("*.log"))
        )

    def _sync(self, work: Any) -> Any:
        async def run() -> Any:
            return work()

        return self._call(run())

    def _call(self, work: Any) -> Any:
        return asyncio.run_coroutine_threadsafe(work, self._loop).result(timeout=120)

    async def _start(self) -> int:
        await self._runner.setup()
        site = web.TCPSite(self._runner, "127.0.0.1", 0)
        await site.start()
        await self.accounts.start()
        self._running = asyncio.create_task(self.controllers.run())
        port: int = self._runner.addresses[0][1]
        return port

    async def _stop(self) -> None:
        if self._running is not None:
            self._running.cancel()
            await asyncio.wait([self._running])
        await self.accounts.stop()
        await self._runner.cleanup()


def _known(group: str, version: str, plural: str) -> Any:
    found = kind_of(group, version, plural)
    assert found is not None
    return found


def _kubeconfig(server: str) -> Manifest:
    return {
        "apiVersion": "v1",
        "kind": "Config",
        "clusters": [{"name": "double", "cluster": {"server": server}}],
        "users": [{"name": "nobody", "user": {}}],
        "contexts": [{"name": "double", "context": {"cluster": "double", "user": "nobody"}}],
        "current-context": "double",
    }
