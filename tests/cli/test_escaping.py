"""What others wrote does nothing to a terminal, and is shown whatever it is."""

from __future__ import annotations

import json
import re
from typing import Any, cast

import pytest
from google.protobuf import any_pb2, duration_pb2, field_mask_pb2, struct_pb2, timestamp_pb2, wrappers_pb2
from google.protobuf.descriptor import Descriptor, FieldDescriptor
from google.protobuf.message import Message
from google.protobuf.message_factory import GetMessageClass
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from intent.cli.commands.events import EventPrinter
from intent.cli.commands.parked import ParkedStream, print_parked, print_parked_json
from intent.cli.examples import example
from intent.cli.formatting import print_tree
from intent.cli.messages import message_of
from intent.cli.output import echo
from intent.cli.plain import to_json
from intent.cli.render_trace import trace_as_dict, trace_as_tree
from intent.cli.tables import print_table
from intent.cli.trace_tree import Trace, trace_roots
from intent.contracts import Registry
from intent.escaping import escaped
from intent_contracts.intent.v1 import GetSagaResponse, ParkedEvent, RecordedEvent, SagaInfo

from tests.contracts.protos import Field, Proto, field, registry

from .running import intent

HIDDEN = re.compile("[\x00-\x09\x0b-\x1f\x7f-\x9f\u2028\u2029\u202a-\u202e\u2066-\u2069\ud800-\udfff]")
WELL_KNOWN = (any_pb2, duration_pb2, field_mask_pb2, struct_pb2, timestamp_pb2, wrappers_pb2)
TYPES = ("Any", "Duration", "FieldMask", "Struct", "Value", "Timestamp", "BytesValue", "DoubleValue")
SCALARS = [t for t in range(1, 19) if t not in {Field.TYPE_GROUP, Field.TYPE_MESSAGE, Field.TYPE_ENUM}]
TIMES = {"google.protobuf.Timestamp", "google.protobuf.Duration"}
MOST: dict[int, Any] = {
    FieldDescriptor.CPPTYPE_INT32: st.integers(-(2**31), 2**31 - 1),
    FieldDescriptor.CPPTYPE_INT64: st.integers(-(2**63), 2**63 - 1),
    FieldDescriptor.CPPTYPE_UINT32: st.integers(0, 2**32 - 1),
    FieldDescriptor.CPPTYPE_UINT64: st.integers(0, 2**64 - 1),
    FieldDescriptor.CPPTYPE_DOUBLE: st.floats(),
    FieldDescriptor.CPPTYPE_FLOAT: st.floats(width=32),
    FieldDescriptor.CPPTYPE_BOOL: st.booleans(),
    FieldDescriptor.CPPTYPE_ENUM: st.integers(-3, 3) | st.just(2**31 - 1),
}


def everything() -> Registry:
    """Return contracts with an event that has a field of every kind, alone and as a list, and a map."""
    proto = Proto()
    proto.file.dependency.extend(
        f"google/protobuf/{name}.proto"
        for name in ("any", "duration", "field_mask", "struct", "timestamp", "wrappers")
    )
    proto.file.enum_type.add(name="Colour").value.add(name="RED", number=0)
    fields = [
        field(f"{name}_{kind}", cast("Any", kind), repeated=name == "list")
        for kind in SCALARS
        for name in ("one", "list")
    ]
    for name in (*(f"google.protobuf.{each}" for each in TYPES), "shop.v1.Happened"):
        short = name.rpartition(".")[2].lower()
        for repeated in (False, True):
            made = field(f"{short}_{'list' if repeated else 'one'}", Field.TYPE_MESSAGE, repeated=repeated)
            made.type_name = f".{name}"
            fields.append(made)
    for repeated in (False, True):
        made = field(f"colour_{repeated}".lower(), Field.TYPE_ENUM, repeated=repeated)
        made.type_name = ".shop.v1.Colour"
        fields.append(made)
    proto.message("CartState", state={"aggregate": "Cart", "version": 1})
    proto.message("Happened", *fields, event={"aggregate": "Cart", "version": 1})
    happened = proto.file.message_type[-1]
    entry = happened.nested_type.add(name="MapEntry")
    entry.options.map_entry = True
    entry.field.add(name="key", number=1, type=Field.TYPE_STRING, label=Field.LABEL_OPTIONAL)
    value = entry.field.add(name="value", number=2, type=Field.TYPE_MESSAGE, label=Field.LABEL_OPTIONAL)
    value.type_name = ".google.protobuf.Timestamp"
    pairs = happened.field.add(name="map", number=99, type=Field.TYPE_MESSAGE, label=Field.LABEL_REPEATED)
    pairs.type_name = ".shop.v1.Happened.MapEntry"
    return registry(proto)


