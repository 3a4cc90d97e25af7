"""A simulated carrier: it books, is slow, loses answers, and reports what it does.

The receiver's postal code decides what it does:

return-<reason>  brings the parcel back, e.g. ``return-refused`` with the reason "refused"
slow             answers slowly
timeout          loses its first answer to every call, after the effect
flaky            cannot be reached by the first two attempts of every call
twice            reports everything twice
anything else    delivers
"""

from __future__ import annotations

import asyncio
import hashlib
import sqlite3
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from intent.simulation import Ledger, Link, NoAnswer, Trouble, ledger_path, whole_number
from intent_contracts.shipping.v1 import CarrierAnswer, CarrierCall, SimulationCall, SimulationPlan

__all__ = ["PREFIX", "Booking", "Rounds", "SimulatedCarrier"]

PREFIX: Final = "SHIPPING_CARRIER"
"""The prefix of its environment variables."""
_RETURN: Final = "return-"
_SCHEMA: Final = """
CREATE TABLE IF NOT EXISTS bookings (
    idempotency_key TEXT PRIMARY KEY,
    tracking_number TEXT NOT NULL UNIQUE,
    postal_code TEXT NOT NULL,
    articles INTEGER NOT NULL
)
"""


@dataclass(frozen=True, slots=True)
class Booking:
    """A parcel that the carrier will fetch.

    Attributes:
        idempotency_key: The key under which it was booked: the tenant and the parcel's id, separated
            by a slash.
        tracking_number: The carrier's number for it.
        postal_code: Where it goes.
        articles: How many articles are in it.
    """

    idempotency_key: str
    tracking_number: str
    postal_code: str
    articles: int


@dataclass(frozen=True, slots=True)
class Rounds:
    """When the carrier comes.

    Attributes:
        hand_over_ms: Milliseconds until it fetches a parcel.
        arrive_ms: Milliseconds from then until it is at the receiver, or back.
        reports: How often it reports each of both; 0: never, where a real carrier reports.
    """

    hand_over_ms: int = 0
    arrive_ms: int = 0
    reports: int = 1

    @classmethod
    def from_environment(cls) -> Rounds:
        """Return the times that the environment sets.

        Raises:
            ConfigurationError: A variable has an invalid value; names it.
        """
        return cls(
            whole_number(f"{PREFIX}_HAND_OVER_MS", 1000),
            whole_number(f"{PREFIX}_ARRIVE_MS", 2000),
            whole_number(f"{PREFIX}_REPORTS", 1),
        )


class SimulatedCarrier:
    """Answers the calls of a carrier.

    Args:
        path: The file of its bookings, which processes may share.
        link: How the connection to it behaves.
        rounds: When it comes.
    """

    def __init__(self, path: Path, link: Link, rounds: Rounds) -> None:
        self._ledger = Ledger(path, _SCHEMA)
        self._link = link
        self._rounds = rounds

    @classmethod
    def from_environment(cls) -> SimulatedCarrier:
        """Return one with the settings of the environment.

        Raises:
            ConfigurationError: A variable has an invalid value; names it.
        """
        path = ledger_path(f"{PREFIX}_LEDGER", "shipping-carrier.sqlite3")
        return cls(path, Link.from_environment(PREFIX), Rounds.from_environment())

    def bookings(self) -> list[Booking]:
        """Return the bookings, sorted by key."""
        with self._ledger.transaction() as transaction:
            return [
                Booking(**row)
                for row in transaction.execute("SELECT * FROM bookings ORDER BY idempotency_key")
            ]

    async def book(self, call: CarrierCall) -> CarrierAnswer:
        """Book a parcel, once under each key.

        Raises:
            NoAnswer: Call again under the same key; whether it is booked is not known.
        """
        number, trouble = await asyncio.to_thread(self._book, call)
        await self._link.delay(call.ship_to.postal_code, call.idempotency_key, number)
        if trouble in (Trouble.REFUSED, Trouble.LOST):
            raise NoAnswer(f"the carrier did not answer attempt {number}")
        return CarrierAnswer(tracking_number=_tracking_number(call))

    async def plan(self, call: SimulationCall) -> SimulationPlan:
        """Return what it will do with a parcel; no reports for one that another carrier booked."""
        postal_code = await asyncio.to_thread(self._postal_code, call.tracking_number)
        if postal_code is None:
            return SimulationPlan()
        trouble = self._link.trouble_of(postal_code, call.tracking_number, 1)
        return SimulationPlan(
            hand_over_after_ms=self._rounds.hand_over_ms,
            arrive_after_ms=self._rounds.arrive_ms,
            return_reason=_return_reason(postal_code),
            reports=self._rounds.reports * (2 if trouble is Trouble.TWICE else 1),
        )

    def _book(self, call: CarrierCall) -> tuple[int, Trouble]:
        postal_code, key = call.ship_to.postal_code, call.idempotency_key
        with self._ledger.transaction() as transaction:
            number = self._ledger.attempt(transaction, key)
            trouble = self._link.trouble_of(postal_code, key, number)
            if trouble is not Trouble.REFUSED:
                _enter(transaction, call)
            return number, trouble

    def _postal_code(self, tracking_number: str) -> str | None:
        with self._ledger.transaction() as transaction:
            row = transaction.execute(
                "SELECT postal_code FROM bookings WHERE tracking_number = ?", (tracking_number,)
            ).fetchone()
        return None if row is None else str(row["postal_code"])


def _enter(transaction: sqlite3.Connection, call: CarrierCall) -> None:
    transaction.execute(
        "INSERT INTO bookings VALUES (?, ?, ?, ?) ON CONFLICT (idempotency_key) DO NOTHING",
        (call.idempotency_key, _tracking_number(call), call.ship_to.postal_code, call.articles),
    )


def _tracking_number(call: CarrierCall) -> str:
    """Return the number of a parcel: the same for the same key."""
    return f"track-{hashlib.sha256(call.idempotency_key.encode()).hexdigest()[:16]}"


def _return_reason(postal_code: str) -> str:
    return postal_code.removeprefix(_RETURN).replace("-", " ") if postal_code.startswith(_RETURN) else ""
