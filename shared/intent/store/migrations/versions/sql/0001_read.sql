-- Reads snapshots (kind 0), commands (1) and the events after the snapshots (2) in one round trip;
-- i numbers the stream or command asked for. An event's stream version is its own.
create function {schema}.load(s_tenant text[], s_type text[], s_id text[], c_tenant text[], c_id uuid[])
returns table (kind smallint, i bigint, version bigint, type text, schema_version integer, data bytea,
               fingerprint bytea, workflow_id text)
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
    select 0::smallint, w.i, w.version, null::text, w.state_version, w.state, null::bytea, null::text
      from wanted w where w.version is not null
    union all
    select 1::smallint, c.i, k.position, null, null, k.outcome, k.fingerprint, k.workflow_id
      from unnest(c_tenant, c_id) with ordinality c (tenant, id, i) cross join lateral (
          select k.position, k.outcome, k.fingerprint, k.workflow_id from commands k
          where k.tenant = c.tenant and k.command_id = c.id offset 0) k
     where only_tenant is null or c.tenant = only_tenant
    union all
    select 2::smallint, w.i, e.version, e.type, e.schema_version, e.data, null, null
      from wanted w cross join lateral (
          select e.version, e.type, e.schema_version, e.data from events e
          where e.tenant = w.tenant and e.aggregate_type = w.type and e.aggregate_id = w.id
            and e.version > coalesce(w.version, 0)
          order by e.version) e;
end $$;

-- Reads from a position on; a null does not narrow. Each branch is written so that only the index that
-- serves it gives its order: the planner may have no statistics of the table yet.
create function {schema}.read_log(
    after bigint, up_to integer, only_tenant text, only_types text[], only_aggregate_type text,
    only_aggregate_id text, only_correlation text
) returns setof {schema}.events language plpgsql stable {settings} as $$
declare
    bound text := nullif(current_setting('intent.tenant', true), '');
begin
    if bound is not null then
        if only_tenant <> bound then
            return;
        end if;
        only_tenant := bound;
    end if;
    if only_tenant is null then
        return query select * from events e
            where e.position > after
              and (only_types is null or e.type = any (only_types))
              and (only_aggregate_type is null or e.aggregate_type = only_aggregate_type)
              and (only_aggregate_id is null or e.aggregate_id = only_aggregate_id)
              and (only_correlation is null or e.correlation_id = only_correlation)
            order by e.position limit up_to;
    elsif only_aggregate_type is not null and only_aggregate_id is not null then
        -- Within one stream the versions are in the order of the positions.
        return query select * from events e
            where e.tenant = only_tenant and e.aggregate_type = only_aggregate_type
              and e.aggregate_id = only_aggregate_id and e.position > after
              and (only_types is null or e.type = any (only_types))
              and (only_correlation is null or e.correlation_id = only_correlation)
            order by e.version limit up_to;
    elsif only_correlation is not null then
        return query select * from events e
            where e.tenant = only_tenant and (e.correlation_id, e.position) > (only_correlation, after)
              and e.correlation_id <= only_correlation
              and (only_types is null or e.type = any (only_types))
              and (only_aggregate_type is null or e.aggregate_type = only_aggregate_type)
              and (only_aggregate_id is null or e.aggregate_id = only_aggregate_id)
            order by e.correlation_id, e.position limit up_to;
    else
        return query select * from events e
            where (e.tenant, e.position) > (only_tenant, after) and e.tenant <= only_tenant
              and (only_types is null or e.type = any (only_types))
              and (only_aggregate_type is null or e.aggregate_type = only_aggregate_type)
              and (only_aggregate_id is null or e.aggregate_id = only_aggregate_id)
            order by e.tenant, e.position limit up_to;
    end if;
end $$;

create function {schema}.read_positions(positions bigint[]) returns setof {schema}.events
language plpgsql stable {settings} as $$
declare
    only_tenant text := nullif(current_setting('intent.tenant', true), '');
begin
    return query select * from events e
        where e.position = any (positions) and (only_tenant is null or e.tenant = only_tenant)
        order by e.position;
end $$;

create function {schema}.read_stream(
    of_tenant text, of_type text, of_id text, after bigint, up_to integer
) returns setof {schema}.events language plpgsql stable {settings} as $$
begin
    if of_tenant <> nullif(current_setting('intent.tenant', true), '') then
        return;
    end if;
    return query select * from events e
        where e.tenant = of_tenant and e.aggregate_type = of_type and e.aggregate_id = of_id and e.version > after
        order by e.version limit up_to;
end $$;

create function {schema}.log_position() returns bigint language plpgsql stable {settings} as $$
begin
    return (select position from head);
end $$;
