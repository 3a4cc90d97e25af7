"""What a release is made of, as the command line says."""

from __future__ import annotations

import argparse
import re
import shutil
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

__all__ = ["CONTEXTS", "ROOT", "Release", "options"]

ROOT: Final = Path(__file__).parents[1]
CONTEXTS: Final = tuple(sorted(path.parent.name for path in ROOT.glob("contexts/*/pyproject.toml")))
_TOOLS: Final = ("docker", "podman")
_DIGEST: Final = re.compile(r"[^@\s]+@sha256:[0-9a-f]{64}")
_VERSION: Final = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_.-]{0,127}")


@dataclass(frozen=True, slots=True)
class Release:
    """A release.

    Attributes:
        version: The tag of its images.
        registry: Where its images are pushed to, with a path; empty: no images, only bills of materials.
        contexts: The contexts whose images it has.
        base: The base of the images, with a digest.
        build_base: The base in which they are built, with a digest.
        key: The private key: a file, or a URI of a key management service as cosign takes it.
        audited: Whether known vulnerabilities are looked for.
        logged: Whether signatures go to cosign's public log.
        tool: The program that builds and pushes images.
        builder: Who builds, as a URI.
        folder: Where its files are written.
        dry_run: Whether it only says what it would do.
    """

    version: str
    registry: str
    contexts: tuple[str, ...]
    base: str
    build_base: str
    key: str
    audited: bool
    logged: bool
    tool: str
    builder: str
    folder: Path
    dry_run: bool

    def problems(self) -> list[str]:
        """Return what is in the way of the release, a sentence each."""
        problems = []
        if not _VERSION.fullmatch(self.version):
            problems.append(f"--version {self.version} cannot be a tag of an image; write it like 1.2.0")
        for option, base in (("--base", self.base), ("--build-base", self.build_base)):
            if self.registry and not _DIGEST.fullmatch(base):
                problems.append(
                    f"{option} {base or 'is missing'}: a tag may mean another image tomorrow; name the base "
                    "with its digest, like python@sha256:…"
                )
        if not self.dry_run:
            problems += self._missing()
        return problems

    def _missing(self) -> list[str]:
        missing = []
        if shutil.which("cosign") is None:
            missing.append("cosign signs, and is not installed: install version 3 of it, or see --dry-run")
        if self.registry and not self.tool:
            missing.append(f"install {' or '.join(_TOOLS)}, or name the program in --tool")
        if "://" not in self.key and not Path(self.key).is_file():
            missing.append(f"--key {self.key} is no file; `cosign generate-key-pair` makes one")
        return missing


def options(arguments: Sequence[str] | None = None) -> Release:
    """Return the release that the command line describes."""
    parser = argparse.ArgumentParser(
        prog="make release ARGS=…",
        description="Build the images of a release, push them, write where they come from (SLSA provenance), "
        "sign images, bills of materials and provenance with cosign, and verify all of it. It is made from "
        "the commit that is checked out, with nothing changed. Everything is written to build/release.",
        epilog="Example: make release ARGS='--version 1.2.0 --registry registry.example.com/team "
        "--base python@sha256:… --build-base python@sha256:… --key cosign.key --dry-run'",
    )
    add = parser.add_argument
    add("--version", required=True, help="tag of the images, like 1.2.0")
    add("--registry", default="", help="where images are pushed to; without, only files are signed")
    add("--context", action="append", choices=CONTEXTS, help="this context; may be repeated (all)")
    add("--base", default="", help="base of the images, with its digest: python@sha256:…")
    add("--build-base", default="", help="base in which they are built, with its digest")
    add("--key", default="cosign.key", help="private key: a file, or a URI as cosign takes it (cosign.key)")
    add("--no-audit", action="store_true", help="where PyPI's own API is out of reach: leave make audit out")
    add("--no-log", action="store_true", help="keep signatures out of cosign's public log")
    add("--tool", default="", help=f"what builds and pushes images ({' or '.join(_TOOLS)})")
    add("--builder", default="urn:intent:release", help="who builds, as a URI, for the provenance")
    add("--folder", type=Path, default=ROOT / "build" / "release", help="where files are written")
    add("--dry-run", action="store_true", help="print every command, and do nothing")
    given = parser.parse_args(arguments)
    found = next((tool for tool in _TOOLS if shutil.which(tool)), "")
    return Release(
        version=given.version,
        registry=given.registry.rstrip("/"),
        contexts=tuple(given.context or CONTEXTS),
        base=given.base,
        build_base=given.build_base,
        key=given.key,
        audited=not given.no_audit,
        logged=not given.no_log,
        tool=given.tool or (found or _TOOLS[0] if given.dry_run else found),
        builder=given.builder,
        folder=given.folder,
        dry_run=given.dry_run,
    )
