"""The Tiltfile: what it deploys, in which order, and how changed code reaches running containers."""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from functools import cache
from pathlib import Path

import pytest
import starlark
from intent.dev import DevLayout, DevState

from .charts import CONTEXTS, ROOT, hooks_of, pod_of, release_of, workloads
from .tiltfile import Tilt, TiltError

BUILT_IN = {"v1", "apps/v1", "batch/v1", "networking.k8s.io/v1", "policy/v1"}


@cache
def tilt(*arguments: str, subcommand: str = "up") -> Tilt:
    return Tilt(arguments, subcommand).run()


def before(name: str) -> set[str]:
    """Return every resource that is up before another."""
    deps = set(tilt().resources[name].deps)
    return deps.union(*(before(dep) for dep in deps))


@pytest.mark.parametrize("context", CONTEXTS)
def test_a_context_comes_up_in_the_right_order(context: str) -> None:
    name = release_of(context)
    assert {"namespaces", "postgres"} <= before(f"{name}-migrate")
    assert {"namespaces", "temporal"} <= before(f"{name}-temporal-setup")
    for process in (name, f"{name}-worker"):
        assert {f"{name}-migrate", f"{name}-temporal-setup", f"{name}-access", "contracts"} <= before(process)


@pytest.mark.parametrize("context", CONTEXTS)
def test_the_parts_of_a_context_are_grouped_and_its_jobs_wait_for_their_button(context: str) -> None:
    name = release_of(context)
    parts = {r.name: r for r in tilt().resources.values() if r.labels == [context]}
    jobs = {f"{name}-migrate", f"{name}-temporal-setup"}
    assert parts.keys() == jobs | {
        name,
        f"{name}-worker",
        f"{name}-access",
        f"{context}-rebuild-projections",
    }
    assert {r.name for r in parts.values() if r.kind == "k8s" and r.manual} == jobs
    assert all(r.auto_init for r in parts.values() if r.kind == "k8s")


def test_every_object_belongs_to_a_resource_and_none_needs_what_tilt_cannot_do() -> None:
    assert tilt().unclaimed == []
    deployed = [item for resource in tilt().resources.values() for item in resource.objects]
    assert len(deployed) > 30
    assert [item for item in deployed if hooks_of(item)] == []
    assert {item["apiVersion"] for item in deployed} <= BUILT_IN


def test_the_images_of_the_contexts_are_those_that_are_built() -> None:
    deployed = [item for resource in tilt().resources.values() for item in resource.objects]
    images = {c["image"] for w in workloads(deployed) for c in pod_of(w)["spec"]["containers"]}
    own = {image.rpartition(":")[0] for image in images if image.startswith("intent/")}
    assert own == tilt().images.keys() == {f"intent/{context}" for context in CONTEXTS}


def test_ports_are_those_of_make_dev_and_lead_to_ports_of_the_pods() -> None:
    layout = DevLayout.of(Path("data"), CONTEXTS)
    found: list[int] = []
    for resource in tilt().resources.values():
        found += resource.ports
        for target in resource.ports.values():
            (workload,) = workloads(resource.objects) or [
                item for item in resource.objects if item["kind"] == "StatefulSet"
            ]
            ports = [p["containerPort"] for c in pod_of(workload)["spec"]["containers"] for p in c["ports"]]
            assert target in ports
    assert len(set(found)) == len(found)
    own = {layout.postgres, layout.temporal, layout.ui, *layout.contexts.values(), *layout.metrics.values()}
    assert own <= set(found)


def test_only_the_chosen_contexts_run() -> None:
    some = tilt("orders", "inventory")
    assert some.images.keys() == {"intent/orders", "intent/inventory"}
    assert "payments" not in some.resources
    assert "demo" not in some.resources
    assert some.resources["orders"].ports == tilt().resources["orders"].ports


def test_an_unknown_context_is_refused_with_those_there_are() -> None:
    with pytest.raises(starlark.StarlarkError, match=f"no context ordes; choose from: {', '.join(CONTEXTS)}"):
        Tilt(["ordes"]).run()


def test_the_check_runs_by_itself_in_ci_only_and_needs_every_process() -> None:
    up, ci = tilt().resources["e2e"], tilt(subcommand="ci").resources["e2e"]
    assert (up.auto_init, up.manual, ci.auto_init, ci.manual) == (False, True, True, False)
    processes = {f"{release_of(c)}{part}" for c in CONTEXTS for part in ("", "-worker")}
    assert set(ci.deps) == processes | {"addresses"}
    assert "tilt/check.py" in ci.command
    assert "demo" in ci.command


def test_buttons_run_only_when_they_are_pressed() -> None:
    buttons = {r.name for r in tilt().resources.values() if r.kind == "local" and not r.auto_init}
    assert {"lint", "tests", "demo", "e2e"} | {f"{c}-rebuild-projections" for c in CONTEXTS} == buttons
    makefile = (ROOT / "Makefile").read_text()
    for resource in tilt().resources.values():
        words = resource.command if isinstance(resource.command, str) else " ".join(resource.command)
        for target in re.findall(r"^make (\S+)", words):
            assert re.search(rf"^{target}:", makefile, re.M)
        for script in re.findall(r"\b(tilt/\w+\.py)", words):
            assert (ROOT / script).exists()


