"""Invalid values are refused before anything is installed, with a sentence that says the fix."""

from __future__ import annotations

from pathlib import Path

import pytest

from .charts import CHART, HelmRefused, built_platform, template

_MINIMAL = CHART / "ci" / "minimal-values.yaml"

_TOKEN = {"identity.mode": "token"}
_ISSUER = {**_TOKEN, "identity.issuers[0].issuer": "https://login.example.com"}
_ISSUED = {**_ISSUER, "identity.audience[0]": "orders"}

REFUSED = [
    (_TOKEN, "identity.mode token needs an issuer of tokens: set identity.issuers[0].issuer"),
    (_ISSUER, "no audience for https://login.example.com: set identity.audience"),
    (
        _ISSUED,
        "tokens in plain text within the cluster: set tls.enabled=true, or identity.tokensInPlainText",
    ),
    (
        {**_ISSUED, "identity.workloads.enabled": "false"},
        "tests.enabled has no token to call with: set identity.workloads.enabled=true, or tests.tokenSecret",
    ),
    (
        {**_ISSUED, "context": "shipping", "identity.workloads.enabled": "false"},
        "the consumers of shipping have no token for orders: set identity.workloads.enabled=true",
    ),
    ({"identity.audience[0]": "orders"}, "identity.mode dev asks for no token, so identity.issuers"),
    ({"identity.issuers[0].audience": "orders"}, "/identity/issuers/0"),
    ({"identity.workloads.expirationSeconds": "60"}, "/identity/workloads/expirationSeconds"),
    ({"identity.workloads.serviceAccounts.shipping": "x"}, "/identity/workloads/serviceAccounts"),
    ({"settings.INTENT_IDENTITY_ISSUERS": "https://login.example.com"}, "additional properties"),
    ({"context": ""}, "context is not set: set it to one of "),
    ({"context": "ordres"}, '"ordres" is unknown: set it to one of '),
    ({"context": "Orders"}, "/context"),
    ({"image.repository": ""}, "image.repository is not set: set it to the repository of the image"),
    ({"image.tag": "sha256:abc"}, "/image/tag"),
    ({"image.pullPolicy": "Sometimes"}, "/image/pullPolicy"),
    (
        {"database.existingSecret": ""},
        "database.existingSecret is not set: create a Secret with the keys service-url",
    ),
    ({"database.existingSecret": "Bad_Name"}, "/database/existingSecret"),
    ({"database.existingSecre": "x"}, "additional properties 'existingSecre' not allowed"),
    ({"database.tls.mode": "verify-full"}, "set database.tls.existingSecret to a Secret with the key ca.crt"),
    ({"database.tls.keys.certificate": "tls.crt"}, "only one of certificate and privateKey: set both"),
    ({"temporal.address": ""}, "temporal.address is not set: set it to Temporal's frontend"),
    ({"temporal.address": "http://temporal:7233"}, "not of the form host:port"),
    ({"temporal.apiKey.existingSecret": "key"}, "set temporal.tls.enabled=true"),
    ({"temporal.tls.existingSecret": "key"}, "set temporal.tls.enabled=true"),
    ({"temporal.signing.enabled": "true"}, "create a Secret with a key, as docs/deploying.md shows"),
    ({"temporal.signing.existingSecret": "keys"}, "set temporal.signing.enabled=true"),
    ({"temporal.signing.unsignedUntil": "2027-01-31T12:00:00Z"}, "set temporal.signing.enabled=true"),
    (
        {
            "temporal.signing.enabled": "true",
            "temporal.signing.existingSecret": "keys",
            "temporal.signing.unsignedUntil": "tomorrow",
        },
        "is not a time with its zone",
    ),
    (
        {
            "temporal.signing.enabled": "true",
            "temporal.signing.existingSecret": "keys",
            "temporal.signing.unsignedUntil": r"2027-01-31T12:00:00Z\,2027-03-01T09:00:00Z",
        },
        "further windows follow it",
    ),
    ({"tls.enabled": "true"}, "create a Secret with the keys tls.crt and tls.key, as cert-manager does"),
    ({"tls.existingSecret": "orders-tls"}, "set tls.enabled=true"),
    ({"tls.clients": "required"}, "set tls.enabled=true, or tls.clients=off"),
    (
        {"tls.enabled": "true", "tls.existingSecret": "t", "tls.clients": "required", "tls.keys.ca": ""},
        "no authority of theirs is named: set tls.keys.clientCa",
    ),
    (
        {
            "tls.enabled": "true",
            "tls.existingSecret": "t",
            "tls.clients": "optional",
            "tls.clientsPort": "9400",
        },
        "tls.clientsPort is 9400, a port that is taken",
    ),
    ({"server.replicas": "two"}, "/server/replicas"),
    ({"server.replicas": "0"}, "/server/replicas"),
    ({"server.replica": "2"}, "additional properties 'replica' not allowed"),
    ({"server.resources.requests.memory": "lots"}, "/server/resources/requests/memory"),
    (
        {"server.autoscaling.mode": "hpa", "server.autoscaling.minReplicas": "20"},
        "raise server.autoscaling.maxReplicas",
    ),
    (
        {"server.autoscaling.mode": "keda", "server.autoscaling.minReplicas": "0"},
        "/server/autoscaling/minReplicas",
    ),
    ({"server.maxSurge": "0"}, "raise one of them"),
    ({"server.maxSurge": "0%", "server.maxUnavailable": "0%"}, "raise one of them"),
    ({"worker.mode": "threads"}, "/worker/mode"),
    (
        {"worker.mode": "workerDeployment", "worker.autoscaling.mode": "hpa"},
        "set it to none, and scale them with a WorkerResourceTemplate",
    ),
    ({"worker.mode": "workerDeployment", "versioning.enabled": "true"}, "set versioning.enabled=false"),
    ({"versioning.enabled": "true", "versioning.buildId": "a b"}, "cannot be a build id: use letters"),
    (
        {"versioning.enabled": "true", "versioning.pinnedSagas[0]": "FulfilOrder"},
        "set versioning.keepOld=true",
    ),
    ({"fullnameOverride": "1st-orders"}, "cannot name a Service: begin its name with a letter"),
    (
        {"server.autoscaling.mode": "keda", "temporal.tls.enabled": "true"},
        "set temporal.tls.existingSecret or",
    ),
    (
        {
            "worker.mode": "workerDeployment",
            "temporal.tls.enabled": "true",
            "temporal.tls.existingSecret": "client",
            "temporal.tls.keys.ca": "authority.pem",
        },
        "name them ca.crt, tls.crt and tls.key in client",
    ),
    ({"versioning.keepOld": "true"}, "set versioning.enabled=true and worker.mode=deployment"),
    ({"settings.INTENT_LANE": "2"}, "additional properties 'INTENT_LANE' not allowed"),
    ({"settings.INTENT_LANES": "99"}, "/settings/INTENT_LANES"),
    ({"settings.INTENT_PORT": "7400"}, "additional properties 'INTENT_PORT' not allowed"),
    ({"shutdown.gracePeriodSeconds": "30"}, "set it to at least 45"),
    ({"metrics.port": "7400"}, "set metrics.port to another port"),
    ({"networkPolicy.enabled": "false"}, "set networkPolicy.enabled=true so that only named callers"),
    ({"podLabels.app\\.kubernetes\\.io/name": "mine"}, "choose a label outside app.kubernetes.io"),
    ({"migrate.enabled": "false", "migrate.provision": "true"}, "set migrate.enabled=true"),
    ({"temporalSetup.retentionDays": "soon"}, "/temporalSetup/retentionDays"),
]


@pytest.mark.parametrize(
    ("values", "said"), REFUSED, ids=lambda case: ",".join(case) if isinstance(case, dict) else ""
)
def test_a_wrong_value_is_refused(values: dict[str, str], said: str) -> None:
    with pytest.raises(HelmRefused) as refused:
        template("orders", [_MINIMAL], values)
    assert said in str(refused.value)


def test_every_problem_is_reported_at_once() -> None:
    with pytest.raises(HelmRefused) as refused:
        template("orders")
    for name in (
        "context is not set",
        "image.repository is",
        "database.existingSecret is",
        "temporal.address is",
    ):
        assert name in str(refused.value)


def test_the_platform_refuses_a_context_that_it_does_not_have(tmp_path: Path) -> None:
    with pytest.raises(HelmRefused, match="'ordres' not allowed"):
        template("intent", values={"ordres.enabled": "true"}, chart=built_platform(tmp_path))


def test_the_platform_says_what_is_missing(tmp_path: Path) -> None:
    with pytest.raises(HelmRefused, match=r"temporal\.address is not set"):
        template("intent", chart=built_platform(tmp_path))
