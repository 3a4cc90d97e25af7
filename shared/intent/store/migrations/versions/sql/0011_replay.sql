-- Makes a parked stream be delivered again. Returns the number of its events; null when it is not parked.
create or replace function {schema}.consumer_replay(
    p_tenant text, p_consumer text, of_tenant text, of_type text, of_id text
) returns integer language plpgsql volatile {settings} as $$
declare
    since bigint;
begin
    perform consumer_guard(p_tenant);
    perform consumer_guard(of_tenant);
    update consumer_streams s set parked_at = null, attempts = 0, replays = s.replays + 1,
            retry_at = clock_timestamp()
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

