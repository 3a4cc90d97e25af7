-- Reads the streams of some partitions that are set aside, with the events dropped from them, and how often
-- each was replayed.
create function {schema}.consumer_aside{suffix}(p_tenant text, p_consumer text, p_partitions integer[])
returns table ("partition" integer, tenant text, aggregate_type text, aggregate_id text, version bigint,
               "position" bigint, attempts integer, error text, retry_in float8, parked boolean, dropped bigint[],
               replays integer)
language plpgsql stable {settings} as $$
#variable_conflict use_column
begin
    perform consumer_guard(p_tenant);
    return query select s.partition, s.tenant, s.aggregate_type, s.aggregate_id, s.version, s.position,
        s.attempts, s.error,
        greatest(0, extract(epoch from s.retry_at - clock_timestamp()))::float8, s.parked_at is not null,
        array(select d.position from consumer_drops d
              where d.consumer_tenant = p_tenant and d.consumer = p_consumer and d.position >= s.position
                and d.tenant = s.tenant and d.aggregate_type = s.aggregate_type
                and d.aggregate_id = s.aggregate_id),
        s.replays
        from consumer_streams s
        where s.consumer_tenant = p_tenant and s.consumer = p_consumer and s.partition = any (p_partitions)
          and s.tenant = coalesce(nullif(current_setting('intent.tenant', true), ''), s.tenant);
end $$;

