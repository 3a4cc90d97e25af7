-- The end of what is recorded in the log and in the audit, with the digest over all of it.
create function {schema}.chain_heads{suffix}()
returns table (name text, "position" bigint, number bigint, chained bigint, digest bytea)
language sql stable {settings} as $$
    select 'events', h.position, c.number, c.chained, c.digest from head h cross join events_chain_head c
    union all
    select 'audit', h.position, c.number, c.chained, c.digest from audit_head h cross join audit_chain_head c
$$;

-- Reads links after a number; p_of is events or audit.
create function {schema}.chain_links{suffix}(p_of text, p_after bigint, p_most integer)
returns table (number bigint, first bigint, last bigint, before bigint, encoding smallint, marks bytea, digest bytea)
language plpgsql stable {settings} as $$
begin
    if p_of = 'events' then
        return query select c.number, c.first, c.last, c.before, c.encoding, c.marks, c.digest from events_chain c
            where c.number > p_after order by c.number limit p_most;
    else
        return query select c.number, c.first, c.last, c.before, c.encoding, c.marks, c.digest from audit_chain c
            where c.number > p_after order by c.number limit p_most;
    end if;
end $$;

-- The links with which a log that was set back in its place goes on, and whether an epoch began with it.
create function {schema}.chain_set_backs{suffix}(p_of text)
returns table (number bigint, first bigint, before bigint, in_epoch boolean) language plpgsql stable {settings} as $$
begin
    if p_of = 'events' then
        return query select c.number, c.first, c.before,
                            exists (select from epochs e where e.began_after = c.first - 1)
            from events_chain c where c.first <= c.before order by c.number;
    else
        return query select c.number, c.first, c.before, false
            from audit_chain c where c.first <= c.before order by c.number;
    end if;
end $$;
