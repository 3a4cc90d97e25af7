-- The same functions as before, but all lock rows in one order, so that none waits for another in a circle:
-- processes, instances, partitions, streams, and last the consumer. Whoever has the consumer may still take
-- its free partitions, which nobody else locks, and its own instance, which it has locked before.

-- Adds an instance to a consumer, which is created when it is new. Returns the number of its partitions.
create or replace function {schema}.consumer_join(
    p_tenant text, p_consumer text, p_instance uuid, p_worker uuid, p_partitions integer, p_from_now boolean,
    p_types text[]
) returns integer language plpgsql volatile {settings} as $$
declare
    total integer;
begin
    perform consumer_guard(p_tenant);
    -- A heartbeat of another process may be removing this one.
    perform from consumer_workers w where w.worker = p_worker for key share;
    insert into consumers (tenant, name, partitions, types)
        values (p_tenant, p_consumer, p_partitions, p_types) on conflict do nothing;
    if found then
        insert into consumer_partitions (tenant, consumer, "partition", checkpoint)
            select p_tenant, p_consumer, n, case when p_from_now then (select position from head) else 0 end
            from generate_series(0, p_partitions - 1) n;
    end if;
    update consumers set types = p_types
        where tenant = p_tenant and name = p_consumer and types <> p_types;
    insert into consumer_instances (instance, worker, tenant, consumer)
        values (p_instance, p_worker, p_tenant, p_consumer);
    perform consumer_changed(p_tenant, p_consumer);
    select partitions into strict total from consumers where tenant = p_tenant and name = p_consumer;
    return total;
end $$;

-- Gives an instance free partitions up to its share; returns those that it has, and its share; no rows
-- when it is not a member. An instance with more than its share gives partitions back by itself, once it
-- waits for no answers there.
create or replace function {schema}.consumer_balance(p_tenant text, p_consumer text, p_instance uuid)
returns table ("partition" integer, epoch bigint, checkpoint bigint, share integer)
language plpgsql volatile {settings} as $$
#variable_conflict use_column
declare
    total integer;
    members integer;
    rank integer;
    part integer;
    held integer;
begin
    perform consumer_guard(p_tenant);
    -- Partitions refer to it; a heartbeat that removes it updates the consumer afterwards.
    perform from consumer_instances i where i.instance = p_instance for key share;
    select c.partitions into total from consumers c where c.tenant = p_tenant and c.name = p_consumer for no key update;
    select count(*), max(m.n) filter (where m.instance = p_instance) into members, rank from (
        select i.instance, row_number() over (order by i.joined_at, i.instance) n
        from consumer_instances i where i.tenant = p_tenant and i.consumer = p_consumer) m;
    if rank is null then
        return;
    end if;
    part := total / members + case when rank <= total % members then 1 else 0 end;
    select count(*) into held from consumer_partitions p
        where p.tenant = p_tenant and p.consumer = p_consumer and p.instance = p_instance;
    if held < part then
        update consumer_partitions p set instance = p_instance, epoch = epoch + 1
        where p.tenant = p_tenant and p.consumer = p_consumer and p.instance is null and p.partition in (
            select f.partition from consumer_partitions f
            where f.tenant = p_tenant and f.consumer = p_consumer and f.instance is null
            order by f.partition limit part - held);
    end if;
    return query select p.partition, p.epoch, p.checkpoint, part from consumer_partitions p
        where p.tenant = p_tenant and p.consumer = p_consumer and p.instance = p_instance order by p.partition;
    if not found then
        return query select null::integer, null::bigint, null::bigint, part;
    end if;
end $$;

-- Removes a consumer and all its data; false while it has instances, null when it does not exist.
create or replace function {schema}.consumer_remove(p_tenant text, p_consumer text) returns boolean
language plpgsql volatile {settings} as $$
begin
    perform consumer_guard(p_tenant);
    perform from consumer_streams s where s.consumer_tenant = p_tenant and s.consumer = p_consumer
        order by s.tenant, s.aggregate_type, s.aggregate_id for update;
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
