"""What the stock list shows."""

from __future__ import annotations

from google.protobuf.message import Message
from intent.testing import projected
from intent_contracts.inventory.v1 import StockItem
from inventory.projections import StockItems

from .stock_examples import ID, ran_low, received, released, reserved, shipped_out, watched


def _listed(*events: Message) -> dict[str, StockItem]:
    rows = projected(StockItems, ID, *events)
    assert {row.warehouse_id for row in rows} == {ID}
    return {row.sku: row for row in rows}


def _item(sku: str, on_hand: int, reserved: int = 0, low_level: int = 0, low: bool = False) -> StockItem:
    return StockItem(
        warehouse_id=ID,
        sku=sku,
        on_hand=on_hand,
        reserved=reserved,
        available=on_hand - reserved,
        low_level=low_level,
        low=low,
    )


def test_each_article_has_a_row() -> None:
    assert _listed(received(tea=5, milk=2), received(tea=1)) == {
        "tea": _item("tea", 6),
        "milk": _item("milk", 2),
    }


def test_what_is_reserved_is_there_but_not_available() -> None:
    listed = _listed(received(tea=5, milk=2), reserved("r-1", tea=3))
    assert listed == {"tea": _item("tea", 5, 3), "milk": _item("milk", 2)}


def test_what_is_released_is_available_again() -> None:
    assert _listed(received(tea=5), reserved("r-1", tea=3), released("r-1", tea=3)) == {
        "tea": _item("tea", 5)
    }


def test_what_left_is_gone_and_still_listed() -> None:
    events = [received(tea=3), reserved("r-1", tea=3), shipped_out("r-1", tea=3)]
    assert _listed(*events) == {"tea": _item("tea", 0)}


def test_an_article_is_low_from_its_level_on() -> None:
    low = [received(tea=5), watched("tea", 2), reserved("r-1", tea=3), ran_low("tea", 2, 2)]
    assert _listed(*low[:2])["tea"] == _item("tea", 5, low_level=2)
    assert _listed(*low)["tea"] == _item("tea", 5, 3, low_level=2, low=True)
    assert not _listed(*low, received(tea=1))["tea"].low
    assert not _listed(*low, watched("tea", 1))["tea"].low
