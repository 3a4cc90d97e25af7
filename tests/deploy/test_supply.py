"""What a release is made of is written down, under licences that somebody has looked at, and signed."""

from __future__ import annotations

import fcntl
import hashlib
import json
import os
import re
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from release.options import Release, options
from release.provenance import without_login
from release.run import Stopped, run
from release.run import make as make_release

from .charts import CONTEXTS, ROOT

BILLS = ROOT / "build" / "sbom"
COMMIT = "[0-9a-f]{40}"
ARGUMENTS = (
    *("--version", "1.2.0", "--registry", "registry.example.com/team", "--no-audit", "--no-log"),
    *("--base", f"python@sha256:{'a' * 64}", "--build-base", f"python@sha256:{'b' * 64}"),
    *("--context", "orders", "--tool", "docker"),
)
IMAGE = "registry.example.com/team/intent/orders"
PUSHED = "c" * 64
RECORDER = """#!/bin/sh
printf '%s' "$(basename "$0")" >> "{record}"
for part in "$@"; do printf '\\037%s' "$part" >> "{record}"; done
echo >> "{record}"
case "$1 $2" in "image inspect") echo "elsewhere/orders@sha256:{other}"; echo "{image}@sha256:{pushed}";; esac
"""


@pytest.fixture(autouse=True)
def alone() -> Iterator[None]:
    """One test at a time writes build/sbom, also where several processes run these tests."""
    BILLS.parent.mkdir(exist_ok=True)
    with (BILLS.parent / "supply.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield


def make(*arguments: str) -> subprocess.CompletedProcess[str]:
    """Run a target as a person does; this may be a test of `make test` itself."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith("MAKE")}
    return subprocess.run(
        ["make", *arguments], cwd=ROOT, env=kept, capture_output=True, text=True, check=False
    )


def pinned(name: str) -> dict[str, str]:
    text = (ROOT / "requirements" / f"{name}.txt").read_text()
    return dict(re.findall(r"^([A-Za-z0-9._-]+)==(\S+)", text, re.MULTILINE))


def test_every_image_and_the_workspace_have_a_bill_of_materials() -> None:
    done = make("sbom", "VALIDATE=--no-validate")
    assert done.returncode == 0, done.stderr
    names = {context: context for context in CONTEXTS} | {"workspace": "dev"}
    for name, pins in names.items():
        bill: dict[str, Any] = json.loads((BILLS / f"{name}.cdx.json").read_text())
        assert {part["name"]: part["version"] for part in bill["components"]} == pinned(pins)
        for part in bill["components"]:
            assert any(reference.get("hashes") for reference in part["externalReferences"]), part["name"]


def test_what_is_shipped_is_under_known_licences() -> None:
    done = make("licences")
    assert done.returncode == 0, done.stderr
    assert "asyncpg" in done.stdout


def test_a_licence_that_nobody_has_looked_at_is_named() -> None:
    done = make("licences", "LICENCES=MIT")
    assert done.returncode
    assert re.search(r"license .* not in allow-only licenses .* for package \w+", done.stderr), done.stderr


def test_newer_versions_of_every_pin_are_looked_for() -> None:
    settings = json.loads((ROOT / "renovate.json").read_text())
    (manager,) = settings["customManagers"]
    (files,) = manager["managerFilePatterns"]
    (pin,) = (text.replace("(?<", "(?P<") for text in manager["matchStrings"])
    for path in sorted((ROOT / "requirements").glob("*.txt")):
        assert re.search(files.strip("/"), f"requirements/{path.name}")
        found = {match["depName"]: match["currentValue"] for match in re.finditer(pin, path.read_text())}
        assert found == pinned(path.stem)
    (hashes,) = (rule for rule in settings["packageRules"] if "postUpgradeTasks" in rule)
    assert hashes["postUpgradeTasks"]["commands"] == ["make pins REHASH=yes"]
    assert hashes["postUpgradeTasks"]["fileFilters"] == ["requirements/*.txt"]


def test_the_hashes_of_a_pin_that_was_raised_are_forgotten(tmp_path: Path) -> None:
    """Else uv keeps those of the version before."""
    said = make("-n", "pins", "REHASH=yes").stdout.splitlines()
    (forget,) = (line for line in said if "sed -i" in line)
    shutil.copytree(ROOT / "requirements", tmp_path / "requirements")
    subprocess.run(["bash", "-c", forget], cwd=tmp_path, check=True)
    for path in (tmp_path / "requirements").glob("*.txt"):
        text = path.read_text()
        assert "--hash" not in text
        assert "\\" not in text
        assert dict(re.findall(r"^([A-Za-z0-9._-]+)==(\S+)", text, re.MULTILINE)) == pinned(path.stem)


def release(*further: str, folder: Path) -> Release:
    return options([*ARGUMENTS, "--folder", str(folder), *further])


@pytest.fixture
def said() -> list[str]:
    return []


@pytest.fixture
def recorded(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """What was called instead of docker and cosign, a line for each, with parts apart."""
    record, programs = tmp_path / "record", tmp_path / "programs"
    programs.mkdir()
    for name in ("docker", "cosign"):
        program = programs / name
        program.write_text(RECORDER.format(record=record, other="d" * 64, image=IMAGE, pushed=PUSHED))
        program.chmod(0o755)
    monkeypatch.setenv("PATH", f"{programs}:{os.environ['PATH']}")
    for name in [name for name in os.environ if name.startswith("MAKE")]:
        monkeypatch.delenv(name)
    return record


def calls(record: Path) -> list[list[str]]:
    return [line.split("\x1f") for line in record.read_text().splitlines()]


def test_a_base_with_a_tag_alone_is_refused(tmp_path: Path, said: list[str]) -> None:
    for option in ("--base", "--build-base"):
        for base in ("python:3.13-slim", "python@sha256:abc", ""):
            with pytest.raises(Stopped, match=f"{option} .*name the base with its digest"):
                run(release(option, base, "--dry-run", folder=tmp_path), said.append)
    assert said == []


def test_without_cosign_nothing_is_begun(
    tmp_path: Path, said: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    git = shutil.which("git")
    assert git is not None
    (tmp_path / "git").symlink_to(git)
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(Stopped, match="cosign signs, and is not installed: install version 3") as stopped:
        run(release("--key", "none.key", folder=tmp_path), said.append)
    assert "--key none.key is no file" in str(stopped.value)
    assert said == []


def test_a_dry_run_says_every_command_and_does_nothing(
    tmp_path: Path, said: list[str], recorded: Path
) -> None:
    folder = tmp_path / "release"
    run(release("--dry-run", folder=folder), said.append)
    assert not folder.exists()
    assert not recorded.exists()
    assert (
        [line.split()[0] for line in said].count("cosign") == len([s for s in said if "cosign " in s]) >= 12
    )
    assert any(line.startswith("docker push registry.example.com/team/intent/orders:1.2.0") for line in said)


def test_images_are_signed_by_digest_and_everything_is_verified(
    tmp_path: Path, said: list[str], recorded: Path
) -> None:
    make_release(release(folder=tmp_path), said.append)
    called = calls(recorded)
    build = next(call for call in called if call[:2] == ["docker", "build"])
    assert f"BASE=python@sha256:{'a' * 64}" in build
    assert f"BUILD_BASE=python@sha256:{'b' * 64}" in build
    signed = [call for call in called if call[:2] in (["cosign", "sign"], ["cosign", "attest"])]
    checked = [call for call in called if call[1].startswith("verify") and "blob" not in call[1]]
    assert {call[-1] for call in (*signed, *checked)} == {f"{IMAGE}@sha256:{PUSHED}"}
    assert (len(signed), len(checked)) == (3, 3)
    files = [call[-1] for call in called if call[1] == "sign-blob"]
    assert files == [call[-1] for call in called if call[1] == "verify-blob"]
    assert {Path(path).name for path in files} == {
        "orders.cdx.json",
        "workspace.cdx.json",
        "provenance.intoto.json",
    }
    assert all(
        str(tmp_path / "no-services.json") in call for call in called if call[1] in ("sign", "sign-blob")
    )


def test_provenance_says_what_was_made_of_what(tmp_path: Path, said: list[str], recorded: Path) -> None:
    make_release(release(folder=tmp_path), said.append)
    statement = json.loads((tmp_path / "provenance.intoto.json").read_text())
    assert statement["_type"] == "https://in-toto.io/Statement/v1"
    assert statement["predicateType"] == "https://slsa.dev/provenance/v1"
    digests = {subject["name"]: subject["digest"]["sha256"] for subject in statement["subject"]}
    assert digests == {
        IMAGE: PUSHED,
        **{
            f"{name}.cdx.json": hashlib.sha256((BILLS / f"{name}.cdx.json").read_bytes()).hexdigest()
            for name in ("orders", "workspace")
        },
    }
    image = json.loads((tmp_path / "orders.provenance.json").read_text())
    for about in (statement["predicate"], image):
        source, *others = about["buildDefinition"]["resolvedDependencies"]
        assert re.fullmatch(COMMIT, source["digest"]["gitCommit"])
        named = {each["uri"]: each["digest"]["sha256"] for each in others}
        assert named["oci:python"] in ("a" * 64, "b" * 64)
        pins = hashlib.sha256((ROOT / "requirements" / "orders.txt").read_bytes()).hexdigest()
        assert named["requirements/orders.txt"] == pins
        assert about["runDetails"]["builder"]["id"]


def test_provenance_names_no_login() -> None:
    assert without_login("https://ann:secret@git.example.com/a/b.git") == "https://git.example.com/a/b.git"
    assert without_login("git@git.example.com:a/b.git") == "git@git.example.com:a/b.git"


@pytest.mark.skipif(shutil.which("cosign") is None, reason="cosign is not installed")
def test_cosign_verifies_what_it_has_signed_and_refuses_what_was_changed(
    tmp_path: Path, said: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("COSIGN_PASSWORD", "")
    subprocess.run(["cosign", "generate-key-pair"], cwd=tmp_path, check=True, capture_output=True)
    made = release("--registry", "", "--key", str(tmp_path / "cosign.key"), folder=tmp_path / "release")
    make_release(made, said.append)
    verify = [*next(line for line in said if "verify-blob" in line).split()[:-1]]
    changed = tmp_path / "orders.cdx.json"
    changed.write_text((BILLS / "orders.cdx.json").read_text().replace("asyncpg", "asyncpq"))
    assert subprocess.run([*verify, str(BILLS / "orders.cdx.json")], check=False).returncode == 0
    assert subprocess.run([*verify, str(changed)], check=False).returncode != 0
