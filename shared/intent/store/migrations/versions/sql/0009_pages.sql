-- Reads snapshots (kind 0), commands (1) and the events after the snapshots (2) in one round trip, like
-- load, but of each stream at most up_to events, and no further one once they have most_bytes. Where there
-- are more, the last one tells the stream's version in `reaches`; i numbers the stream or command.
create function {schema}.load_page(
    s_tenant text[], s_type text[], s_id text[], c_tenant text[], c_id uuid[], up_to integer, most_bytes bigint)
returns table (kind smallint, i bigint, version bigint, type text, schema_version integer, data bytea,
               fingerprint bytea, workflow_id text, reaches bigint)
language plpgsql stable {settings} as $$
declare
    only_tenant text := nullif(current_setting('intent.tenant', true), '');
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
    select 2::smallint, w.i, e.version, e.type, e.schema_version, e.data, null, null,
           case when e.followed and (e.n = up_to or e.size >= most_bytes) then (
               select l.version from events l
               where l.tenant = w.tenant and l.aggregate_type = w.type and l.aggregate_id = w.id
               order by l.version desc limit 1) end
      from wanted w cross join lateral (
          select p.version, p.type, p.schema_version, p.data, row_number() over page as n,
                 sum(octet_length(p.data)) over page as size, lead(p.version) over page is not null as followed
            from (
                select e.version, e.type, e.schema_version, e.data from events e
                where e.tenant = w.tenant and e.aggregate_type = w.type and e.aggregate_id = w.id
                  and e.version > coalesce(w.version, 0)
                order by e.version limit up_to + 1) p
          window page as (order by p.version) order by p.version) e
     where e.n <= up_to and (e.n = 1 or e.size - octet_length(e.data) < most_bytes);
end $$;

-- Keeps a snapshot that was made by reading, unless there is one of a later state or a later version.
create function {schema}.keep_snapshot(
    of_tenant text, of_type text, of_id text, of_version bigint, of_state_version integer, of_state bytea
) returns void language plpgsql volatile {settings} as $$
begin
    if of_tenant <> nullif(current_setting('intent.tenant', true), '') then
        raise insufficient_privilege using
            message = 'this connection is bound to one tenant and may not write for another';
    end if;
    insert into snapshots as kept (tenant, aggregate_type, aggregate_id, version, state_version, state)
    values (of_tenant, of_type, of_id, of_version, of_state_version, of_state)
        on conflict (tenant, aggregate_type, aggregate_id) do update
           set version = excluded.version, state_version = excluded.state_version, state = excluded.state
         where (kept.state_version, kept.version) < (excluded.state_version, excluded.version);
end $$;
