-- The same functions as before, which leave alone the consumers of the platform itself.

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
    if p_consumer like 'intent.%' or exists (
        select from consumer_instances i where i.tenant = p_tenant and i.consumer = p_consumer) then
        return false;
    end if;
    delete from consumers c where c.tenant = p_tenant and c.name = p_consumer;
    return true;
end $$;

-- Removes the consumers that have had no instance for some days, unless something is parked; returns them.
create or replace function {schema}.consumer_forget_0010(p_days integer) returns table (tenant text, name text)
language plpgsql volatile {settings} as $$
#variable_conflict use_column
begin
    perform consumer_guard(null);
    return query delete from consumers c
        where c.seen_at < clock_timestamp() - make_interval(days => p_days)
          and c.name not like 'intent.%'
          and not exists (
              select from consumer_instances i where i.tenant = c.tenant and i.consumer = c.name)
          and not exists (
              select from consumer_streams s where s.consumer_tenant = c.tenant and s.consumer = c.name
                and s.parked_at is not null)
        returning c.tenant, c.name;
end $$;

-- Adds an instance to a consumer, which is created when it is new, unless the tenant has as many as it may have:
-- then null. Returns the number of its partitions.
create or replace function {schema}.consumer_join_0010(
    p_tenant text, p_consumer text, p_instance uuid, p_worker uuid, p_partitions integer, p_from_now boolean,
    p_types text[], p_most integer
) returns integer language plpgsql volatile {settings} as $$
begin
    perform consumer_guard(p_tenant);
    if not exists (select from consumers c where c.tenant = p_tenant and c.name = p_consumer)
       and (select count(*) from consumers c where c.tenant = p_tenant and c.name not like 'intent.%') >= p_most then
        return null;
    end if;
    return consumer_join(p_tenant, p_consumer, p_instance, p_worker, p_partitions, p_from_now, p_types);
end $$;

-- Lists the consumers of a tenant, or of all, in pages: those of the platform itself, or all others.
create function {schema}.consumer_page(
    own boolean, only_tenant text, after_tenant text, after_name text, most integer
) returns table (tenant text, name text, "position" bigint, head bigint, instances integer, parked integer,
                 types text[])
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
         where s.consumer_tenant = c.tenant and s.consumer = c.name and s.parked_at is not null),
        c.types
        from consumers c
        where own = (c.name like 'intent.%') and (only_tenant is null or c.tenant = only_tenant)
          and (after_tenant is null or (c.tenant, c.name) > (after_tenant, after_name))
        order by c.tenant, c.name limit most;
end $$;

create or replace function {schema}.consumer_list_0010(
    only_tenant text, after_tenant text, after_name text, most integer
) returns table (tenant text, name text, "position" bigint, head bigint, instances integer, parked integer,
                 types text[])
language sql stable {settings} as $$
    select * from consumer_page(false, only_tenant, after_tenant, after_name, most)
$$;
