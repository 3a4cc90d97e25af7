-- Creates the consumer that the follower is, where the log ended when this revision was applied, unless it
-- exists. Returns that position, and up to which one events may have been brought before.
create function {schema}.saga_follower_begin(p_types text[], p_partitions integer)
returns table (began_at bigint, rewound_up_to bigint)
language plpgsql volatile {settings} as $$
#variable_conflict use_column
begin
    perform consumer_guard('*');
    insert into consumers (tenant, name, partitions, types)
        values ('*', 'intent.sagas', p_partitions, p_types) on conflict do nothing;
    if found then
        insert into consumer_partitions (tenant, consumer, "partition", checkpoint)
            select '*', 'intent.sagas', n, f.began_at from saga_follower f, generate_series(0, p_partitions - 1) n;
    end if;
    return query select f.began_at, f.rewound_up_to from saga_follower f;
end $$;

-- Moves the follower back to a position, unless it has not come so far; returns the position of the log.
-- Streams that were set aside or parked behind that position are brought again with the rest.
create function {schema}.saga_follower_rewind(p_after bigint) returns bigint
language plpgsql volatile {settings} as $$
declare
    last bigint;
begin
    perform consumer_guard('*');
    perform from consumer_partitions p where p.tenant = '*' and p.consumer = 'intent.sagas'
        order by p.partition for update;
    perform from consumer_streams s where s.consumer_tenant = '*' and s.consumer = 'intent.sagas'
        and s.position > p_after order by s.tenant, s.aggregate_type, s.aggregate_id for update;
    -- Whoever holds a partition notices with its next heartbeat or save, and continues from here.
    update consumer_partitions p set checkpoint = least(p.checkpoint, p_after), epoch = p.epoch + 1, instance = null
        where p.tenant = '*' and p.consumer = 'intent.sagas';
    delete from consumer_streams s where s.consumer_tenant = '*' and s.consumer = 'intent.sagas'
        and s.position > p_after;
    select h.position into strict last from head h;
    update saga_follower f set rewound_up_to = greatest(f.rewound_up_to, last);
    if not exists (select from consumers c where c.tenant = '*' and c.name = 'intent.sagas') then
        update saga_follower f set began_at = least(f.began_at, p_after);
    end if;
    perform consumer_changed('*', 'intent.sagas');
    return last;
end $$;

-- Lists the consumers of the platform itself, as consumer_list_0010 lists all others.
create function {schema}.consumer_own()
returns table (tenant text, name text, "position" bigint, head bigint, instances integer, parked integer,
               types text[])
language sql stable {settings} as $$
    select * from consumer_page(true, '*', null, null, null)
$$;
