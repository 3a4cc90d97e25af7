create table {schema}.consumers (
    tenant text collate "C" not null,
    name text collate "C" not null,
    partitions integer not null check (partitions > 0),
    types text[] not null,
    revision bigint not null default 0,
    created_at timestamptz not null default clock_timestamp(),
    primary key (tenant, name)
) with (fillfactor = 70);
comment on table {schema}.consumers is
    'The consumers of other services; the tenant * stands for all. Types are those that were asked for last; the revision moves with each change of members, free partitions or parked streams.';

create table {schema}.consumer_workers (
    worker uuid primary key,
    name text not null,
    expires_at timestamptz not null
) with (fillfactor = 50);
comment on table {schema}.consumer_workers is
    'The processes that serve consumers; one that does not renew in time loses all its instances.';

create table {schema}.consumer_instances (
    instance uuid primary key,
    worker uuid not null references {schema}.consumer_workers (worker) on delete cascade,
    tenant text collate "C" not null,
    consumer text collate "C" not null,
    joined_at timestamptz not null default clock_timestamp(),
    foreign key (tenant, consumer) references {schema}.consumers (tenant, name) on delete cascade
);
create index consumer_instances_of on {schema}.consumer_instances (tenant, consumer, joined_at, instance);
create index consumer_instances_by_worker on {schema}.consumer_instances (worker);
comment on table {schema}.consumer_instances is 'Who shares the work of a consumer now.';

create table {schema}.consumer_partitions (
    tenant text collate "C" not null,
    consumer text collate "C" not null,
    "partition" integer not null,
    epoch bigint not null default 0,
    instance uuid references {schema}.consumer_instances (instance) on delete set null,
    checkpoint bigint not null,
    primary key (tenant, consumer, "partition"),
    foreign key (tenant, consumer) references {schema}.consumers (tenant, name) on delete cascade
) with (fillfactor = 50);
create index consumer_partitions_by_instance on {schema}.consumer_partitions (instance);
comment on table {schema}.consumer_partitions is
    'The parts of a consumer''s work. All events of a part up to its checkpoint are dealt with, or in consumer_streams.';

create table {schema}.consumer_streams (
    consumer_tenant text collate "C" not null,
    consumer text collate "C" not null,
    tenant text collate "C" not null,
    aggregate_type text collate "C" not null,
    aggregate_id text collate "C" not null,
    "partition" integer not null,
    version bigint not null,
    "position" bigint not null,
    attempts integer not null,
    error text not null,
    retry_at timestamptz not null,
    parked_at timestamptz,
    primary key (consumer_tenant, consumer, tenant, aggregate_type, aggregate_id),
    foreign key (consumer_tenant, consumer) references {schema}.consumers (tenant, name) on delete cascade
) with (fillfactor = 70);
comment on table {schema}.consumer_streams is
    'Streams that were set aside: their events from version on are not dealt with, whatever the checkpoint says.';

create table {schema}.consumer_drops (
    consumer_tenant text collate "C" not null,
    consumer text collate "C" not null,
    "position" bigint not null,
    tenant text collate "C" not null,
    aggregate_type text collate "C" not null,
    aggregate_id text collate "C" not null,
    attempts integer not null,
    error text not null,
    reason text not null,
    actor text not null,
    dropped_at timestamptz not null default clock_timestamp(),
    primary key (consumer_tenant, consumer, "position"),
    foreign key (consumer_tenant, consumer) references {schema}.consumers (tenant, name) on delete cascade
);
comment on table {schema}.consumer_drops is 'Parked events that somebody gave up, and why.';
