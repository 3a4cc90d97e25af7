-- The same functions as before, which a connection that is bound to a tenant cannot use for another.

-- A connection that is bound to a tenant reaches the consumers of that tenant only, and none that is for all.
create or replace function {schema}.consumer_guard(of_tenant text) returns void
language plpgsql stable {settings} as $$
declare
    bound text := nullif(current_setting('intent.tenant', true), '');
begin
    if bound is not null and (of_tenant is distinct from bound or bound = '*') then
        raise insufficient_privilege using
            message = 'this connection is bound to one tenant and may not act for another';
    end if;
end $$;

-- Records that the instances of a consumer must read its state again.
create or replace function {schema}.consumer_changed(p_tenant text, p_consumer text) returns void
language plpgsql volatile {settings} as $$
begin
    update consumers set revision = revision + 1, seen_at = clock_timestamp()
        where tenant = p_tenant and name = p_consumer;
end $$;

-- Saves the progress of an instance: arrays with the prefix p_ have an element for each partition, s_ for
-- each stream that is set aside, r_ for each that no longer is. It returns false, and saves nothing, unless
-- the instance still holds every one of the partitions in the epoch that it knows.
create or replace function {schema}.consumer_save(
    p_tenant text, p_consumer text, p_instance uuid,
    p_partition integer[], p_epoch bigint[], p_checkpoint bigint[], p_release boolean[],
    s_partition integer[], s_tenant text[], s_type text[], s_id text[], s_version bigint[], s_position bigint[],
    s_attempts integer[], s_error text[], s_retry_in float8[], s_parked boolean[],
    r_partition integer[], r_tenant text[], r_type text[], r_id text[]
) returns boolean language plpgsql volatile {settings} as $$
declare
    held integer;
begin
    perform consumer_guard(p_tenant);
    perform consumer_guard(t.tenant) from unnest(s_tenant || r_tenant) t (tenant);
    if cardinality(s_partition) + cardinality(r_partition) = 0 then
        -- A checkpoint that is lost in a crash only costs repeats. A lost stream would not be delivered.
        set local synchronous_commit = off;
    end if;
    select count(*) into held from (
        select from consumer_partitions p join unnest(p_partition, p_epoch) g ("partition", epoch)
            on p.partition = g.partition and p.epoch = g.epoch
        where p.tenant = p_tenant and p.consumer = p_consumer and p.instance = p_instance
        order by p.partition for update of p) held_now;
    if held < cardinality(p_partition) then
        return false;
    end if;
    if not (array[]::integer[] || s_partition || r_partition) <@ p_partition then
        raise exception 'a stream belongs to none of the partitions that are saved';
    end if;
    update consumer_partitions p set checkpoint = greatest(p.checkpoint, g.checkpoint),
        instance = case when g.release then null else p.instance end
        from unnest(p_partition, p_checkpoint, p_release) g ("partition", checkpoint, release)
        where p.tenant = p_tenant and p.consumer = p_consumer and p.partition = g.partition;
    insert into consumer_streams as kept
        select p_tenant, p_consumer, s.tenant, s.type, s.id, s.partition, s.version, s.position, s.attempts,
               s.error, clock_timestamp() + make_interval(secs => s.retry_in),
               case when s.parked then clock_timestamp() end
        from unnest(s_partition, s_tenant, s_type, s_id, s_version, s_position, s_attempts, s_error, s_retry_in,
                    s_parked)
             s ("partition", tenant, type, id, version, "position", attempts, error, retry_in, parked)
        on conflict (consumer_tenant, consumer, tenant, aggregate_type, aggregate_id) do update
            set version = excluded.version, "position" = excluded.position, attempts = excluded.attempts,
                error = excluded.error, retry_at = excluded.retry_at, parked_at = excluded.parked_at;
    delete from consumer_streams s using unnest(r_tenant, r_type, r_id) r (tenant, type, id)
        where s.consumer_tenant = p_tenant and s.consumer = p_consumer and s.tenant = r.tenant
          and s.aggregate_type = r.type and s.aggregate_id = r.id;
    if true = any (p_release) then
        perform consumer_changed(p_tenant, p_consumer);
    end if;
    return true;
end $$;

-- Reads the streams of some partitions that are set aside, with the events dropped from them.
create or replace function {schema}.consumer_aside(p_tenant text, p_consumer text, p_partitions integer[])
returns table ("partition" integer, tenant text, aggregate_type text, aggregate_id text, version bigint,
               "position" bigint, attempts integer, error text, retry_in float8, parked boolean, dropped bigint[])
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
                and d.aggregate_id = s.aggregate_id)
        from consumer_streams s
        where s.consumer_tenant = p_tenant and s.consumer = p_consumer and s.partition = any (p_partitions)
          and s.tenant = coalesce(nullif(current_setting('intent.tenant', true), ''), s.tenant);
end $$;

-- Makes a parked stream be delivered again. Returns the number of its events; null when it is not parked.
create or replace function {schema}.consumer_replay(
    p_tenant text, p_consumer text, of_tenant text, of_type text, of_id text
) returns integer language plpgsql volatile {settings} as $$
declare
    since bigint;
begin
    perform consumer_guard(p_tenant);
    perform consumer_guard(of_tenant);
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
create or replace function {schema}.consumer_drop(
    p_tenant text, p_consumer text, p_position bigint, p_reason text, p_actor text
) returns boolean language plpgsql volatile {settings} as $$
declare
    given events%rowtype;
    parked consumer_streams%rowtype;
    failed boolean;
begin
    perform consumer_guard(p_tenant);
    select * into given from events e where e.position = p_position
        and e.tenant = coalesce(nullif(current_setting('intent.tenant', true), ''), e.tenant);
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
