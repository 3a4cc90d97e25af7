-- Makes the indexes by which a generation is listed; after the load, because that is quicker. It may take
-- hours and locks no row for so long: whoever claims the rebuild or skips an event would wait for it.
create or replace function {schema}.projection_index(p_projection text, p_generation integer) returns void
language plpgsql security definer set search_path = {schema}, pg_temp as $$
declare
    made record;
    name text;
    keys text;
    col text;
begin
    perform pg_advisory_xact_lock(hashtextextended(
        format('intent index %s.%s.%s', current_schema(), p_projection, p_generation), 0));
    select shape, indexed, position into strict made from projection_generations g
        where g.projection = p_projection and g.generation = p_generation;
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
        -- Not while it is empty: the planner would believe that it stays so.
        execute format('analyze %I', name);
    end if;
    update projection_generations g set indexed = true
        where g.projection = p_projection and g.generation = p_generation;
end $$;
