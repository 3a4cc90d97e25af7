-- The end of what is recorded in the log and in the audit, with the digest over all of it.
create function {schema}.chain_heads{suffix}()
returns table (name text, "position" bigint, chained bigint, digest bytea) language sql stable {settings} as $$
    select 'events', h.position, c.chained, c.digest from head h cross join events_chain_head c
    union all select 'audit', h.position, c.chained, c.digest from audit_head h cross join audit_chain_head c
$$;

-- Reads links after a position; p_of is events or audit.
create function {schema}.chain_links{suffix}(p_of text, p_after bigint, p_most integer)
returns table (last bigint, first bigint, encoding smallint, marks bytea, digest bytea)
language plpgsql stable {settings} as $$
begin
    if p_of = 'events' then
        return query select c.last, c.first, c.encoding, c.marks, c.digest from events_chain c
            where c.last > p_after order by c.last limit p_most;
    else
        return query select c.last, c.first, c.encoding, c.marks, c.digest from audit_chain c
            where c.last > p_after order by c.last limit p_most;
    end if;
end $$;
