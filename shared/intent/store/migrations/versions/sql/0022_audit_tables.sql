create table {schema}.audit_head (
    id smallint primary key default 1 check (id = 1),
    position bigint not null
) with (fillfactor = 10);
insert into {schema}.audit_head (position) values (0);

create table {schema}.audit (
    position bigint primary key,
    tenant text collate "C" not null,
    kind text not null check (kind in ('action', 'refusal')),
    method text not null,
    actor text not null,
    peer text not null,
    reason text not null,
    target text not null,
    correlation_id text not null,
    times integer not null check (times > 0),
    since timestamptz not null,
    recorded_at timestamptz not null
);
-- One for each way to look for entries: kinds, callers and tenants differ most in how many entries they have.
create index audit_kind on {schema}.audit (kind, position);
create index audit_actor on {schema}.audit (actor, position);
create index audit_tenant on {schema}.audit (tenant, position);
create index audit_recorded on {schema}.audit (recorded_at, position);
comment on table {schema}.audit is
    'Who did, or was refused, what: gapless positions in commit order. Nothing is ever changed or removed.';

-- Only through functions: a tenant's own code has no business here, whatever its role sees elsewhere.
alter table {schema}.audit enable row level security;
alter table {schema}.audit force row level security;
create policy all_tenants on {schema}.audit to {log} using (true) with check (true);
grant select, insert on {schema}.audit to {log};
grant select, update on {schema}.audit_head to {log};
revoke update, delete, truncate on {schema}.audit from {owner};
create trigger append_only before update or delete or truncate on {schema}.audit
    for each statement execute function {schema}.log_append_only();
