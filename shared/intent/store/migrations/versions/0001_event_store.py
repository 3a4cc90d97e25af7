"""The event store: log, streams, commands, snapshots, and the functions that alone write them.

Revision ID: 0001
"""

from __future__ import annotations

from intent.store.migrations.script import run_script

revision = "0001"
down_revision = None
branch_labels = None
depends_on = None

TABLES = """
create table {schema}.head (
    id smallint primary key default 1 check (id = 1),
    position bigint not null
) with (fillfactor = 50);
insert into {schema}.head (position) values (0);

create table {schema}.streams (
    tenant text not null,
    aggregate_type text not null,
    aggregate_id text not null,
    version bigint not null check (version > 0),
    primary key (tenant, aggregate_type, aggregate_id)
) with (fillfactor = 80);

create table {schema}.events (
    position bigint primary key,
    tenant text not null,
    aggregate_type text not null,
    aggregate_id text not null,
    version bigint not null,
    event_id uuid not null,
    type text not null,
    schema_version integer not null,
    data bytea not null,
    command_id uuid not null,
    correlation_id text not null,
    causation_id text not null,
    actor text not null,
    traceparent text not null,
    recorded_at timestamptz not null,
    unique (tenant, aggregate_type, aggregate_id, version)
);
create index events_correlation on {schema}.events (tenant, correlation_id);

create table {schema}.commands (
    tenant text not null,
    command_id uuid not null,
    fingerprint bytea not null,
    aggregate_type text not null,
    aggregate_id text not null,
    outcome bytea not null,
    position bigint not null,
    workflow_id text not null,
    recorded_at timestamptz not null,
    primary key (tenant, command_id)
);

create table {schema}.snapshots (
    tenant text not null,
    aggregate_type text not null,
    aggregate_id text not null,
    version bigint not null,
    state_version integer not null,
    state bytea not null,
    primary key (tenant, aggregate_type, aggregate_id)
);
"""

