-- Reads a span of the log, of one tenant or of all: however few events pass the filter, what is scanned is
-- bounded by it. The page ends as one of read_log_0010 does.
create function {schema}.read_span{suffix}(
    after bigint, last bigint, up_to integer, most_bytes bigint, only_tenant text, only_types text[],
    only_aggregate_type text, only_aggregate_id text
) returns setof {schema}.entries_{shape} language plpgsql stable {settings} as $$
#variable_conflict use_column
declare
    bound text := nullif(current_setting('intent.tenant', true), '');
begin
    if bound is not null then
        if only_tenant <> bound then
            return;
        end if;
        only_tenant := bound;
    end if;
    if only_tenant is null then
        return query select {columns} from (
            select p.*, sum(octet_length(p.data)) over (order by p.position) - octet_length(p.data) as bytes_before
            from (
                select * from entries_{shape} e where e.position > after and e.position <= last
                  and (only_types is null or e.type = any (only_types))
                  and (only_aggregate_type is null or e.aggregate_type = only_aggregate_type)
                  and (only_aggregate_id is null or e.aggregate_id = only_aggregate_id)
                order by e.position limit up_to) p) page
            where bytes_before < most_bytes order by position;
    else
        return query select {columns} from (
            select p.*, sum(octet_length(p.data)) over (order by p.position) - octet_length(p.data) as bytes_before
            from (
                select * from entries_{shape} e
                where (e.tenant, e.position) > (only_tenant, after) and (e.tenant, e.position) <= (only_tenant, last)
                  and (only_types is null or e.type = any (only_types))
                  and (only_aggregate_type is null or e.aggregate_type = only_aggregate_type)
                  and (only_aggregate_id is null or e.aggregate_id = only_aggregate_id)
                order by e.tenant, e.position limit up_to) p) page
            where bytes_before < most_bytes order by position;
    end if;
end $$;
