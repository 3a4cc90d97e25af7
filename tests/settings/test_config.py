"""Settings: from variables, from files, and the errors about invalid ones."""

from __future__ import annotations

from pathlib import Path

import pytest
from intent.cli.app import app
from intent.cli.connection import variables_of
from intent.errors import ConfigurationError
from intent.settings.config import Settings, load_settings
from intent.settings.table import settings_table
from intent.settings.variables import unknown_variables
from typer.main import get_command


def test_defaults_are_for_one_machine_and_trust_nobody() -> None:
    settings = load_settings()
    assert (settings.host, settings.identity_mode, settings.log_format) == ("127.0.0.1", "token", "json")


def test_variables_set_fields_by_their_names(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("INTENT_LANES", "2")
    monkeypatch.setenv("TEMPORAL_ADDRESS", "temporal:7233")
    monkeypatch.setenv("INTENT_DEV_ROLES", "customer, service")
    settings = load_settings()
    assert settings.lanes == 2
    assert settings.temporal_address == "temporal:7233"
    assert settings.dev_roles == ("customer", "service")


def test_arguments_win_over_variables(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("INTENT_PORT", "1")
    monkeypatch.setenv("TEMPORAL_NAMESPACE", "outside")
    settings = load_settings(port=2, temporal_namespace="given")
    assert (settings.port, settings.temporal_namespace) == (2, "given")


def test_development_trusts_metadata_and_logs_for_people(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("INTENT_DEV", "true")
    assert load_settings().identity_mode == "dev"
    assert load_settings().log_format == "console"
    monkeypatch.setenv("INTENT_LOG_FORMAT", "json")
    assert load_settings().log_format == "json"


def test_metrics_can_be_switched_off(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("INTENT_METRICS_PORT", "off")
    assert load_settings().metrics_port is None


def test_a_secret_comes_from_a_file(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    secret = tmp_path / "database"
    secret.write_text("postgresql://somebody:hush@db/intent\n")
    monkeypatch.setenv("INTENT_DATABASE_URL_FILE", str(secret))
    monkeypatch.setenv("TEMPORAL_API_KEY_FILE", str(secret))
    settings = load_settings()
    assert settings.database_url == "postgresql://somebody:hush@db/intent"
    assert settings.temporal_api_key == settings.database_url
    assert "hush" not in repr(settings)


def test_a_secret_in_two_places_is_refused(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("INTENT_DATABASE_URL", "a")
    monkeypatch.setenv("INTENT_DATABASE_URL_FILE", str(tmp_path / "b"))
    with pytest.raises(ConfigurationError, match="are both set"):
        load_settings()


def test_a_file_that_cannot_be_read_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("INTENT_DATABASE_URL_FILE", "/nowhere/database")
    with pytest.raises(ConfigurationError, match="INTENT_DATABASE_URL_FILE names /nowhere/database"):
        load_settings()


@pytest.mark.parametrize(
    ("variable", "value", "said"),
    [
        ("INTENT_PORT", "tcp://10.0.0.1:80", "INTENT_PORT=tcp://10.0.0.1:80 should be a valid integer"),
        ("INTENT_LANES", "0", "INTENT_LANES=0 should be greater than or equal to 1"),
        ("INTENT_LOG_LEVEL", "loud", "INTENT_LOG_LEVEL=loud should be 'debug'"),
        ("TEMPORAL_WORKER_BUILD_ID", "a:b", "TEMPORAL_WORKER_BUILD_ID=a:b must be made of letters, digits"),
        ("TEMPORAL_DEPLOYMENT_NAME", "a.b", "TEMPORAL_DEPLOYMENT_NAME=a.b must be made of letters, digits"),
        ("TEMPORAL_TLS", "maybe", "TEMPORAL_TLS=maybe should be a valid boolean"),
    ],
)
def test_an_invalid_value_is_reported_with_its_variable(
    monkeypatch: pytest.MonkeyPatch, variable: str, value: str, said: str
) -> None:
    monkeypatch.setenv(variable, value)
    with pytest.raises(ConfigurationError) as caught:
        load_settings()
    assert said in str(caught.value)
    assert "\n" not in str(caught.value)


def test_a_misspelt_variable_is_noticed() -> None:
    environ = {"INTENT_LANE": "2", "INTENT_LANES": "2", "INTENT_DATABASE_URL_FILE": "x"}
    sentence = "INTENT_LANE is not a setting; did you mean INTENT_LANES?"
    assert unknown_variables(Settings, environ) == [sentence]


def test_variables_of_the_command_line_are_not_misspelt_settings() -> None:
    environ = {"INTENT_TENANT": "a", "INTENT_DEBUG": "1", "INTENT_DEV_PORT_BASE": "0", "INTENT_TENNANT": "b"}
    known = variables_of(get_command(app))
    sentence = "INTENT_TENNANT is not a setting; did you mean INTENT_TENANT?"
    assert unknown_variables(Settings, environ, known=known) == [sentence]


def test_the_docs_list_every_setting() -> None:
    page = Path(__file__).parents[2] / "docs" / "settings.md"
    assert page.read_text() == settings_table(), "run make docs"