APPEND = """
create function {schema}.append(
    g_tenant text[], g_type text[], g_id text[], g_expected bigint[], g_new bigint[],
    c_group integer[], c_id uuid[], c_fingerprint bytea[], c_outcome bytea[], c_events integer[],
    c_correlation text[], c_causation text[], c_actor text[], c_traceparent text[], c_workflow text[],
    e_command integer[], e_version bigint[], e_id uuid[], e_type text[], e_schema integer[], e_data bytea[],
    s_group integer[], s_version bigint[], s_state_version integer[], s_state bytea[],
    out base bigint,
    out failed_group integer[], out failed_version bigint[],
    out d_command integer[], out d_id uuid[], out d_fingerprint bytea[], out d_outcome bytea[],
    out d_position bigint[], out d_workflow text[]
) language plpgsql security definer set search_path = {schema}, pg_temp
  set plan_cache_mode = force_generic_plan as $$
declare
    only_tenant text := nullif(current_setting('intent.tenant', true), '');
    added bigint;
begin
    if only_tenant is not null and exists (select from unnest(g_tenant) t where t <> only_tenant) then
        raise insufficient_privilege using
            message = 'this connection is bound to one tenant and may not write for another';
    end if;

    -- The one lock: whoever holds it is alone until its commit, so that positions are gapless, their
    -- order is the commit order, what is read below is exact, and appends cannot deadlock.
    select position into strict base from head for update;

    select array_agg(c.i order by c.i), array_agg(k.command_id order by c.i),
           array_agg(k.fingerprint order by c.i), array_agg(k.outcome order by c.i),
           array_agg(k.position order by c.i), array_agg(k.workflow_id order by c.i)
      into d_command, d_id, d_fingerprint, d_outcome, d_position, d_workflow
      from unnest(c_group, c_id) with ordinality as c(g, id, i)
      join commands k on k.tenant = g_tenant[c.g] and k.command_id = c.id;

    select array_agg(g.i order by g.i), array_agg(coalesce(s.version, 0) order by g.i)
      into failed_group, failed_version
      from unnest(g_tenant, g_type, g_id, g_expected) with ordinality as g(tenant, type, id, expected, i)
      left join streams s on s.tenant = g.tenant and s.aggregate_type = g.type and s.aggregate_id = g.id
     where coalesce(s.version, 0) <> g.expected
        or exists (select from unnest(d_command) d(i) where c_group[d.i] = g.i);
    failed_group := coalesce(failed_group, '{{}}');

    insert into streams (tenant, aggregate_type, aggregate_id, version)
    select g.tenant, g.type, g.id, g.new
      from unnest(g_tenant, g_type, g_id, g_expected, g_new) with ordinality as g(tenant, type, id, expected, new, i)
     where g.new > g.expected and g.i <> all (failed_group)
        on conflict (tenant, aggregate_type, aggregate_id) do update set version = excluded.version;

    insert into commands (tenant, command_id, fingerprint, aggregate_type, aggregate_id, outcome, position,
                          workflow_id, recorded_at)
    select g_tenant[c.g], c.id, c.fingerprint, g_type[c.g], g_id[c.g], c.outcome,
           base + sum(c.events) over (order by c.i), c.workflow, clock_timestamp()
      from unnest(c_group, c_id, c_fingerprint, c_outcome, c_events, c_workflow) with ordinality
           as c(g, id, fingerprint, outcome, events, workflow, i)
     where c.g <> all (failed_group);

    insert into events (position, tenant, aggregate_type, aggregate_id, version, event_id, type, schema_version,
                        data, command_id, correlation_id, causation_id, actor, traceparent, recorded_at)
    select base + row_number() over (order by e.i), g_tenant[c_group[e.c]], g_type[c_group[e.c]],
           g_id[c_group[e.c]], e.version, e.id, e.type, e.schema, e.data, c_id[e.c], c_correlation[e.c],
           c_causation[e.c], c_actor[e.c], c_traceparent[e.c], clock_timestamp()
      from unnest(e_command, e_version, e_id, e_type, e_schema, e_data) with ordinality
           as e(c, version, id, type, schema, data, i)
     where c_group[e.c] <> all (failed_group);
    get diagnostics added = row_count;

    if cardinality(s_group) > 0 then
        insert into snapshots (tenant, aggregate_type, aggregate_id, version, state_version, state)
        select g_tenant[s.g], g_type[s.g], g_id[s.g], s.version, s.state_version, s.state
          from unnest(s_group, s_version, s_state_version, s_state) as s(g, version, state_version, state)
         where s.g <> all (failed_group)
            on conflict (tenant, aggregate_type, aggregate_id) do update
               set version = excluded.version, state_version = excluded.state_version, state = excluded.state;
    end if;

    if added > 0 then
        update head set position = position + added;
    end if;
end $$;
"""

