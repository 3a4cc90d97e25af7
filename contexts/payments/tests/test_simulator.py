"""The simulated payment provider performs each action once, whatever fails on the way."""

from __future__ import annotations

import asyncio
import signal
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

import pytest
from intent.simulation import Link, NoAnswer
from intent_contracts.payments.v1 import ChargeAction, ChargeAnswer, ChargeCall
from payments.ledger import AUTHORIZE, CAPTURE, REFUND, VOID, Charge
from payments.simulator import SimulatedProvider

from .payment_examples import eur

KEY = "acme/p-1"
DYING = """
import asyncio, os, signal, sys
from pathlib import Path
from intent.simulation import Link
from intent_contracts.payments.v1 import ChargeCall
from payments.simulator import SimulatedProvider

async def main():
    provider = SimulatedProvider(Path(sys.argv[1]), Link())
    await provider.charge(ChargeCall.FromString(bytes.fromhex(sys.argv[2])))
    answer = await provider.charge(ChargeCall.FromString(bytes.fromhex(sys.argv[3])))
    print(answer.code, flush=True)
    os.kill(os.getpid(), signal.SIGKILL)

asyncio.run(main())
"""


@pytest.fixture
def provider(tmp_path: Path) -> SimulatedProvider:
    return SimulatedProvider(tmp_path / "provider.sqlite3", Link())


def ask(
    action: ChargeAction.ValueType, minor_units: int = 1000, *, card: str = "tok-visa", key: str = KEY
) -> ChargeCall:
    return ChargeCall(
        action=action,
        idempotency_key=key,
        authorization_key=KEY,
        amount=eur(minor_units),
        card_token=card if action == AUTHORIZE else "",
    )


async def answer(provider: SimulatedProvider, call: ChargeCall) -> tuple[ChargeAnswer, int]:
    """Call until there is an answer, as a saga does; return it and the number of attempts."""
    for attempt in range(1, 10):
        try:
            return await provider.charge(call), attempt
        except NoAnswer:
            continue
    raise AssertionError(f"no answer to {call}")


def the_charge(provider: SimulatedProvider) -> Charge:
    (charge,) = provider.ledger.charges()
    return charge


async def test_holds_charges_and_gives_back(provider: SimulatedProvider) -> None:
    for call in (ask(AUTHORIZE), ask(CAPTURE), ask(REFUND, 300, key="r-1"), ask(REFUND, 700, key="r-2")):
        done = await provider.charge(call)
        assert done.code
        assert done.deliveries == 1
    expected = Charge(KEY, "EUR", 1000, 1, captured=1000, captures=1, refunded=1000, voids=0, expiries=0)
    assert the_charge(provider) == expected
    assert (expected.held, expected.net) == (0, 0)


@pytest.mark.parametrize("card", ["tok-visa", "tok-timeout", "tok-flaky", "tok-twice", "tok-slow"])
async def test_does_each_thing_once_however_often_it_is_asked(provider: SimulatedProvider, card: str) -> None:
    for call in (ask(AUTHORIZE, card=card), ask(CAPTURE), ask(REFUND, 400, key="r-1")):
        first, _ = await answer(provider, call)
        again, _ = await answer(provider, call)
        assert first == again
    charge = the_charge(provider)
    assert (charge.authorizations, charge.captures, charge.net) == (1, 1, 600)


async def test_a_lost_answer_was_a_charge_nonetheless(provider: SimulatedProvider) -> None:
    await answer(provider, ask(AUTHORIZE, card="tok-timeout"))
    with pytest.raises(NoAnswer):
        await provider.charge(ask(CAPTURE))
    assert the_charge(provider).captured == 1000
    assert (await provider.charge(ask(CAPTURE))).code


async def test_what_does_not_arrive_has_no_effect(provider: SimulatedProvider) -> None:
    for _ in range(2):
        with pytest.raises(NoAnswer):
            await provider.charge(ask(AUTHORIZE, card="tok-flaky"))
    assert provider.ledger.charges() == []
    assert (await provider.charge(ask(AUTHORIZE, card="tok-flaky"))).code


async def test_answers_may_be_delivered_twice(provider: SimulatedProvider) -> None:
    assert (await provider.charge(ask(AUTHORIZE, card="tok-twice"))).deliveries == 2
    assert (await provider.charge(ask(CAPTURE))).deliveries == 2


@pytest.mark.parametrize("reason", ["CARD_EXPIRED", "INSUFFICIENT_FUNDS"])
async def test_declines_by_card(provider: SimulatedProvider, reason: str) -> None:
    card = f"tok-decline-{reason.lower().replace('_', '-')}"
    assert (await provider.charge(ask(AUTHORIZE, card=card))).decline_code == reason
    assert (await provider.charge(ask(CAPTURE))).decline_code == "NOT_AUTHORIZED"
    assert the_charge(provider).held == 0


async def test_declines_to_charge_by_card_and_holds_no_longer(provider: SimulatedProvider) -> None:
    await provider.charge(ask(AUTHORIZE, card="tok-capture-declined"))
    assert the_charge(provider).held == 1000
    assert (await provider.charge(ask(CAPTURE))).decline_code == "AUTHORIZATION_EXPIRED"
    assert (the_charge(provider).held, the_charge(provider).net) == (0, 0)


@pytest.mark.parametrize("order", [(AUTHORIZE, VOID), (VOID, AUTHORIZE)])
async def test_lets_go_before_or_after_it_holds(
    provider: SimulatedProvider, order: tuple[ChargeAction.ValueType, ...]
) -> None:
    answers = {action: await provider.charge(ask(action)) for action in order}
    assert answers[VOID].code
    assert answers[AUTHORIZE].decline_code == ("" if order[0] == AUTHORIZE else "VOIDED")
    assert (the_charge(provider).held, the_charge(provider).net) == (0, 0)
    assert (await provider.charge(ask(CAPTURE))).decline_code == "VOIDED"


async def test_refuses_what_no_provider_does(provider: SimulatedProvider) -> None:
    await provider.charge(ask(AUTHORIZE))
    assert (await provider.charge(ask(REFUND, 1, key="r-1"))).decline_code == "NOT_CAPTURED"
    await provider.charge(ask(CAPTURE))
    assert (await provider.charge(ask(CAPTURE, key="again"))).decline_code == "ALREADY_CAPTURED"
    assert (await provider.charge(ask(VOID))).decline_code == "ALREADY_CAPTURED"
    assert (await provider.charge(ask(REFUND, 1001, key="r-2"))).decline_code == "REFUND_EXCEEDS_CAPTURE"
    assert (await provider.charge(ask(CAPTURE, 999))).decline_code == "IDEMPOTENCY_KEY_REUSED"


def _last_words(path: Path, calls: Sequence[str]) -> str:
    """Call a provider twice in a process that is then killed; return the code of the last answer."""
    command = [sys.executable, "-c", DYING, str(path), *calls]
    killed = subprocess.run(command, capture_output=True, text=True, check=False)
    assert killed.returncode == -signal.SIGKILL, killed.stderr
    return killed.stdout.strip()


async def test_remembers_when_its_process_is_killed(tmp_path: Path) -> None:
    path = tmp_path / "provider.sqlite3"
    calls = [call.SerializeToString().hex() for call in (ask(AUTHORIZE), ask(CAPTURE))]
    code = await asyncio.to_thread(_last_words, path, calls)
    after = SimulatedProvider(path, Link())
    assert (await after.charge(ask(CAPTURE))).code == code
    assert the_charge(after).captures == 1
