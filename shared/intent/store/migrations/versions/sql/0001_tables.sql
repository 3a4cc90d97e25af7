-- One row: the position of the last entry. Whoever appends holds its lock until the commit.
create table {schema}.head (
    id smallint primary key default 1 check (id = 1),
    position bigint not null
) with (fillfactor = 10);
insert into {schema}.head (position) values (0);

create table {schema}.events (
    position bigint primary key,
    tenant text collate "C" not null,
    aggregate_type text collate "C" not null,
    aggregate_id text collate "C" not null,
    version bigint not null check (version > 0),
    event_id uuid not null,
    type text not null,
    schema_version integer not null,
    data bytea not null,
    command_id uuid not null,
    correlation_id text collate "C" not null,
    causation_id text not null,
    actor text not null,
    traceparent text not null,
    recorded_at timestamptz not null,
    constraint events_stream unique (tenant, aggregate_type, aggregate_id, version)
);
comment on table {schema}.events is
    'The log: gapless positions in commit order. A stream''s version is that of its last event.';
create index events_tenant on {schema}.events (tenant, position);
create index events_correlation on {schema}.events (tenant, correlation_id, position);

create table {schema}.commands (
    tenant text collate "C" not null,
    command_id uuid not null,
    fingerprint bytea not null,
    aggregate_type text collate "C" not null,
    aggregate_id text collate "C" not null,
    outcome bytea not null,
    position bigint not null,
    workflow_id text not null,
    recorded_at timestamptz not null,
    primary key (tenant, command_id)
);
comment on table {schema}.commands is
    'Each command''s outcome, written in the transaction of its events; a repeat gets it again.';

create table {schema}.snapshots (
    tenant text collate "C" not null,
    aggregate_type text collate "C" not null,
    aggregate_id text collate "C" not null,
    version bigint not null check (version > 0),
    state_version integer not null,
    state bytea not null,
    primary key (tenant, aggregate_type, aggregate_id)
) with (fillfactor = 80);
comment on table {schema}.snapshots is
    'The newest snapshot of each stream that has one.';
