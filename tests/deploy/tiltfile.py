"""An interpreter of the Tiltfile that records what it asks for, as Tilt does.

The functions have the names, arguments and defaults of Tilt's API (0.30 and later), so that an argument
which Tilt does not know is refused. What Tilt checks when the Tiltfile has ended is checked here too:
objects that are named exist and belong to one resource, dependencies are there, steps are in order.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import starlark
import yaml

from .charts import ROOT, Manifest, helm, objects

WORKLOADS = {"Deployment", "StatefulSet", "DaemonSet", "Job", "CronJob", "Pod", "ReplicaSet"}
_LABEL = re.compile(r"[A-Za-z0-9]([A-Za-z0-9_.-]{0,61}[A-Za-z0-9])?")
_PRELUDE = """
TRIGGER_MODE_AUTO = "auto"
TRIGGER_MODE_MANUAL = "manual"
config = struct(
    main_dir = MAIN_DIR,
    tilt_subcommand = SUBCOMMAND,
    define_string_list = define_string_list,
    parse = parse,
)
"""


class TiltError(Exception):
    """An error that Tilt would report."""


@dataclass(slots=True)
class Resource:
    """A resource in Tilt's list.

    Attributes:
        name: Its name.
        kind: ``k8s`` or ``local``.
        deps: The resources that must be up before.
        labels: Its groups.
        manual: Whether it waits for its button after the first time.
        auto_init: Whether it comes up by itself.
        ports: Ports on this machine with those that they lead to.
        objects: What it deploys.
        command: What it runs here.
        serve: What it keeps running here.
        watches: What has it run again.
    """

    name: str
    kind: str
    deps: Sequence[str] = ()
    labels: Sequence[str] = ()
    manual: bool = False
    auto_init: bool = True
    ports: Mapping[int, int] = field(default_factory=dict)
    objects: list[Manifest] = field(default_factory=list)
    command: str | Sequence[str] = ""
    serve: str | Sequence[str] = ""
    watches: Sequence[str] = ()


@dataclass(frozen=True, slots=True)
class Image:
    """An image that Tilt builds.

    Attributes:
        context: The folder from which it is built.
        only: The paths below it that matter.
        arguments: Build arguments.
        target: The stage of the Dockerfile.
        steps: How a running container is brought up to date.
    """

    context: Path
    only: Sequence[str]
    arguments: Mapping[str, str]
    target: str
    steps: Sequence[Mapping[str, Any]]


class Tilt:
    """What a Tiltfile asked for.

    Attributes:
        resources: The resources, by name.
        images: The images, by reference.
    """

    def __init__(self, arguments: Sequence[str] = (), subcommand: str = "up") -> None:
        self.resources: dict[str, Resource] = {}
        self.images: dict[str, Image] = {}
        self._arguments = list(arguments)
        self._subcommand = subcommand
        self._settings: dict[str, bool] = {}
        self._loose: list[Manifest] = []
        self._loaded: dict[str, starlark.FrozenModule] = {}
        self._calls: list[tuple[str, dict[str, Any]]] = []

    def run(self) -> Tilt:
        """Run the Tiltfile and assemble the resources.

        Raises:
            TiltError: Tilt would refuse it.
            starlark.StarlarkError: It ended with an error.
        """
        self._module(ROOT / "Tiltfile")
        self._assemble()
        return self

    def _module(self, path: Path) -> starlark.FrozenModule:
        dialect = starlark.Dialect.standard()
        dialect.enable_top_level_stmt = True
        dialect.enable_keyword_only_arguments = True
        library = [starlark.LibraryExtension.StructType, starlark.LibraryExtension.Print]
        module = starlark.Module()
        for name in _API:
            module.add_callable(name, getattr(self, name))
        module.add_callable("run", self.run_step)
        module["MAIN_DIR"] = str(ROOT)
        module["SUBCOMMAND"] = self._subcommand
        ast = starlark.parse(path.name, _PRELUDE + path.read_text(), dialect)
        loader = starlark.FileLoader(lambda name: self._load(path.parent / name))
        starlark.eval(module, ast, starlark.Globals.extended_by(library), loader)
        return module.freeze()

    def _load(self, path: Path) -> starlark.FrozenModule:
        key = str(path.resolve())
        if key not in self._loaded:
            self._loaded[key] = self._module(path)
        return self._loaded[key]

    # The API: names, arguments and defaults as Tilt has them.

    def version_settings(self, check_updates: bool = True, constraint: str = "") -> None: ...

    def update_settings(
        self,
        max_parallel_updates: int = 3,
        k8s_upsert_timeout_secs: int = 30,
        suppress_unused_image_warnings: Any = None,
    ) -> None: ...

    def define_string_list(self, name: str, args: bool = False, usage: str = "") -> None:
        self._settings[name] = args

    def parse(self) -> dict[str, list[str]]:
        positional = next(name for name, args in self._settings.items() if args)
        return {positional: self._arguments} if self._arguments else {}

    def listdir(self, directory: str, recursive: bool = False) -> list[str]:
        found = (ROOT / directory).rglob("*") if recursive else (ROOT / directory).iterdir()
        return sorted(str(path) for path in found if path.is_file())

    def read_yaml_stream(self, path: str, default: Any = None) -> list[Any]:
        return list(yaml.safe_load_all(Path(path).read_text()))

    def decode_yaml_stream(self, yaml: str) -> list[Any]:
        return objects(yaml)

    def helm(
        self,
        pathToChartDir: str,  # noqa: N803 - Tilt's name
        name: str = "",
        namespace: str = "",
        values: str | list[str] | None = None,
        set: str | list[str] | None = None,  # noqa: A002 - Tilt's name
        kube_version: str = "",
    ) -> str:
        options = [part for file in _listed(values) for part in ("--values", file)]
        options += [part for value in _listed(set) for part in ("--set", value)]
        return helm("template", name, pathToChartDir, "--namespace", namespace, *options)

    def k8s_yaml(self, yaml: str | list[str], allow_duplicates: bool = False) -> None:
        for text in _listed(yaml):
            known = {_identity(item) for item in self._loose}
            found = objects(Path(text).read_text() if text.startswith("/") else text)
            twice = [_identity(item) for item in found if _identity(item) in known]
            if twice:
                raise TiltError(f"{twice} is there twice")
            self._loose += found

    def k8s_resource(
        self,
        workload: str = "",
        new_name: str = "",
        port_forwards: Any = (),
        extra_pod_selectors: Any = (),
        trigger_mode: str = "auto",
        resource_deps: Sequence[str] = (),
        objects: Sequence[str] = (),
        auto_init: bool = True,
        pod_readiness: str = "",
        links: Any = (),
        labels: Any = (),
        discovery_strategy: str = "",
    ) -> None:
        if not workload and not (objects and new_name):
            raise TiltError("a new resource needs both objects and new_name")
        resource = Resource(
            name=new_name or workload,
            kind="k8s",
            deps=list(resource_deps),
            labels=_labels(labels),
            manual=trigger_mode == "manual",
            auto_init=auto_init,
            ports={forward["local"]: forward["container"] for forward in port_forwards},
        )
        self._calls.append((workload, {"resource": resource, "objects": list(objects)}))

    def port_forward(
        self,
        local_port: int,
        container_port: int | None = None,
        name: str | None = None,
        link_path: str | None = None,
        host: str | None = None,
    ) -> dict[str, Any]:
        return {"local": local_port, "container": container_port or local_port}

    def local_resource(
        self,
        name: str,
        cmd: str | Sequence[str],
        deps: Any = None,
        trigger_mode: str = "auto",
        resource_deps: Sequence[str] = (),
        ignore: Any = (),
        auto_init: bool = True,
        serve_cmd: str | Sequence[str] = "",
        cmd_bat: Any = "",
        serve_cmd_bat: Any = "",
        allow_parallel: bool = False,
        links: Any = (),
        tags: Sequence[str] = (),
        env: Mapping[str, str] | None = None,
        serve_env: Mapping[str, str] | None = None,
        readiness_probe: Any = None,
        dir: str = "",  # noqa: A002 - Tilt's name
        serve_dir: str = "",
        labels: Any = (),
    ) -> None:
        missing = [path for path in _listed(deps) if not Path(path).exists()]
        if missing:
            raise TiltError(f"{name} watches what is not there: {missing}")
        self._add(
            Resource(
                name=name,
                kind="local",
                deps=list(resource_deps),
                labels=_labels(labels),
                manual=trigger_mode == "manual",
                auto_init=auto_init,
                command=cmd,
                serve=serve_cmd,
                watches=_listed(deps),
            )
        )

    def probe(
        self,
        initial_delay_secs: int = 0,
        timeout_secs: int = 1,
        period_secs: int = 10,
        success_threshold: int = 1,
        failure_threshold: int = 3,
        exec: Any = None,  # noqa: A002 - Tilt's name
        http_get: Any = None,
        tcp_socket: Any = None,
    ) -> dict[str, Any]:
        if len([way for way in (exec, http_get, tcp_socket) if way is not None]) != 1:
            raise TiltError("a probe needs one of exec, http_get and tcp_socket")
        return {"exec": exec}

    def exec_action(self, command: list[str]) -> list[str]:
        return command

    def docker_build(
        self,
        ref: str,
        context: str,
        build_args: Mapping[str, str] | None = None,
        dockerfile: str = "Dockerfile",
        dockerfile_contents: str = "",
        live_update: Sequence[Mapping[str, Any]] = (),
        match_in_env_vars: bool = False,
        ignore: Any = (),
        only: Any = (),
        entrypoint: Any = (),
        target: str = "",
        ssh: Any = "",
        network: str = "",
        secret: Any = "",
        extra_tag: Any = "",
        container_args: Any = None,
        cache_from: Any = (),
        pull: bool = False,
        platform: str = "",
    ) -> None:
        image = Image(Path(context), _listed(only), build_args or {}, target, list(live_update))
        if f" AS {target}\n" not in Path(dockerfile).read_text():
            raise TiltError(f"{dockerfile} has no stage {target}")
        _check_steps(image)
        self.images[ref] = image

    def fall_back_on(self, files: Any) -> dict[str, Any]:
        return {"step": "fall_back_on", "paths": _listed(files)}

    def sync(self, local_path: str, remote_path: str) -> dict[str, Any]:
        if not remote_path.startswith("/"):
            raise TiltError(f"{remote_path} must be absolute")
        return {"step": "sync", "paths": [local_path], "to": remote_path}

    def run_step(self, cmd: Any, trigger: Any = ()) -> dict[str, Any]:
        return {"step": "run", "command": cmd, "paths": _listed(trigger)}

    # What Tilt does when the Tiltfile has ended.

    def _add(self, resource: Resource) -> None:
        if resource.name in self.resources:
            raise TiltError(f"there are two resources {resource.name}")
        self.resources[resource.name] = resource

    def _assemble(self) -> None:
        workloads = {item["metadata"]["name"]: item for item in self._loose if item["kind"] in WORKLOADS}
        for workload, call in self._calls:
            resource: Resource = call["resource"]
            if workload:
                if workload not in workloads:
                    raise TiltError(f"there is no workload {workload}; there are {sorted(workloads)}")
                resource.objects.append(workloads.pop(workload))
            resource.objects += [self._claim(selector) for selector in call["objects"]]
            self._add(resource)
        for name, item in workloads.items():
            self._add(Resource(name, "k8s", objects=[item]))
        for resource in self.resources.values():
            lost = [name for name in resource.deps if name not in self.resources]
            if lost:
                raise TiltError(f"{resource.name} waits for {lost}, which is not there")

    def _claim(self, selector: str) -> Manifest:
        wanted = [part.lower() for part in selector.split(":")]
        found = [item for item in self._loose if _identity(item)[: len(wanted)] == tuple(wanted)]
        if len(found) != 1:
            raise TiltError(f"{selector} selects {len(found)} objects instead of one")
        self._loose.remove(found[0])
        return found[0]

    @property
    def unclaimed(self) -> list[tuple[str, str, str]]:
        """The objects of no resource, which Tilt deploys at once; Services join workloads."""
        return [_identity(item) for item in self._loose if item["kind"] not in WORKLOADS | {"Service"}]


_API = [
    *("decode_yaml_stream", "define_string_list", "docker_build", "exec_action", "fall_back_on", "helm"),
    *("k8s_resource", "k8s_yaml", "listdir", "local_resource", "parse", "port_forward", "probe"),
    *("read_yaml_stream", "sync", "update_settings", "version_settings"),
]


def _listed(given: Any) -> list[str]:
    if given is None or given == "":
        return []
    return [given] if isinstance(given, str) else list(given)


def _labels(given: Any) -> list[str]:
    wrong = [label for label in _listed(given) if not _LABEL.fullmatch(label)]
    if wrong:
        raise TiltError(f"{wrong} cannot be a label")
    return _listed(given)


def _identity(item: Manifest) -> tuple[str, str, str]:
    metadata = item["metadata"]
    return metadata["name"], item["kind"].lower(), metadata.get("namespace", "default")


def _check_steps(image: Image) -> None:
    order = [step["step"] for step in image.steps]
    if order != sorted(order, key=["fall_back_on", "sync", "run"].index):
        raise TiltError(f"steps must be fall_back_on, sync and run, not {order}")
    watched = [image.context / part for part in image.only] or [image.context]
    for step in image.steps:
        for path in map(Path, step["paths"]):
            if not any(path == part or part in path.parents for part in watched):
                raise TiltError(f"{path} is not among what the image is built from")
