"""The settings of a process, from the environment.

Every setting is one field of `Settings`; its variable is ``INTENT_`` and the field's name
unless the field says otherwise. A variable with ``_FILE`` appended names a file that
holds the value, for secrets. The table in ``docs/settings.md`` is made from this module.
"""

from __future__ import annotations

import re
from typing import Annotated, Any, Literal

from pydantic import AfterValidator, AliasChoices, BeforeValidator, Field, ValidationError, model_validator
from pydantic_settings import BaseSettings, NoDecode, PydanticBaseSettingsSource, SettingsConfigDict

from intent.errors import ConfigurationError
from intent.settings.variables import PREFIX, SecretFiles, problems_of

__all__ = ["Settings", "load_settings"]


def _words(value: object) -> Any:
    return [word.strip() for word in value.split(",") if word.strip()] if isinstance(value, str) else value


def _made_of(pattern: str, words: str) -> AfterValidator:
    """Returns a check of a name that may be empty."""

    def check(value: str) -> str:
        if value and not re.fullmatch(pattern, value):
            raise ValueError(f"must be made of {words}")
        return value

    return AfterValidator(check)


def _addresses(value: object) -> object:
    if not isinstance(value, str):
        return value
    pairs = [word.partition("=") for word in _words(value)]
    if not all(name.strip() and address.strip() for name, _, address in pairs):
        raise ValueError("must be like orders=127.0.0.1:7401,inventory=127.0.0.1:7402")
    return {name.strip(): address.strip() for name, _, address in pairs}


Words = Annotated[tuple[str, ...], NoDecode, BeforeValidator(_words)]
Addresses = Annotated[dict[str, str], NoDecode, BeforeValidator(_addresses)]
Port = Annotated[int, Field(ge=0, le=65535)]
Seconds = Annotated[float, Field(gt=0)]
# What a label of Kubernetes may hold too.
BuildId = Annotated[
    str,
    _made_of(
        r"[A-Za-z0-9]([A-Za-z0-9._-]{0,61}[A-Za-z0-9])?", "letters, digits, '.', '_' and '-', at most 63"
    ),
]
# Temporal joins it with the build id by a dot.
DeploymentName = Annotated[
    str, _made_of(r"[A-Za-z0-9][A-Za-z0-9_/-]{0,127}", "letters, digits, '/', '_' and '-', at most 128")
]


def _plain(name: str, default: Any, description: str, **extra: Any) -> Any:
    """Declares a field whose variable has a name of its own, without the prefix."""
    return Field(default, validation_alias=AliasChoices(name), description=description, **extra)


