-- How often each job of the queue was done: at least once, and more often after a worker died.
CREATE TABLE job_runs (
  id text PRIMARY KEY,
  kind text NOT NULL,
  runs integer NOT NULL DEFAULT 1,
  "finishedAt" timestamptz NOT NULL DEFAULT now()
);
