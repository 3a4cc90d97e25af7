-- Every role, the owner included, sees the rows of the tenant that its transaction has set, and none
-- without. Only the role that owns the functions sees all, and nobody can change what the log holds.
alter table {schema}.{table} enable row level security;
alter table {schema}.{table} force row level security;
create policy own_tenant on {schema}.{table}
    using (tenant = current_setting('intent.tenant', true))
    with check (tenant = current_setting('intent.tenant', true));
create policy all_tenants on {schema}.{table} to {log} using (true) with check (true);
grant select, insert on {schema}.{table} to {log};
grant select on {schema}.{table} to {service}, {query};
