"""The command line when nothing runs."""

from __future__ import annotations

import json
import socket
from pathlib import Path

import pytest

from .running import environment, intent, process


@pytest.mark.parametrize(
    "command",
    [
        "dev",
        "serve",
        "worker",
        "migrate",
        "send",
        "query",
        "events",
        "projections",
        "describe",
        "new",
        "sagas",
        "trace",
    ],
)
def test_every_command_is_listed_and_teaches_by_example(command: str) -> None:
    overview = intent("--help")
    assert f" {command} " in overview.out
    assert "Exit codes" in overview.out
    done = intent(command, "--help")
    assert done.code == 0
    assert f"  intent {command}" in done.out


@pytest.mark.parametrize(
    ("command", "absent"),
    [
        (("send",), ()),
        (("sagas", "list"), ()),
        (("events",), ("--timeout",)),
        (("projections", "status"), ("--tenant",)),
        (("projections", "rebuild"), ("--tenant", "--timeout")),
    ],
)
def test_the_options_of_the_caller_are_one_group(command: tuple[str, ...], absent: tuple[str, ...]) -> None:
    group = intent(*command, "--help").out.partition("─ Caller ─")[2]
    offered = {word for word in group.split() if word.startswith("--")}
    options = {"--target", "--tenant", "--actor", "--roles", "--token", "--token-file", "--tls", "--timeout"}
    assert offered & options == options - set(absent)
    assert "INTENT_TARGET" in group


def test_describe_shows_commands_with_roles_and_fields() -> None:
    done = intent("describe", "orders")
    assert done.code == 0
    row = next(line for line in done.out.splitlines() if "orders.v1.PlaceOrder " in line)
    for cell in ("Order", "customer (own only), service", "order_id, customer_id, lines"):
        assert cell in row
    for text in (
        "orders.v1.OrderPlaced",
        "orders.v1.GetOrder",
        "orders.v1.OrderSummary",
        "customer_id, status",
        "ORDER_NOT_OPEN",
    ):
        assert text in done.out


def test_describe_shows_who_may_call_what_role_by_role() -> None:
    done = intent("describe", "orders", "--access")
    assert done.code == 0
    customer = done.out.split("Role customer")[1].split("Role ")[0]
    rows = {line.split()[1]: line for line in customer.splitlines() if "orders.v1." in line}
    assert rows.keys() == {
        f"orders.v1.{name}"
        for name in ("PlaceOrder", "CancelOrder", "ChangeLine", "CheckOutOrder", "GetOrder", "ListOrders")
    }
    assert "own only: customer_id of its state is the caller" in rows["orders.v1.CancelOrder"]
    assert "payments.v1" not in done.out
    assert "/intent.v1.Projections/SkipEvent" in done.out.split("Role operator")[1]
    listed = json.loads(intent("describe", "--access", "--json").out)
    assert {row["context"] for row in listed} == {"", "inventory", "orders", "payments", "shipping"}
    assert {
        "role": "customer",
        "context": "orders",
        "kind": "command",
        "name": "orders.v1.PlaceOrder",
        "limit": "own only: customer_id is the caller",
    } in listed


def test_describe_says_what_access_goes_with() -> None:
    for arguments, said in (
        (("--json",), "goes with --access only"),
        (("--access", "orders.v1.PlaceOrder"), "--access takes a context"),
    ):
        done = intent("describe", *arguments)
        assert done.code == 2
        assert said in done.err


def test_describe_shows_a_message_with_an_example_to_send() -> None:
    done = intent("describe", "PlaceOrder")
    assert "min_items: 1" in done.out
    assert "Rejected with ORDER_ALREADY_PLACED, DUPLICATE_LINE, MIXED_CURRENCIES" in done.out
    assert """intent send orders.v1.PlaceOrder '{"order_id": "order-1",""" in done.out


@pytest.mark.parametrize(
    ("arguments", "message", "code"),
    [
        (("send", "PlaceOrdr", "{}"), "there is no command PlaceOrdr; did you mean PlaceOrder?", 2),
        (("send", "ConfirmOrder", "{"), "this is not JSON: Expecting property name", 2),
        (("send", "ConfirmOrder", '{"order": 1}'), "there is no field order; did you mean order_id?", 2),
        (("send", "ConfirmOrder", '{"order_id": ""}'), "order_id: ", 1),
        (("send", "ConfirmOrder", '{"order_id": "o-1"}'), "nothing runs here: start `intent dev`", 2),
        (("send", "ConfirmOrder", "-f", "no.json"), "no.json cannot be read", 2),
        (("query", "GetOrder", '{"order_id": 3}'), "order_id must be a string, not the number 3", 2),
        (("events", "--type", "OrderPlacd"), "did you mean OrderPlaced?", 2),
        (("events", "--stream", "/x"), "names no aggregate", 2),
        (("events", "--stream", "o-1"), "no aggregate is called o-1; write it like Order/o-1, of: ", 2),
        (("send", "GetOrder", "{}"), "orders.v1.GetOrder is a query: intent query orders.v1.GetOrder", 2),
        (
            ("query", "PlaceOrder", "{}"),
            "orders.v1.PlaceOrder is a command: intent send orders.v1.PlaceOrder",
            2,
        ),
        (("describe", "ordes"), "there is no context or message ordes", 2),
        (("serve", "ordes"), "there is no context 'ordes'; installed are: ", 3),
        (("serve", "orders"), "set INTENT_IDENTITY_ISSUERS", 3),
        (("migrate", "orders"), "set INTENT_OWNER_DATABASE_URL", 2),
        (("dev", "--port-base", "70000"), "the port base 70000 must be", 3),
        (("nonsense",), "No such command", 2),
    ],
)
def test_an_error_is_reported_without_a_stack(
    arguments: tuple[str, ...], message: str, code: int, tmp_path: Path
) -> None:
    done = intent(*arguments, cwd=tmp_path)
    assert message in done.err
    assert "Traceback" not in done.err
    assert done.code == code


def test_debug_shows_where_it_happened() -> None:
    assert "Traceback" in process("--debug", "send", "ConfirmOrder", "{").err
    assert process("send", "ConfirmOrder", "{").err.count("\n") == 1


def test_a_wrong_setting_is_named() -> None:
    done = intent("serve", "orders", env=environment(INTENT_LANES="many"))
    assert "INTENT_LANES=many should be a valid integer" in done.err
    assert done.code == 3


def test_an_unavailable_context_is_reported(tmp_path: Path) -> None:
    with socket.socket() as nobody:
        nobody.bind(("127.0.0.1", 0))
        target = f"127.0.0.1:{nobody.getsockname()[1]}"
        done = intent(
            *("send", "ConfirmOrder", '{"order_id": "o-1"}', "--target", target),
            *("--tenant", "acme", "--timeout", "1"),
            cwd=tmp_path,
        )
    assert "got no answer within 1 s" in done.err
    assert done.code == 4


def test_a_target_needs_a_tenant(tmp_path: Path) -> None:
    done = intent("send", "ConfirmOrder", '{"order_id": "o-1"}', "--target", "127.0.0.1:1", cwd=tmp_path)
    assert "which tenant? give --tenant" in done.err


def test_unavailable_postgres_is_reported_in_one_sentence() -> None:
    unreachable = environment(INTENT_DATABASE_URL="postgresql://x:y@127.0.0.1:1/intent")
    done = intent("redeliver", "orders", env=unreachable)
    assert done.code == 3
    assert done.err.strip().count("\n") == 0
    assert "check INTENT_DATABASE_URL" in done.err
