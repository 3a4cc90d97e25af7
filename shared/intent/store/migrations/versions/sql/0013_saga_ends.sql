-- Records ends; what was recorded of a saga before stays.
create function {schema}.saga_ends_record(
    p_tenants text[], p_sagas text[], p_statuses integer[], p_started timestamptz[], p_ended timestamptz[],
    p_by text[], p_reasons text[]
) returns void language sql volatile {settings} as $$
    select consumer_guard(t.tenant) from unnest(p_tenants) t (tenant);
    insert into saga_ends (tenant, saga, status, started_at, ended_at, ended_by, reason)
        select * from unnest(p_tenants, p_sagas, p_statuses, p_started, p_ended, p_by, p_reasons)
        order by 1, 2
        on conflict do nothing;
$$;

-- Returns how a saga ended; no row while it has not.
create function {schema}.saga_end(p_tenant text, p_saga text) returns table (
    status integer, started_at timestamptz, ended_at timestamptz, ended_by text, reason text
) language sql stable {settings} as $$
    select consumer_guard(p_tenant);
    select e.status, e.started_at, e.ended_at, e.ended_by, e.reason from saga_ends e
    where e.tenant = p_tenant and e.saga = p_saga;
$$;

-- Returns up to when all ends are recorded; null before the first time.
create function {schema}.saga_ends_known() returns timestamptz language sql stable {settings} as $$
    select k.up_to from saga_ends_known k;
$$;

create function {schema}.saga_ends_known_up_to(p_up_to timestamptz) returns void
language sql volatile {settings} as $$
    insert into saga_ends_known as k (up_to) values (p_up_to)
        on conflict (only_row) do update set up_to = greatest(k.up_to, p_up_to);
$$;
