"""The API server: HTTP to and from the store."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable
from typing import Any

import yaml
from aiohttp import web

from .admission import Refused, admit, merged
from .resources import KINDS, Kind, kind_of
from .store import Conflict, Missing, Store

__all__ = ["application"]

Manifest = dict[str, Any]
_STORE = web.AppKey("store", Store)
_APPLY = "application/apply-patch+yaml"


def application(store: Store) -> web.Application:
    """Return the HTTP application of an API server that keeps its objects in a store."""
    app = web.Application(client_max_size=8 * 1024 * 1024, middlewares=[_statuses])
    app[_STORE] = store
    app.add_routes(
        [
            web.get("/version", _version),
            web.get("/api", _core_versions),
            web.get("/apis", _groups),
            web.get("/api/{version}", _resources),
            web.get("/apis/{group}/{version}", _resources),
            web.get("/openapi/v3", _documents),
            web.get("/openapi/v3/{path:.+}", _document),
        ]
    )
    for root in ("/api/{version}", "/apis/{group}/{version}"):
        for place in ("/namespaces/{namespace}/{plural}", "/{plural}"):
            app.router.add_route("*", f"{root}{place}", _collection)
            app.router.add_route("*", f"{root}{place}/{{name}}", _object)
    return app


@web.middleware
async def _statuses(request: web.Request, handler: Callable[[web.Request], Any]) -> web.StreamResponse:
    """Return errors in Kubernetes' format."""
    try:
        response: web.StreamResponse = await handler(request)
    except Missing as error:
        return _status(404, "NotFound", str(error))
    except Conflict as error:
        return _status(409, "AlreadyExists", str(error))
    except Refused as error:
        return _status(422, "Invalid", str(error))
    except web.HTTPNotFound:
        return _status(404, "NotFound", f"the server could not find {request.path}")
    return response


def _status(code: int, reason: str, message: str) -> web.Response:
    body = {"kind": "Status", "apiVersion": "v1", "metadata": {}, "status": "Failure"}
    return web.json_response({**body, "message": message, "reason": reason, "code": code}, status=code)


async def _version(_: web.Request) -> web.Response:
    return web.json_response(
        {"major": "1", "minor": "37", "gitVersion": "v1.37.0", "platform": "linux/amd64"}
    )


async def _core_versions(_: web.Request) -> web.Response:
    return web.json_response({"kind": "APIVersions", "versions": ["v1"]})


async def _groups(_: web.Request) -> web.Response:
    groups = []
    for group in dict.fromkeys(kind.group for kind in KINDS if kind.group):
        versions = dict.fromkeys(kind.version for kind in KINDS if kind.group == group)
        listed = [{"groupVersion": f"{group}/{version}", "version": version} for version in versions]
        groups.append({"name": group, "versions": listed, "preferredVersion": listed[0]})
    return web.json_response({"kind": "APIGroupList", "apiVersion": "v1", "groups": groups})


async def _resources(request: web.Request) -> web.Response:
    group, version = request.match_info.get("group", ""), request.match_info["version"]
    known = [kind for kind in KINDS if (kind.group, kind.version) == (group, version)]
    if not known:
        raise web.HTTPNotFound
    verbs = ["create", "delete", "deletecollection", "get", "list", "patch", "update", "watch"]
    listed = [
        {"name": one.plural, "singularName": one.kind.lower(), "kind": one.kind, "namespaced": one.namespaced}
        | {"verbs": verbs}
        for one in known
    ]
    body = {"kind": "APIResourceList", "apiVersion": "v1", "groupVersion": known[0].api_version}
    return web.json_response({**body, "resources": listed})


async def _documents(_: web.Request) -> web.Response:
    roots = dict.fromkeys(_root(kind) for kind in KINDS)
    return web.json_response(
        {"paths": {root: {"serverRelativeURL": f"/openapi/v3/{root}"} for root in roots}}
    )


async def _document(request: web.Request) -> web.Response:
    """Say of each kind that the server itself checks the fields of its objects, so that clients do not."""
    paths = {}
    for kind in KINDS:
        if _root(kind) == request.match_info["path"]:
            place = "namespaces/{namespace}/" if kind.namespaced else ""
            paths[f"/{_root(kind)}/{place}{kind.plural}/{{name}}"] = {
                "patch": {
                    "parameters": [{"name": "fieldValidation", "in": "query", "schema": {"type": "string"}}],
                    "x-kubernetes-group-version-kind": {
                        "group": kind.group,
                        "version": kind.version,
                        "kind": kind.kind,
                    },
                }
            }
    info = {"title": "Kubernetes", "version": "v1.37.0"}
    return web.json_response(
        {"openapi": "3.0.0", "info": info, "paths": paths, "components": {"schemas": {}}}
    )


def _root(kind: Kind) -> str:
    return f"apis/{kind.api_version}" if kind.group else f"api/{kind.version}"


def _place(request: web.Request) -> tuple[Store, Kind, str]:
    info = request.match_info
    kind = kind_of(info.get("group", ""), info["version"], info["plural"])
    if kind is None:
        raise web.HTTPNotFound
    return request.app[_STORE], kind, info.get("namespace", "")


