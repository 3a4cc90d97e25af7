-- The functions that return entries of the log, created once for each shape of an entry that a process may
-- still ask for; those of the releases before this revision have names without a suffix.

-- Reads from a position on; a null does not narrow. Each branch is written so that only the index that
-- serves it gives its order: the planner may have no statistics of the table yet.
create function {schema}.read_log{suffix}(
    after bigint, up_to integer, only_tenant text, only_types text[], only_aggregate_type text,
    only_aggregate_id text, only_correlation text
) returns setof {schema}.entries_{shape} language plpgsql stable {settings} as $$
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
        return query select * from entries_{shape} e
            where e.position > after
              and (only_types is null or e.type = any (only_types))
              and (only_aggregate_type is null or e.aggregate_type = only_aggregate_type)
              and (only_aggregate_id is null or e.aggregate_id = only_aggregate_id)
              and (only_correlation is null or e.correlation_id = only_correlation)
            order by e.position limit up_to;
    elsif only_aggregate_type is not null and only_aggregate_id is not null then
        -- Within one stream the versions are in the order of the positions.
        return query select * from entries_{shape} e
            where e.tenant = only_tenant and e.aggregate_type = only_aggregate_type
              and e.aggregate_id = only_aggregate_id and e.position > after
              and (only_types is null or e.type = any (only_types))
              and (only_correlation is null or e.correlation_id = only_correlation)
            order by e.version limit up_to;
    elsif only_correlation is not null then
        return query select * from entries_{shape} e
            where e.tenant = only_tenant and (e.correlation_id, e.position) > (only_correlation, after)
              and e.correlation_id <= only_correlation
              and (only_types is null or e.type = any (only_types))
              and (only_aggregate_type is null or e.aggregate_type = only_aggregate_type)
              and (only_aggregate_id is null or e.aggregate_id = only_aggregate_id)
            order by e.correlation_id, e.position limit up_to;
    else
        return query select * from entries_{shape} e
            where (e.tenant, e.position) > (only_tenant, after) and e.tenant <= only_tenant
              and (only_types is null or e.type = any (only_types))
              and (only_aggregate_type is null or e.aggregate_type = only_aggregate_type)
              and (only_aggregate_id is null or e.aggregate_id = only_aggregate_id)
            order by e.tenant, e.position limit up_to;
    end if;
end $$;

create function {schema}.read_positions{suffix}(positions bigint[]) returns setof {schema}.entries_{shape}
language plpgsql stable {settings} as $$
declare
    only_tenant text := nullif(current_setting('intent.tenant', true), '');
begin
    return query select * from entries_{shape} e
        where e.position = any (positions) and (only_tenant is null or e.tenant = only_tenant)
        order by e.position;
end $$;

create function {schema}.read_stream{suffix}(
    of_tenant text, of_type text, of_id text, after bigint, up_to integer
) returns setof {schema}.entries_{shape} language plpgsql stable {settings} as $$
begin
    if of_tenant <> nullif(current_setting('intent.tenant', true), '') then
        return;
    end if;
    return query select * from entries_{shape} e
        where e.tenant = of_tenant and e.aggregate_type = of_type and e.aggregate_id = of_id and e.version > after
        order by e.version limit up_to;
end $$;

-- Reads the events of some partitions in a range of the log, up to a limit.
create function {schema}.consumer_read{suffix}(
    after bigint, up_to bigint, most integer, only_tenant text, only_types text[], total integer,
    partitions integer[]
) returns setof {schema}.entries_{shape} language plpgsql stable {settings} as $$
declare
    whole boolean := cardinality(partitions) = total;
begin
    perform consumer_guard(coalesce(only_tenant, '*'));
    if only_tenant is null then
        return query select * from entries_{shape} e
            where e.position > after and e.position <= up_to
              and (only_types is null or e.type = any (only_types))
              and (whole or partition_of(e.tenant, e.aggregate_type, e.aggregate_id, total) = any (partitions))
            order by e.position limit most;
    else
        return query select * from entries_{shape} e
            where (e.tenant, e.position) > (only_tenant, after) and (e.tenant, e.position) <= (only_tenant, up_to)
              and (only_types is null or e.type = any (only_types))
              and (whole or partition_of(e.tenant, e.aggregate_type, e.aggregate_id, total) = any (partitions))
            order by e.tenant, e.position limit most;
    end if;
end $$;

-- Lists parked events: those that failed, and those that wait behind them.
create function {schema}.consumer_parked{suffix}(
    only_tenant text, only_consumer text, only_type text, only_id text, only_position bigint, most integer
) returns table (consumer_tenant text, consumer text, attempts integer, error text, parked_at timestamptz,
                 event {schema}.entries_{shape})
language plpgsql stable {settings} as $$
#variable_conflict use_column
begin
    perform consumer_guard(coalesce(only_tenant, '*'));
    return query
    select s.consumer_tenant, s.consumer,
           case when (e.event).position = s.position then s.attempts else 0 end,
           case when (e.event).position = s.position then s.error else '' end,
           greatest(s.parked_at, (e.event).recorded_at), e.event
    from consumer_streams s
    join consumers c on c.tenant = s.consumer_tenant and c.name = s.consumer
    cross join lateral (
        select l as event from entries_{shape} l
        where l.tenant = s.tenant and l.aggregate_type = s.aggregate_type and l.aggregate_id = s.aggregate_id
          and l.version >= s.version and (cardinality(c.types) = 0 or l.type = any (c.types))
          and (only_position is null or l.position = only_position)
          and not exists (
              select from consumer_drops d where d.consumer_tenant = s.consumer_tenant
                and d.consumer = s.consumer and d.position = l.position)
        order by l.version limit most) e
    where s.parked_at is not null
      and (only_tenant is null or s.consumer_tenant = only_tenant)
      and (only_consumer is null or s.consumer = only_consumer)
      and (only_type is null or s.aggregate_type = only_type)
      and (only_id is null or s.aggregate_id = only_id)
    order by s.consumer_tenant, s.consumer, s.tenant, s.aggregate_type, s.aggregate_id,
        (e.event).version limit most;
end $$;
