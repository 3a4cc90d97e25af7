-- What migrations have declared, the present declaration included: code that was rolled back to, or forward
-- to, may take it up again, but only as a migration has declared it.
create table {schema}.projection_declarations (
    projection text not null references {schema}.projections (name) on delete cascade,
    version integer not null,
    shape jsonb not null,
    declared_at timestamptz not null default clock_timestamp(),
    primary key (projection, version)
);
comment on table {schema}.projection_declarations is
    'Each version of a projection that a migration has declared, with the last shape of its table.';

insert into {schema}.projection_declarations (projection, version, shape)
    select g.projection, g.version, g.shape from {schema}.projection_generations g
    union select p.name, p.version, p.shape from {schema}.projections p
    on conflict do nothing;

-- Records the declaration of a projection in the code that is being deployed; called by the owner only.
create or replace function {schema}.projection_declare(p_projection text, p_version integer, p_shape jsonb)
returns void
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
        update projections p set version = p_version, shape = p_shape, run_at = clock_timestamp()
            where p.name = p_projection and (p.version, p.shape) is distinct from (p_version, p_shape);
    end if;
    insert into projection_declarations as known (projection, version, shape)
        values (p_projection, p_version, p_shape)
        on conflict (projection, version) do update set shape = p_shape, declared_at = clock_timestamp()
            where known.shape <> p_shape;
end $$;

-- Notes that a process runs these projections, unless that was noted less than some seconds ago; only those
-- that are as declared count.
create function {schema}.projection_present(
    p_projections text[], p_versions integer[], p_shapes jsonb[], p_every float8
) returns void
language sql security definer set search_path = {schema}, pg_temp as $$
    update projections p set run_at = clock_timestamp()
        from unnest(p_projections, p_versions, p_shapes) own (name, version, shape)
        where p.name = own.name and p.version = own.version and p.shape = own.shape
          and p.run_at < clock_timestamp() - make_interval(secs => p_every)
$$;

-- Declares again what a migration has declared before, when for some seconds no process has run what is
-- declared now; returns whether it did.
create function {schema}.projection_take_up(
    p_projection text, p_version integer, p_shape jsonb, p_after float8
) returns boolean
language plpgsql security definer set search_path = {schema}, pg_temp as $$
begin
    update projections p set version = p_version, shape = p_shape, run_at = clock_timestamp()
        where p.name = p_projection and (p.version, p.shape) is distinct from (p_version, p_shape)
          and p.run_at < clock_timestamp() - make_interval(secs => p_after)
          and exists (select from projection_declarations d
                      where d.projection = p_projection and d.version = p_version and d.shape = p_shape);
    return found;
end $$;
