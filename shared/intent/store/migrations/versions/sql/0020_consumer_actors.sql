-- Adds an instance to a consumer as before, and notes who joined. Returns the number of its partitions, null as
-- before, and whether the actor is another one than that of the join before.
create function {schema}.consumer_join{suffix}(
    p_tenant text, p_consumer text, p_instance uuid, p_worker uuid, p_partitions integer, p_from_now boolean,
    p_types text[], p_most integer, p_actor text
) returns table (total integer, newcomer boolean) language plpgsql volatile {settings} as $$
begin
    perform consumer_guard(p_tenant);
    total := consumer_join_0010(
        p_tenant, p_consumer, p_instance, p_worker, p_partitions, p_from_now, p_types, p_most);
    update consumers c set joined_by = p_actor
        where c.tenant = p_tenant and c.name = p_consumer and p_actor <> '' and c.joined_by <> p_actor
          and total is not null;
    newcomer := found;
    return next;
end $$;

-- Lists the consumers of a tenant, or of all, in pages, with who joined them last.
create function {schema}.consumer_list{suffix}(
    only_tenant text, after_tenant text, after_name text, most integer
) returns table (tenant text, name text, "position" bigint, head bigint, instances integer, parked integer,
                 types text[], joined_by text)
language sql stable {settings} as $$
    select p.*, c.joined_by from consumer_page(false, only_tenant, after_tenant, after_name, most) p
        join consumers c on c.tenant = p.tenant and c.name = p.name
        order by p.tenant, p.name
$$;