def test_contracts_are_generated_when_they_change_and_not_when_they_are_generated() -> None:
    watched = [Path(path).relative_to(ROOT / "proto") for path in tilt().resources["contracts"].watches]
    assert {Path("intent"), *map(Path, CONTEXTS)} <= set(watched)
    assert Path("src") not in watched


@pytest.mark.parametrize("context", CONTEXTS)
def test_changed_code_is_copied_to_where_the_process_loads_it_from(context: str) -> None:
    image = tilt().images[f"intent/{context}"]
    assert (image.target, image.arguments) == ("dev", {"CONTEXT": context})
    synced = {Path(s["paths"][0]).relative_to(ROOT): s["to"] for s in image.steps if s["step"] == "sync"}
    loaded = re.search(r"PYTHONPATH=(\S+)", (ROOT / "Dockerfile").read_text())
    assert loaded is not None
    for folder in loaded[1].replace("${CONTEXT}", context).split(":"):
        assert any(f"{folder}/".startswith(f"{to}/") or to.startswith(f"{folder}/") for to in synced.values())
    assert all(to == f"/src/{path}" for path, to in synced.items())
    assert image.steps[-1]["command"] == "kill -HUP 1"
    # No other context's change concerns it.
    assert not any(f"contexts/{other}" in image.only for other in CONTEXTS if other != context)


@pytest.mark.parametrize("context", CONTEXTS)
def test_containers_can_be_written_to_by_their_own_user(context: str) -> None:
    (deployment,) = workloads(tilt().resources[release_of(context)].objects)
    spec = pod_of(deployment)["spec"]
    assert spec["containers"][0]["securityContext"]["readOnlyRootFilesystem"] is False
    user = f"{spec['securityContext']['runAsUser']}:{spec['securityContext']['runAsGroup']}"
    assert f"COPY --chown={user} contexts/" in (ROOT / "Dockerfile").read_text()
    assert spec["containers"][0]["command"] == ["intent"]


def test_an_argument_that_tilt_does_not_know_is_refused(tmp_path: Path) -> None:
    with pytest.raises(TypeError, match="port_forwrds"):
        Tilt().k8s_resource("orders", port_forwrds=[1])  # type: ignore[call-arg]
    steps = [{"step": "run", "paths": []}, {"step": "sync", "paths": [], "to": "/x"}]
    dockerfile = str(ROOT / "Dockerfile")
    with pytest.raises(TiltError, match="must be fall_back_on, sync and run"):
        Tilt().docker_build("x", str(ROOT), dockerfile=dockerfile, target="dev", live_update=steps)


def test_addresses_lead_the_command_line_to_tilts_ports(tmp_path: Path) -> None:
    command = tilt().resources["addresses"].serve
    arguments = [str(tmp_path) if word == str(ROOT / ".tilt") else word for word in command[1:]]
    with subprocess.Popen([sys.executable, *arguments], cwd=ROOT, stdout=subprocess.PIPE) as process:
        assert process.stdout is not None
        process.stdout.readline()
        state = DevState.read(tmp_path)
        assert state is not None
        layout = DevLayout.of(tmp_path, CONTEXTS)
        assert {n: a.target for n, a in state.contexts.items()} == {
            name: f"127.0.0.1:{port}" for name, port in layout.contexts.items()
        }
        process.terminate()
    assert process.returncode == 0
    assert DevState.read(tmp_path) is None


@pytest.fixture
def reloaded(tmp_path: Path) -> Iterator[tuple[Path, Callable[[str], None], subprocess.Popen[bytes]]]:
    """A reloader with a program to change, and a wait for its output."""
    program, log = tmp_path / "program", tmp_path / "log"
    program.write_text(f"#!{sys.executable}\nprint('first', flush=True)\nimport time\ntime.sleep(600)\n")
    program.chmod(0o755)
    with log.open("wb") as out:
        process = subprocess.Popen(
            [sys.executable, ROOT / "tilt" / "reload.py", "serve"],
            env={**os.environ, "INTENT_RELOADED": str(program)},
            stdout=out,
            stderr=subprocess.STDOUT,
        )

    def said(text: str) -> None:
        end = time.monotonic() + 30
        while text not in log.read_text():
            assert time.monotonic() < end, log.read_text()
            time.sleep(0.02)

    yield program, said, process
    process.kill()
    process.wait()


def test_a_process_restarts_with_changed_code_and_outlives_an_unfinished_edit(
    reloaded: tuple[Path, Callable[[str], None], subprocess.Popen[bytes]],
) -> None:
    program, said, process = reloaded
    said("first")
    text = program.read_text()
    program.write_text(text.replace("print('first'", "raise SystemExit(3"))
    process.send_signal(signal.SIGHUP)
    said("waits for the next change")
    assert process.poll() is None
    program.write_text(text.replace("first", "second"))
    process.send_signal(signal.SIGHUP)
    said("second")
    process.terminate()
    assert process.wait(30) == 128 + signal.SIGTERM


def test_a_job_ends_with_its_own_exit_code(tmp_path: Path) -> None:
    program = tmp_path / "program"
    program.write_text("#!/bin/sh\nexit 7\n")
    program.chmod(0o755)
    done = subprocess.run(
        [sys.executable, ROOT / "tilt" / "reload.py", "migrate"],
        env={**os.environ, "INTENT_RELOADED": str(program)},
        check=False,
    )
    assert done.returncode == 7
