-- Locks the checkpoint of a generation for the write of a page, from p_from up to p_to. Returns false when
-- another process has moved it, or when an event of the page is to be skipped that is not among those known
-- when the page was folded: whoever records a skip locks the checkpoint too, and is seen here or comes after
-- the write.
create function {schema}.projection_may_write(
    p_projection text, p_generation integer, p_from bigint, p_to bigint, p_known bigint[]
) returns boolean language plpgsql volatile set search_path = {schema}, pg_temp as $$
begin
    set local role {projector};
    perform from projection_generations g
        where g.projection = p_projection and g.generation = p_generation and g.position = p_from
        for no key update;
    return found and not exists (
        select from projection_skips s
        where s.projection = p_projection and s.position > p_from and s.position <= p_to
          and s.position <> all (p_known));
end $$;
revoke all on function {schema}.projection_may_write from public;
grant execute on function {schema}.projection_may_write to {service};
