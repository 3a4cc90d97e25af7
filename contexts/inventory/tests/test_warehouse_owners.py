"""What the people of a warehouse may do: with the stock of that warehouse alone."""

from __future__ import annotations

import pytest
from google.protobuf.message import Message
from intent.testing import given
from inventory.aggregates import Warehouse

from .stock_examples import ID, receive, received, reserve, reserved, ship_out, watch

OWN: tuple[Message, ...] = (receive(tea=5), watch("tea", 3), ship_out("r-1"))


@pytest.mark.parametrize("command", OWN, ids=lambda command: command.DESCRIPTOR.name)
def test_a_warehouse_keeps_its_own_stock_alone(command: Message) -> None:
    stocked = given(Warehouse, ID, received(tea=5), reserved("r-1", tea=2))
    stocked.when(command, actor=f"user:{ID}", roles=["warehouse"]).then_accepted()
    stocked.when(command, actor="user:elsewhere", roles=["warehouse"]).then_denied()
    stocked.when(command, actor="service:orders", roles=["service"]).then_accepted()


def test_a_warehouse_reserves_nothing_by_itself() -> None:
    stocked = given(Warehouse, ID, received(tea=5))
    stocked.when(reserve("r-1", tea=1), actor=f"user:{ID}", roles=["warehouse"]).then_denied("ROLE_MISSING")