class Settings(BaseSettings):
    """What a process of Intent must know; build it with `load_settings`."""

    model_config = SettingsConfigDict(
        env_prefix=PREFIX, extra="ignore", frozen=True, populate_by_name=True, validate_default=True
    )

    context: str = Field("", description="The context that the process serves.")
    dev: bool = Field(False, description="Development: identity from plain metadata, logs for a person.")

    host: str = Field("127.0.0.1", description="Address on which the gRPC server listens.")
    port: Port = Field(7400, description="Port of the gRPC server; 0 takes a free one.")
    metrics_host: str = Field("127.0.0.1", description="Address on which metrics and probes are served.")
    metrics_port: Port | None = Field(
        9400,
        description="Port of `/metrics`, `/healthz` and `/readyz`; 0: a free one; `off`: none.",
    )

    database_url: str = Field("", repr=False, description="PostgreSQL as `<context>_service`, to serve.")
    query_database_url: str = Field("", repr=False, description="PostgreSQL as `<context>_query`, to read.")
    owner_database_url: str = Field(
        "", repr=False, description="PostgreSQL as `<context>_owner`, for `intent migrate` only."
    )
    admin_database_url: str = Field(
        "",
        repr=False,
        description="PostgreSQL as a maker of roles and schemas, for `intent migrate --provision`.",
    )
    database_connections: int = Field(4, ge=1, le=100, description="Most connections of the service role.")
    query_connections: int = Field(4, ge=1, le=100, description="Most connections of the query role.")

    temporal_address: str = _plain("TEMPORAL_ADDRESS", "127.0.0.1:7233", "Temporal's frontend, `host:port`.")
    temporal_namespace: str = _plain("TEMPORAL_NAMESPACE", "default", "Temporal's namespace.")
    temporal_api_key: str = _plain("TEMPORAL_API_KEY", "", "API key for Temporal.", repr=False)
    temporal_tls: bool = _plain("TEMPORAL_TLS", False, "Speak TLS with Temporal.")
    temporal_tls_client_cert_path: str = _plain(
        "TEMPORAL_TLS_CLIENT_CERT_PATH", "", "File with the client's certificate for Temporal."
    )
    temporal_tls_client_key_path: str = _plain(
        "TEMPORAL_TLS_CLIENT_KEY_PATH", "", "File with the client's private key for Temporal."
    )
    temporal_tls_server_ca_cert_path: str = _plain(
        "TEMPORAL_TLS_SERVER_CA_CERT_PATH", "", "File with the authority that signed Temporal's certificate."
    )
    temporal_tls_server_name: str = _plain(
        "TEMPORAL_TLS_SERVER_NAME", "", "Name to expect in Temporal's certificate."
    )

    build_id: BuildId = _plain(
        "TEMPORAL_WORKER_BUILD_ID",
        "",
        "Version of the code for Temporal's Worker Versioning; empty: unversioned.",
    )
    deployment_name: DeploymentName = _plain(
        "TEMPORAL_DEPLOYMENT_NAME",
        "",
        "Temporal's worker deployment of which that is a version; empty: the context's name.",
    )
    pinned_sagas: Words = Field(
        (),
        description="Sagas that stay with the version on which they began, with commas; `*`: all of them.",
    )

    lanes: int = Field(1, ge=1, le=16, description="Lanes; each has one batch of commands in flight.")
    batch_max_commands: int = Field(256, ge=1, le=1000, description="Most commands in a batch.")
    batch_max_bytes: int = Field(
        240 * 1024, ge=1024, le=1024 * 1024, description="Most bytes of commands in a batch."
    )
    lane_capacity: int = Field(
        10_000, ge=1, description="Commands that may wait in a lane; further ones get RESOURCE_EXHAUSTED."
    )
    cached_aggregates: int = Field(10_000, ge=0, description="Aggregates kept in memory; 0 keeps none.")
    project_wait: Seconds = Field(2.0, description="Longest wait of a command for read models, in seconds.")
    unavailable_after: Seconds = Field(
        10.0,
        description="Callers get UNAVAILABLE when Temporal or PostgreSQL is away this long, in seconds.",
    )
    drain_timeout: Seconds = Field(
        20.0,
        description="Longest wait for work in flight on SIGTERM, in seconds; below the grace period.",
    )

    context_addresses: Addresses = Field(
        {},
        description="Where other contexts are served, for the consumers of their events: "
        "`orders=127.0.0.1:7401,…`.",
    )

    identity_mode: Literal["dev", "token"] = Field(
        "token", description="Who a caller is: `dev` believes plain metadata; `token` asks for a token."
    )
    dev_roles: Words = Field(
        ("*",), description="Roles of a dev caller that names none, with commas; `*` stands for all."
    )

    grpc_listeners: int = Field(
        8, ge=1, le=64, description="gRPC servers behind the port, among which connections are spread."
    )
    grpc_max_message_bytes: int = Field(
        4 * 1024 * 1024, ge=64 * 1024, description="Largest message that the server reads at all, in bytes."
    )
    grpc_max_connection_age: Seconds = Field(
        1800.0, description="Age at which a connection is closed so that callers spread anew, in seconds."
    )
    grpc_max_connection_age_grace: Seconds = Field(
        60.0, description="Time that calls on such a connection have to end, in seconds."
    )
    grpc_keepalive_time: Seconds = Field(60.0, description="Silence before the server pings, in seconds.")
    grpc_keepalive_timeout: Seconds = Field(20.0, description="Longest wait for its answer, in seconds.")

    log_level: Literal["debug", "info", "warning", "error"] = Field("info", description="Least level logged.")
    log_format: Literal["json", "console"] = Field(
        "json", description="`json`: one object a line; `console`: for a person."
    )
    otlp_endpoint: str = _plain(
        "OTEL_EXPORTER_OTLP_ENDPOINT", "", "Where traces go over OTLP/gRPC; empty: no traces."
    )
    trace_ratio: float = Field(
        1.0, ge=0.0, le=1.0, description="Share of traces kept when the caller sends no decision, 0 to 1."
    )

    @property
    def deployment(self) -> str:
        """The name of the context's worker deployment in Temporal."""
        return self.deployment_name or self.context

    @classmethod
    def settings_customise_sources(
        cls,
        settings_cls: type[BaseSettings],
        init_settings: PydanticBaseSettingsSource,
        env_settings: PydanticBaseSettingsSource,
        dotenv_settings: PydanticBaseSettingsSource,
        file_secret_settings: PydanticBaseSettingsSource,
    ) -> tuple[PydanticBaseSettingsSource, ...]:
        """Arguments come before variables, and variables before files named by variables."""
        return init_settings, env_settings, SecretFiles(settings_cls)

    @model_validator(mode="before")
    @classmethod
    def _fill_in(cls, values: Any) -> Any:
        if not isinstance(values, dict):
            return values
        filled = dict(values)
        if str(filled.get("dev", "")).lower() in {"1", "true", "yes", "on"}:
            filled.setdefault("identity_mode", "dev")
            filled.setdefault("log_format", "console")
        if str(filled.get("metrics_port", "")).lower() == "off":
            filled["metrics_port"] = None
        return filled


def load_settings(**overrides: object) -> Settings:
    """Reads the settings from the environment.

    Args:
        overrides: Values by field name that win over the environment.

    Raises:
        ConfigurationError: A value cannot work; names each variable and the mend.
    """
    try:
        return Settings(**overrides)  # type: ignore[arg-type]
    except ValidationError as error:
        raise ConfigurationError(problems_of(error, Settings)) from None
