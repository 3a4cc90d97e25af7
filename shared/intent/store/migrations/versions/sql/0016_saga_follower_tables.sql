create table {schema}.saga_follower (
    only_row boolean primary key default true check (only_row),
    began_at bigint not null,
    rewound_up_to bigint not null default 0
);
comment on table {schema}.saga_follower is
    'The follower that brings events to sagas is the consumer intent.sagas; it brings those after began_at. Those up to rewound_up_to may have been brought before, since an operator had them brought again.';
grant select, insert, update on {schema}.saga_follower to {log};
