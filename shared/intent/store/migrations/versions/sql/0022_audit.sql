-- Writes entries of the audit, given as one array for each column; returns the position of the last.
create function {schema}.audit_write{suffix}(
    p_kind text[], p_method text[], p_actor text[], p_tenant text[], p_peer text[], p_reason text[],
    p_target text[], p_correlation text[], p_times integer[], p_since timestamptz[]
) returns bigint language plpgsql volatile {settings} as $$
declare
    only_tenant text := nullif(current_setting('intent.tenant', true), '');
    base bigint;
begin
    if only_tenant is not null and exists (select from unnest(p_tenant) t where t <> only_tenant) then
        raise insufficient_privilege using
            message = 'this connection is bound to one tenant and may not write for another';
    end if;
    update audit_head set position = position + cardinality(p_kind)
        returning position - cardinality(p_kind) into strict base;
    insert into audit (position, tenant, kind, method, actor, peer, reason, target, correlation_id, times, since,
                       recorded_at)
    select base + e.i, e.tenant, e.kind, e.method, e.actor, e.peer, e.reason, e.target, e.correlation, e.times,
           coalesce(e.since, clock_timestamp()), clock_timestamp()
      from unnest(p_kind, p_method, p_actor, p_tenant, p_peer, p_reason, p_target, p_correlation, p_times, p_since)
           with ordinality
           e (kind, method, actor, tenant, peer, reason, target, correlation, times, since, i);
    return base + cardinality(p_kind);
end $$;

-- Reads entries above a position, or below one the newest first; what is null does not narrow.
create function {schema}.audit_read{suffix}(
    p_after bigint, p_before bigint, p_newest boolean, p_most integer, only_kind text, only_actor text,
    only_tenant text, p_since timestamptz, p_until timestamptz
) returns table (
    "position" bigint, tenant text, kind text, method text, actor text, peer text, reason text, target text,
    correlation_id text, times integer, since timestamptz, recorded_at timestamptz
) language plpgsql stable {settings} as $$
declare
    bound text := nullif(current_setting('intent.tenant', true), '');
begin
    if bound is not null then
        if only_tenant <> bound then
            return;
        end if;
        only_tenant := bound;
    end if;
    -- Only the conditions that there are, so that the index of one of them is used.
    return query execute
        'select * from audit e where e.position > $1 and e.position < $2'
        || case when only_kind is null then '' else ' and e.kind = $4' end
        || case when only_actor is null then '' else ' and e.actor = $5' end
        || case when only_tenant is null then '' else ' and e.tenant = $6' end
        || case when p_since is null then '' else ' and e.recorded_at >= $7' end
        || case when p_until is null then '' else ' and e.recorded_at < $8' end
        || case when p_newest then ' order by e.position desc limit $3' else ' order by e.position limit $3' end
        using p_after, p_before, p_most, only_kind, only_actor, only_tenant, p_since, p_until;
end $$;
