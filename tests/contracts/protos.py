"""Builds contracts in memory, to see what the registry makes of them."""

from __future__ import annotations

from typing import Any

from google.protobuf import descriptor_pb2, descriptor_pool
from google.protobuf.descriptor import FileDescriptor
from intent.contracts import Registry
from intent.contracts.options import KINDS
from intent_contracts.buf.validate import validate_pb2
from intent_contracts.intent.v1 import options_pb2, results_pb2

Field = descriptor_pb2.FieldDescriptorProto


class Proto:
    """A `.proto` file under construction.

    Args:
        name: The file's path.
        package: Its package.
    """

    def __init__(self, name: str = "shop/v1/shop.proto", package: str = "shop.v1") -> None:
        self.file = descriptor_pb2.FileDescriptorProto(name=name, package=package, syntax="proto3")
        self.file.dependency.extend(["buf/validate/validate.proto", "intent/v1/results.proto"])

    def message(self, name: str, *fields: Field, **options: dict[str, Any]) -> Proto:
        """Add a message, e.g. ``message("Open", text("id"), command={"aggregate": "Cart"})``."""
        message = self.file.message_type.add(name=name)
        for number, field in enumerate(fields, start=1):
            message.field.add().CopyFrom(field)
            message.field[-1].number = number
        for kind, values in options.items():
            extension = message.options.Extensions[KINDS[kind]]
            extension.SetInParent()
            for key, value in values.items():
                if isinstance(value, list):
                    getattr(extension, key).extend(value)
                else:
                    setattr(extension, key, value)
        return self

    def method(self, name: str, takes: str, returns: str, service: str = "Shop", **kinds: bool) -> Proto:
        """Add a method to a service of the file."""
        found = next((s for s in self.file.service if s.name == service), None)
        (found or self.file.service.add(name=service)).method.add(
            name=name, input_type=f".{takes}", output_type=f".{returns}", **kinds
        )
        return self


def text(name: str, *, max_len: int = 0, **options: bool) -> Field:
    made = field(name, Field.TYPE_STRING, **options)
    if max_len:
        made.options.Extensions[validate_pb2.field].string.max_len = max_len
    return made


def field(name: str, type_: Field.Type.ValueType, *, repeated: bool = False, **options: bool) -> Field:
    """Return a field; options are `aggregate_id`, `key` and `indexed`."""
    label = Field.LABEL_REPEATED if repeated else Field.LABEL_OPTIONAL
    made = Field(name=name, type=type_, label=label)
    for option, value in options.items():
        made.options.Extensions[getattr(options_pb2, option)] = value
    return made


def shop() -> Proto:
    """Return contracts without contradiction: one aggregate, command, event, query and read model."""
    return (
        Proto()
        .message("CartState", state={"aggregate": "Cart", "version": 1})
        .message(
            "Open", text("cart_id", aggregate_id=True), command={"aggregate": "Cart", "roles": ["clerk"]}
        )
        .message("Opened", text("owner", max_len=100), event={"aggregate": "Cart", "version": 1})
        .message("CartView", text("cart_id", key=True), text("owner", indexed=True), read_model={})
        .message("GetCart", text("cart_id"), query={"roles": ["clerk"]})
        .method("Open", "shop.v1.Open", "intent.v1.CommandResult")
        .method("GetCart", "shop.v1.GetCart", "shop.v1.CartView")
    )


def built(*protos: Proto) -> list[FileDescriptor]:
    """Return the files' descriptors, in a pool of their own."""
    pool = descriptor_pool.DescriptorPool()
    _add(pool, results_pb2.DESCRIPTOR)
    _add(pool, validate_pb2.DESCRIPTOR)
    for proto in protos:
        for dependency in proto.file.dependency:
            if dependency.startswith("google/"):
                _add(pool, descriptor_pool.Default().FindFileByName(dependency))
        pool.Add(proto.file)
    return [pool.FindFileByName(proto.file.name) for proto in protos]


def _add(pool: descriptor_pool.DescriptorPool, file: Any) -> None:
    for dependency in file.dependencies:
        _add(pool, dependency)
    copy = descriptor_pb2.FileDescriptorProto()
    file.CopyToProto(copy)
    pool.Add(copy)


def registry(*protos: Proto) -> Registry:
    return Registry.of(built(*protos))