REGISTRY = everything()
HAPPENED = REGISTRY.events["shop.v1.Happened"].message


def texts() -> st.SearchStrategy[str]:
    return st.text(st.characters(exclude_categories=["Cs"]), max_size=8) | st.sampled_from(
        ["\x1b[2J", "\x9b31m", "\u202e", "[red]", "\u2028\n", "type.googleapis.com/no.Such", "a_B..c", "/"]
    )


def values(descriptor: Descriptor, field_: FieldDescriptor) -> st.SearchStrategy[Any]:
    if field_.type == FieldDescriptor.TYPE_BYTES:
        return st.binary(max_size=5)
    if field_.type == FieldDescriptor.TYPE_STRING:
        return texts()
    if descriptor.full_name in TIMES:
        return st.sampled_from([0, 1, -1, 2**31 - 1, -(2**31)])
    return cast("st.SearchStrategy[Any]", MOST[field_.cpp_type])


@st.composite
def messages(draw: st.DrawFn, kind: type[Message], depth: int = 3) -> Message:
    """Draw a message whose fields have values of all their range, those that JSON lacks among them."""
    message = kind()
    descriptor = cast("Descriptor", kind.DESCRIPTOR)
    fields = [each for each in descriptor.fields if depth or each.message_type is None]
    for each in draw(st.lists(st.sampled_from(fields), max_size=4, unique=True)) if fields else []:
        if each.message_type is not None and each.message_type.GetOptions().map_entry:
            fill(draw, getattr(message, each.name), each.message_type, depth)
        elif each.message_type is not None:
            inner = [draw(messages(GetMessageClass(each.message_type), depth - 1)) for _ in range(2)]
            if each.is_repeated:
                getattr(message, each.name).extend(inner)
            else:
                getattr(message, each.name).CopyFrom(inner[0])
        elif each.is_repeated:
            getattr(message, each.name).extend(draw(st.lists(values(descriptor, each), max_size=3)))
        else:
            setattr(message, each.name, draw(values(descriptor, each)))
    return message


def fill(draw: st.DrawFn, pairs: Any, entry: Descriptor, depth: int) -> None:
    value = entry.fields_by_name["value"].message_type
    assert value is not None
    for key in draw(st.lists(texts(), max_size=2)):
        pairs[key].CopyFrom(draw(messages(GetMessageClass(value), depth - 1)))


def recorded(data: bytes, text: str = "") -> RecordedEvent:
    event = RecordedEvent(
        context="shop",
        type="shop.v1.Happened",
        data=data,
        position=1,
        version=1,
        command_id="c-1",
        event_id="e-1",
        aggregate_type="Cart",
        aggregate_id=f"c{text}",
        actor=text,
        tenant_id=f"t{text}",
    )
    event.recorded_at.FromSeconds(1_700_000_000)
    return event


def shown(capsys: pytest.CaptureFixture[str]) -> str:
    out = capsys.readouterr().out
    assert not HIDDEN.search(out), repr(out)
    return out


@settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(message=messages(HAPPENED), text=texts())
def test_every_message_that_was_recorded_is_shown(
    capsys: pytest.CaptureFixture[str], message: Message, text: str
) -> None:
    event = recorded(message.SerializeToString(), text)
    EventPrinter(REGISTRY, as_json=False, several=True).show(event)
    assert len(shown(capsys).splitlines()) == 1
    EventPrinter(REGISTRY, as_json=True, several=True).show(event)
    assert json.loads(shown(capsys))["actor" if text else "type"] == (text or event.type)
    trace = Trace("c-1", "t", trace_roots([event], [], REGISTRY), {"other": text})
    print_tree(trace_as_tree(trace, REGISTRY, fields=True))
    assert len(shown(capsys).splitlines()) == 4
    echo(json.dumps(trace_as_dict(trace, REGISTRY), ensure_ascii=False))
    assert json.loads(shown(capsys))["unavailable"] == {"other": text}
    parked = {
        ParkedStream("shop", "c", False, "t", "Cart", "c"): [ParkedEvent(event=event, error=text, attempts=1)]
    }
    print_parked(parked, REGISTRY)
    assert len(shown(capsys).splitlines()) == 3
    print_parked_json(parked, REGISTRY)
    json.loads(shown(capsys))
    echo(to_json(message))
    json.loads(shown(capsys))


@pytest.mark.parametrize("data", [b"\xff\xff", b"\x0a\xff", b"\x0a\x02\xff\xfe"])
def test_malformed_data_is_shown_as_its_bytes(capsys: pytest.CaptureFixture[str], data: bytes) -> None:
    EventPrinter(Registry.load(), as_json=True, several=False).show(
        RecordedEvent(type="orders.v1.OrderPlaced", data=data)
    )
    found = json.loads(shown(capsys))["data"]
    assert found["bytes"] == len(data)
    assert found["malformed"]


def test_numbers_and_texts_that_json_has_keep_their_form() -> None:
    message: Any = HAPPENED()
    message.one_1, message.one_3 = float("inf"), 2**62
    message.timestamp_one.seconds = 2**60
    message.any_one.type_url = "x.y/no.Such"
    assert json.loads(to_json(message)) == {
        "one_1": "Infinity",
        "one_3": str(2**62),
        "timestamp_one": {"seconds": str(2**60)},
        "any_one": {"type_url": "x.y/no.Such"},
    }


@given(st.text(), st.booleans())
def test_escapes_keep_the_meaning_of_json(text: str, ascii_only: bool) -> None:
    written = json.dumps(text, ensure_ascii=ascii_only)
    assert json.loads(escaped(written)) == text
    assert escaped(escaped(written)) == escaped(written)
    assert not HIDDEN.search(escaped(text))


def test_errors_and_tables_escape_what_they_quote(capsys: pytest.CaptureFixture[str]) -> None:
    for arguments in (
        ("describe", "\x1b[2J\u202e"),
        ("events", "--stream", "/\x9b"),
        ("events", "--\x1b[31m"),
    ):
        done = intent(*arguments)
        assert done.code == 2
        assert not HIDDEN.search(done.err)
        assert r"\u00" in done.err or r"\x1b" in done.err
    print_table(("Error",), [("a\nb\x1b[2J\u2028",)], title="\x9b31m")
    assert r"a\nb\u001b[2J\u2028" in shown(capsys)


def test_the_example_of_every_kind_of_field_fits_its_contract() -> None:
    descriptor = cast("Descriptor", HAPPENED.DESCRIPTOR)
    assert message_of(HAPPENED, json.dumps(example(descriptor, depth=2))).ListFields()


def test_a_trace_with_a_malformed_event_is_shown(capsys: pytest.CaptureFixture[str]) -> None:
    known = Registry.load()
    event = recorded(b"\xff")
    event.type, event.context = "orders.v1.CheckoutStarted", "orders"
    saga = GetSagaResponse(saga=SagaInfo(id="s", type="orders.v1.FulfilOrder", correlation="c"))
    print_tree(trace_as_tree(Trace("c-1", "t", trace_roots([event], [saga], known), {}), known, fields=True))
    assert '"malformed": "/w=="' in shown(capsys)
