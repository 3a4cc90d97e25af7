"""The Warehouse: what is in stock, and for whom it is reserved."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence

from intent.model import Aggregate, applies, handles
from intent_contracts.inventory.v1 import (
    LowStockLevelSet,
    Reason,
    ReceiveStock,
    ReleaseStock,
    Reservation,
    ReserveStock,
    SetLowStockLevel,
    ShipOutStock,
    StockLevel,
    StockRanLow,
    StockReceived,
    StockReleased,
    StockReserved,
    StockShippedOut,
    WarehouseState,
)

from inventory.stock import is_low, lines_of, quantities_of

__all__ = ["ARTICLE_LIMIT", "RESERVATION_ROOM", "STOCK_LIMIT", "Warehouse"]

STOCK_LIMIT = 1_000_000_000
"""How many of one article a warehouse can hold."""
ARTICLE_LIMIT = 1_000
"""How many articles it can hold: 90 bytes each at most, out of the 256 KiB that a state may have."""
RESERVATION_ROOM = 160 * 1024
"""How large a reservation may make the state, in bytes; articles have room beyond it."""


class Warehouse(Aggregate[WarehouseState]):
    """The articles of one warehouse. Everything reserved is in stock, so it cannot be oversold.

    Its rules, by reason:

    WAREHOUSE_NOT_FOUND     nothing was ever received here
    TOO_MUCH_STOCK          there would be more than `STOCK_LIMIT` of an article
    TOO_MANY_ARTICLES       there would be more than `ARTICLE_LIMIT` articles
    OUT_OF_STOCK            fewer are available than requested; then nothing is reserved at all
    RESERVATION_DIFFERS     the reservation holds something else, or for another order
    TOO_MANY_RESERVATIONS   the open reservations fill `RESERVATION_ROOM`; a later attempt may succeed
    RESERVATION_NOT_FOUND   there is no open reservation with this id

    Reserving again what a reservation holds already succeeds and records nothing. A reservation
    that was released or shipped out is forgotten, and so is an article that is out of stock and
    has no low-stock level.
    """

    @handles
    def receive(self, command: ReceiveStock) -> StockReceived:
        """Add articles; the first delivery opens the warehouse."""
        received = quantities_of(command.lines)
        self._check_articles(received)
        for sku, quantity in received.items():
            on_hand = self._level(sku).on_hand
            self.reject_if(
                on_hand + quantity > STOCK_LIMIT,
                Reason.TOO_MUCH_STOCK,
                "warehouse {id} has {on_hand} of {sku} and can hold {limit}",
                sku=sku,
                on_hand=on_hand,
                limit=STOCK_LIMIT,
            )
        return StockReceived(lines=lines_of(received))

    @handles
    def set_low_level(self, command: SetLowStockLevel) -> Sequence[LowStockLevelSet | StockRanLow]:
        """Set the level below which an article counts as low; the article need not be in stock yet."""
        self.require_exists()
        article = self._level(command.sku)
        if article.low_level == command.level:
            return ()
        self._check_articles([command.sku])
        low = self._ran_low(command.sku, article, available=_available(article), level=command.level)
        return LowStockLevelSet(sku=command.sku, level=command.level), *low

    @handles
    def reserve(self, command: ReserveStock) -> Sequence[StockReserved | StockRanLow]:
        """Reserve all that is requested, or nothing."""
        self.require_exists()
        wanted = quantities_of(command.lines)
        held = self.state.reservations.get(command.reservation_id)
        if held is not None:
            self._check_same(command, held, wanted)
            return ()
        for sku, quantity in wanted.items():
            self._check_available(sku, quantity)
        reserved = StockReserved(
            reservation_id=command.reservation_id, order_id=command.order_id, lines=lines_of(wanted)
        )
        self._check_room(reserved)
        return reserved, *self._all_that_run_low(wanted)

    @handles
    def release(self, command: ReleaseStock) -> StockReleased:
        """Release what a reservation holds."""
        held = self._reservation(command.reservation_id)
        return StockReleased(
            reservation_id=command.reservation_id,
            order_id=held.order_id or command.reservation_id,
            lines=held.lines,
        )

    @handles
    def ship_out(self, command: ShipOutStock) -> StockShippedOut:
        """Take what a reservation holds out of the warehouse."""
        held = self._reservation(command.reservation_id)
        return StockShippedOut(
            reservation_id=command.reservation_id,
            order_id=held.order_id or command.reservation_id,
            lines=held.lines,
        )

    @applies
    def received(self, event: StockReceived) -> None:
        for line in event.lines:
            self.state.items[line.sku].on_hand += line.quantity

    @applies
    def low_level_set(self, event: LowStockLevelSet) -> None:
        self.state.items[event.sku].low_level = event.level
        self._forget_if_gone(event.sku)

    @applies
    def reserved(self, event: StockReserved) -> None:
        held = self.state.reservations[event.reservation_id]
        held.lines.extend(event.lines)
        if event.order_id != event.reservation_id:
            held.order_id = event.order_id
        for line in event.lines:
            self.state.items[line.sku].reserved += line.quantity

    @applies
    def released(self, event: StockReleased) -> None:
        del self.state.reservations[event.reservation_id]
        for line in event.lines:
            self.state.items[line.sku].reserved -= line.quantity

    @applies
    def shipped_out(self, event: StockShippedOut) -> None:
        del self.state.reservations[event.reservation_id]
        for line in event.lines:
            article = self.state.items[line.sku]
            article.reserved -= line.quantity
            article.on_hand -= line.quantity
            self._forget_if_gone(line.sku)

    @applies
    def ran_low(self, event: StockRanLow) -> None:
        """Change nothing: whether an article is low follows from its stock and its level."""

    def _level(self, sku: str) -> StockLevel:
        return self.state.items.get(sku) or StockLevel()

    def _reservation(self, reservation_id: str) -> Reservation:
        self.require_exists()
        held = self.state.reservations.get(reservation_id)
        if held is None:
            self.reject(
                Reason.RESERVATION_NOT_FOUND,
                "warehouse {id} has no open reservation {reservation_id}",
                reservation_id=reservation_id,
            )
        return held

    def _check_articles(self, skus: Mapping[str, int] | Sequence[str]) -> None:
        articles = len(self.state.items) + sum(sku not in self.state.items for sku in skus)
        self.reject_if(
            articles > ARTICLE_LIMIT,
            Reason.TOO_MANY_ARTICLES,
            "warehouse {id} would have {articles} articles and can have {limit}",
            articles=articles,
            limit=ARTICLE_LIMIT,
        )

    def _check_same(self, command: ReserveStock, held: Reservation, wanted: Mapping[str, int]) -> None:
        order_id = held.order_id or command.reservation_id
        self.reject_if(
            order_id != command.order_id or quantities_of(held.lines) != wanted,
            Reason.RESERVATION_DIFFERS,
            "reservation {reservation_id} of warehouse {id} holds something else; take another id",
            reservation_id=command.reservation_id,
            order_id=order_id,
        )

    def _check_available(self, sku: str, wanted: int) -> None:
        available = _available(self._level(sku))
        self.reject_if(
            available < wanted,
            Reason.OUT_OF_STOCK,
            "warehouse {id} has {available} of {sku} available, {wanted} are requested",
            sku=sku,
            wanted=wanted,
            available=available,
        )

    def _check_room(self, reserved: StockReserved) -> None:
        self.reject_if(
            self.state.ByteSize() + reserved.ByteSize() > RESERVATION_ROOM,
            Reason.TOO_MANY_RESERVATIONS,
            "warehouse {id} has {open} open reservations and no room for another; "
            "try again when some are shipped out or released",
            open=len(self.state.reservations),
        )

    def _all_that_run_low(self, reserved: Mapping[str, int]) -> Iterator[StockRanLow]:
        for sku, quantity in reserved.items():
            article = self._level(sku)
            left = _available(article) - quantity
            yield from self._ran_low(sku, article, available=left, level=article.low_level)

    @staticmethod
    def _ran_low(sku: str, before: StockLevel, *, available: int, level: int) -> Iterator[StockRanLow]:
        was_low = is_low(_available(before), before.low_level)
        if is_low(available, level) and not was_low:
            yield StockRanLow(sku=sku, available=available, level=level)

    def _forget_if_gone(self, sku: str) -> None:
        article = self.state.items[sku]
        if not article.on_hand and not article.low_level:
            del self.state.items[sku]


def _available(article: StockLevel) -> int:
    return article.on_hand - article.reserved
