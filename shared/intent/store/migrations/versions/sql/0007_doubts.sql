create table {schema}.doubts (
    key bytea not null,
    code text collate "C" not null,
    what text not null,
    losses integer not null,
    noted_at timestamptz not null,
    primary key (key, code)
);
comment on table {schema}.doubts is
    'How many processes have died while a piece of work was under way, by the digest of the piece and of the code that ran; forgotten after a day.';
grant select, insert, update, delete on {schema}.doubts to {log};

-- Counts one more loss, up to at least p_least, and returns the new count.
create function {schema}.doubt_note(p_key bytea, p_code text, p_what text, p_least integer) returns integer
language plpgsql volatile {settings} as $$
declare
    counted integer;
begin
    delete from doubts where noted_at < clock_timestamp() - interval '1 day';
    insert into doubts as d (key, code, what, losses, noted_at)
        values (p_key, p_code, p_what, p_least, clock_timestamp())
        on conflict (key, code) do update
            set losses = greatest(d.losses + 1, p_least), noted_at = clock_timestamp()
        returning losses into strict counted;
    return counted;
end $$;

-- Forgets what was completed after all.
create function {schema}.doubt_clear(p_keys bytea[], p_code text) returns void
language sql volatile {settings} as $$
    delete from doubts where key = any (p_keys) and code = p_code;
$$;

-- Returns the losses of everything that the same code is in doubt about.
create function {schema}.doubts_read(p_code text) returns table (key bytea, losses integer)
language sql stable {settings} as $$
    select d.key, d.losses from doubts d
    where d.code = p_code and d.noted_at >= clock_timestamp() - interval '1 day';
$$;
