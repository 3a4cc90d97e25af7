-- The same functions as before, for types that belong to the consumer: those that its instances want, all
-- together, and for a while those that instances which have left wanted.

-- Whether an instance that wants some types gets whatever is wanted; an empty list stands for all types.
create function {schema}.consumer_covers(has text[], wanted text[]) returns boolean language sql immutable as $$
    select cardinality(has) = 0 or (cardinality(wanted) > 0 and has @> wanted)
$$;

-- The types that the instances of a consumer want now, all together.
create function {schema}.consumer_wanted(p_tenant text, p_consumer text) returns text[]
language sql stable {settings} as $$
    select case when bool_or(cardinality(i.types) = 0) then array[]::text[] else array(
        select distinct t.type from consumer_instances o, unnest(o.types) t (type)
        where o.tenant = p_tenant and o.consumer = p_consumer order by t.type) end
    from consumer_instances i where i.tenant = p_tenant and i.consumer = p_consumer
$$;

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
    update consumers c set types_revision = c.types_revision + 1, types = case
            when cardinality(p_types) = 0 then p_types
            else array(select unnest(c.types) union select unnest(p_types) order by 1) end
        where c.tenant = p_tenant and c.name = p_consumer and not consumer_covers(c.types, p_types);
    insert into consumer_instances (instance, worker, tenant, consumer, types)
        values (p_instance, p_worker, p_tenant, p_consumer, p_types);
    perform consumer_changed(p_tenant, p_consumer);
    select partitions into strict total from consumers where tenant = p_tenant and name = p_consumer;
    return total;
end $$;

-- Gives an instance free partitions up to its share; returns those that it has, and its share; no rows
-- when it is not a member. An instance with more than its share gives partitions back by itself, once it
-- waits for no answers there. While some instance wants all types that any instance wants, those that want
-- fewer have no share. Types that no instance has wanted for p_kept seconds are forgotten, and returned.
create function {schema}.consumer_balance_0015(
    p_tenant text, p_consumer text, p_instance uuid, p_kept float8
) returns table ("partition" integer, epoch bigint, checkpoint bigint, share integer, types text[],
                 types_revision bigint, forget_in float8, forgotten text[])
language plpgsql volatile {settings} as $$
#variable_conflict use_column
declare
    kept consumers%rowtype;
    live text[];
    lost text[];
    members integer;
    rank integer;
    part integer := 0;
    held integer;
begin
    perform consumer_guard(p_tenant);
    -- Partitions refer to it; a heartbeat that removes it updates the consumer afterwards.
    perform from consumer_instances i where i.instance = p_instance for key share;
    select * into kept from consumers c where c.tenant = p_tenant and c.name = p_consumer for no key update;
    if not exists (select from consumer_instances i where i.instance = p_instance
                   and i.tenant = p_tenant and i.consumer = p_consumer) then
        return;
    end if;
    live := consumer_wanted(p_tenant, p_consumer);
    if consumer_covers(live, kept.types) then
        kept.orphaned_at := null;
    elsif kept.orphaned_at <= clock_timestamp() - make_interval(secs => p_kept) then
        lost := case when cardinality(kept.types) = 0 then array['*']
                     else array(select unnest(kept.types) except select unnest(live) order by 1) end;
        kept.types := live;
        kept.orphaned_at := null;
        perform consumer_changed(p_tenant, p_consumer);
    else
        kept.orphaned_at := coalesce(kept.orphaned_at, clock_timestamp());
    end if;
    update consumers c set types = kept.types, orphaned_at = kept.orphaned_at
        where c.tenant = p_tenant and c.name = p_consumer
          and (c.types, c.orphaned_at) is distinct from (kept.types, kept.orphaned_at);
    select count(*), max(m.n) filter (where m.instance = p_instance) into members, rank from (
        select i.instance, row_number() over (order by i.joined_at, i.instance) n
        from consumer_instances i where i.tenant = p_tenant and i.consumer = p_consumer
          and (consumer_covers(i.types, live) or not exists (
              select from consumer_instances o where o.tenant = p_tenant and o.consumer = p_consumer
                and consumer_covers(o.types, live)))) m;
    if rank is not null then
        part := kept.partitions / members + case when rank <= kept.partitions % members then 1 else 0 end;
    end if;
    select count(*) into held from consumer_partitions p
        where p.tenant = p_tenant and p.consumer = p_consumer and p.instance = p_instance;
    if held < part then
        update consumer_partitions p set instance = p_instance, epoch = epoch + 1,
            types_revision = kept.types_revision
        where p.tenant = p_tenant and p.consumer = p_consumer and p.instance is null and p.partition in (
            select f.partition from consumer_partitions f
            where f.tenant = p_tenant and f.consumer = p_consumer and f.instance is null
            order by f.partition limit part - held);
    end if;
    return query select p.partition, p.epoch, p.checkpoint, part, kept.types, kept.types_revision,
        case when kept.orphaned_at is not null then
            greatest(0, p_kept - extract(epoch from clock_timestamp() - kept.orphaned_at))::float8 end, lost
        from (values (1)) one left join consumer_partitions p
            on p.tenant = p_tenant and p.consumer = p_consumer and p.instance = p_instance
        order by p.partition;
end $$;

-- The same for processes of earlier releases.
create or replace function {schema}.consumer_balance(p_tenant text, p_consumer text, p_instance uuid)
returns table ("partition" integer, epoch bigint, checkpoint bigint, share integer)
language plpgsql volatile {settings} as $$
#variable_conflict use_column
begin
    return query select b.partition, b.epoch, b.checkpoint, b.share
        from consumer_balance_0015(p_tenant, p_consumer, p_instance, 60) b;
end $$;

-- Saves the progress of an instance: arrays with the prefix p_ have an element for each partition, s_ for
-- each stream that is set aside, r_ for each that no longer is. It returns false, and saves nothing, unless
-- the instance still holds every one of the partitions in the epoch that it knows. The same when types were
-- added that it does not want since it got one of them: it may have passed events of these.
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
    -- Like consumer_balance: a heartbeat that removes the instance sets its partitions free, in any order.
    perform from consumer_instances i where i.instance = p_instance for key share;
    if not found then
        return false;
    end if;
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
    if exists (
        select from consumers c join consumer_partitions p on p.tenant = c.tenant and p.consumer = c.name
            join consumer_instances i on i.instance = p.instance
        where c.tenant = p_tenant and c.name = p_consumer and p.partition = any (p_partition)
          and p.types_revision < c.types_revision and not consumer_covers(i.types, c.types)) then
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
