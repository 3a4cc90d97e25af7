"""What several parts of the context compute: quantities by article, and when an article is low."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from intent_contracts.inventory.v1 import StockLine

__all__ = ["is_low", "lines_of", "quantities_of"]


def quantities_of(lines: Iterable[StockLine]) -> dict[str, int]:
    """Return the quantity of each article; several lines of one article add up."""
    quantities: dict[str, int] = {}
    for line in lines:
        quantities[line.sku] = quantities.get(line.sku, 0) + line.quantity
    return quantities


def lines_of(quantities: Mapping[str, int]) -> list[StockLine]:
    """Return a line for each article."""
    return [StockLine(sku=sku, quantity=quantity) for sku, quantity in quantities.items()]


def is_low(available: int, level: int) -> bool:
    """Return whether an article is low; with the level 0 it never is."""
    return 0 < level >= available
