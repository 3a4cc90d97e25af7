"""The ledger of the simulated payment provider: what it holds, has charged and has refunded."""

from __future__ import annotations

import hashlib
import sqlite3
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from intent.simulation import Ledger
from intent_contracts.payments.v1 import ChargeAction, ChargeAnswer, ChargeCall

__all__ = ["AUTHORIZE", "CAPTURE", "EXPIRED", "REFUND", "VOID", "Charge", "ProviderLedger"]

AUTHORIZE = ChargeAction.CHARGE_ACTION_AUTHORIZE
CAPTURE = ChargeAction.CHARGE_ACTION_CAPTURE
REFUND = ChargeAction.CHARGE_ACTION_REFUND
VOID = ChargeAction.CHARGE_ACTION_VOID

EXPIRED: Final = "AUTHORIZATION_EXPIRED"
"""Why a charge is declined when nothing is held for it any more."""

_SCHEMA: Final = """
CREATE TABLE IF NOT EXISTS entries (
    number INTEGER PRIMARY KEY,
    action INTEGER NOT NULL,
    idempotency_key TEXT NOT NULL,
    authorization_key TEXT NOT NULL,
    minor_units INTEGER NOT NULL,
    currency TEXT NOT NULL,
    card_token TEXT NOT NULL,
    code TEXT NOT NULL,
    decline_code TEXT NOT NULL,
    UNIQUE (action, idempotency_key)
);
CREATE INDEX IF NOT EXISTS entries_of_a_charge ON entries (authorization_key);
"""
_CHARGES: Final = f"""
SELECT authorization_key AS key, max(currency) AS currency,
    coalesce(sum(minor_units) FILTER (WHERE done AND action = {AUTHORIZE}), 0) AS authorized,
    count(*) FILTER (WHERE done AND action = {AUTHORIZE}) AS authorizations,
    coalesce(sum(minor_units) FILTER (WHERE done AND action = {CAPTURE}), 0) AS captured,
    count(*) FILTER (WHERE done AND action = {CAPTURE}) AS captures,
    coalesce(sum(minor_units) FILTER (WHERE done AND action = {REFUND}), 0) AS refunded,
    count(*) FILTER (WHERE done AND action = {VOID}) AS voids,
    count(*) FILTER (WHERE decline_code = '{EXPIRED}') AS expiries
FROM (SELECT *, decline_code = '' AS done FROM entries)
"""  # noqa: S608 - none of it is input


@dataclass(frozen=True, slots=True)
class Charge:
    """What the provider did under one authorization key; what it declined is left out.

    Attributes:
        key: The authorization key: the tenant and the payment's id, separated by a slash.
        currency: The currency; empty when nothing but a void was requested.
        authorized: What was held at first, in minor units.
        authorizations: How often an amount was held.
        captured: What was charged, in minor units.
        captures: How often it was charged.
        refunded: What was refunded, in minor units.
        voids: How often a held amount was released.
        expiries: How often a charge was declined because nothing was held any more.
    """

    key: str
    currency: str
    authorized: int
    authorizations: int
    captured: int
    captures: int
    refunded: int
    voids: int
    expiries: int

    @property
    def held(self) -> int:
        """What is still held, in minor units."""
        return 0 if self.captures or self.voids or self.expiries else self.authorized

    @property
    def net(self) -> int:
        """What the customer has paid after refunds, in minor units."""
        return self.captured - self.refunded


class ProviderLedger:
    """What the provider did, one entry per action and idempotency key.

    An authorization may be voided by its key before it is requested: the request is then declined.

    Args:
        path: The SQLite file, which processes may share.
    """

    def __init__(self, path: Path) -> None:
        self.ledger = Ledger(path, _SCHEMA)

    def charges(self) -> list[Charge]:
        """Return what was done under each authorization key, sorted by key."""
        with self.ledger.transaction() as transaction:
            rows = transaction.execute(f"{_CHARGES} GROUP BY authorization_key ORDER BY authorization_key")
            return [Charge(**row) for row in rows]

    def card_of(self, transaction: sqlite3.Connection, call: ChargeCall) -> str:
        """Return the card of a charge; empty while the provider does not know it."""
        row = transaction.execute(
            "SELECT card_token FROM entries WHERE authorization_key = ? AND action = ?",
            (call.authorization_key, AUTHORIZE),
        ).fetchone()
        return call.card_token or (row["card_token"] if row else "")

    def perform(self, transaction: sqlite3.Connection, call: ChargeCall, decline_code: str) -> ChargeAnswer:
        """Perform an action once; under a key that was used before, return the first answer.

        Args:
            transaction: The transaction.
            call: The action.
            decline_code: Why the card does not allow it; empty when it does.
        """
        known = transaction.execute(
            "SELECT * FROM entries WHERE action = ? AND idempotency_key = ?",
            (call.action, call.idempotency_key),
        ).fetchone()
        if known is None:
            return self._enter(transaction, call, _refusal(_charge(transaction, call), call) or decline_code)
        if (known["minor_units"], known["authorization_key"]) != (
            call.amount.minor_units,
            call.authorization_key,
        ):
            return ChargeAnswer(decline_code="IDEMPOTENCY_KEY_REUSED")
        return ChargeAnswer(code=known["code"], decline_code=known["decline_code"])

    def _enter(self, transaction: sqlite3.Connection, call: ChargeCall, decline_code: str) -> ChargeAnswer:
        code = "" if decline_code else _code(call)
        transaction.execute(
            "INSERT INTO entries VALUES (NULL, ?, ?, ?, ?, ?, ?, ?, ?)",
            (
                call.action,
                call.idempotency_key,
                call.authorization_key,
                call.amount.minor_units,
                call.amount.currency,
                call.card_token,
                code,
                decline_code,
            ),
        )
        return ChargeAnswer(code=code, decline_code=decline_code)


def _charge(transaction: sqlite3.Connection, call: ChargeCall) -> Charge:
    row = transaction.execute(f"{_CHARGES} WHERE authorization_key = ?", (call.authorization_key,)).fetchone()
    return Charge(**{**row, "key": call.authorization_key, "currency": row["currency"] or ""})


def _refusal(charge: Charge, call: ChargeCall) -> str:
    """Return why a provider refuses an action; empty when it performs it."""
    if call.action == VOID:
        return "ALREADY_CAPTURED" if charge.captures else ""
    if call.action == AUTHORIZE:
        return "VOIDED" if charge.voids else ""
    if call.action == CAPTURE:
        return _refused_capture(charge)
    if not charge.captures:
        return "NOT_CAPTURED"
    return "REFUND_EXCEEDS_CAPTURE" if charge.refunded + call.amount.minor_units > charge.captured else ""


def _refused_capture(charge: Charge) -> str:
    if charge.voids:
        return "VOIDED"
    if charge.captures:
        return "ALREADY_CAPTURED"
    if charge.expiries:
        return EXPIRED
    return "" if charge.authorizations else "NOT_AUTHORIZED"


def _code(call: ChargeCall) -> str:
    """Return the provider's code: the same for the same action and key."""
    digest = hashlib.sha256(f"{call.action}/{call.idempotency_key}".encode()).hexdigest()
    return f"{ChargeAction.Name(call.action).removeprefix('CHARGE_ACTION_').lower()}-{digest[:16]}"
