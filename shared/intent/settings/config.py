"""The settings of a process, from the environment.

Every setting is one field of `Settings`; its variable is ``INTENT_`` and the field's name
unless the field declares another. A variable with ``_FILE`` appended names a file that
holds the value, for secrets. The table in ``docs/settings.md`` is generated from this module.
"""

from __future__ import annotations

from typing import Any, Literal

from pydantic import AliasChoices, Field, ValidationError, model_validator
from pydantic_settings import BaseSettings, PydanticBaseSettingsSource, SettingsConfigDict

from intent.errors import ConfigurationError
from intent.settings.issuers import Issuers, Workloads
from intent.settings.signing import SigningSettings
from intent.settings.tls import TlsSettings
from intent.settings.values import Addresses, BuildId, DatabaseUrl, DeploymentName, Port, Seconds, Words
from intent.settings.variables import PREFIX, SecretFiles, problems_of

__all__ = ["Settings", "load_settings"]


def _unprefixed(name: str, default: Any, description: str, **extra: Any) -> Any:
    """Declare a field whose variable has a name of its own, without the prefix."""
    return Field(default, validation_alias=AliasChoices(name), description=description, **extra)


class Settings(SigningSettings, TlsSettings):
    """The settings of a process; build them with `load_settings`."""

    model_config = SettingsConfigDict(
        env_prefix=PREFIX,
        extra="ignore",
        frozen=True,
        populate_by_name=True,
        validate_default=True,
        hide_input_in_errors=True,
    )

    # The context, and whether this is development.
    context: str = Field("", description="The context that the process serves.")
    dev: bool = Field(
        False,
        description="Development: identity from plain metadata, logs for people, strict about handlers.",
    )

    # Where the process listens.
    host: str = Field("127.0.0.1", description="Address on which the gRPC server listens.")
    port: Port = Field(7400, description="Port of the gRPC server; 0: a free one.")
    metrics_host: str = Field("127.0.0.1", description="Address on which metrics and probes are served.")
    metrics_port: Port | None = Field(
        9400,
        description="Port of `/metrics`, `/healthz` and `/readyz`; 0: a free one; `off`: none.",
    )

    # PostgreSQL: one URL for each role, and the sizes of the pools.
    database_url: DatabaseUrl = Field(
        "", repr=False, description="URL of PostgreSQL for the role `<context>_service`, which serves."
    )
    query_database_url: DatabaseUrl = Field(
        "", repr=False, description="URL of PostgreSQL for the role `<context>_query`, which reads."
    )
    database_direct_url: DatabaseUrl = Field(
        "",
        repr=False,
        description="URL of PostgreSQL itself for the role `<context>_service`, where the other URLs lead to "
        "a pooler such as PgBouncer, in transaction mode or any other; empty: they do not.",
    )
    owner_database_url: DatabaseUrl = Field(
        "",
        repr=False,
        description="URL of PostgreSQL for the role `<context>_owner`, for `intent migrate` only.",
    )
    admin_database_url: DatabaseUrl = Field(
        "",
        repr=False,
        description="URL for a role that may create roles: `intent migrate <context> --provision`.",
    )
    service_connection_limit: int = Field(
        0,
        ge=-1,
        description="Most connections of all processes together that `intent migrate <context> --provision` "
        "gives the role `<context>_service`; 0: half of what the server takes, or the limit it has; -1: any.",
    )
    query_connection_limit: int = Field(
        0,
        ge=-1,
        description="The same for the role `<context>_query`; 0: a quarter of what the server takes.",
    )
    database_connections: int = Field(
        4, ge=1, le=100, description="Maximum number of connections for commands and readers of the log."
    )
    projection_connections: int = Field(
        2, ge=1, le=100, description="Maximum number of connections for projections."
    )
    rebuild_connections: int = Field(
        2,
        ge=1,
        le=100,
        description="Maximum connections for rebuilds, closed while none runs; an index that is "
        "built takes one more.",
    )
    consumer_connections: int = Field(
        2, ge=1, le=100, description="Maximum number of connections for the consumers that are served."
    )
    query_connections: int = Field(4, ge=1, le=100, description="Maximum number of connections for queries.")

    # Temporal: the connection.
    temporal_address: str = _unprefixed(
        "TEMPORAL_ADDRESS", "127.0.0.1:7233", "Temporal's frontend, `host:port`."
    )
    temporal_namespace: str = _unprefixed("TEMPORAL_NAMESPACE", "default", "Temporal's namespace.")
    temporal_api_key: str = _unprefixed("TEMPORAL_API_KEY", "", "API key for Temporal.", repr=False)
    temporal_tls: bool = _unprefixed("TEMPORAL_TLS", False, "Speak TLS with Temporal.")
    temporal_tls_client_cert_path: str = _unprefixed(
        "TEMPORAL_TLS_CLIENT_CERT_PATH", "", "File with the client's certificate for Temporal."
    )
    temporal_tls_client_key_path: str = _unprefixed(
        "TEMPORAL_TLS_CLIENT_KEY_PATH", "", "File with the client's private key for Temporal."
    )
    temporal_tls_server_ca_cert_path: str = _unprefixed(
        "TEMPORAL_TLS_SERVER_CA_CERT_PATH",
        "",
        "File with the certificate of Temporal's certificate authority.",
    )
    temporal_tls_server_name: str = _unprefixed(
        "TEMPORAL_TLS_SERVER_NAME", "", "Name to expect in Temporal's certificate."
    )

    # Temporal: Worker Versioning.
    build_id: BuildId = _unprefixed(
        "TEMPORAL_WORKER_BUILD_ID",
        "",
        "Version of the code for Temporal's Worker Versioning; empty: unversioned.",
    )
    deployment_name: DeploymentName = _unprefixed(
        "TEMPORAL_DEPLOYMENT_NAME",
        "",
        "Temporal's worker deployment that the version belongs to; empty: the context's name.",
    )
    pinned_sagas: Words = Field(
        (),
        description="Sagas that stay with the version that started them, separated by commas; `*`: all.",
    )

    # Commands: lanes, batches and the cache of aggregates.
    lanes: int = Field(1, ge=1, le=16, description="Lanes; each has one batch of commands in flight.")
    batch_max_commands: int = Field(256, ge=1, le=1000, description="Maximum number of commands in a batch.")
    batch_max_bytes: int = Field(
        240 * 1024, ge=1024, le=1024 * 1024, description="Maximum size of the commands in a batch, in bytes."
    )
    lane_capacity: int = Field(
        10_000,
        ge=1,
        description="Commands that may wait in a lane; callers of further ones get RESOURCE_EXHAUSTED.",
    )
    lane_max_bytes: int = Field(
        64 * 1024 * 1024,
        ge=1024 * 1024,
        description="Maximum size of the commands that wait in a lane, in bytes. Of this and of the "
        "capacity, a tenant may use a share: all of it divided by the tenants whose commands wait.",
    )
    cached_aggregates: int = Field(
        10_000, ge=0, description="Maximum number of aggregates kept in memory; 0: none."
    )
    cached_aggregates_max_bytes: int = Field(
        256 * 1024 * 1024,
        ge=0,
        description="Maximum size of the states of the aggregates kept in memory, encoded, in bytes.",
    )

    # What handlers may cost.
    handler_timeout: Seconds = Field(
        5.0, description="Longest time that the handler of a command may take, in seconds."
    )
    crash_folder: str = Field(
        "",
        description="Folder that outlives the process, in which it notes what it is working on, for the "
        "process after it to read; empty: a folder of the user in the folder for temporary files.",
    )

    # How long to wait for what is slow or unavailable.
    project_wait: Seconds = Field(2.0, description="Longest wait of a command for read models, in seconds.")
    unavailable_after: Seconds = Field(
        10.0,
        description="Seconds without Temporal or PostgreSQL after which callers get UNAVAILABLE.",
    )
    saga_park_after: float = Field(
        86_400.0,
        ge=0,
        description="Seconds for which something unavailable holds a step of a saga up before the saga is "
        "stuck and an operator may decide; 0: never.",
    )
    drain_timeout: Seconds = Field(
        20.0,
        description="Longest wait for work in flight on SIGTERM, in seconds; keep it below the grace period.",
    )

    # Consumers of the context's events.
    max_consumers_per_tenant: int = Field(
        50, ge=1, description="Consumers that one tenant may have; further ones are refused."
    )
    consumer_days: int = Field(
        30,
        ge=1,
        description="Days after which a consumer without instances is forgotten, unless something is parked.",
    )

    # Other contexts.
    context_addresses: Addresses = Field(
        {},
        description="Addresses of other contexts, for the consumers of their events: "
        "`orders=127.0.0.1:7401,…`.",
    )

    # Who callers are.
    identity_mode: Literal["dev", "token"] = Field(
        "token",
        description="How callers are identified: `dev` trusts plain metadata; `token` requires a token.",
    )
    identity_issuers: Issuers = Field(
        (),
        description="Issuers of tokens: their URLs, separated by commas, or JSON, as in "
        "[Operate](operating.md#identity).",
    )
    identity_audience: Words = Field(
        (), description="Audiences, separated by commas: a token must be for one of them."
    )
    identity_actor_claim: str = Field(
        "sub", min_length=1, description="Claim of a token that names the caller; dots lead into objects."
    )
    identity_actor_prefix: str = Field("user:", description="What is put before that name.")
    identity_tenants_claim: str = Field(
        "tenants", min_length=1, description="Claim with the tenants for which the caller may act."
    )
    identity_roles_claim: str = Field("roles", min_length=1, description="Claim with the caller's roles.")
    identity_any_tenant_role: str = Field(
        "", description="Role that may act for every tenant; empty: none may."
    )
    identity_token_file: str = Field(
        "",
        description="File with the token that the consumers of the context send to the contexts whose events "
        "they take, such as a projected token of Kubernetes; read again when it changes.",
    )
    identity_token_in_plain_text: bool = Field(
        False,
        description="Send it to other machines without TLS, where something else protects the network.",
    )
    identity_workloads: Workloads = Field(
        {},
        description="Clients that are identified by their certificates: JSON of SPIFFE ids with roles, as "
        "in [Operate](operating.md#identity).",
    )
    identity_leeway: float = Field(
        30.0, ge=0, le=300, description="Seconds by which the clocks of issuers may differ."
    )
    identity_refresh: Seconds = Field(
        300.0, description="Time between two looks at the issuers' keys, in seconds."
    )
    dev_roles: Words = Field(
        ("*",), description="Roles of a dev caller that names none, separated by commas; `*`: all roles."
    )

    # The gRPC server and its connections.
    grpc_listeners: int = Field(
        8,
        ge=1,
        le=64,
        description="Number of gRPC servers behind the port, among which connections are spread.",
    )
    grpc_max_message_bytes: int = Field(
        512 * 1024,
        ge=64 * 1024,
        description="Largest request that the server takes in, in bytes; a command may have 256 KiB.",
    )
    grpc_max_calls: int = Field(
        5000, ge=1, description="Calls under way at once, streams included; further ones are refused."
    )
    grpc_max_calls_per_tenant: int = Field(4000, ge=1, description="How many of them may be of one tenant.")
    grpc_max_streams_per_tenant: int = Field(
        3000, ge=1, description="Streams (subscriptions, consumers) that one tenant may have open."
    )
    grpc_max_streams_per_caller: int = Field(
        500, ge=1, description="Streams that one caller (actor) of a tenant may have open."
    )
    grpc_max_anonymous_streams: int = Field(
        500, ge=1, description="Streams of health and reflection, which need no identity, that may be open."
    )
    grpc_reflection: bool = Field(
        True, description="Show the schemas of all methods by server reflection, to callers with an identity."
    )
    grpc_max_connections: int = Field(
        4000, ge=1, description="Open connections, spread over the listeners; further ones are closed."
    )
    grpc_max_streams_per_connection: int = Field(
        2500, ge=1, description="Calls under way on one connection; clients hold back further ones."
    )
    grpc_max_connection_idle: Seconds = Field(
        300.0, description="Time without a call after which a connection is closed, in seconds."
    )
    grpc_max_connection_age: Seconds = Field(
        1800.0,
        description="Age at which a connection is closed, so that callers are spread again, in seconds.",
    )
    grpc_max_connection_age_grace: Seconds = Field(
        60.0, description="Time that calls on such a connection have to finish, in seconds."
    )
    grpc_keepalive_time: Seconds = Field(
        60.0, description="Idle time after which the server pings, in seconds."
    )
    grpc_keepalive_timeout: Seconds = Field(
        20.0, description="Longest wait for the answer to a ping, in seconds."
    )

    # Logs and traces.
    log_level: Literal["debug", "info", "warning", "error"] = Field(
        "info", description="Lowest level that is logged."
    )
    log_format: Literal["json", "console"] = Field(
        "json", description="`json`: one object per line; `console`: for people."
    )
    otlp_endpoint: str = _unprefixed(
        "OTEL_EXPORTER_OTLP_ENDPOINT", "", "Where traces are sent over OTLP; empty: no traces."
    )
    otlp_protocol: Literal["grpc", "http/protobuf"] = _unprefixed(
        "OTEL_EXPORTER_OTLP_PROTOCOL", "grpc", "How OTLP is spoken there: `grpc` or `http/protobuf`."
    )
    trace_ratio: float = Field(
        1.0,
        ge=0.0,
        le=1.0,
        description="Share of traces to record when the caller has not decided, 0 to 1.",
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
        """Let arguments win over variables, and variables over files named by variables."""
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
    """Read the settings from the environment.

    Args:
        overrides: Values by field name, which win over the environment.

    Raises:
        ConfigurationError: A value is invalid; names each variable and how to fix it.
    """
    try:
        return Settings(**overrides)  # type: ignore[arg-type]
    except ValidationError as error:
        raise ConfigurationError(problems_of(error, Settings)) from None
