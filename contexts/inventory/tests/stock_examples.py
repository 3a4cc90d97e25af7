"""Messages that the tests of the context share."""

from __future__ import annotations

from intent_contracts.inventory.v1 import (
    LowStockLevelSet,
    ReceiveStock,
    ReleaseStock,
    ReserveStock,
    SetLowStockLevel,
    ShipOutStock,
    StockLine,
    StockRanLow,
    StockReceived,
    StockReleased,
    StockReserved,
    StockShippedOut,
)

ID = "w-1"


def lines(**quantities: int) -> list[StockLine]:
    return [StockLine(sku=sku, quantity=quantity) for sku, quantity in quantities.items()]


def receive(**quantities: int) -> ReceiveStock:
    return ReceiveStock(warehouse_id=ID, lines=lines(**quantities))


def received(**quantities: int) -> StockReceived:
    return StockReceived(lines=lines(**quantities))


def reserve(reservation_id: str, **quantities: int) -> ReserveStock:
    return ReserveStock(
        warehouse_id=ID, reservation_id=reservation_id, order_id=reservation_id, lines=lines(**quantities)
    )


def reserved(reservation_id: str, **quantities: int) -> StockReserved:
    return StockReserved(reservation_id=reservation_id, order_id=reservation_id, lines=lines(**quantities))


def release(reservation_id: str) -> ReleaseStock:
    return ReleaseStock(warehouse_id=ID, reservation_id=reservation_id)


def released(reservation_id: str, **quantities: int) -> StockReleased:
    return StockReleased(reservation_id=reservation_id, order_id=reservation_id, lines=lines(**quantities))


def ship_out(reservation_id: str) -> ShipOutStock:
    return ShipOutStock(warehouse_id=ID, reservation_id=reservation_id)


def shipped_out(reservation_id: str, **quantities: int) -> StockShippedOut:
    return StockShippedOut(reservation_id=reservation_id, order_id=reservation_id, lines=lines(**quantities))


def watch(sku: str, level: int) -> SetLowStockLevel:
    return SetLowStockLevel(warehouse_id=ID, sku=sku, level=level)


def watched(sku: str, level: int) -> LowStockLevelSet:
    return LowStockLevelSet(sku=sku, level=level)


def ran_low(sku: str, available: int, level: int) -> StockRanLow:
    return StockRanLow(sku=sku, available=available, level=level)