async def _collection(request: web.Request) -> web.StreamResponse:
    store, kind, namespace = _place(request)
    if request.method == "POST":
        manifest = _of_kind(await _body(request), kind, namespace)
        admit(manifest, None)
        return web.json_response(store.create(kind, manifest), status=201)
    chosen = _chosen(request.query)
    if request.query.get("watch") in {"1", "true"}:
        return await _watch(request, store, kind, namespace, chosen)
    found = store.list(kind, namespace, chosen)
    metadata = {"resourceVersion": str(store.version)}
    return web.json_response(
        {"kind": f"{kind.kind}List", "apiVersion": kind.api_version, "metadata": metadata, "items": found}
    )


async def _object(request: web.Request) -> web.StreamResponse:
    store, kind, namespace = _place(request)
    name = request.match_info["name"]
    if request.method == "GET":
        return web.json_response(store.get(kind, namespace, name))
    if request.method == "DELETE":
        return web.json_response(store.delete(kind, namespace, name))
    patch = await _body(request)
    try:
        before = store.get(kind, namespace, name)
    except Missing:
        if request.content_type != _APPLY:
            raise
        manifest = _of_kind(patch, kind, namespace)
        admit(manifest, None)
        return web.json_response(store.create(kind, manifest), status=201)
    manifest = _of_kind(_changed(request, before, patch), kind, namespace)
    admit(manifest, before)
    return web.json_response(store.replace(kind, manifest))


def _changed(request: web.Request, before: Manifest, patch: Manifest) -> Manifest:
    """Return an object as a request leaves it.

    An applied object is taken to be the only one that anybody applies: what it does not say goes, but
    what the server itself has set stays.
    """
    if request.method == "PUT":
        return {**patch, "status": before.get("status")} if "status" in before else patch
    if request.content_type == _APPLY:
        kept = {key: before[key] for key in ("status",) if key in before}
        for kind, field in (("Service", "clusterIP"), ("Deployment", "replicas")):
            if before["kind"] == kind:
                patch["spec"].setdefault(field, before["spec"][field])
        return {**patch, **kept}
    result: Manifest = merged(before, patch)
    return result


def _of_kind(manifest: Manifest, kind: Kind, namespace: str) -> Manifest:
    """Return an object with the fields that follow from its path or that a server sets."""
    manifest = {"apiVersion": kind.api_version, "kind": kind.kind, **manifest}
    manifest.setdefault("metadata", {})
    manifest["metadata"].pop("managedFields", None)
    if kind.namespaced:
        manifest["metadata"]["namespace"] = namespace
    if kind.kind == "Service":
        manifest["spec"].setdefault("clusterIP", "10.96.0.1")
    if kind.kind == "Deployment":
        manifest["spec"].setdefault("replicas", 1)
    return manifest


async def _body(request: web.Request) -> Manifest:
    text = await request.text()
    loaded: Manifest = yaml.safe_load(text) if request.content_type == _APPLY else json.loads(text)
    return loaded


async def _watch(
    request: web.Request, store: Store, kind: Kind, namespace: str, chosen: Callable[[Manifest], bool]
) -> web.StreamResponse:
    response = web.StreamResponse(headers={"Content-Type": "application/json"})
    queue = store.watch(kind)
    try:
        await response.prepare(request)
        seen = int(request.query.get("resourceVersion") or 0)
        if request.query.get("sendInitialEvents") == "true":
            await _initial(response, store, kind, namespace, chosen)
        else:
            for one in store.list(kind, namespace, chosen):
                if int(one["metadata"]["resourceVersion"]) > seen:
                    await _send(response, "ADDED", one)
        while True:
            event, manifest = await queue.get()
            if chosen(manifest) and namespace in ("", manifest["metadata"].get("namespace")):
                await _send(response, event, manifest)
    except (ConnectionError, asyncio.CancelledError):
        return response
    finally:
        store.unwatch(queue)


async def _initial(
    response: web.StreamResponse,
    store: Store,
    kind: Kind,
    namespace: str,
    chosen: Callable[[Manifest], bool],
) -> None:
    """Send the existing objects and the mark of their end, as for a streaming list."""
    for one in store.list(kind, namespace, chosen):
        await _send(response, "ADDED", one)
    metadata = {
        "resourceVersion": str(store.version),
        "annotations": {"k8s.io/initial-events-end": "true"},
    }
    await _send(
        response, "BOOKMARK", {"kind": kind.kind, "apiVersion": kind.api_version, "metadata": metadata}
    )


async def _send(response: web.StreamResponse, event: str, manifest: Manifest) -> None:
    await response.write(json.dumps({"type": event, "object": manifest}).encode() + b"\n")


def _chosen(query: Any) -> Callable[[Manifest], bool]:
    """Return whether an object is among those that the selectors of a request name."""
    wanted = [term for term in query.get("labelSelector", "").split(",") if term]
    fields = [term.partition("=") for term in query.get("fieldSelector", "").split(",") if term]

    def chosen(manifest: Manifest) -> bool:
        labels = manifest["metadata"].get("labels", {})
        if any(not _matches(term, labels) for term in wanted):
            return False
        return all(
            field != "metadata.name" or manifest["metadata"]["name"] == value.lstrip("=")
            for field, _, value in fields
        )

    return chosen


def _matches(term: str, labels: dict[str, str]) -> bool:
    if "!=" in term:
        name, _, value = term.partition("!=")
        return labels.get(name) != value
    name, equal, value = term.partition("=")
    return labels.get(name) == value.lstrip("=") if equal else name in labels
