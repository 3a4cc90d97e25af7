-- Lists the consumers of a tenant; without a tenant, all of them.
create function {schema}.consumer_list(only_tenant text)
returns table (tenant text, name text, "position" bigint, head bigint, instances integer, parked integer)
language plpgsql stable {settings} as $$
#variable_conflict use_column
begin
    perform consumer_guard(coalesce(only_tenant, '*'));
    return query select c.tenant, c.name,
        least((select min(p.checkpoint) from consumer_partitions p where p.tenant = c.tenant and p.consumer = c.name),
              (select min(s.position) - 1 from consumer_streams s
               where s.consumer_tenant = c.tenant and s.consumer = c.name and s.parked_at is null)),
        (select h.position from head h),
        (select count(*)::integer from consumer_instances i where i.tenant = c.tenant and i.consumer = c.name),
        (select count(*)::integer from consumer_streams s
         where s.consumer_tenant = c.tenant and s.consumer = c.name and s.parked_at is not null)
        from consumers c where only_tenant is null or c.tenant = only_tenant order by c.tenant, c.name;
end $$;

-- Lists parked events: those that failed, and those that wait behind them.
create function {schema}.consumer_parked(
    only_tenant text, only_consumer text, only_type text, only_id text, only_position bigint, most integer
) returns table (consumer_tenant text, consumer text, attempts integer, error text, parked_at timestamptz,
                 event {schema}.events)
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
        select l as event from events l
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

-- Makes a parked stream be delivered again. Returns the number of its events; null when it is not parked.
create function {schema}.consumer_replay(
    p_tenant text, p_consumer text, of_tenant text, of_type text, of_id text
) returns integer language plpgsql volatile {settings} as $$
declare
    since bigint;
begin
    perform consumer_guard(p_tenant);
    update consumer_streams s set parked_at = null, attempts = 0, retry_at = clock_timestamp()
        where s.consumer_tenant = p_tenant and s.consumer = p_consumer and s.tenant = of_tenant
          and s.aggregate_type = of_type and s.aggregate_id = of_id and s.parked_at is not null
        returning s.version into since;
    if not found then
        return null;
    end if;
    perform consumer_changed(p_tenant, p_consumer);
    return (select count(*)::integer from events e, consumers c
        where c.tenant = p_tenant and c.name = p_consumer
          and e.tenant = of_tenant and e.aggregate_type = of_type and e.aggregate_id = of_id
          and e.version >= since and (cardinality(c.types) = 0 or e.type = any (c.types))
          and not exists (
              select from consumer_drops d where d.consumer_tenant = p_tenant
                and d.consumer = p_consumer and d.position = e.position));
end $$;

-- Gives up a parked event; when it is the one that failed, the rest of its stream is delivered. False when
-- it is not parked.
create function {schema}.consumer_drop(
    p_tenant text, p_consumer text, p_position bigint, p_reason text, p_actor text
) returns boolean language plpgsql volatile {settings} as $$
declare
    given events%rowtype;
    parked consumer_streams%rowtype;
    failed boolean;
begin
    perform consumer_guard(p_tenant);
    select * into given from events e where e.position = p_position;
    select * into parked from consumer_streams s
        where s.consumer_tenant = p_tenant and s.consumer = p_consumer and s.tenant = given.tenant
          and s.aggregate_type = given.aggregate_type and s.aggregate_id = given.aggregate_id
          and s.parked_at is not null and s.version <= given.version
          and exists (
              select from consumers c where c.tenant = p_tenant and c.name = p_consumer
                and (cardinality(c.types) = 0 or given.type = any (c.types)))
        for update;
    if not found then
        return false;
    end if;
    failed := parked.position = p_position;
    insert into consumer_drops values (
        p_tenant, p_consumer, p_position, given.tenant, given.aggregate_type, given.aggregate_id,
        case when failed then parked.attempts else 0 end, case when failed then parked.error else '' end,
        p_reason, p_actor) on conflict do nothing;
    if not found then
        return false;
    end if;
    if failed then
        update consumer_streams s set version = given.version + 1, "position" = p_position + 1, attempts = 0,
            error = '', retry_at = clock_timestamp(), parked_at = null
            where s.consumer_tenant = p_tenant and s.consumer = p_consumer and s.tenant = given.tenant
              and s.aggregate_type = given.aggregate_type and s.aggregate_id = given.aggregate_id;
        perform consumer_changed(p_tenant, p_consumer);
    end if;
    return true;
end $$;

-- Removes a consumer and all its data; false while it has instances, null when it does not exist.
create function {schema}.consumer_remove(p_tenant text, p_consumer text) returns boolean
language plpgsql volatile {settings} as $$
begin
    perform consumer_guard(p_tenant);
    perform from consumers c where c.tenant = p_tenant and c.name = p_consumer for update;
    if not found then
        return null;
    end if;
    if exists (select from consumer_instances i where i.tenant = p_tenant and i.consumer = p_consumer) then
        return false;
    end if;
    delete from consumers c where c.tenant = p_tenant and c.name = p_consumer;
    return true;
end $$;
