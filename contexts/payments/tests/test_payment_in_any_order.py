"""Whichever commands come, in any order and number, nobody is charged twice or for nothing."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

from google.protobuf.message import Message
from hypothesis import given as given_any
from hypothesis import settings
from hypothesis import strategies as st
from intent.testing import given
from intent.testing.scenario import Outcome, Scenario
from intent_contracts.payments.v1 import (
    AuthorizationRequested,
    CaptureRequested,
    PaymentCaptured,
    PaymentDeclined,
    PaymentRefunded,
    PaymentVoided,
    RefundRequested,
    VoidRequested,
)
from payments.aggregates import Payment
from payments.values import CANCEL_REFUND_ID

from .payment_examples import (
    AUTHORIZE,
    CANCEL,
    CAPTURE,
    CAPTURE_DECLINE,
    CHARGE,
    DECLINE,
    GRANT,
    ID,
    PRICE,
    RELEASE,
    give_back,
    refund,
)

COMMANDS: Sequence[Message] = [
    AUTHORIZE,
    CAPTURE,
    CANCEL,
    GRANT,
    type(GRANT)(payment_id=ID, authorization_code="auth-2"),
    DECLINE,
    CHARGE,
    type(CHARGE)(payment_id=ID, capture_code="cap-2"),
    CAPTURE_DECLINE,
    RELEASE,
    *(refund(minor_units, f"r-{minor_units}") for minor_units in (1, 400, 600, 1000)),
    *(give_back(f"r-{minor_units}") for minor_units in (1, 400, 600, 1000)),
    give_back(CANCEL_REFUND_ID),
]
ANY_STORY = st.lists(st.sampled_from(COMMANDS), max_size=25)


class Story:
    """A payment that gets any commands; its events are kept."""

    def __init__(self) -> None:
        self._so_far: Scenario | Outcome = given(Payment, ID)
        self.events: list[Message] = []

    def say(self, commands: Iterable[Message]) -> None:
        for command in commands:
            self._so_far = outcome = self._so_far.when(command)
            self.events += outcome.events

    def all(self, *kinds: type[Any]) -> list[Any]:
        return [event for event in self.events if isinstance(event, kinds)]

    def sum(self, kind: type[Any]) -> int:
        return sum(event.amount.minor_units for event in self.all(kind))

    @property
    def net(self) -> int:
        return self.sum(PaymentCaptured) - self.sum(PaymentRefunded)


def provider_answers(story: Story) -> list[Message]:
    """Return the answers that a provider still owes, given what happened so far."""
    answers: list[Message] = []
    voided = bool(story.all(VoidRequested))
    if story.all(AuthorizationRequested):
        answers.append(DECLINE if voided else GRANT)
    if voided:
        answers.append(RELEASE)
    if story.all(CaptureRequested):
        answers.append(CHARGE)
    return answers + [give_back(event.refund_id) for event in story.all(RefundRequested)]


@given_any(ANY_STORY)
@settings(max_examples=160, deadline=None)
def test_nobody_is_charged_twice_and_nothing_is_given_back_twice(commands: list[Message]) -> None:
    story = Story()
    story.say(commands)
    assert len(story.all(PaymentCaptured)) <= 1
    assert story.sum(RefundRequested) <= story.sum(PaymentCaptured)
    assert story.sum(PaymentRefunded) <= story.sum(RefundRequested)
    assert len({event.refund_id for event in story.all(PaymentRefunded)}) == len(story.all(PaymentRefunded))


@given_any(ANY_STORY)
@settings(max_examples=100, deadline=None)
def test_the_provider_is_asked_once_for_each_thing(commands: list[Message]) -> None:
    """Each of these events starts a saga of its own, which never starts again."""
    story = Story()
    story.say(commands)
    for kind in (AuthorizationRequested, CaptureRequested, VoidRequested):
        assert len(story.all(kind)) <= 1
    keys = [event.refund_key for event in story.all(RefundRequested)]
    assert len(keys) == len(set(keys))


@given_any(ANY_STORY)
@settings(max_examples=160, deadline=None)
def test_what_is_repeated_has_no_second_effect(commands: list[Message]) -> None:
    once, twice = Story(), Story()
    once.say(commands)
    twice.say(command for command in commands for _ in range(2))
    assert once.events == twice.events


@given_any(ANY_STORY, st.integers(0, 25), st.randoms())
@settings(max_examples=160, deadline=None)
def test_a_cancelled_payment_ends_with_nothing_charged(
    commands: list[Message], cancelled_after: int, order: Any
) -> None:
    story = Story()
    story.say([*commands[:cancelled_after], CANCEL, *commands[cancelled_after:]])
    # The provider answers every request, repeatedly and in any order, until it owes no answer.
    for _ in range(4):
        answers = provider_answers(story) * 2
        order.shuffle(answers)
        story.say(answers)
    assert story.net == 0
    assert story.sum(PaymentCaptured) <= PRICE.minor_units


@given_any(st.randoms(), st.integers(0, 6))
@settings(max_examples=120, deadline=None)
def test_a_payment_ends_in_a_way_that_whoever_waits_for_it_hears_of(order: Any, cancelled_at: int) -> None:
    """A caller authorizes and captures; somebody cancels somewhere between; the provider repeats itself."""
    story = Story()
    said: list[Message] = [AUTHORIZE, GRANT, CAPTURE, CHARGE]
    said.insert(min(cancelled_at, len(said)), CANCEL)
    story.say(said)
    for _ in range(4):
        answers = provider_answers(story) * 2
        order.shuffle(answers)
        story.say(answers)
    assert story.all(PaymentCaptured, PaymentVoided, PaymentDeclined)
    assert story.net == 0
