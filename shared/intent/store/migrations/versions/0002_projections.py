"""Projections: their checkpoints, the tables of their rows, and how these are rebuilt.

Revision ID: 0002
"""

from __future__ import annotations

from intent.store.migrations.script import run_script

revision = "0002"
down_revision = "0001"
branch_labels = None
depends_on = None

TABLES = """
create table {schema}.projections (
    name text primary key,
    version integer not null,
    shape jsonb not null,
    generation integer not null,
    last_generation integer not null
);
comment on table {schema}.projections is
    'The projections as the last migration declared them, and which generation of each is read.';

create table {schema}.projection_generations (
    projection text not null references {schema}.projections (name) on delete cascade,
    generation integer not null,
    version integer not null,
    shape jsonb not null,
    position bigint not null default 0,
    indexed boolean not null default false,
    failing_position bigint not null default 0,
    attempts integer not null default 0,
    last_error text not null default '',
    retry_at timestamptz,
    worker text not null default '',
    worker_until timestamptz,
    primary key (projection, generation)
) with (fillfactor = 50);
comment on table {schema}.projection_generations is
    'The checkpoint of each table of rows; it moves in the transaction that writes the rows.';

create table {schema}.projection_skips (
    projection text not null references {schema}.projections (name) on delete cascade,
    position bigint not null,
    reason text not null,
    actor text not null,
    skipped_at timestamptz not null default now(),
    primary key (projection, position)
);
comment on table {schema}.projection_skips is
    'Events that an operator made a projection pass over, and why.';

grant select on
    {schema}.projections, {schema}.projection_generations, {schema}.projection_skips to {projector};
grant update on {schema}.projection_generations to {projector};
grant insert on {schema}.projection_skips to {projector};
"""

FUNCTIONS = """
-- Makes the table of a generation: rows of all tenants, each seen by its own tenant only.
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
    execute format('create policy all_tenants on %I to {projector} using (true) with check (true)', name);
    execute format('grant select on %I to {service}, {query}', name);
    execute format('grant select, insert, update, delete on %I to {projector}', name);
    insert into projection_generations (projection, generation, version, shape)
        values (p_projection, p_generation, declared.version, declared.shape);
end $$;

-- Makes the indexes by which a generation is listed; after the load, because that is quicker.
create function {schema}.projection_index(p_projection text, p_generation integer) returns void
language plpgsql security definer set search_path = {schema}, pg_temp as $$
declare
    made record;
    name text;
    keys text;
    col text;
begin
    select shape, indexed into strict made from projection_generations g
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
    execute format('analyze %I', name);
    update projection_generations g set indexed = true
        where g.projection = p_projection and g.generation = p_generation;
end $$;

-- Lets readers see a generation, under the stable name of its read model.
create function {schema}.projection_show(p_shape jsonb, p_generation integer) returns void
language plpgsql set search_path = {schema}, pg_temp as $$
declare
    shown text := p_shape ->> 'table';
begin
    execute format('create view %I with (security_invoker = true) as select * from %I',
        shown, shown || '__g' || p_generation);
    execute format('grant select on %I to {service}, {query}', shown);
end $$;

-- Notes what a projection is in the code that is being deployed; called by the owner only.
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

-- Removes a generation that nobody reads.
create function {schema}.projection_drop(p_projection text, p_generation integer) returns void
language plpgsql set search_path = {schema}, pg_temp as $$
declare
    gone jsonb;
begin
    delete from projection_generations g where g.projection = p_projection and g.generation = p_generation
        returning shape into gone;
    if found then
        execute format('drop table %I', (gone ->> 'table') || '__g' || p_generation);
    end if;
end $$;

-- Begins a rebuild beside the generation that is read, or finds the one that is under way.
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

-- Lets readers see the rebuilt generation and removes the old; false while the rebuilt one is behind.
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
"""

OWNERS_ONLY = (
    "projection_table_create",
    "projection_show",
    "projection_declare",
    "projection_drop",
)
PROJECTORS = ("projection_index", "projection_rebuild_begin", "projection_rebuild_switch")


def upgrade() -> None:
    """Creates the tables and the functions by which the tables of rows are made and replaced."""
    run_script(TABLES)
    run_script(FUNCTIONS)
    for function in (*OWNERS_ONLY, *PROJECTORS):
        run_script("revoke all on function {schema}.{function} from public", function=function)
    for function in PROJECTORS:
        run_script("grant execute on function {schema}.{function} to {projector}", function=function)


def downgrade() -> None:
    """Refuses: what declares the projections stays; their rows are rebuilt from the log."""
    raise NotImplementedError("projections are not taken back; they are rebuilt from the log")
