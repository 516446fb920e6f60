-- name: tell
select pg_notify(%(channel)s, %(letter)s)
