"""The controllers: Jobs and pods run to their end, Deployments keep running."""

from __future__ import annotations

import asyncio
import contextlib
import copy
import hashlib
import json
import logging
from pathlib import Path
from typing import Any

from .accounts import Accounts
from .admission import admit
from .pods import RunningPod
from .resources import Kind, kind_of
from .store import Missing, Store

__all__ = ["Controllers"]

Manifest = dict[str, Any]
_log = logging.getLogger(__name__)
_LOOK = 0.3
"""Seconds between two looks at pods that are not ready yet."""


def _kind(group: str, version: str, plural: str) -> Kind:
    found = kind_of(group, version, plural)
    assert found is not None
    return found


POD = _kind("", "v1", "pods")
SERVICE = _kind("", "v1", "services")
JOB = _kind("batch", "v1", "jobs")
DEPLOYMENT = _kind("apps", "v1", "deployments")
SCALER = _kind("autoscaling", "v2", "horizontalpodautoscalers")


class Controllers:
    """Controllers that run what the store says should run.

    Attributes:
        pods: What runs for Deployments, by namespace and name of the Deployment.
        ended: Pods of Deployments that are gone, with how they ended.
    """

    def __init__(self, store: Store, folder: Path, accounts: Accounts) -> None:
        self.pods: dict[tuple[str, str], list[RunningPod]] = {}
        self.ended: list[RunningPod] = []
        self._store = store
        self._folder = folder
        self._accounts = accounts
        self._tasks: set[asyncio.Task[None]] = set()
        self._deployments: dict[tuple[str, str], asyncio.Task[None]] = {}

    async def run(self) -> None:
        """Follow changes until it is cancelled, then end everything that runs."""
        watches = [(self._store.watch(kind), act) for kind, act in self._acts()]
        try:
            async with asyncio.TaskGroup() as group:
                for queue, act in watches:
                    group.create_task(self._follow(queue, act))
        finally:
            for task in [*self._tasks, *self._deployments.values()]:
                task.cancel()
            running = [pod for pods in self.pods.values() for pod in pods]
            await asyncio.gather(*(pod.stop() for pod in running))

    def _acts(self) -> list[tuple[Kind, Any]]:
        return [
            (JOB, self._job_changed),
            (POD, self._pod_changed),
            (DEPLOYMENT, self._deployment_changed),
            (SCALER, self._scaler_changed),
        ]

    async def _follow(self, queue: asyncio.Queue[tuple[str, Manifest]], act: Any) -> None:
        while True:
            act(*await queue.get())

    def _spawn(self, work: Any) -> asyncio.Task[None]:
        task: asyncio.Task[None] = asyncio.create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._done)
        return task

    def _done(self, task: asyncio.Task[None]) -> None:
        self._tasks.discard(task)
        if not task.cancelled() and task.exception() is not None:
            _log.error("a controller failed", exc_info=task.exception())

    def _job_changed(self, event: str, job: Manifest) -> None:
        if event == "ADDED":
            self._spawn(self._run_job(job))
        if event == "DELETED":
            owner = {"kind": "Job", "name": job["metadata"]["name"]}
            for pod in self._store.list(POD, job["metadata"]["namespace"]):
                if owner in pod["metadata"].get("ownerReferences", []):
                    self._store.delete(POD, pod["metadata"]["namespace"], pod["metadata"]["name"])

    async def _run_job(self, job: Manifest) -> None:
        for attempt in range(job["spec"].get("backoffLimit", 6) + 1):
            pod = self._make_pod(job, job["spec"]["template"], f"{job['metadata']['name']}-{attempt}")
            if await pod.run_to_end() == 0:
                return self._finish_job(job, "Complete", {"succeeded": 1})
        return self._finish_job(job, "Failed", {"failed": attempt + 1})

    def _finish_job(self, job: Manifest, condition: str, counts: Manifest) -> None:
        conditions = [{"type": condition, "status": "True", "reason": condition, "message": ""}]
        if condition == "Complete":
            conditions.insert(0, {"type": "SuccessCriteriaMet", "status": "True"})
        metadata = job["metadata"]
        status = {**counts, "conditions": conditions}
        self._store.set_status(JOB, metadata["namespace"], metadata["name"], status)

    def _pod_changed(self, event: str, pod: Manifest) -> None:
        if event == "ADDED" and "ownerReferences" not in pod["metadata"]:
            self._spawn(self._run_pod(pod))

    async def _run_pod(self, pod: Manifest) -> None:
        code = await RunningPod(self._store, pod, self._folder, self.resolve, self._accounts).run_to_end()
        phase = "Failed" if code else "Succeeded"
        metadata = pod["metadata"]
        self._store.set_status(POD, metadata["namespace"], metadata["name"], {"phase": phase})

    def _make_pod(self, owner: Manifest, template: Manifest, name: str) -> RunningPod:
        """Create a pod of an owner and return it, not started yet."""
        pod = {"apiVersion": "v1", "kind": "Pod", **copy.deepcopy(template)}
        pod["metadata"] |= {"name": name, "namespace": owner["metadata"]["namespace"]}
        admit(pod, None)
        pod["metadata"]["ownerReferences"] = [{"kind": owner["kind"], "name": owner["metadata"]["name"]}]
        kept = self._store.create(POD, pod)
        return RunningPod(self._store, kept, self._folder, self.resolve, self._accounts)

    def _deployment_changed(self, event: str, deployment: Manifest) -> None:
        key = (deployment["metadata"]["namespace"], deployment["metadata"]["name"])
        if (
            event == "MODIFIED"
            and deployment.get("status", {}).get("observedGeneration")
            == (deployment["metadata"]["generation"])
        ):
            return
        if running := self._deployments.pop(key, None):
            running.cancel()
        work = self._remove(key) if event == "DELETED" else self._roll_out(key, deployment)
        self._deployments[key] = self._spawn(work)

    def _scaler_changed(self, event: str, scaler: Manifest) -> None:
        """Keep a Deployment within the bounds of its autoscaler, as without any load."""
        namespace, target = scaler["metadata"]["namespace"], scaler["spec"]["scaleTargetRef"]["name"]
        for deployment in self._store.list(DEPLOYMENT, namespace):
            replicas = max(scaler["spec"]["minReplicas"], deployment["spec"]["replicas"])
            replicas = min(scaler["spec"]["maxReplicas"], replicas)
            there = event != "DELETED" and deployment["metadata"]["name"] == target
            if there and replicas != deployment["spec"]["replicas"]:
                deployment["spec"]["replicas"] = replicas
                self._store.replace(DEPLOYMENT, deployment)

    async def _remove(self, key: tuple[str, str]) -> None:
        await asyncio.gather(*(self._stop(key, pod) for pod in list(self.pods.get(key, []))))

    async def _roll_out(self, key: tuple[str, str], deployment: Manifest) -> None:
        """Start as many pods of the template as are wanted; each one that is ready replaces an old one."""
        template = deployment["spec"]["template"]
        version = hashlib.sha256(json.dumps(template, sort_keys=True).encode()).hexdigest()[:8]
        wanted = deployment["spec"]["replicas"]
        pods = self.pods.setdefault(key, [])
        self._report(key, deployment, version, ready=0)
        for number in range(wanted):
            name = f"{key[1]}-{version}-{number}"
            if not any(pod.manifest["metadata"]["name"] == name for pod in pods):
                pod = self._make_pod(deployment, template, name)
                pods.append(pod)
                await pod.start(template["spec"]["containers"][0])
            await self._await_ready(key, name)
            self._report(key, deployment, version, ready=number + 1)
            for old in [pod for pod in pods if f"-{version}-" not in pod.manifest["metadata"]["name"]][:1]:
                await self._stop(key, old)
        for old in [pod for pod in pods if f"-{version}-" not in pod.manifest["metadata"]["name"]]:
            await self._stop(key, old)
        self._report(key, deployment, version, ready=wanted)

    async def _await_ready(self, key: tuple[str, str], name: str) -> None:
        pod = next(pod for pod in self.pods[key] if pod.manifest["metadata"]["name"] == name)
        while not await pod.ready():
            if not pod.running:
                await pod.start(pod.manifest["spec"]["containers"][0])
            await asyncio.sleep(_LOOK)
        conditions = [{"type": "Ready", "status": "True"}, {"type": "ContainersReady", "status": "True"}]
        status = {"phase": "Running", "podIP": pod.address, "conditions": conditions}
        self._store.set_status(POD, key[0], name, status)

    async def _stop(self, key: tuple[str, str], pod: RunningPod) -> None:
        self.pods[key].remove(pod)
        await pod.stop()
        self.ended.append(pod)
        with contextlib.suppress(Missing):
            self._store.delete(POD, key[0], pod.manifest["metadata"]["name"])

    def _report(self, key: tuple[str, str], deployment: Manifest, version: str, *, ready: int) -> None:
        wanted = deployment["spec"]["replicas"]
        done = ready == wanted and len(self.pods[key]) == wanted
        reason = "NewReplicaSetAvailable" if done else "ReplicaSetUpdated"
        status = {
            "observedGeneration": deployment["metadata"]["generation"],
            "replicas": len(self.pods[key]),
            "updatedReplicas": ready,
            "readyReplicas": ready,
            "availableReplicas": ready,
            "conditions": [
                {"type": "Available", "status": str(done), "reason": "MinimumReplicasAvailable"},
                {"type": "Progressing", "status": "True", "reason": reason},
            ],
        }
        self._store.set_status(DEPLOYMENT, key[0], key[1], status)

    def resolve(self, namespace: str, name: str) -> str:
        """Return the address of a pod behind a Service.

        Raises:
            Missing: There is no such Service, or no pod behind it.
        """
        selector = self._store.get(SERVICE, namespace, name)["spec"]["selector"]
        for pods in self.pods.values():
            for pod in pods:
                if selector.items() <= pod.manifest["metadata"]["labels"].items():
                    return pod.address
        raise Missing(f"no pod is behind {name}")
