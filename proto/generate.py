"""Generate the package ``intent_contracts`` from the `.proto` files.

Run by the build of the distribution ``intent-contracts`` and by ``make proto``.
The generated code is built, never committed.

protoc derives Python module names from file paths, which would put
``intent/v1`` and ``orders/v1`` at the top level, where the platform library
and the contexts live. The modules are therefore moved below one package and
their imports rewritten; proto packages and type names stay as they are.

A package whose commands name reasons in `rejects` gets a module ``reasons`` besides,
with an enumeration ``Reason`` of them.
"""

from __future__ import annotations

import argparse
import importlib
import pkgutil
import re
import shutil
import sys
import tempfile
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

from google import protobuf
from google.protobuf import descriptor_pb2, descriptor_pool, message_factory
from google.protobuf.descriptor import FileDescriptor
from grpc_tools import protoc

HERE = Path(__file__).resolve().parent
PACKAGE = "intent_contracts"
TARGET = HERE / "src" / PACKAGE
VALIDATE = "buf/validate/validate.proto"
REASONS = "reasons"
REASON = "Reason"

_IMPORT = re.compile(r"^(from|import) ((?:[a-z0-9_]+\.)*v[0-9]+)\b", re.MULTILINE)
_BUF_IMPORT = re.compile(r"^(from|import) (buf(?:\.[a-z0-9_]+)*)\b", re.MULTILINE)
_BUF_EXTENSION = b"\xd2\xf6\x03\x02\x08\x01"
"""Field 8042 of a file in a buf image: ``{is_import: true}``."""
_CONSTANT = re.compile(r"[A-Z][A-Z0-9]*(_[A-Z0-9]+)*")


def sources() -> list[str]:
    """Return the contracts' paths, relative to the proto folder, sorted."""
    return sorted(
        str(path.relative_to(HERE))
        for path in HERE.rglob("*.proto")
        if "src" not in path.relative_to(HERE).parts
    )


def validate_file() -> descriptor_pb2.FileDescriptorProto:
    """Return the descriptor of ``buf/validate/validate.proto`` from the package protovalidate."""
    from protovalidate._gen.buf.validate import validate_pb

    return descriptor_pb2.FileDescriptorProto.FromString(validate_pb.desc().proto.to_binary())


def _well_known_types() -> Iterator[FileDescriptor]:
    """Yield the files that protobuf ships, e.g. ``google/protobuf/struct.proto``."""
    for module in sorted(module.name for module in pkgutil.iter_modules(protobuf.__path__)):
        if module.endswith("_pb2"):
            yield importlib.import_module(f"{protobuf.__name__}.{module}").DESCRIPTOR


def _dependencies(folder: Path) -> Path:
    """Write the descriptors of the files that contracts import from elsewhere; return the path."""
    files = descriptor_pb2.FileDescriptorSet()
    for file in _well_known_types():
        file.CopyToProto(files.file.add())
    files.file.append(validate_file())
    path = folder / "dependencies.binpb"
    path.write_bytes(files.SerializeToString())
    return path


def _protoc(arguments: list[str]) -> None:
    if protoc.main(["protoc", *arguments]) != 0:
        raise SystemExit("the contracts do not compile: fix the errors that protoc reports above")


def _compile(out: Path) -> descriptor_pb2.FileDescriptorSet:
    """Generate the modules of all contracts into a folder; return the contracts' descriptors."""
    with tempfile.TemporaryDirectory() as folder:
        dependencies = _dependencies(Path(folder))
        descriptors = Path(folder) / "descriptors.binpb"
        _protoc(
            [
                f"-I{HERE}",
                f"--descriptor_set_in={dependencies}",
                "--include_imports",
                f"--descriptor_set_out={descriptors}",
                f"--plugin=protoc-gen-mypy={_plugin('protoc-gen-mypy')}",
                f"--python_out={out}",
                f"--mypy_out=quiet:{out}",
                *sources(),
                VALIDATE,
            ]
        )
        return descriptor_pb2.FileDescriptorSet.FromString(descriptors.read_bytes())


def _plugin(name: str) -> str:
    beside = Path(sys.executable).parent / name
    program = str(beside) if beside.exists() else shutil.which(name)
    if program is None:
        raise SystemExit(f"{name} is missing: install mypy-protobuf")
    return program


def _rewrite(path: Path) -> None:
    text = path.read_text()
    for pattern in (_IMPORT, _BUF_IMPORT):
        text = pattern.sub(rf"\1 {PACKAGE}.\2", text)
    path.write_text(text)


