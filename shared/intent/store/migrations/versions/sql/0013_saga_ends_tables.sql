create table {schema}.saga_ends (
    tenant text collate "C" not null,
    saga text collate "C" not null,
    status integer not null,
    started_at timestamptz not null,
    ended_at timestamptz not null,
    ended_by text not null,
    reason text not null,
    primary key (tenant, saga)
);
comment on table {schema}.saga_ends is
    'The sagas of this context that are over, by the ids of their workflows: none of them begins again, whatever Temporal has forgotten. The status is one of intent.v1.SagaStatus.';

create table {schema}.saga_ends_known (
    only_row boolean primary key default true check (only_row),
    up_to timestamptz not null
);
comment on table {schema}.saga_ends_known is
    'Up to when all ends that Temporal knows of are in saga_ends.';
grant select, insert, update on {schema}.saga_ends_known to {log};
