set local lock_timeout = '5s';
-- Rights come back with a restore that leaves them out, or with a grant on all tables; a trigger stays.
-- Superusers, who restore, may do what they want.
create function {schema}.log_append_only() returns trigger
language plpgsql set search_path = pg_catalog, pg_temp as $$
begin
    if (select r.rolsuper from pg_roles r where r.rolname = current_user) then
        return null;
    end if;
    raise exception 'the log is append-only: % of % is refused', lower(tg_op), tg_table_name
        using errcode = 'insufficient_privilege';
end $$;
revoke all on function {schema}.log_append_only from public;
