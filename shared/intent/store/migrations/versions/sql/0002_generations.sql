-- Creates the table of a generation: rows of all tenants, each visible to its own tenant only.
create function {schema}.projection_table_create(p_projection text, p_generation integer) returns void
language plpgsql set search_path = {schema}, pg_temp as $$
declare
    declared record;
    name text;
    columns text;
    keys text;
begin
    select version, shape into strict declared from projections p where p.name = p_projection;
    name := (declared.shape ->> 'table') || '__g' || p_generation;
    select string_agg(format('%I %s not null', c.value ->> 'name', c.value ->> 'type'), ', ' order by c.n)
        into columns
        from jsonb_array_elements((declared.shape -> 'key') || (declared.shape -> 'indexed'))
            with ordinality c (value, n);
    select string_agg(format('%I', c.value ->> 'name'), ', ' order by c.n)
        into keys from jsonb_array_elements(declared.shape -> 'key') with ordinality c (value, n);
    execute format(
        'create table %I (tenant text not null, %s, data bytea not null,'
        ' created_position bigint not null, updated_position bigint not null,'
        ' primary key (tenant, %s)) with (fillfactor = 85)', name, columns, keys);
    execute format('alter table %I enable row level security', name);
    execute format('alter table %I force row level security', name);
    execute format('create policy own_tenant on %I for select'
        ' using (tenant = current_setting(''intent.tenant'', true))', name);
    -- The projector writes for every tenant, but not on a connection that is bound to one.
    execute format('create policy all_tenants on %I to {projector}'
        ' using (coalesce(nullif(current_setting(''intent.tenant'', true), ''''), tenant) = tenant)', name);
    execute format('grant select on %I to {service}, {query}', name);
    execute format('grant select, insert, update, delete on %I to {projector}', name);
    insert into projection_generations (projection, generation, version, shape)
        values (p_projection, p_generation, declared.version, declared.shape);
    perform projection_load_create(p_projection, p_generation, declared.shape);
    perform projection_write_create(p_projection, p_generation, declared.shape);
end $$;

-- Creates the function that reads a generation's checkpoint and the rows of one page of events. It takes
-- the position of the page's end and, from $2 on, the tenants and the keys of the rows, an array each.
-- It assumes the projector's role for the transaction, which is this one call.
create function {schema}.projection_load_create(p_projection text, p_generation integer, p_shape jsonb)
returns void
language plpgsql set search_path = {schema}, pg_temp as $$
declare
    target text := (p_shape ->> 'table') || '__g' || p_generation;
    types text;
    arrays text;
    columns text;
    wanted text;
begin
    select string_agg((c.value ->> 'type') || '[]', ', ' order by c.n),
           string_agg('$' || c.n + 2, ', ' order by c.n),
           string_agg(format('t.%I', c.value ->> 'name'), ', ' order by c.n),
           string_agg(format('k.k%s', c.n), ', ' order by c.n)
      into types, arrays, columns, wanted
      from jsonb_array_elements(p_shape -> 'key') with ordinality c (value, n);
    execute format($define$
        create function %1$I(bigint, text[], %2$s) returns table (
            "position" bigint, attempts integer, failing_position bigint, waits boolean, retry_in float8,
            skipped bigint[], n bigint, data bytea, created_position bigint)
        language plpgsql set search_path = {schema}, pg_temp
        set plan_cache_mode = force_generic_plan set enable_seqscan = off set enable_bitmapscan = off as $body$
        #variable_conflict use_column
        begin
            set local role {projector};
            return query
            select c.position, c.attempts, c.failing_position, c.retry_at > clock_timestamp(),
                extract(epoch from c.retry_at - clock_timestamp())::float8,
                array(select s.position from projection_skips s
                      where s.projection = %3$L and s.position > c.position and s.position <= $1),
                rows.n, rows.data, rows.created_position
            from projection_generations c left join (
                select k.n, r.data, r.created_position
                from unnest($2, %4$s) with ordinality k (tenant, %5$s, n) cross join lateral (
                    select t.data, t.created_position from %6$I t
                    where (t.tenant, %7$s) = (k.tenant, %8$s) limit 1) r
            ) rows on true
            where c.projection = %3$L and c.generation = %9$s;
        end $body$
        $define$,
        target || '_load', types, p_projection, arrays, replace(wanted, 'k.', ''), target, columns, wanted,
        p_generation);
    execute format('revoke all on function %I from public', target || '_load');
    execute format('grant execute on function %I to {service}', target || '_load');
end $$;

-- Creates the function that writes one page: it moves the checkpoint from $1 to $2, records or clears a
-- failure ($3 to $7), writes rows and removes rows, an array per column. It returns false, and writes
-- nothing, when the checkpoint is no longer at $1: another process was faster.
create function {schema}.projection_write_create(p_projection text, p_generation integer, p_shape jsonb)
returns void
language plpgsql set search_path = {schema}, pg_temp as $$
declare
    target text := (p_shape ->> 'table') || '__g' || p_generation;
    last integer := 8 + jsonb_array_length((p_shape -> 'key') || (p_shape -> 'indexed'));
    types text;
    columns text;
    arrays text;
    changes text;
    key_types text;
    keys text;
    own_keys text;
    gone_keys text;
    gone_arrays text;
begin
    select string_agg((c.value ->> 'type') || '[]', ', ' order by c.n),
           string_agg(format('%I', c.value ->> 'name'), ', ' order by c.n),
           string_agg('$' || c.n + 8, ', ' order by c.n)
      into types, columns, arrays
      from jsonb_array_elements((p_shape -> 'key') || (p_shape -> 'indexed')) with ordinality c (value, n);
    select string_agg(format('%1$I = excluded.%1$I', c.value ->> 'name'), ', ')
      into changes
      from jsonb_array_elements((p_shape -> 'indexed')
          || '[{{"name": "data"}}, {{"name": "created_position"}}, {{"name": "updated_position"}}]') c (value);
    select string_agg((c.value ->> 'type') || '[]', ', ' order by c.n),
           string_agg(format('%I', c.value ->> 'name'), ', ' order by c.n),
           string_agg(format('t.%I', c.value ->> 'name'), ', ' order by c.n),
           string_agg('k' || c.n, ', ' order by c.n),
           string_agg('$' || last + 4 + c.n, ', ' order by c.n)
      into key_types, keys, own_keys, gone_keys, gone_arrays
      from jsonb_array_elements(p_shape -> 'key') with ordinality c (value, n);
    execute format($define$
        create function %1$I(
            bigint, bigint, bigint, integer, text, float8, text,
            text[], %2$s, bytea[], bigint[], bigint[], text[], %3$s) returns boolean
        language plpgsql set search_path = {schema}, pg_temp
        set plan_cache_mode = force_generic_plan set enable_seqscan = off set enable_bitmapscan = off as $body$
        begin
            set local role {projector};
            -- Rows and checkpoint can be rebuilt from the log: the commit need not wait for the disk.
            set local synchronous_commit = off;
            update projection_generations set
                position = $2, failing_position = $3, attempts = $4, last_error = $5,
                retry_at = clock_timestamp() + make_interval(secs => $6),
                worker = $7, worker_until = clock_timestamp() + interval '10 seconds'
            where projection = %4$L and generation = %5$s and position = $1;
            if not found then
                return false;
            end if;
            if cardinality($8) > 0 then
                insert into %6$I (tenant, %7$s, data, created_position, updated_position)
                select * from unnest($8, %8$s, $%9$s, $%10$s, $%11$s)
                on conflict (tenant, %12$s) do update set %13$s;
            end if;
            if cardinality($%14$s) > 0 then
                delete from %6$I t using unnest($%14$s, %15$s) as gone (tenant, %16$s)
                where (t.tenant, %17$s) = (gone.tenant, %18$s);
            end if;
            return true;
        end $body$
        $define$,
        target || '_write', types, key_types, p_projection, p_generation, target, columns, arrays,
        last + 1, last + 2, last + 3, keys, changes, last + 4, gone_arrays, gone_keys, own_keys,
        regexp_replace(gone_keys, '(k\d+)', 'gone.\1', 'g'));
    execute format('revoke all on function %I from public', target || '_write');
    execute format('grant execute on function %I to {service}', target || '_write');
end $$;

-- Creates the indexes by which a generation is listed; after the load, because that is faster.
create function {schema}.projection_index(p_projection text, p_generation integer) returns void
language plpgsql security definer set search_path = {schema}, pg_temp as $$
declare
    made record;
    name text;
    keys text;
    col text;
begin
    select shape, indexed, position into strict made from projection_generations g
        where g.projection = p_projection and g.generation = p_generation for update;
    if made.indexed then
        return;
    end if;
    name := (made.shape ->> 'table') || '__g' || p_generation;
    select string_agg(format('%I', c.value ->> 'name'), ', ' order by c.n)
        into keys from jsonb_array_elements(made.shape -> 'key') with ordinality c (value, n);
    execute format('create index on %I (tenant, created_position desc, %s)', name, keys);
    for col in select c.value ->> 'name' from jsonb_array_elements(made.shape -> 'indexed') c loop
        execute format('create index on %I (tenant, %I, created_position desc, %s)', name, col, keys);
    end loop;
    if made.position > 0 then
        -- Not while it is empty: the planner would assume that it stays empty.
        execute format('analyze %I', name);
    end if;
    update projection_generations g set indexed = true
        where g.projection = p_projection and g.generation = p_generation;
end $$;

-- Shows a generation to readers, under the stable name of its read model.
create function {schema}.projection_show(p_shape jsonb, p_generation integer) returns void
language plpgsql set search_path = {schema}, pg_temp as $$
declare
    shown text := p_shape ->> 'table';
begin
    execute format('create view %I with (security_invoker = true) as select * from %I',
        shown, shown || '__g' || p_generation);
    execute format('grant select on %I to {service}, {query}', shown);
end $$;

-- Removes a generation that nobody reads.
create function {schema}.projection_drop(p_projection text, p_generation integer) returns void
language plpgsql set search_path = {schema}, pg_temp as $$
declare
    gone jsonb;
    name text;
begin
    delete from projection_generations g where g.projection = p_projection and g.generation = p_generation
        returning shape into gone;
    if found then
        name := (gone ->> 'table') || '__g' || p_generation;
        execute format('drop function %I, %I', name || '_load', name || '_write');
        execute format('drop table %I', name);
    end if;
end $$;

