"""One event in its envelope: for sagas as it is now, for others at the version of its type."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any
from uuid import UUID

import pytest
from google.protobuf.message import Message
from intent.contracts import Registry
from intent.envelopes import current_event, published_event
from intent.errors import NewerReleaseNeeded, StoreError
from intent.model import Upcaster, Upcasters
from intent.records import LogEntry

from ..contracts.protos import Proto, registry, text

SHOP = registry(
    Proto()
    .message("CartState", state={"aggregate": "Cart", "version": 1})
    .message("Opened", text("owner"), event={"aggregate": "Cart", "version": 2})
    .message("Begun", text("owner"), event={"aggregate": "Cart", "version": 1})
)
OPENED = SHOP.events["shop.v1.Opened"].message
BEGUN = SHOP.events["shop.v1.Begun"].message


@dataclass(frozen=True)
class Shop:
    """A context that reads its older events with these upcasters."""

    upcasters: Upcasters
    name: str = "shop"
    registry: Registry = SHOP


def upcaster(old: type[Message], new: type[Message], source: int, target: int) -> Upcaster[Any, Any]:
    def change(event: Any) -> Any:
        return new(owner=f"{event.owner} of {source}")

    change.__annotations__ = {"event": old, "return": new}
    return Upcaster(change, source, target)


GROWN = Shop(Upcasters([upcaster(OPENED, OPENED, 1, 2)], SHOP))
RENAMED = Shop(Upcasters([upcaster(OPENED, OPENED, 1, 2), upcaster(OPENED, BEGUN, 2, 1)], SHOP))


def entry(version: int, data: bytes | None = None, kind: str = "shop.v1.Opened") -> LogEntry:
    return LogEntry(
        position=7,
        tenant="acme",
        aggregate_type="Cart",
        aggregate_id="c-1",
        version=1,
        event_id=UUID(int=1),
        type=kind,
        schema_version=version,
        data=OPENED(owner="ann").SerializeToString() if data is None else data,
        command_id=UUID(int=2),
        correlation_id="k-1",
        causation_id="cause",
        actor="user:ann",
        traceparent="00-" + "a" * 32 + "-" + "b" * 16 + "-01",
        recorded_at=datetime(2026, 1, 1, tzinfo=UTC),
        tracestate="rojo=1",
    )


def shown(event: Any) -> tuple[str, int, str]:
    return event.type, event.schema_version, SHOP.events[event.type].message.FromString(event.data).owner  # type: ignore[attr-defined]


@pytest.mark.parametrize("envelope", [current_event, published_event])
def test_an_event_comes_at_its_current_version_with_all_that_is_known_of_it(envelope: Any) -> None:
    event = envelope(GROWN, entry(1))
    assert shown(event) == ("shop.v1.Opened", 2, "ann of 1")
    assert (event.position, event.context, event.tenant_id) == (7, "shop", "acme")
    assert (event.command_id, event.correlation_id) == (str(UUID(int=2)), "k-1")
    assert (event.causation_id, event.actor, event.tracestate) == ("cause", "user:ann", "rojo=1")
    assert shown(envelope(GROWN, entry(2))) == ("shop.v1.Opened", 2, "ann")


@pytest.mark.parametrize(("version", "owner"), [(1, "ann of 1 of 2"), (2, "ann of 2")])
def test_a_saga_gets_a_retired_event_as_the_one_that_replaced_it(version: int, owner: str) -> None:
    assert shown(current_event(RENAMED, entry(version))) == ("shop.v1.Begun", 1, owner)


@pytest.mark.parametrize("version", [1, 2])
def test_whoever_asked_for_a_retired_event_gets_it_as_it_was_written(version: int) -> None:
    assert shown(published_event(RENAMED, entry(version))) == ("shop.v1.Opened", version, "ann")


@pytest.mark.parametrize("unknown", [entry(3), entry(1, kind="shop.v1.Later")])
def test_what_only_a_newer_release_knows_is_an_error_for_sagas_and_passed_on_to_others(
    unknown: LogEntry,
) -> None:
    with pytest.raises(NewerReleaseNeeded):
        current_event(GROWN, unknown)
    event = published_event(GROWN, unknown)
    assert (event.type, event.schema_version, event.data) == unknown[6:9]


def test_what_cannot_be_read_is_an_error_for_sagas_and_passed_on_to_others() -> None:
    malformed = entry(1, b"\xff")
    with pytest.raises(StoreError):
        current_event(GROWN, malformed)
    assert published_event(GROWN, malformed).data == b"\xff"
