-- A connection that is bound to a tenant reaches the consumers of that tenant only.
create function {schema}.consumer_guard(of_tenant text) returns void language plpgsql stable {settings} as $$
begin
    if of_tenant is distinct from coalesce(nullif(current_setting('intent.tenant', true), ''), of_tenant) then
        raise insufficient_privilege using
            message = 'this connection is bound to one tenant and may not act for another';
    end if;
end $$;

-- Records that the instances of a consumer must read its state again.
create function {schema}.consumer_changed(p_tenant text, p_consumer text) returns void
language plpgsql volatile {settings} as $$
begin
    update consumers set revision = revision + 1 where tenant = p_tenant and name = p_consumer;
end $$;

-- It computes the same as intent.consumers.keys.partition_of in Python.
create function {schema}.partition_of(tenant text, aggregate_type text, aggregate_id text, total integer)
returns integer language sql stable as $$
    select (('x' || encode(substr(sha256(convert_to(
        tenant || chr(31) || aggregate_type || chr(31) || aggregate_id, 'UTF8')), 1, 4), 'hex'))::bit(32)::bigint
        % total)::integer
$$;

-- Renews the lease of a process and names its instances; removes instances that are gone, and processes
-- that were silent for too long. Returns a row of nulls, then the revision of each instance's consumer; no
-- rows when the process itself counts as dead.
create function {schema}.consumer_beat(
    p_worker uuid, p_name text, p_lease float8, p_instances uuid[], p_new boolean
) returns table (instance uuid, revision bigint) language plpgsql volatile {settings} as $$
#variable_conflict use_column
declare
    dead uuid[];
    changed record;
begin
    perform consumer_guard(null);
    if p_new then
        insert into consumer_workers (worker, name, expires_at)
            values (p_worker, p_name, clock_timestamp() + make_interval(secs => p_lease));
    else
        update consumer_workers set expires_at = clock_timestamp() + make_interval(secs => p_lease)
            where worker = p_worker and expires_at > clock_timestamp();
        if not found then
            return;
        end if;
    end if;
    dead := array(select w.worker from consumer_workers w where w.expires_at < clock_timestamp()
                  order by w.worker for update skip locked);
    for changed in
        with gone as (
            delete from consumer_instances i
            where i.worker = any (dead) or (i.worker = p_worker and i.instance <> all (p_instances))
            returning i.tenant, i.consumer)
        select distinct g.tenant, g.consumer from gone g order by g.tenant, g.consumer
    loop
        perform consumer_changed(changed.tenant, changed.consumer);
    end loop;
    delete from consumer_workers where worker = any (dead);
    return query select null::uuid, null::bigint union all
        select i.instance, c.revision from consumer_instances i
        join consumers c on c.tenant = i.tenant and c.name = i.consumer where i.worker = p_worker;
end $$;

-- Adds an instance to a consumer, which is created when it is new. Returns the number of its partitions.
create function {schema}.consumer_join(
    p_tenant text, p_consumer text, p_instance uuid, p_worker uuid, p_partitions integer, p_from_now boolean,
    p_types text[]
) returns integer language plpgsql volatile {settings} as $$
declare
    total integer;
begin
    perform consumer_guard(p_tenant);
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
create function {schema}.consumer_balance(p_tenant text, p_consumer text, p_instance uuid)
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

-- Saves the progress of an instance: arrays with the prefix p_ have an element for each partition, s_ for
-- each stream that is set aside, r_ for each that no longer is. It returns false, and saves nothing, unless
-- the instance still holds every one of the partitions in the epoch that it knows.
create function {schema}.consumer_save(
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
create function {schema}.consumer_aside(p_tenant text, p_consumer text, p_partitions integer[])
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
        where s.consumer_tenant = p_tenant and s.consumer = p_consumer and s.partition = any (p_partitions);
end $$;

-- Reads the events of some partitions in a range of the log, up to a limit.
create function {schema}.consumer_read(
    after bigint, up_to bigint, most integer, only_tenant text, only_types text[], total integer,
    partitions integer[]
) returns setof {schema}.events language plpgsql stable {settings} as $$
declare
    whole boolean := cardinality(partitions) = total;
begin
    perform consumer_guard(coalesce(only_tenant, '*'));
    if only_tenant is null then
        return query select * from events e
            where e.position > after and e.position <= up_to
              and (only_types is null or e.type = any (only_types))
              and (whole or partition_of(e.tenant, e.aggregate_type, e.aggregate_id, total) = any (partitions))
            order by e.position limit most;
    else
        return query select * from events e
            where (e.tenant, e.position) > (only_tenant, after) and (e.tenant, e.position) <= (only_tenant, up_to)
              and (only_types is null or e.type = any (only_types))
              and (whole or partition_of(e.tenant, e.aggregate_type, e.aggregate_id, total) = any (partitions))
            order by e.tenant, e.position limit most;
    end if;
end $$;
