-- Pages that end with the row with which their events reach a number of bytes, if not before; one row at
-- least. The length of an event is read from its row; what is beyond the page is not read at all.

create function {schema}.read_log{suffix}(
    after bigint, up_to integer, most_bytes bigint, only_tenant text, only_types text[],
    only_aggregate_type text, only_aggregate_id text, only_correlation text
) returns setof {schema}.entries_{shape} language plpgsql stable {settings} as $$
#variable_conflict use_column
begin
    return query select {columns} from (
        select e.*, sum(octet_length(e.data)) over (order by e.position) - octet_length(e.data) as bytes_before
        from read_log_{shape}(after, up_to, only_tenant, only_types, only_aggregate_type, only_aggregate_id,
                              only_correlation) e) page
        where bytes_before < most_bytes order by position;
end $$;

create function {schema}.read_stream{suffix}(
    of_tenant text, of_type text, of_id text, after bigint, up_to integer, most_bytes bigint
) returns setof {schema}.entries_{shape} language plpgsql stable {settings} as $$
#variable_conflict use_column
begin
    return query select {columns} from (
        select e.*, sum(octet_length(e.data)) over (order by e.version) - octet_length(e.data) as bytes_before
        from read_stream_{shape}(of_tenant, of_type, of_id, after, up_to) e) page
        where bytes_before < most_bytes order by version;
end $$;

create function {schema}.consumer_read{suffix}(
    after bigint, up_to bigint, most integer, most_bytes bigint, only_tenant text, only_types text[],
    total integer, partitions integer[]
) returns setof {schema}.entries_{shape} language plpgsql stable {settings} as $$
#variable_conflict use_column
begin
    return query select {columns} from (
        select e.*, sum(octet_length(e.data)) over (order by e.position) - octet_length(e.data) as bytes_before
        from consumer_read_{shape}(after, up_to, most, only_tenant, only_types, total, partitions) e) page
        where bytes_before < most_bytes order by position;
end $$;

-- Lists parked events after one of them, given by its consumer, stream and version; null: from the first.
create function {schema}.consumer_parked{suffix}(
    only_tenant text, only_consumer text, only_type text, only_id text, only_position bigint, most integer,
    most_bytes bigint, after_stream text[], after_version bigint
) returns table (consumer_tenant text, consumer text, attempts integer, error text, parked_at timestamptz,
                 event {schema}.entries_{shape})
language plpgsql stable {settings} as $$
#variable_conflict use_column
begin
    perform consumer_guard(coalesce(only_tenant, '*'));
    return query
    with listed as (
        select s.consumer_tenant, s.consumer, s.tenant, s.aggregate_type, s.aggregate_id, e.version, e.position,
               e.bytes, s.position = e.position as failed, s.attempts, s.error, s.parked_at, e.recorded_at
        from consumer_streams s
        join consumers c on c.tenant = s.consumer_tenant and c.name = s.consumer
        cross join lateral (
            select l.version, l.position, l.recorded_at, octet_length(l.data) as bytes from entries_{shape} l
            where l.tenant = s.tenant and l.aggregate_type = s.aggregate_type and l.aggregate_id = s.aggregate_id
              and l.version >= s.version and (cardinality(c.types) = 0 or l.type = any (c.types))
              and (only_position is null or l.position = only_position)
              and (after_stream is null or l.version > after_version
                   or array[s.consumer_tenant, s.consumer, s.tenant, s.aggregate_type, s.aggregate_id]
                      <> after_stream)
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
          and (after_stream is null
               or (s.consumer_tenant, s.consumer, s.tenant, s.aggregate_type, s.aggregate_id)
                  >= (after_stream[1], after_stream[2], after_stream[3], after_stream[4], after_stream[5]))
        order by s.consumer_tenant, s.consumer, s.tenant, s.aggregate_type, s.aggregate_id, e.version limit most),
    page as (
        select listed.*, sum(bytes) over (
            order by consumer_tenant, consumer, tenant, aggregate_type, aggregate_id, version) - bytes
            as bytes_before
        from listed)
    select p.consumer_tenant, p.consumer, case when p.failed then p.attempts else 0 end,
           case when p.failed then p.error else '' end, greatest(p.parked_at, p.recorded_at), e
    from page p join entries_{shape} e on e.position = p.position
    where p.bytes_before < most_bytes
    order by p.consumer_tenant, p.consumer, p.tenant, p.aggregate_type, p.aggregate_id, p.version;
end $$;

-- Lists the consumers of a tenant, or of all, after one of them; null: from the first.
create function {schema}.consumer_list{suffix}(only_tenant text, after_tenant text, after_name text, most integer)
returns table (tenant text, name text, "position" bigint, head bigint, instances integer, parked integer,
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
        where (only_tenant is null or c.tenant = only_tenant)
          and (after_tenant is null or (c.tenant, c.name) > (after_tenant, after_name))
        order by c.tenant, c.name limit most;
end $$;

-- Adds an instance to a consumer; null, and nothing is done, when the consumer would be new and its tenant
-- has as many as it may have. Several that are created at the same moment may exceed that.
create function {schema}.consumer_join{suffix}(
    p_tenant text, p_consumer text, p_instance uuid, p_worker uuid, p_partitions integer, p_from_now boolean,
    p_types text[], p_most integer
) returns integer language plpgsql volatile {settings} as $$
begin
    perform consumer_guard(p_tenant);
    if not exists (select from consumers c where c.tenant = p_tenant and c.name = p_consumer)
       and (select count(*) from consumers c where c.tenant = p_tenant) >= p_most then
        return null;
    end if;
    return consumer_join(p_tenant, p_consumer, p_instance, p_worker, p_partitions, p_from_now, p_types);
end $$;

-- Removes the consumers that have had no instance for some days, unless something is parked; returns them.
create function {schema}.consumer_forget{suffix}(p_days integer) returns table (tenant text, name text)
language plpgsql volatile {settings} as $$
#variable_conflict use_column
begin
    perform consumer_guard(null);
    return query delete from consumers c
        where c.seen_at < clock_timestamp() - make_interval(days => p_days)
          and not exists (
              select from consumer_instances i where i.tenant = c.tenant and i.consumer = c.name)
          and not exists (
              select from consumer_streams s where s.consumer_tenant = c.tenant and s.consumer = c.name
                and s.parked_at is not null)
        returning c.tenant, c.name;
end $$;