READ = """
create function {schema}.load(s_tenant text[], s_type text[], s_id text[], c_tenant text[], c_id uuid[])
returns table (kind smallint, i bigint, version bigint, type text, schema_version integer, data bytea,
               fingerprint bytea, workflow_id text)
language sql stable security definer set search_path = {schema}, pg_temp
set plan_cache_mode = force_generic_plan as $$
    with wanted as materialized (
        select w.i, w.tenant, w.type, w.id, s.version, n.version as snapped, n.state_version, n.state
          from unnest(s_tenant, s_type, s_id) with ordinality as w(tenant, type, id, i)
          join streams s on s.tenant = w.tenant and s.aggregate_type = w.type and s.aggregate_id = w.id
          left join snapshots n
            on n.tenant = w.tenant and n.aggregate_type = w.type and n.aggregate_id = w.id
         where {own_w}
    )
    select 0::smallint, w.i, w.version, null::text, null::integer, null::bytea, null::bytea, null::text
      from wanted w
    union all
    select 1::smallint, w.i, w.snapped, null, w.state_version, w.state, null, null
      from wanted w where w.snapped is not null
    union all
    select 2::smallint, c.i, k.position, null, null, k.outcome, k.fingerprint, k.workflow_id
      from unnest(c_tenant, c_id) with ordinality as c(tenant, id, i)
      join commands k on k.tenant = c.tenant and k.command_id = c.id
     where {own_c}
    union all
    (select 3::smallint, w.i, e.version, e.type, e.schema_version, e.data, null, null
       from wanted w
      cross join lateral (
            select e.version, e.type, e.schema_version, e.data
              from events e
             where e.tenant = w.tenant and e.aggregate_type = w.type and e.aggregate_id = w.id
               and e.version > coalesce(w.snapped, 0) and e.version <= w.version
             order by e.version) e)
$$;

create function {schema}.read_log(
    after bigint, up_to integer, only_tenant text, only_types text[], only_aggregate_type text,
    only_aggregate_id text, only_correlation text
) returns setof {schema}.events
language plpgsql stable security definer set search_path = {schema}, pg_temp as $$
declare
    bound text := nullif(current_setting('intent.tenant', true), '');
begin
    if bound is not null and only_tenant is distinct from bound then
        only_tenant := bound;
    end if;
    if only_correlation is not null and only_tenant is not null then
        return query select * from events e
          where e.tenant = only_tenant and e.correlation_id = only_correlation and e.position > after
            and (only_types is null or e.type = any (only_types))
            and (only_aggregate_type is null or e.aggregate_type = only_aggregate_type)
            and (only_aggregate_id is null or e.aggregate_id = only_aggregate_id)
          order by e.position limit up_to;
    elsif only_tenant is null and only_types is null and only_aggregate_type is null
          and only_aggregate_id is null and only_correlation is null then
        return query select * from events e where e.position > after order by e.position limit up_to;
    else
        return query select * from events e
          where e.position > after
            and (only_tenant is null or e.tenant = only_tenant)
            and (only_types is null or e.type = any (only_types))
            and (only_aggregate_type is null or e.aggregate_type = only_aggregate_type)
            and (only_aggregate_id is null or e.aggregate_id = only_aggregate_id)
            and (only_correlation is null or e.correlation_id = only_correlation)
          order by e.position limit up_to;
    end if;
end $$;

create function {schema}.read_positions(positions bigint[]) returns setof {schema}.events
language sql stable security definer set search_path = {schema}, pg_temp as $$
    select * from events e where e.position = any (positions) and {own_e} order by e.position
$$;

create function {schema}.read_stream(
    of_tenant text, of_type text, of_id text, after bigint, up_to integer
) returns setof {schema}.events
language sql stable security definer set search_path = {schema}, pg_temp as $$
    select * from events e
     where e.tenant = of_tenant and e.aggregate_type = of_type and e.aggregate_id = of_id
       and e.version > after and {own_e}
     order by e.version limit up_to
$$;

create function {schema}.log_position() returns bigint
language sql stable security definer set search_path = {schema}, pg_temp as $$
    select position from head
$$;
"""

SECURITY = """
alter table {schema}.{table} enable row level security;
alter table {schema}.{table} force row level security;
create policy own_tenant on {schema}.{table}
    using (tenant = current_setting('intent.tenant', true))
    with check (tenant = current_setting('intent.tenant', true));
create policy log_of_all on {schema}.{table} to {log} using (true) with check (true);
grant select, insert, update, delete on {schema}.{table} to {log};
grant select on {schema}.{table} to {service}, {query};
"""

FUNCTIONS = ("append", "load", "read_log", "read_positions", "read_stream", "log_position")


def upgrade() -> None:
    """Creates the tables, their row security and the functions."""
    run_script(TABLES)
    run_script("grant usage on schema {schema} to {log}, {service}, {query}, {projector}")
    run_script("grant select, update on {schema}.head to {log}")
    for table in ("streams", "events", "commands", "snapshots"):
        run_script(SECURITY, table=table)
    run_script(APPEND)
    run_script(
        READ,
        own_w="coalesce(nullif(current_setting('intent.tenant', true), ''), w.tenant) = w.tenant",
        own_c="coalesce(nullif(current_setting('intent.tenant', true), ''), c.tenant) = c.tenant",
        own_e="coalesce(nullif(current_setting('intent.tenant', true), ''), e.tenant) = e.tenant",
    )
    run_script("grant create on schema {schema} to {log}")
    for function in FUNCTIONS:
        run_script("alter function {schema}.{function} owner to {log}", function=function)
        run_script("revoke all on function {schema}.{function} from public", function=function)
        run_script("grant execute on function {schema}.{function} to {service}", function=function)
    run_script("revoke create on schema {schema} from {log}")


def downgrade() -> None:
    """Refuses: the log is the truth, and nothing may drop it."""
    raise NotImplementedError("the event store is not taken back; restore a backup instead")