def declared_reasons(files: descriptor_pb2.FileDescriptorSet) -> dict[str, list[str]]:
    """Return the reasons that the commands of each proto package may be rejected for, sorted.

    Malformed ones are left out: the registry reports them, with what to do about them.
    """
    pool = descriptor_pool.DescriptorPool()
    for file in files.file:
        pool.Add(file)
    # Extensions of a pool of its own are known only when the code runs.
    command: Any = pool.FindExtensionByName("intent.v1.command")
    options: Any = message_factory.GetMessageClass(
        pool.FindMessageTypeByName("google.protobuf.MessageOptions")
    )
    found: dict[str, set[str]] = {}
    for file in files.file:
        for message in _messages(file.message_type):
            rejects = options.FromString(message.options.SerializeToString()).Extensions[command].rejects
            reasons = {reason for reason in rejects if _CONSTANT.fullmatch(reason)}
            if reasons:
                found.setdefault(file.package, set()).update(reasons)
    return {package: sorted(reasons) for package, reasons in found.items()}


def _messages(declared: Iterable[descriptor_pb2.DescriptorProto]) -> Iterator[descriptor_pb2.DescriptorProto]:
    for message in declared:
        yield message
        yield from _messages(message.nested_type)


def _write_reasons(package: str, reasons: list[str]) -> None:
    """Write the module of a package that names its reasons."""
    lines = [
        '"""Generated from the contracts: do not edit."""',
        "",
        "from enum import StrEnum",
        "",
        f'__all__ = ["{REASON}"]',
        "",
        "",
        f"class {REASON}(StrEnum):",
        f'    """Why a command of {package} is rejected; each is equal to its name as a string."""',
        "",
        *(f'    {reason} = "{reason}"' for reason in reasons),
        "",
    ]
    (TARGET / package.replace(".", "/") / f"{REASONS}.py").write_text("\n".join(lines))


def _exports(folder: Path) -> Iterator[tuple[str, list[str]]]:
    for source in sorted(folder.glob("*_pb2.py")):
        proto = (HERE / folder.relative_to(TARGET) / source.name.replace("_pb2.py", ".proto")).read_text()
        names = re.findall(r"^(?:message|enum) (\w+)", proto, re.MULTILINE)
        yield source.stem, sorted(names)
    if (folder / f"{REASONS}.py").exists():
        yield REASONS, [REASON]


def _facade(folder: Path) -> None:
    """Write an ``__init__`` that re-exports the messages and enums of a proto package."""
    lines = ['"""Generated from the contracts: do not edit."""', ""]
    every: list[str] = []
    for module, names in _exports(folder):
        if REASON in names and module != REASONS and (folder / f"{REASONS}.py").exists():
            raise SystemExit(
                f"{folder.relative_to(TARGET)}: the name {REASON} is taken by the reasons of rejections; "
                "give the message or enum another name"
            )
        every += names
        lines += [f"from .{module} import {name} as {name}" for name in names]
        lines += [f"from . import {module} as {module}"]
    lines += ["", "__all__ = [", *(f'    "{name}",' for name in sorted(every)), "]", ""]
    (folder / "__init__.py").write_text("\n".join(lines))


def generate() -> None:
    """Generate the package, replacing the old one only on success."""
    with tempfile.TemporaryDirectory() as folder:
        out = Path(folder) / PACKAGE
        out.mkdir()
        reasons = declared_reasons(_compile(out))
        for path in (*out.rglob("*.py"), *out.rglob("*.pyi")):
            _rewrite(path)
        shutil.rmtree(TARGET, ignore_errors=True)
        TARGET.parent.mkdir(parents=True, exist_ok=True)
        shutil.copytree(out, TARGET)
    for package, names in reasons.items():
        _write_reasons(package, names)
    _finish()


def _finish() -> None:
    for folder in (TARGET, *(p for p in TARGET.rglob("*") if p.is_dir())):
        if folder.name.startswith("v") and folder.name[1:].isdigit():
            _facade(folder)
        elif not (folder / "__init__.py").exists():
            (folder / "__init__.py").write_text('"""Generated from the contracts: do not edit."""\n')
    (TARGET / "py.typed").touch()


def image(path: Path) -> None:
    """Write a buf image of the contracts, with comments, for lint and breaking checks."""
    with tempfile.TemporaryDirectory() as folder:
        dependencies = _dependencies(Path(folder))
        whole = Path(folder) / "whole.binpb"
        _protoc(
            [
                f"-I{HERE}",
                f"--descriptor_set_in={dependencies}",
                "--include_imports",
                "--include_source_info",
                f"--descriptor_set_out={whole}",
                *sources(),
            ]
        )
        own = set(sources())
        files = descriptor_pb2.FileDescriptorSet.FromString(whole.read_bytes())
    with path.open("wb") as out:
        for file in files.file:
            body = file.SerializeToString(deterministic=True)
            if file.name not in own:
                body += _BUF_EXTENSION
            out.write(b"\x0a" + _varint(len(body)) + body)


def _varint(value: int) -> bytes:
    out = bytearray()
    while value > 0x7F:
        out.append(value & 0x7F | 0x80)
        value >>= 7
    out.append(value)
    return bytes(out)


def main() -> None:
    """Generate the code, or with ``--image FILE`` the buf image."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--image", type=Path, help="write a buf image to this file instead of code")
    arguments = parser.parse_args()
    if arguments.image:
        image(arguments.image)
    else:
        generate()


if __name__ == "__main__":
    main()
