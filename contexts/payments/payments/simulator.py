"""A simulated payment provider: it declines, is slow, loses answers and repeats itself.

The token of the card decides what it does:

tok-decline-<reason>  declines to hold, e.g. ``tok-decline-card-expired`` with CARD_EXPIRED
tok-capture-declined  holds, and declines to charge with AUTHORIZATION_EXPIRED; holds no longer
tok-slow              answers slowly
tok-timeout           loses its first answer to every call, after the effect
tok-flaky             cannot be reached by the first two attempts of every call
tok-twice             delivers every answer twice
anything else         holds and charges
"""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Final, NamedTuple

from intent.simulation import Link, NoAnswer, Trouble, ledger_path
from intent_contracts.payments.v1 import ChargeAnswer, ChargeCall

from payments.ledger import AUTHORIZE, CAPTURE, EXPIRED, ProviderLedger

__all__ = ["PREFIX", "SimulatedProvider"]

PREFIX: Final = "PAYMENTS_PROVIDER"
"""The prefix of its environment variables."""
_TOKEN: Final = "tok-"  # noqa: S105 - a prefix of test cards
_DECLINE: Final = "decline-"


class _Attempt(NamedTuple):
    marker: str
    number: int
    trouble: Trouble
    answer: ChargeAnswer


class SimulatedProvider:
    """Answers the calls of a payment provider.

    Args:
        path: The file of its ledger, which processes may share.
        link: How the connection to it behaves.

    Attributes:
        ledger: What it has done.
    """

    def __init__(self, path: Path, link: Link) -> None:
        self.ledger = ProviderLedger(path)
        self._link = link

    @classmethod
    def from_environment(cls) -> SimulatedProvider:
        """Return one with the settings of the environment.

        Raises:
            ConfigurationError: A variable has an invalid value; names it.
        """
        path = ledger_path(f"{PREFIX}_LEDGER", "payments-provider.sqlite3")
        return cls(path, Link.from_environment(PREFIX))

    async def charge(self, call: ChargeCall) -> ChargeAnswer:
        """Perform an action, once under each key.

        Raises:
            NoAnswer: Call again under the same key; whether it was performed is not known.
        """
        attempt = await asyncio.to_thread(self._attempt, call)
        await self._link.delay(attempt.marker, call.idempotency_key, attempt.number)
        if attempt.trouble in (Trouble.REFUSED, Trouble.LOST):
            raise NoAnswer(f"the payment provider did not answer attempt {attempt.number}")
        attempt.answer.deliveries = 2 if attempt.trouble is Trouble.TWICE else 1
        return attempt.answer

    def _attempt(self, call: ChargeCall) -> _Attempt:
        books, key = self.ledger, f"{call.action}/{call.idempotency_key}"
        with books.ledger.transaction() as transaction:
            marker = _marker(books.card_of(transaction, call))
            number = books.ledger.attempt(transaction, key)
            trouble = self._link.trouble_of(marker, key, number)
            if trouble is Trouble.REFUSED:
                return _Attempt(marker, number, trouble, ChargeAnswer())
            answer = books.perform(transaction, call, _decline_code(call, marker))
            return _Attempt(marker, number, trouble, answer)


def _marker(card_token: str) -> str:
    return card_token.removeprefix(_TOKEN) if card_token.startswith(_TOKEN) else ""


def _decline_code(call: ChargeCall, marker: str) -> str:
    if call.action == AUTHORIZE and marker.startswith(_DECLINE):
        return marker.removeprefix(_DECLINE).replace("-", "_").upper()
    if call.action == CAPTURE and marker == "capture-declined":
        return EXPIRED
    return ""
