"""The image of a context: the rules for its Dockerfile, its contents, and that it runs."""

from __future__ import annotations

import json
import os
import re
import signal
import socket
import subprocess
import sys
import sysconfig
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import pytest
import pytest_asyncio
from intent.client import IntentClient
from intent.contracts import Registry
from intent.dev.platform import LocalPlatform
from intent.dev.services import ManagedProcess
from intent.process.sockets import free_ports
from intent_contracts.orders.v1 import GetOrder, Money, OrderLine, OrderView, PlaceOrder

from .charts import CONTEXTS, ROOT
from .images import Builder, Image, cannot_build

DOCKERFILE = ROOT / "Dockerfile"
CHECKOV = ROOT / ".tools" / "policies" / "bin" / "checkov"
_DISTRIBUTIONS = (
    "import importlib.metadata as m, json; "
    "print(json.dumps({d.name.lower().replace('_', '-'): d.version for d in m.distributions()}))"
)


def test_hadolint_has_nothing_to_say() -> None:
    hadolint = Path(sys.executable).parent / "hadolint"
    done = subprocess.run([hadolint, DOCKERFILE], capture_output=True, text=True, check=False)
    assert (done.returncode, done.stdout) == (0, "")


def test_checkov_finds_nothing() -> None:
    if not CHECKOV.exists():
        raise FileNotFoundError("checkov is not there; run make tools")
    done = subprocess.run(
        [CHECKOV, "--framework", "dockerfile", "--file", DOCKERFILE, "--output", "json", "--quiet"],
        capture_output=True,
        text=True,
        check=False,
    )
    report = json.loads(done.stdout)
    assert report["summary"]["passed"] > 20, done.stderr
    assert report["results"]["failed_checks"] == []


def test_the_last_stage_removes_every_installer_of_its_base(tmp_path: Path) -> None:
    stdlib = Path(sysconfig.get_path("stdlib", vars={"base": sys.base_prefix}))
    copy = tmp_path / "lib" / stdlib.name
    for folder in (copy, tmp_path / "bin"):
        folder.mkdir(parents=True)
    for path in stdlib.iterdir():
        if path.name not in ("ensurepip", "site-packages", "dist-packages"):
            (copy / path.name).symlink_to(path)
    packages = copy / "site-packages"
    gone = [copy / "ensurepip", packages / "pip", packages / "pip-26.1.dist-info", tmp_path / "bin" / "pip3"]
    kept = [packages / "pipeline", packages / "other-1.0.dist-info"]
    for folder in (*gone[:3], *kept):
        folder.mkdir(parents=True)
        (folder / "__init__.py").touch()
    gone[3].touch()
    (tmp_path / "bin" / "python3").symlink_to(Path(sys.executable).resolve())

    def run(code: str) -> str:
        variables = {"PYTHONHOME": str(tmp_path)}
        return subprocess.run(
            [tmp_path / "bin" / "python3", "-s", "-c", code],
            env=variables,
            capture_output=True,
            text=True,
            check=True,
        ).stdout

    # The code removes what it finds, so it must not find this machine's own.
    assert Path(run("import ensurepip; print(ensurepip.__file__, end='')")).parent == gone[0]
    (removal,) = re.findall(r'^RUN (\["python3", .*\])$', DOCKERFILE.read_text(), re.M)
    program, option, code = json.loads(removal)
    assert (program, option) == ("python3", "-c")
    run(code)
    assert [path for path in gone if path.exists()] == []
    assert [path for path in kept if not path.exists()] == []


def test_make_image_says_which_contexts_there_are() -> None:
    done = subprocess.run(
        ["make", "image", "CONTEXT=ordes"], cwd=ROOT, capture_output=True, text=True, check=False
    )
    assert done.returncode != 0
    contexts = sorted(path.parent.name for path in (ROOT / "contexts").glob("*/pyproject.toml"))
    assert f"make image CONTEXT=NAME, one of: {' '.join(contexts)}" in done.stdout


@pytest.mark.parametrize("extra", ["kubernetes"])
@pytest.mark.parametrize("context", CONTEXTS)
def test_an_extra_pins_what_the_context_pins(context: str, extra: str) -> None:
    own, further = _pins(context), _pins(extra)
    assert own.keys() & further.keys()
    assert {name: further[name] for name in own.keys() & further.keys() if further[name] != own[name]} == {}


@pytest.fixture(scope="module")
def builder(tmp_path_factory: pytest.TempPathFactory) -> Builder:
    reason = cannot_build()
    if reason:
        pytest.skip(reason)
    builder = Builder(tmp_path_factory.mktemp("images"))
    builder.make_base()
    return builder


@pytest.fixture(scope="module")
def image(builder: Builder) -> Iterator[Image]:
    with builder.opened(builder.build("orders", VERSION="1.2.3", REVISION="abc")) as opened:
        yield opened


@pytest_asyncio.fixture(scope="module")
async def platform(image: Image) -> AsyncIterator[LocalPlatform]:
    with LocalPlatform(durable=False) as running:
        yield running


def _pins(name: str) -> dict[str, str]:
    text = (ROOT / "requirements" / f"{name}.txt").read_text()
    return dict(re.findall(r"^([\w.-]+)==([^\s;]+)", text, re.M))


def settings(platform: LocalPlatform, port: int, metrics: int) -> dict[str, str]:
    own = platform.settings("orders", port=str(port), metrics_port=str(metrics))
    return {**own, "INTENT_METRICS_HOST": "127.0.0.1", "INTENT_HOST": "127.0.0.1"}


