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
