"""Builds of images and runs of their programs, without a daemon: with buildah and a base built here."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from intent.dev.services import ManagedProcess

from .charts import ROOT

BASE = "localhost/base"
_PACKAGES = "ca-certificates,python3,python3-venv"
_AUTHORITIES = "/etc/ssl/certs/ca-certificates.crt"
# A container: a root that is read-only except /tmp, no rights, and only the image's variables.
_CONTAINER = """
root=$1 user=$2 folder=$3; shift 3
mount --make-rprivate / && mount --bind "$root" "$root" && mount -o remount,bind,ro "$root" &&
mount -t proc proc "$root/proc" && mount --bind /dev "$root/dev" && mount -t tmpfs tmpfs "$root/tmp" &&
exec chroot --userspec="$user" "$root" env -i -C "$folder" "$@"
"""


def cannot_build() -> str:
    """Return why no image can be built here, or an empty string."""
    missing = [program for program in ("buildah", "mmdebstrap", "unshare") if shutil.which(program) is None]
    if missing:
        return f"{', '.join(missing)} must be there: Debian has packages of these names"
    if os.getuid() != 0:
        return "building without a daemon is tried as root only"
    done = subprocess.run(["unshare", "--mount", "true"], capture_output=True, check=False)
    return "" if done.returncode == 0 else "this machine allows no mounts"


@dataclass(frozen=True, slots=True)
class Image:
    """A built image.

    Attributes:
        root: Its files.
        config: What its Dockerfile says of running it: ``Entrypoint``, ``Env``, ``User``, ….
    """

    root: Path
    config: Mapping[str, Any]

    def command(self, arguments: Sequence[str], variables: Mapping[str, str]) -> list[str]:
        """Return the program that runs the image's entry point, or another program, as `docker run` does."""
        environment = [*self.config["Env"], *(f"{name}={value}" for name, value in variables.items())]
        return [
            *("unshare", "--mount", "sh", "-c", _CONTAINER, "container", str(self.root)),
            *(self.config["User"], self.config["WorkingDir"], *environment, *arguments),
        ]

    def run(self, *arguments: str, **variables: str) -> subprocess.CompletedProcess[str]:
        """Run a program of the image to its end."""
        return subprocess.run(
            self.command(arguments, variables), capture_output=True, text=True, timeout=120, check=False
        )

    def process(self, log: Path, *arguments: str, **variables: str) -> ManagedProcess:
        """Return the image's entry point as a process, not started yet."""
        whole = [*self.config["Entrypoint"], *(arguments or self.config["Cmd"])]
        return ManagedProcess("container", self.command(whole, variables), log, grace=60)


class Builder:
    """Builder of images in a folder of its own."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        settings = folder / "storage.conf"
        settings.write_text(
            f'[storage]\ndriver = "vfs"\nrunroot = "{folder}/run"\ngraphroot = "{folder}/images"\n'
        )
        self._environment = {**os.environ, "CONTAINERS_STORAGE_CONF": str(settings)}

    def make_base(self) -> None:
        """Build the image that replaces the bases of the Dockerfile, from this machine's Debian."""
        archive = ROOT / "build" / "image-base.tar"
        if not archive.exists():
            archive.parent.mkdir(exist_ok=True)
            new = archive.with_suffix(".new.tar")
            release = _release()
            self._run(
                "mmdebstrap", "--quiet", "--variant=minbase", f"--include={_PACKAGES}", release, str(new)
            )
            new.rename(archive)
        name = self._buildah("from", "scratch")
        self._buildah("add", "--quiet", name, str(archive), "/")
        # It trusts the same certificate authorities as this machine.
        self._buildah("copy", "--quiet", name, str(Path(_AUTHORITIES).resolve()), _AUTHORITIES)
        self._buildah("commit", "--quiet", "--rm", name, BASE)

    def build(self, context: str, *, target: str = "final", **arguments: str) -> str:
        """Build the image of a context; return its name."""
        name = f"localhost/intent/{context}-{target}"
        given = {"CONTEXT": context, "BASE": BASE, "BUILD_BASE": BASE, **arguments}
        parts = [part for key, value in given.items() for part in ("--build-arg", f"{key}={value}")]
        self._buildah(
            *("build", "--quiet", "--isolation", "chroot", "--format", "docker", "--tag", name),
            *("--target", target, *parts, str(ROOT)),
        )
        return name

    @contextmanager
    def opened(self, name: str) -> Iterator[Image]:
        """Give access to an image's files."""
        working = self._buildah("from", name)
        try:
            described = json.loads(self._buildah("inspect", "--type", "image", name))
            yield Image(Path(self._buildah("mount", working)), described["Docker"]["config"])
        finally:
            self._buildah("umount", working)
            self._buildah("rm", working)

    def _buildah(self, *arguments: str) -> str:
        return self._run("buildah", *arguments)

    def _run(self, *command: str) -> str:
        done = subprocess.run(command, capture_output=True, text=True, env=self._environment, check=False)
        assert done.returncode == 0, f"{' '.join(command[:3])} failed: {done.stderr[-2000:]}"
        return done.stdout.strip()


def _release() -> str:
    text = Path("/etc/os-release").read_text()
    found = dict(line.split("=", 1) for line in text.splitlines() if "=" in line)
    return found["VERSION_CODENAME"].strip('"')
