'use strict';
// Makes the data of the documented size: the same on every host, and nothing twice.

require('node:dns').setDefaultResultOrder('ipv4first');

const pg = require('pg');
const { hashPassword } = require('./lib/tokens');

const USAGE = `usage: node seed.js
Fills MIGRATE_DATABASE_URL (migrated before) with 100,000 programs of 500 agencies, and 10,000
organizations with ten matches and one user each: user-<n>@example.com. The users' password is
SEED_PASSWORD, or 'connect-lab'. For labs only.`;
const PROGRAMS = 100000;
const ORGANIZATIONS = 10000;
const MATCHES = 10;
const SALT = Buffer.from('connect-lab-salt');

const array = (words) => `ARRAY[${words.split(' ').map((word) => `'${word}'`).join(',')}]`;
const REGIONS = array('Seoul Busan Daegu Incheon Gwangju Daejeon Ulsan Sejong Gyeonggi Gangwon ' +
  'Chungbuk Chungnam Jeonbuk Jeonnam Gyeongbuk Gyeongnam Jeju');
const TOPICS = array('Battery Biotech Robotics Semiconductor Hydrogen Mobility Fintech Farming ' +
  'Fishery Forestry Shipping Space Software Security Sensors Textiles Tourism Recycling Health ' +
  'Education Design Games Music Film Housing Water Solar Wind Steel Chemistry Logistics Export ' +
  'Startup');
const KINDS = array('Grant Loan Voucher Fellowship Guarantee Prize Subsidy');

// The counts of the lists are coprime, so that their words meet in every combination.
const STATEMENTS = [
  `INSERT INTO organizations (id, name, region)
   SELECT n, 'Organization ' || n, (${REGIONS})[1 + n % 17]
   FROM generate_series(1, ${ORGANIZATIONS}) n ON CONFLICT DO NOTHING`,
  `INSERT INTO users (id, email, password, "organizationId")
   SELECT n, 'user-' || n || '@example.com', $1, n
   FROM generate_series(1, ${ORGANIZATIONS}) n ON CONFLICT DO NOTHING`,
  `INSERT INTO funding_programs (id, title, description, agency, region, amount, deadline)
   SELECT n, concat_ws(' ', region, topic, kind, n), concat_ws(' ', 'The', kind, 'for', topic, 'in',
     region, 'supports small and medium enterprises with research and development.'),
     'Agency ' || 1 + n % 500, region, 1000000 * (1 + n % 997), date '2026-01-01' + n * 7 % 1095
   FROM generate_series(1, ${PROGRAMS}) n,
   LATERAL (SELECT (${REGIONS})[1 + n % 17] AS region, (${TOPICS})[1 + n % 33] AS topic,
     (${KINDS})[1 + n % 7] AS kind) words
   ON CONFLICT DO NOTHING`,
  `INSERT INTO funding_matches ("organizationId", "programId", score)
   SELECT n, 1 + (n * ${MATCHES} + m * 7919) % ${PROGRAMS}, 100 - (n * m) % 61
   FROM generate_series(1, ${ORGANIZATIONS}) n, generate_series(1, ${MATCHES}) m
   ON CONFLICT DO NOTHING`,
];
const NUMBERED = ['organizations', 'users', 'funding_programs'];

async function seed(client) {
  const password = await hashPassword(process.env.SEED_PASSWORD || 'connect-lab', SALT);
  await client.query('BEGIN');
  for (const statement of STATEMENTS) {
    await client.query(statement, statement.includes('$1') ? [password] : []);
  }
  for (const table of NUMBERED) {
    await client.query(`SELECT setval(pg_get_serial_sequence('${table}', 'id'), max(id)) FROM ${table}`);
  }
  await client.query('COMMIT');
  await client.query('VACUUM (ANALYZE) organizations, users, funding_programs, funding_matches');
}

async function main() {
  if (process.argv.includes('--help')) return console.log(USAGE);
  if (!process.env.MIGRATE_DATABASE_URL) throw new Error('MIGRATE_DATABASE_URL is not set');
  const client = new pg.Client({ connectionString: process.env.MIGRATE_DATABASE_URL });
  await client.connect();
  try {
    await seed(client);
    const { rows: [{ count }] } = await client.query('SELECT count(*) FROM funding_programs');
    console.log(`${count} programs`);
  } finally {
    await client.end();
  }
}

main().catch((error) => {
  console.error(`seed: ${error.message || error.code}`);
  process.exit(1);
});
