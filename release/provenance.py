"""Where a release comes from: SLSA provenance, and the in-toto statement about its images and files."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any, Final
from urllib.parse import urlsplit, urlunsplit

from release.options import ROOT, Release

__all__ = ["Source", "digest_of", "predicate", "statement", "without_login"]

_STATEMENT: Final = "https://in-toto.io/Statement/v1"
_PROVENANCE: Final = "https://slsa.dev/provenance/v1"
_BUILD: Final = "urn:intent:release:v1"


@dataclass(frozen=True, slots=True)
class Source:
    """What was checked out.

    Attributes:
        repository: The repository's URL, without a login; empty: it is on this machine only.
        commit: The commit.
    """

    repository: str
    commit: str


def without_login(url: str) -> str:
    """Return a URL without the name and password in it, which provenance would publish."""
    parts = urlsplit(url)
    if "@" not in parts.netloc:
        return url
    return urlunsplit(parts._replace(netloc=parts.netloc.rpartition("@")[2]))


def digest_of(path: Path) -> str:
    """Return the SHA-256 digest of a file."""
    return hashlib.sha256(path.read_bytes()).hexdigest()


def predicate(
    release: Release, source: Source, contexts: Sequence[str], began: datetime, ended: datetime
) -> dict[str, Any]:
    """Return SLSA's predicate about how images were built.

    Args:
        release: The release.
        source: What they were built from.
        contexts: Whose images they are.
        began: When the release began.
        ended: When they were built.
    """
    pins = [ROOT / "requirements" / f"{name}.txt" for name in ("build", *contexts)]
    bases = [base for base in (release.base, release.build_base) if release.registry]
    return {
        "buildDefinition": {
            "buildType": _BUILD,
            "externalParameters": {"version": release.version, "contexts": list(contexts)},
            "internalParameters": {"tool": release.tool if release.registry else ""},
            "resolvedDependencies": [
                {
                    "uri": f"git+{source.repository}" if source.repository else "git+file:.",
                    "digest": {"gitCommit": source.commit},
                },
                *(_base(base) for base in dict.fromkeys(bases)),
                *({"uri": f"requirements/{pin.name}", "digest": {"sha256": digest_of(pin)}} for pin in pins),
            ],
        },
        "runDetails": {
            "builder": {"id": release.builder},
            "metadata": {
                "invocationId": f"{source.commit}/{release.version}/{began:%Y%m%dT%H%M%SZ}",
                "startedOn": f"{began:%Y-%m-%dT%H:%M:%SZ}",
                "finishedOn": f"{ended:%Y-%m-%dT%H:%M:%SZ}",
            },
        },
    }


def statement(subjects: Mapping[str, str], about: Mapping[str, Any]) -> dict[str, Any]:
    """Return an in-toto statement.

    Args:
        subjects: SHA-256 digests by the names of images and files.
        about: SLSA's predicate.
    """
    return {
        "_type": _STATEMENT,
        "subject": [{"name": name, "digest": {"sha256": digest}} for name, digest in subjects.items()],
        "predicateType": _PROVENANCE,
        "predicate": dict(about),
    }


def _base(image: str) -> dict[str, Any]:
    name, _, digest = image.partition("@sha256:")
    return {"uri": f"oci:{name}", "digest": {"sha256": digest}}
