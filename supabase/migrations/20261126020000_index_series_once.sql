-- One index for both: which number a series has, and which series a metric has. The metric is part of what the key
-- stands for, so that no series could have been there twice by one rule and once by the other.
alter table public.series
  drop constraint series_server_id_key_key,
  add constraint series_server_id_metric_key_key unique (server_id, metric, key);
drop index public.series_metric_idx;
