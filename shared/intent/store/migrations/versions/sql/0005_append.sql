-- Appends a batch. Arrays with the prefix g_ have an element for each stream, c_ for each command,
-- e_ for each event and s_ for each snapshot; c_group, e_command and s_group say to which stream or
-- command it belongs, by its number from 1 up; g_silent has the numbers of the streams without events.
-- Commands and events are in order. c_tracestate is empty when no command has one.
create function {schema}.append{suffix}(
    g_tenant text[], g_type text[], g_id text[], g_expected bigint[],
    c_group integer[], c_id uuid[], c_fingerprint bytea[], c_outcome bytea[], c_events integer[],
    c_correlation text[], c_causation text[], c_actor text[], c_traceparent text[], c_workflow text[],
    e_command integer[], e_version bigint[], e_id uuid[], e_type text[], e_schema integer[], e_data bytea[],
    s_group integer[], s_version bigint[], s_state_version integer[], s_state bytea[],
    g_silent integer[], c_tracestate text[], careful boolean,
    out base bigint, out failed_group integer[], out failed_version bigint[],
    out d_command integer[], out d_id uuid[], out d_fingerprint bytea[], out d_outcome bytea[],
    out d_position bigint[], out d_workflow text[]
) language plpgsql {settings} set enable_nestloop = off set enable_mergejoin = off as $$
declare
    only_tenant text := nullif(current_setting('intent.tenant', true), '');
    given bigint := cardinality(e_id);
    written bigint;
    stamp timestamptz;
begin
    if only_tenant is not null and exists (select from unnest(g_tenant) t where t <> only_tenant) then
        raise insufficient_privilege using
            message = 'this connection is bound to one tenant and may not write for another';
    end if;

    -- The one lock: whoever holds it is alone until its commit. So positions are gapless, their order
    -- is the commit order, what is read below is exact, and appends cannot deadlock.
    update head set position = position + given returning position - given into strict base;
    stamp := clock_timestamp();

    -- Unless it is to be careful, nothing is looked up that a unique index detects anyway, by refusing the
    -- whole call: that a command was written before, or that a stream has moved on since. No index detects
    -- a stream that is behind what is expected, or one that has moved on while no event is added to it.
    if careful or exists (
        select from (
            select * from unnest(g_tenant, g_type, g_id, g_expected) g (tenant, type, id, expected)
            where g.expected > 0 offset 0) g
        left join lateral (
            select e.version from events e
            where e.tenant = g.tenant and e.aggregate_type = g.type and e.aggregate_id = g.id
              and e.version <= g.expected
            order by e.version desc limit 1) reached on true
        where reached.version is distinct from g.expected
    ) or exists (
        select from unnest(g_silent) silent (i)
        join unnest(g_tenant, g_type, g_id, g_expected) with ordinality g (tenant, type, id, expected, i)
          on g.i = silent.i
        cross join lateral (
            select from events e
            where e.tenant = g.tenant and e.aggregate_type = g.type and e.aggregate_id = g.id
              and e.version > g.expected
            order by e.version limit 1) beyond
    ) then
        select array_agg(c.i order by c.i), array_agg(c.id order by c.i), array_agg(k.fingerprint order by c.i),
               array_agg(k.outcome order by c.i), array_agg(k.position order by c.i),
               array_agg(k.workflow_id order by c.i)
          into d_command, d_id, d_fingerprint, d_outcome, d_position, d_workflow
          from unnest(c_group, c_id) with ordinality c ("group", id, i)
          join unnest(g_tenant) with ordinality g (tenant, i) on g.i = c."group"
         cross join lateral (
              select * from commands k where k.tenant = g.tenant and k.command_id = c.id offset 0) k;

        select array_agg(g.i order by g.i), array_agg(coalesce(last.version, 0) order by g.i)
          into failed_group, failed_version
          from unnest(g_tenant, g_type, g_id, g_expected) with ordinality g (tenant, type, id, expected, i)
          left join lateral (
              select e.version from events e
              where e.tenant = g.tenant and e.aggregate_type = g.type and e.aggregate_id = g.id
              order by e.version desc limit 1) last on true
         where coalesce(last.version, 0) <> g.expected or g.i = any (
              select c_group[d.i] from unnest(d_command) d (i));
    end if;

    insert into events (position, tenant, aggregate_type, aggregate_id, version, event_id, type, schema_version,
                        data, command_id, correlation_id, causation_id, actor, traceparent, recorded_at, tracestate)
    select base + row_number() over (order by e.i), g.tenant, g.type, g.id, e.version, e.id, e.type, e.schema,
           e.data, c.id, c.correlation, c.causation, c.actor, c.traceparent, stamp, coalesce(c.tracestate, '')
      from unnest(e_command, e_version, e_id, e_type, e_schema, e_data) with ordinality
           e (command, version, id, type, schema, data, i)
      join unnest(c_group, c_id, c_correlation, c_causation, c_actor, c_traceparent, c_tracestate) with ordinality
           c ("group", id, correlation, causation, actor, traceparent, tracestate, i) on c.i = e.command
      join unnest(g_tenant, g_type, g_id) with ordinality g (tenant, type, id, i) on g.i = c."group"
     where failed_group is null or c."group" <> all (failed_group);
    get diagnostics written = row_count;

    insert into commands
    select g.tenant, c.id, c.fingerprint, g.type, g.id, c.outcome, base + sum(c.events) over (order by c.i),
           c.workflow, stamp
      from unnest(c_group, c_id, c_fingerprint, c_outcome, c_events, c_workflow) with ordinality
           c ("group", id, fingerprint, outcome, events, workflow, i)
      join unnest(g_tenant, g_type, g_id) with ordinality g (tenant, type, id, i) on g.i = c."group"
     where failed_group is null or c."group" <> all (failed_group);

    if cardinality(s_group) > 0 then
        insert into snapshots as kept
        select g.tenant, g.type, g.id, s.version, s.state_version, s.state
          from unnest(s_group, s_version, s_state_version, s_state) s ("group", version, state_version, state)
          join unnest(g_tenant, g_type, g_id) with ordinality g (tenant, type, id, i) on g.i = s."group"
         where failed_group is null or s."group" <> all (failed_group)
            on conflict (tenant, aggregate_type, aggregate_id) do update
               set version = excluded.version, state_version = excluded.state_version, state = excluded.state;
    end if;

    if written < given then
        update head set position = base + written;
    end if;
end $$;
