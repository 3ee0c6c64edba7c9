'use strict';
// Applies migrations/*.sql in the order of their names, each in a transaction of its own, and keeps
// the record where Prisma keeps it. Run again, it does nothing.

require('node:dns').setDefaultResultOrder('ipv4first');

const { createHash, randomUUID } = require('node:crypto');
const fs = require('node:fs');
const path = require('node:path');
const { parseArgs } = require('node:util');
const pg = require('pg');

const USAGE = `usage: node migrate.js [--status]
Applies the pending migrations of this release to MIGRATE_DATABASE_URL (a direct connection).
  --status  change nothing; list applied and pending as JSON; exit 2 when some are pending`;
const DIR = path.join(__dirname, 'migrations');
// The lock that Prisma takes, so that the two never run at once.
const LOCK = 72707369;
const LOCK_TIMEOUT = '30s';
const RECORD = `CREATE TABLE IF NOT EXISTS _prisma_migrations (
  id varchar(36) PRIMARY KEY,
  checksum varchar(64) NOT NULL,
  finished_at timestamptz,
  migration_name varchar(255) NOT NULL,
  logs text,
  rolled_back_at timestamptz,
  started_at timestamptz NOT NULL DEFAULT now(),
  applied_steps_count integer NOT NULL DEFAULT 0)`;

class MigrationError extends Error {}

function shipped() {
  return fs.readdirSync(DIR).filter((file) => file.endsWith('.sql')).sort().map((file) => {
    const sql = fs.readFileSync(path.join(DIR, file), 'utf8');
    return { name: path.basename(file, '.sql'), sql, checksum: createHash('sha256').update(sql).digest('hex') };
  });
}

/** Refuses a pooled connection: an advisory lock would be left with whatever session the pool gave. */
async function connect() {
  const url = process.env.MIGRATE_DATABASE_URL;
  if (!url) throw new MigrationError('MIGRATE_DATABASE_URL is not set: the URL of a direct connection');
  const client = new pg.Client({ connectionString: url, application_name: 'connect-migrate',
    connectionTimeoutMillis: 5000 });
  await client.connect();
  const { rows: [{ pid }] } = await client.query('SELECT pg_backend_pid() AS pid');
  if (pid !== client.processID) {
    await client.end();
    throw new MigrationError('MIGRATE_DATABASE_URL leads to a pooler: give the address of PostgreSQL');
  }
  return client;
}

async function applied(client) {
  const { rows: [{ record }] } = await client.query(`SELECT to_regclass('_prisma_migrations') AS record`);
  if (!record) return new Map();
  const { rows } = await client.query(
    `SELECT migration_name, checksum FROM _prisma_migrations
     WHERE finished_at IS NOT NULL AND rolled_back_at IS NULL`);
  return new Map(rows.map((row) => [row.migration_name, row.checksum]));
}

/** Migrations to apply. A newer database is fine (that is a rollback); an edited migration is not. */
function pending(known, all) {
  for (const { name, checksum } of all) {
    if (known.has(name) && known.get(name) !== checksum) {
      throw new MigrationError(`${name} was edited after it was applied: write a new migration instead`);
    }
  }
  return all.filter(({ name }) => !known.has(name));
}

async function apply(client, { name, sql, checksum }) {
  await client.query('BEGIN');
  try {
    await client.query(sql);
    await client.query(
      `INSERT INTO _prisma_migrations (id, checksum, migration_name, started_at, finished_at, applied_steps_count)
       VALUES ($1, $2, $3, now(), clock_timestamp(), 1)`, [randomUUID(), checksum, name]);
    await client.query('COMMIT');
  } catch (error) {
    await client.query('ROLLBACK');
    throw new MigrationError(`${name} failed and was rolled back: ${error.message}`);
  }
  console.log(`applied ${name}`);
}

async function migrate(client) {
  await client.query(`SET lock_timeout = '${LOCK_TIMEOUT}'`);
  await client.query(`SELECT pg_advisory_lock(${LOCK})`);
  await client.query(RECORD);
  for (const migration of pending(await applied(client), shipped())) await apply(client, migration);
  const left = pending(await applied(client), shipped());
  if (left.length) throw new MigrationError(`not recorded as applied: ${left.map(({ name }) => name)}`);
  console.log(`${shipped().length} migrations are applied`);
}

async function status(client) {
  const known = await applied(client);
  const left = pending(known, shipped()).map(({ name }) => name);
  console.log(JSON.stringify({ applied: [...known.keys()].sort(), pending: left }));
  return left.length ? 2 : 0;
}

async function main() {
  const { values } = parseArgs({ options: { status: { type: 'boolean' }, help: { type: 'boolean' } } });
  if (values.help) return console.log(USAGE);
  const client = await connect();
  try {
    if (values.status) process.exitCode = await status(client);
    else await migrate(client);
  } finally {
    await client.end();
  }
}

main().catch((error) => {
  console.error(`migrate: ${error.message || error.code}`);
  process.exit(1);
});
