-- name: messages
-- Those that wait to see whether an agent has said the same are not late.
select count(*) as due, coalesce(extract(epoch from %(now)s - min(due_at)), 0)::float8 as delay
from public.notifications
where state = 'waiting' and teller = 'hub' and due_at <= %(now)s and not_after is null