def started(process: ManagedProcess, image: Image, variables: dict[str, str]) -> ManagedProcess:
    """Start a process and wait until the image's own health check succeeds."""
    check = image.config["Healthcheck"]["Test"][1:]
    process.start()
    process.wait_until(lambda: image.run(*check, **variables).returncode == 0, 120)
    return process


@pytest.mark.image
def test_it_holds_the_pins_of_its_context_and_nothing_of_its_neighbours(image: Image) -> None:
    installed = json.loads(image.run("python3", "-c", _DISTRIBUTIONS).stdout)
    pins = _pins("orders")
    own = {"intent", "intent-contracts", "intent-orders"}
    assert own <= installed.keys()
    assert [name for name in installed.keys() - own if installed[name] != pins.get(name)] == []


@pytest.mark.image
def test_it_holds_no_compiler_and_no_installer(image: Image) -> None:
    names = {"cc", "gcc", "clang", "make", "uv", "pip", "pip3", "buf", "protoc"}
    folders = [image.root / folder for folder in ("opt/intent/bin", "usr/local/bin", "usr/bin", "bin")]
    assert [folder / name for folder in folders for name in names if (folder / name).exists()] == []
    for python in image.root.glob("usr/**/bin/python3"):
        for module in ("pip", "ensurepip"):
            done = image.run(f"/{python.relative_to(image.root)}", "-m", module, "--version")
            assert f"No module named {module}" in done.stderr
    assert sorted(path.name for path in (image.root / "opt").iterdir()) == ["intent"]
    assert not (image.root / "src").exists()


@pytest.mark.image
def test_it_stays_small(image: Image) -> None:
    sizes = (path.lstat().st_size for path in (image.root / "opt" / "intent").rglob("*"))
    assert sum(sizes) / 2**20 < 200


@pytest.mark.image
def test_it_says_what_it_is_and_runs_as_nobody(image: Image) -> None:
    config = image.config
    assert (config["User"], config["Entrypoint"], config["Cmd"]) == ("10001:10001", ["intent"], ["serve"])
    labels = {name.rpartition(".")[2]: value for name, value in config["Labels"].items()}
    assert (labels["title"], labels["version"], labels["revision"]) == ("intent/orders", "1.2.3", "abc")
    assert image.run("id", "-u").stdout == "10001\n"
    assert image.run("touch", "/opt/intent/x").returncode != 0
    assert image.run("intent", "--version").stdout.startswith("intent ")


@pytest.mark.image
async def test_it_migrates_and_serves_on_a_root_that_nobody_writes(
    image: Image, platform: LocalPlatform, tmp_path: Path
) -> None:
    port, metrics = free_ports(2)
    variables = settings(platform, port, metrics)
    migrated = image.run("intent", "migrate", "--provision", **variables)
    assert (migrated.returncode, migrated.stdout) == (0, "the schema of orders is up to date\n"), migrated
    prepared = image.run("intent", "deploy", "temporal-setup", **variables)
    assert prepared.returncode == 0, prepared.stderr
    server = started(image.process(tmp_path / "serve.log", **variables), image, variables)
    try:
        await _places_an_order(port)
    finally:
        server.stop()
    assert server.exit_code == 0
    with socket.socket() as probe:
        assert probe.connect_ex(("127.0.0.1", port)) != 0


async def _places_an_order(port: int) -> None:
    price = Money(minor_units=500, currency="EUR")
    line = OrderLine(line_id="1", sku="tea", quantity=1, unit_price=price)
    registry = Registry.load()
    async with IntentClient.connect(
        f"127.0.0.1:{port}", tenant="acme", registry=registry, timeout=60
    ) as calling:
        placed = await calling.execute(PlaceOrder(order_id="o-1", customer_id="ann", lines=[line]))
        view = await calling.query(GetOrder(order_id="o-1"), OrderView, min_position=placed.position)
    assert view.order_id == "o-1"


@pytest.mark.image
async def test_the_worker_is_a_command_of_the_same_image(
    image: Image, platform: LocalPlatform, tmp_path: Path
) -> None:
    _, metrics = free_ports(2)
    variables = settings(platform, 0, metrics)
    worker = started(image.process(tmp_path / "worker.log", "worker", **variables), image, variables)
    worker.stop()
    assert worker.exit_code == 0


@pytest.mark.image
async def test_in_development_changed_code_runs_in_the_same_container(
    builder: Builder, platform: LocalPlatform, tmp_path: Path
) -> None:
    with builder.opened(builder.build("orders", target="dev")) as image:
        port, metrics = free_ports(2)
        variables = settings(platform, port, metrics)
        server = started(image.process(tmp_path / "dev.log", **variables), image, variables)
        try:
            source = image.root / "src" / "shared" / "intent" / "service" / "server.py"
            assert source.stat().st_uid == 10001
            source.write_text(source.read_text().replace(" is served on ", " is served again on "))
            assert server.pid is not None
            os.kill(server.pid, signal.SIGHUP)
            server.wait_until(lambda: "is served again on" in server.log.read_text(), 120)
        finally:
            server.stop()


@pytest.mark.image
def test_an_unknown_context_ends_the_build_with_the_fix(builder: Builder) -> None:
    with pytest.raises(AssertionError, match="which context\\? --build-arg CONTEXT=NAME"):
        builder.build("ordes")
