-- Reads snapshots (kind 0), commands (1) and the events after the snapshots (2) in one round trip, as
-- load_page does and as cheaply as load: nothing is summed up. The bytes stay within the same bounds because
-- data is null where an event has more than its share of the page; whoever meets one calls load_page. Of each
-- stream at most up_to events are read. Versions have no gaps, so the one at which that many are read is
-- known; there `reaches` is the stream's version. i numbers the stream or command.
create function {schema}.load{suffix}(
    s_tenant text[], s_type text[], s_id text[], c_tenant text[], c_id uuid[], up_to integer, most_bytes bigint)
returns table (kind smallint, i bigint, version bigint, type text, schema_version integer, data bytea,
               fingerprint bytea, workflow_id text, reaches bigint)
language plpgsql stable {settings} as $$
declare
    only_tenant text := nullif(current_setting('intent.tenant', true), '');
    share bigint := most_bytes / up_to;
begin
    return query
    with wanted as materialized (
        select s.i, s.tenant, s.type, s.id, n.version, n.state_version, n.state
          from unnest(s_tenant, s_type, s_id) with ordinality s (tenant, type, id, i)
          left join lateral (
              select n.version, n.state_version, n.state from snapshots n
              where n.tenant = s.tenant and n.aggregate_type = s.type and n.aggregate_id = s.id offset 0) n on true
         where only_tenant is null or s.tenant = only_tenant
    )
    select 0::smallint, w.i, w.version, null::text, w.state_version, w.state, null::bytea, null::text, null::bigint
      from wanted w where w.version is not null
    union all
    select 1::smallint, c.i, k.position, null, null, k.outcome, k.fingerprint, k.workflow_id, null
      from unnest(c_tenant, c_id) with ordinality c (tenant, id, i) cross join lateral (
          select k.position, k.outcome, k.fingerprint, k.workflow_id from commands k
          where k.tenant = c.tenant and k.command_id = c.id offset 0) k
     where only_tenant is null or c.tenant = only_tenant
    union all
    select 2::smallint, w.i, e.version, e.type, e.schema_version,
           case when octet_length(e.data) <= share then e.data end, null, null,
           case when e.version = coalesce(w.version, 0) + up_to then (
               select l.version from events l
               where l.tenant = w.tenant and l.aggregate_type = w.type and l.aggregate_id = w.id
               order by l.version desc limit 1) end
      from wanted w cross join lateral (
          select e.version, e.type, e.schema_version, e.data from events e
          where e.tenant = w.tenant and e.aggregate_type = w.type and e.aggregate_id = w.id
            and e.version > coalesce(w.version, 0)
          order by e.version limit up_to) e;
end $$;
