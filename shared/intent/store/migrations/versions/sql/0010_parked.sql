-- Lists parked events: those that failed, and those that wait behind them.
create or replace function {schema}.consumer_parked{suffix}(
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
      and s.tenant = coalesce(nullif(current_setting('intent.tenant', true), ''), s.tenant)
      and (only_tenant is null or s.consumer_tenant = only_tenant)
      and (only_consumer is null or s.consumer = only_consumer)
      and (only_type is null or s.aggregate_type = only_type)
      and (only_id is null or s.aggregate_id = only_id)
    order by s.consumer_tenant, s.consumer, s.tenant, s.aggregate_type, s.aggregate_id,
        (e.event).version limit most;
end $$;
