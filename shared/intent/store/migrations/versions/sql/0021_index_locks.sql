-- Makes the indexes by which a generation is listed, once: whoever builds them first holds the table under a
-- lock that takes rights on it, where the number of an advisory lock could be guessed. It may take hours and
-- locks no row for so long: whoever claims the rebuild or skips an event would wait for it.
create or replace function {schema}.projection_index(p_projection text, p_generation integer) returns void
language plpgsql security definer set search_path = {schema}, pg_temp as $$
declare
    made record;
    name text;
    keys text;
    col text;
begin
    select shape ->> 'table' into strict name from projection_generations g
        where g.projection = p_projection and g.generation = p_generation;
    name := name || '__g' || p_generation;
    execute format('lock table %I in share update exclusive mode', name);
    select shape, indexed, position into strict made from projection_generations g
        where g.projection = p_projection and g.generation = p_generation;
    if made.indexed then
        return;
    end if;
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
