"""The objects of the API server, and their watchers."""

from __future__ import annotations

import asyncio
import copy
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from typing import Any
from uuid import uuid4

from .resources import Kind

__all__ = ["Conflict", "Missing", "Store"]

Manifest = dict[str, Any]
Key = tuple[str, str, str, str]


class Missing(Exception):
    """No such object."""


class Conflict(Exception):
    """The object exists already, or has changed since the caller read it."""


class Store:
    """Objects by kind, namespace and name; every change has a version and is sent to watchers."""

    def __init__(self) -> None:
        self._objects: dict[Key, Manifest] = {}
        self._watchers: list[tuple[Kind, asyncio.Queue[tuple[str, Manifest]]]] = []
        self.version = 1

    def get(self, kind: Kind, namespace: str, name: str) -> Manifest:
        """Return a copy of an object.

        Raises:
            Missing: There is none.
        """
        try:
            return copy.deepcopy(self._objects[self._key(kind, namespace, name)])
        except KeyError:
            raise Missing(f'{kind.plural} "{name}" not found') from None

    def list(
        self, kind: Kind, namespace: str = "", chosen: Callable[[Manifest], bool] = bool
    ) -> list[Manifest]:
        """Return copies of the objects of a kind; an empty namespace means all of them."""
        found = [one for key, one in sorted(self._objects.items()) if key[:2] == (kind.group, kind.plural)]
        inside = [one for one in found if not namespace or one["metadata"].get("namespace") == namespace]
        return [copy.deepcopy(one) for one in inside if chosen(one)]

    def create(self, kind: Kind, manifest: Manifest) -> Manifest:
        """Keep a new object and return it as it is kept.

        Raises:
            Conflict: One of that name is there.
        """
        metadata = manifest["metadata"]
        key = self._key(kind, metadata.get("namespace", ""), metadata["name"])
        if key in self._objects:
            raise Conflict(f'{kind.plural} "{metadata["name"]}" already exists')
        metadata |= {"uid": str(uuid4()), "creationTimestamp": _now(), "generation": 1}
        return self._keep(key, kind, manifest, "ADDED")

    def replace(self, kind: Kind, manifest: Manifest) -> Manifest:
        """Keep another state of an object; its generation grows when its spec changed."""
        metadata = manifest["metadata"]
        key = self._key(kind, metadata.get("namespace", ""), metadata["name"])
        before = self._objects[key]
        for field in ("uid", "creationTimestamp"):
            metadata[field] = before["metadata"][field]
        changed = manifest.get("spec") != before.get("spec")
        metadata["generation"] = before["metadata"]["generation"] + int(changed)
        return self._keep(key, kind, manifest, "MODIFIED")

    def delete(self, kind: Kind, namespace: str, name: str) -> Manifest:
        """Drop an object and return what it was.

        Raises:
            Missing: There is none.
        """
        self.get(kind, namespace, name)
        gone = self._objects.pop(self._key(kind, namespace, name))
        self.version += 1
        gone["metadata"]["resourceVersion"] = str(self.version)
        self._notify(kind, "DELETED", gone)
        return gone

    def set_status(self, kind: Kind, namespace: str, name: str, status: Manifest) -> None:
        """Set the status of an object, if it is still there."""
        key = self._key(kind, namespace, name)
        if key in self._objects and self._objects[key].get("status") != status:
            self._keep(key, kind, {**self._objects[key], "status": status}, "MODIFIED")

    def watch(self, kind: Kind) -> asyncio.Queue[tuple[str, Manifest]]:
        """Return a queue that gets every change of a kind's objects from now on."""
        queue: asyncio.Queue[tuple[str, Manifest]] = asyncio.Queue()
        self._watchers.append((kind, queue))
        return queue

    def unwatch(self, queue: asyncio.Queue[tuple[str, Manifest]]) -> None:
        """End a watch."""
        self._watchers = [watcher for watcher in self._watchers if watcher[1] is not queue]

    def names(self) -> Iterator[tuple[str, str]]:
        """Yield kind and name of every object."""
        for one in self._objects.values():
            yield one["kind"], one["metadata"]["name"]

    def _keep(self, key: Key, kind: Kind, manifest: Manifest, event: str) -> Manifest:
        self.version += 1
        kept = copy.deepcopy(manifest)
        kept["metadata"]["resourceVersion"] = str(self.version)
        self._objects[key] = kept
        self._notify(kind, event, kept)
        return copy.deepcopy(kept)

    def _notify(self, kind: Kind, event: str, manifest: Manifest) -> None:
        for watched, queue in self._watchers:
            if watched == kind:
                queue.put_nowait((event, copy.deepcopy(manifest)))

    @staticmethod
    def _key(kind: Kind, namespace: str, name: str) -> Key:
        return kind.group, kind.plural, namespace if kind.namespaced else "", name


def _now() -> str:
    return datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
