-- Records the declaration of a projection in the code that is being deployed; called by the owner only.
create function {schema}.projection_declare(p_projection text, p_version integer, p_shape jsonb) returns void
language plpgsql set search_path = {schema}, pg_temp as $$
begin
    insert into projections (name, version, shape, generation, last_generation)
        values (p_projection, p_version, p_shape, 1, 1)
        on conflict (name) do nothing;
    if found then
        perform projection_table_create(p_projection, 1);
        perform projection_index(p_projection, 1);
        perform projection_show(p_shape, 1);
    else
        update projections p set version = p_version, shape = p_shape
            where p.name = p_projection and (p.version, p.shape) is distinct from (p_version, p_shape);
    end if;
end $$;

-- Starts a rebuild beside the generation that is read, or returns the one that is under way.
create function {schema}.projection_rebuild_begin(p_projection text) returns integer
language plpgsql security definer set search_path = {schema}, pg_temp as $$
declare
    declared record;
    begun record;
begin
    select * into strict declared from projections p where p.name = p_projection for update;
    for begun in select * from projection_generations g
        where g.projection = p_projection and g.generation > declared.generation loop
        if begun.version = declared.version and begun.shape = declared.shape then
            return begun.generation;
        end if;
        perform projection_drop(p_projection, begun.generation);
    end loop;
    update projections p set last_generation = last_generation + 1 where p.name = p_projection;
    perform projection_table_create(p_projection, declared.last_generation + 1);
    return declared.last_generation + 1;
end $$;

-- Shows readers the rebuilt generation and removes the old one; false while the rebuilt one is behind.
create function {schema}.projection_rebuild_switch(p_projection text, p_generation integer) returns boolean
language plpgsql security definer set search_path = {schema}, pg_temp set lock_timeout = '500ms' as $$
declare
    live projections%rowtype;
    old projection_generations%rowtype;
    new projection_generations%rowtype;
begin
    select * into strict live from projections p where p.name = p_projection for update;
    if live.generation = p_generation then
        return true;
    end if;
    select * into strict old from projection_generations g
        where g.projection = p_projection and g.generation = live.generation for update;
    select * into strict new from projection_generations g
        where g.projection = p_projection and g.generation = p_generation for update;
    if not new.indexed or new.position < old.position then
        return false;
    end if;
    execute format('drop view %I', old.shape ->> 'table');
    perform projection_show(new.shape, p_generation);
    perform projection_drop(p_projection, live.generation);
    update projections p set generation = p_generation where p.name = p_projection;
    return true;
end $$;
