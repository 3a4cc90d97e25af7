create table {schema}.epochs (
    number bigint primary key,
    epoch uuid not null unique,
    began_after bigint not null,
    incarnation bigint not null,
    origin text not null,
    began_at timestamptz not null
);
comment on table {schema}.epochs is
    'The epochs of the log: one more after each restore and promotion. Of what an earlier one had beyond began_after, nothing is left.';
grant select, insert on {schema}.epochs to {log};
