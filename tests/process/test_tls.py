"""What the settings of TLS make of a process, and of what it calls."""

from __future__ import annotations

from pathlib import Path

import pytest
from intent.errors import ConfigurationError, ServerUnavailable
from intent.process.consumers import client_tls
from intent.process.serving import server_tls
from intent.process.sockets import free_port
from intent.settings.config import load_settings
from intent.temporal.connection import connect_temporal

from ..support.authority import Authority


@pytest.fixture
def paths(tmp_path: Path) -> dict[str, object]:
    authority = Authority()
    certificate, key = authority.issue(tmp_path, "orders")
    return {
        "tls_cert_path": str(certificate),
        "tls_key_path": str(key),
        "tls_ca_path": str(authority.write(tmp_path / "ca.pem")),
    }


def test_a_process_without_a_certificate_speaks_plain_text() -> None:
    assert server_tls(load_settings()) is None
    assert client_tls(load_settings()) is None


def test_a_process_with_one_speaks_tls_on_both_sides(paths: dict[str, object]) -> None:
    settings = load_settings(**paths)
    server, client = server_tls(settings), client_tls(settings)
    assert server is not None
    assert client is not None
    assert server.clients == "off"
    shown = client.current()
    assert (shown.certificate, shown.key) == (server.files.current.certificate, server.files.current.key)
    assert shown.authorities
    assert client_tls(load_settings(**paths, context_tls=False)) is None


@pytest.mark.parametrize(
    ("names", "expected"),
    [
        (("orders.shop", "orders"), "orders.shop"),
        (("*.shop",), "any.shop"),
        (("spiffe://test/orders", "10.1.2.3"), "10.1.2.3"),
        (("spiffe://test/orders",), ""),
    ],
)
def test_the_own_context_is_called_by_a_name_of_its_certificate(
    tmp_path: Path, names: tuple[str, ...], expected: str
) -> None:
    certificate, key = Authority().issue(tmp_path, "orders", *names)
    settings = load_settings(tls_cert_path=str(certificate), tls_key_path=str(key))
    own, other = client_tls(settings, own=True), client_tls(settings)
    assert own is not None
    assert other is not None
    assert (own.server_name, other.server_name) == (expected, "")


@pytest.mark.parametrize(
    ("given", "words"),
    [
        ({"tls_clients": "required"}, "set INTENT_TLS_CLIENT_CA_PATH"),
        ({"tls_clients": "optional"}, "set INTENT_TLS_CLIENT_CA_PATH"),
        ({"tls_key_path": ""}, "has a certificate, .*, and no key"),
        ({"tls_cert_path": ""}, "has a key, .*, and no certificate"),
        ({"tls_cert_path": "", "tls_key_path": "", "tls_clients": "required"}, "the server has none"),
        ({"tls_cert_path": "/nowhere.pem"}, "/nowhere.pem cannot be read"),
    ],
)
def test_half_of_what_is_needed_is_refused(
    paths: dict[str, object], given: dict[str, object], words: str
) -> None:
    with pytest.raises(ConfigurationError, match=words):
        server_tls(load_settings(**{**paths, **given}))


async def test_an_api_key_is_not_sent_to_temporal_in_plain_text() -> None:
    with pytest.raises(ConfigurationError, match="TEMPORAL_TLS=true"):
        await connect_temporal(load_settings(temporal_address="temporal.test:7233", temporal_api_key="k"))
    here = f"127.0.0.1:{free_port()}"
    with pytest.raises(ServerUnavailable):
        await connect_temporal(load_settings(temporal_address=here, temporal_api_key="k"))
