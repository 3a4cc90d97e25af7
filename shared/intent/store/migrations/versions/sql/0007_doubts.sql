create table {schema}.doubts (
    key bytea not null,
    code text collate "C" not null,
    what text not null,
    losses integer not null,
    noted_at timestamptz not null,
    tried_until timestamptz,
    primary key (key, code)
);
comment on table {schema}.doubts is
    'How many processes have died while a piece of work was under way, by the digest of the piece and of the code that ran; forgotten after a day.';
comment on column {schema}.doubts.tried_until is
    'Until then the last loss is one that was counted in advance: a process is trying the piece.';
grant select, insert, update, delete on {schema}.doubts to {log};

-- Counts one more loss, and returns the new count.
create function {schema}.doubt_note(p_key bytea, p_code text, p_what text) returns integer
language plpgsql volatile {settings} as $$
declare
    counted integer;
begin
    delete from doubts where noted_at < clock_timestamp() - interval '1 day';
    insert into doubts as d (key, code, what, losses, noted_at)
        values (p_key, p_code, p_what, 1, clock_timestamp())
        on conflict (key, code) do update set losses = d.losses + 1, noted_at = clock_timestamp()
        returning losses into strict counted;
    return counted;
end $$;

-- Counts a loss in advance, and returns the new count; 0 when another trial is under way.
-- The first trial follows a loss that may not have been noted, so that the count starts at two.
create function {schema}.doubt_try(p_key bytea, p_code text, p_what text, p_longest interval) returns integer
language sql volatile {settings} as $$
    with tried as (
        insert into doubts as d (key, code, what, losses, noted_at, tried_until)
            values (p_key, p_code, p_what, 2, clock_timestamp(), clock_timestamp() + p_longest)
            on conflict (key, code) do update set
                losses = greatest(d.losses + 1, 2),
                noted_at = clock_timestamp(),
                tried_until = clock_timestamp() + p_longest
                where d.tried_until is null or d.tried_until < clock_timestamp()
            returning losses)
    select coalesce((select losses from tried), 0);
$$;

-- Counts what was counted in advance: the process that tried died of it. Returns the count.
create function {schema}.doubt_confirm(p_key bytea, p_code text) returns integer
language sql volatile {settings} as $$
    with confirmed as (
        update doubts set tried_until = null where key = p_key and code = p_code returning losses)
    select coalesce((select losses from confirmed), 0);
$$;

-- Forgets what was completed after all.
create function {schema}.doubt_clear(p_keys bytea[], p_code text) returns void
language sql volatile {settings} as $$
    delete from doubts where key = any (p_keys) and code = p_code;
$$;

-- Returns the losses of everything that the same code is in doubt about, without what is being tried.
create function {schema}.doubts_read(p_code text) returns table (key bytea, losses integer)
language sql stable {settings} as $$
    select d.key, d.losses - (coalesce(d.tried_until, '-infinity') > clock_timestamp())::integer from doubts d
    where d.code = p_code and d.noted_at >= clock_timestamp() - interval '1 day';
$$;
