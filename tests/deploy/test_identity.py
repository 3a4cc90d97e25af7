"""Who may call what the charts install: tokens of issuers, and those of the cluster's pods."""

from __future__ import annotations

import json
from typing import Any

import pytest
from intent.identity import ServiceAccounts
from intent.process.identities import issuers_of
from intent.settings.config import load_settings

from .charts import CHART, CONTEXTS, Manifest, objects, of_kind, pod_of, rendered, template

FOLDER = "/run/secrets/intent"


def environment(manifests: list[Manifest], kind: str = "Deployment") -> dict[str, Any]:
    (workload, *_) = of_kind(manifests, kind)
    return {one["name"]: one.get("value") for one in pod_of(workload)["spec"]["containers"][0]["env"]}


def accounts(given: dict[str, Any]) -> ServiceAccounts:
    """Return the ServiceAccounts that a process with these variables lets call."""
    settings = load_settings(
        identity_mode=given["INTENT_IDENTITY_MODE"],
        identity_issuers=given["INTENT_IDENTITY_ISSUERS"],
        identity_audience=given.get("INTENT_IDENTITY_AUDIENCE", ""),
    )
    (found,) = [
        issuer.claims for issuer in issuers_of(settings) if isinstance(issuer.claims, ServiceAccounts)
    ]
    return found


@pytest.mark.parametrize("context", CONTEXTS)
def test_production_believes_tokens_alone(context: str) -> None:
    manifests = rendered(context)
    given = environment(manifests)
    assert given["INTENT_IDENTITY_MODE"] == "token"
    tester = accounts(given).known[f"shop/{context}-test"]
    assert (tester.actor, tester.tenants) == ("service:helm-test", frozenset({"helm-test"}))
    (pod,) = of_kind(manifests, "Pod")
    tested = {one["name"]: one["value"] for one in pod["spec"]["containers"][0]["env"]}
    assert tested["INTENT_TOKEN_FILE"] == f"{FOLDER}/workload/token"
    assert "INTENT_ROLES" not in tested
    assert pod["spec"]["serviceAccountName"] == f"{context}-test"


def test_a_context_that_consumes_may_consume_where_it_does_and_nowhere_else() -> None:
    shipping = accounts(environment(rendered("orders"))).known["shop/shipping"]
    assert (shipping.actor, sorted(shipping.roles)) == ("service:shipping", ["consumer", "consumer-all"])
    assert "shop/shipping" not in accounts(environment(rendered("payments"))).known
    assert environment(rendered("shipping"))["INTENT_IDENTITY_TOKEN_FILE"] == f"{FOLDER}/workload/token"
    assert "INTENT_IDENTITY_TOKEN_FILE" not in environment(rendered("orders"))


def test_in_one_release_contexts_know_each_other_by_its_name() -> None:
    values = {
        "context": "orders",
        "identity.mode": "token",
        "identity.issuers[0].issuer": "https://login.example.com",
        "identity.audience[0]": "shop",
        "identity.tokensInPlainText": "true",
    }
    files = [CHART / "ci" / "minimal-values.yaml"]
    known = accounts(environment(objects(template("intent", files, values)))).known
    assert known["shop/intent-shipping"].actor == "service:shipping"


def test_tokens_are_for_contexts_alone_and_expire() -> None:
    (deployment,) = of_kind(rendered("shipping"), "Deployment")
    volumes = {one["name"]: one for one in pod_of(deployment)["spec"]["volumes"]}
    (workload,) = volumes["workload"]["projected"]["sources"]
    assert workload["serviceAccountToken"] == {
        "path": "token",
        "audience": "intent",
        "expirationSeconds": 3600,
    }
    # The API server, which has the keys, gets a token of its own, and its authority comes with it.
    server, authority = volumes["cluster"]["projected"]["sources"]
    assert "audience" not in server["serviceAccountToken"]
    assert authority["configMap"]["name"] == "kube-root-ca.crt"


def test_what_the_values_say_of_claims_and_accounts_reaches_the_process() -> None:
    manifests = objects(template("shipping", [CHART / "ci" / "everything-values.yaml"]))
    given = environment(manifests)
    assert accounts(given).known["shop/reports"].actor == "service:reporting"
    first, second, _ = json.loads(given["INTENT_IDENTITY_ISSUERS"])
    assert first["roles_claim"] == "realm_access.roles"
    assert second["actor_prefix"] == "partner:"
    egress = str([policy["spec"].get("egress") for policy in of_kind(manifests, "NetworkPolicy")])
    assert all(f"'port': {port}," in egress for port in (443, 8443, 6443))


def test_issuers_whose_keys_are_in_files_need_no_way_out() -> None:
    values = {
        "identity.mode": "token",
        "identity.issuers[0].issuer": "https://login.example.com",
        "identity.issuers[0].jwks_file": "/etc/keys/issuer.json",
        "identity.audience[0]": "shop",
        "identity.workloads.enabled": "false",
        "tests.enabled": "false",
    }
    manifests = objects(template("orders", [CHART / "ci" / "minimal-values.yaml"], values))
    assert "'port': 443" not in str(of_kind(manifests, "NetworkPolicy"))
    assert "projected" not in str(manifests)
