"""Two contexts with production's identity: real processes call each other with tokens of their pods."""

from __future__ import annotations

import json
import re
from pathlib import Path
from secrets import token_urlsafe

from joserfc.jwk import KeySet

from ..support.issuer import new_key
from .charts import CHART, VALUES, options
from .sites import Site, double_site

SMALL = {"server.autoscaling.mode": "none", "server.replicas": "1"}
KEYS = {"temporal.signing.existingSecret": "temporal-keys"}
# The double resolves names of Services to addresses, for which no certificate would be.
PLAIN = {"tls.enabled": "false", "database.tls.mode": ""}


def tokens(site: Site, folder: Path) -> dict[str, str]:
    """Return the values of identity, with the keys of an issuer in a file, and the double's own."""
    assert site.double is not None
    keys = folder / "issuer.json"
    keys.write_text(json.dumps(KeySet([new_key("RS256", "one")]).as_dict(private=False)))
    return {
        "identity.issuers[0].issuer": "https://login.example.com",
        "identity.issuers[0].jwks_file": str(keys),
        "identity.audience[0]": "shop",
        "identity.tokensInPlainText": "true",
        "identity.workloads.jwksUrl": site.double.accounts.url,
    }


def test_contexts_and_tests_call_with_tokens_of_their_pods(tmp_path: Path) -> None:
    contexts = ("orders", "shipping")
    with double_site(tmp_path / "cluster", contexts) as site:
        assert site.double is not None
        site.double.add_secret("shop", "temporal-keys", {"2026-11": token_urlsafe(32)})
        for context in contexts:
            database = {"database.existingSecret": f"{context}-database"}
            values = {**site.values, **database, **tokens(site, tmp_path), **SMALL, **PLAIN, **KEYS}
            files = [VALUES / context / "prod.yaml"]
            site.helm("install", context, CHART, *options(files, values), "--wait")
        for context in contexts:
            tested = site.helm("test", context)
            assert re.search(r"Phase:\s+Succeeded", tested), site.logs()
        logs = "\n".join(path.read_text() for path in site.double.folder.glob("orders-*.log"))
        assert "service:shipping joins the consumer shipping.known-orders for the first time" in logs
