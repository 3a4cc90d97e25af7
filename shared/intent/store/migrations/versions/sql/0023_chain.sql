-- Chains what is recorded in a table by digests. Each statement that adds rows adds one link: a digest over the
-- digests of the rows and over that of the link before. Of each row's own digest the first four bytes are kept,
-- which tell which row of a link was changed later. A log that is set back in its place goes on with a link that
-- begins before the end of the one before it: the chain itself never goes back, so it shows that.
create table {schema}.{table}_chain (
    number bigint primary key,
    first bigint not null,
    last bigint not null,
    before bigint not null,
    encoding smallint not null,
    marks bytea not null,
    digest bytea not null
);
comment on table {schema}.{table}_chain is
    'Links of digests over the rows of {table}, from first to last, after the position before; the first has no rows.';
grant select, insert on {schema}.{table}_chain to {log};
revoke update, delete, truncate on {schema}.{table}_chain from {owner};
create trigger append_only before update or delete or truncate on {schema}.{table}_chain
    for each statement execute function {schema}.log_append_only();

-- Not columns of the head: an append that waits for its row would wait for whoever adds them, who waits for it.
create table {schema}.{table}_chain_head (
    id smallint primary key default 1 check (id = 1),
    number bigint not null,
    chained bigint not null,
    digest bytea not null
) with (fillfactor = 10);
grant select, update on {schema}.{table}_chain_head to {log};
insert into {schema}.{table}_chain_head (number, chained, digest)
    select 0, h.position, sha256(convert_to(format('intent chain 1 of %s after %s', '{table}', h.position), 'UTF8'))
    from {schema}.{head} h;
insert into {schema}.{table}_chain (number, first, last, before, encoding, marks, digest)
    select 0, h.chained + 1, h.chained, h.chained, 1, '', h.digest from {schema}.{table}_chain_head h;

-- It names everything, so it trusts no search path, and costs none.
create function {schema}.{table}_chain_extend() returns trigger language plpgsql as $$
declare
    before record;
    link record;
    reached bytea;
begin
    select pg_catalog.count(*) as rows, pg_catalog.min(d.position) as first, pg_catalog.max(d.position) as last,
           pg_catalog.string_agg(d.digest, '' order by d.position) as digests,
           pg_catalog.string_agg(pg_catalog.substr(d.digest, 1, 4), '' order by d.position) as marks
      into strict link
      from (select e.position, pg_catalog.sha256(pg_catalog.record_send(row({columns}))) as digest
            from added e offset 0) d;
    if link.rows = 0 then
        return null;
    end if;
    select h.number, h.chained, h.digest into strict before from {schema}.{table}_chain_head h;
    if link.last - link.first + 1 <> link.rows then
        raise exception '{table} is appended to without gaps: there are % rows from position % to %',
            link.rows, link.first, link.last using errcode = 'integrity_constraint_violation';
    end if;
    reached := pg_catalog.sha256(before.digest || pg_catalog.int8send(link.first) || pg_catalog.int8send(link.last)
                                 || link.digests);
    insert into {schema}.{table}_chain (number, first, last, before, encoding, marks, digest)
        values (before.number + 1, link.first, link.last, before.chained, 1, link.marks, reached);
    update {schema}.{table}_chain_head set number = number + 1, chained = link.last, digest = reached;
    return null;
end $$;
revoke all on function {schema}.{table}_chain_extend from public;
create trigger chain_extend after insert on {schema}.{table} referencing new table as added
    for each statement execute function {schema}.{table}_chain_extend();
