"""Issuers of tokens in the settings: what is refused, and with which words."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator

import pytest
from intent.errors import ConfigurationError
from intent.process.identities import issuers_of
from intent.settings.config import load_settings

CLUSTER = {"issuer": "https://kubernetes.default.svc.cluster.local", "audience": "intent"}


@pytest.mark.parametrize(
    ("accounts", "said"),
    [
        ({"shipping": ["consumer"]}, "'shipping' must be <namespace>/<name>"),
        ({"shop/*": ["consumer"]}, "must be <namespace>/<name>"),
        ({"shop/shipping": ["*"]}, "shop/shipping: * is no role that can be given"),
        ({"shop/shipping": {"actor": "two words"}}, "two words is no actor"),
        ({"shop/shipping": {"tenants": ["Acme"]}}, "Acme is no tenant"),
        ({"shop/shipping": [], "test/shipping": []}, "shop/shipping is service:shipping already"),
        ({"shop/shipping": {"role": "consumer"}}, "role"),
    ],
)
def test_service_accounts_that_cannot_be_told_apart_are_refused(accounts: object, said: str) -> None:
    text = json.dumps({**CLUSTER, "service_accounts": accounts})
    with pytest.raises(ConfigurationError, match="INTENT_IDENTITY_ISSUERS") as refused:
        issuers_of(load_settings(identity_issuers=text))
    assert said in str(refused.value)


def test_service_accounts_and_claims_exclude_each_other() -> None:
    text = json.dumps({**CLUSTER, "service_accounts": {"shop/a": []}, "roles_claim": "roles"})
    with pytest.raises(ConfigurationError, match="leave out the settings of claims"):
        load_settings(identity_issuers=text)


@pytest.fixture
def usual_recursion() -> Iterator[None]:
    """Python's own limit of recursion; what other tests use may have raised it."""
    before = sys.getrecursionlimit()
    sys.setrecursionlimit(1_000)
    yield
    sys.setrecursionlimit(before)


@pytest.mark.usefixtures("usual_recursion")
@pytest.mark.parametrize("variable", ["identity_issuers", "identity_workloads"])
def test_json_that_is_nested_too_deeply_is_refused_with_its_variable(variable: str) -> None:
    with pytest.raises(ConfigurationError, match=f"INTENT_{variable.upper()}.* nested too deeply"):
        load_settings(**{variable: '[{"issuer":' * 5_000})
