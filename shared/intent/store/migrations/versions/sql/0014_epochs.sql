-- Which history of the server the log is part of. PostgreSQL begins another timeline with each promotion
-- and each recovery to a point in time; a log that was restored from a dump is another table.
create function {schema}.log_incarnation() returns bigint language plpgsql stable as $$
begin
    return ('{schema}.head'::pg_catalog.regclass::oid::bigint << 32) | ('x' || pg_catalog.substr(
        pg_catalog.pg_walfile_name(pg_catalog.pg_current_wal_insert_lsn()), 1, 8))::bit(32)::bigint;
exception when others then
    -- A standby has no timeline of its own, and a service that has PostgreSQL's protocol only has none at all.
    return '{schema}.head'::pg_catalog.regclass::oid::bigint << 32;
end $$;

-- The same and what is too slow to be asked at each append: which cluster and which database.
create function {schema}.log_origin() returns text language plpgsql stable {settings} as $$
declare
    cluster text := '';
begin
    begin
        select c.system_identifier::text into cluster from pg_control_system() c;
    exception when others then
        null;
    end;
    return concat_ws('/', cluster, (select d.oid from pg_database d where d.datname = current_database()),
                     log_incarnation());
end $$;

-- Begins an epoch at what the log is now.
create function {schema}.log_begin_epoch() returns void language plpgsql volatile {settings} as $$
begin
    insert into epochs (number, epoch, began_after, incarnation, origin, began_at)
        select coalesce((select max(e.number) from epochs e), 0) + 1, gen_random_uuid(), h.position,
               log_incarnation(), log_origin(), clock_timestamp()
        from head h;
end $$;

-- Returns whether an epoch is due: the server is another than the one that began the last epoch, or its
-- log ends before a position that it has once reported.
create function {schema}.log_epoch_due(p_known uuid, p_reported bigint) returns boolean
language plpgsql volatile {settings} as $$
begin
    return (select e.origin <> log_origin() or (e.epoch = p_known and h.position < p_reported)
            from head h cross join (select * from epochs e order by e.number desc limit 1) e);
end $$;

-- Returns all epochs, the current one last, after beginning one if that is due. A standby returns none: what
-- it knows may be old.
create function {schema}.log_epochs(p_known uuid, p_reported bigint)
returns table (epoch uuid, began_after bigint, incarnation bigint) language plpgsql volatile {settings} as $$
begin
    if pg_is_in_recovery() then
        return;
    end if;
    if log_epoch_due(p_known, p_reported) then
        -- Nobody appends meanwhile; whoever was faster has begun it.
        perform from head h for update;
        if log_epoch_due(p_known, p_reported) then
            perform log_begin_epoch();
        end if;
    end if;
    return query select e.epoch, e.began_after, e.incarnation from epochs e order by e.number;
end $$;

-- Begins an epoch because an operator says so, who has set the log back in its place; returns it.
create function {schema}.log_new_epoch() returns uuid language plpgsql volatile {settings} as $$
begin
    perform from head h for update;
    perform log_begin_epoch();
    return (select e.epoch from epochs e order by e.number desc limit 1);
end $$;

-- Returns p_value, an argument of a function whose effect rests on what the log was; raises when the server
-- has another history by now. Null is any history. It trusts no search path because it names everything.
create function {schema}.in_incarnation(p_incarnation bigint, p_value anyelement) returns anyelement
language plpgsql stable as $$
begin
    if p_incarnation operator(pg_catalog.<>) {schema}.log_incarnation() then
        raise exception 'the log has begun another epoch' using errcode = 'IE001';
    end if;
    return p_value;
end $$;
