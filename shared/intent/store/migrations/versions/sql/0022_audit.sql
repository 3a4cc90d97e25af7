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
    if p_newest then
        return query select * from audit e
            where e.position > p_after and e.position < p_before
              and (only_kind is null or e.kind = only_kind)
              and (only_actor is null or e.actor = only_actor)
              and (only_tenant is null or e.tenant = only_tenant)
              and (p_since is null or e.recorded_at >= p_since)
              and (p_until is null or e.recorded_at < p_until)
            order by e.position desc limit p_most;
    else
        return query select * from audit e
            where e.position > p_after and e.position < p_before
              and (only_kind is null or e.kind = only_kind)
              and (only_actor is null or e.actor = only_actor)
              and (only_tenant is null or e.tenant = only_tenant)
              and (p_since is null or e.recorded_at >= p_since)
              and (p_until is null or e.recorded_at < p_until)
            order by e.position limit p_most;
    end if;
end $$;
