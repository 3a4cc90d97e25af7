-- Whoever recorded what is there by now also brings it to sagas, or has done so. Nothing is recorded in between:
-- appends lock the row of the head.
insert into {schema}.saga_follower (began_at) select h.position from {schema}.head h for no key update;
