-- Elements that a drill wrote, to be counted after a fault.
CREATE TABLE ledger (
  element bigint PRIMARY KEY,
  "recordedAt" timestamptz NOT NULL DEFAULT clock_timestamp()
);
