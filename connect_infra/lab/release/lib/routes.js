'use strict';
// What Connect answers. Each handler takes (context, request) and sends one response; `context` holds
// the services, `request` is {req, res, params, query}.

const path = require('node:path');
const { HttpError, integer, readJson, route, send, sendFile, sendHtml, sendJson } = require('./http');
const pages = require('./pages');
const { LIFETIME_S, checkPassword, hashPassword, sign, verify } = require('./tokens');
const { receive } = require('./uploads');
const { KINDS } = require('./worker');

const PAGE_SIZE = 20;
const LAST_PAGE = 5000;
const LEDGER_SIZE = 10000;
const PART_TIMEOUT_MS = 2000;
const PASSWORD_LENGTH = 8;
const STATIC_TYPES = {
  '.css': 'text/css; charset=utf-8',
  '.js': 'application/javascript; charset=utf-8',
  '.svg': 'image/svg+xml',
};
const UPLOAD_TYPES = {
  '.gif': 'image/gif', '.jpg': 'image/jpeg', '.pdf': 'application/pdf', '.png': 'image/png',
  '.txt': 'text/plain; charset=utf-8',
};

// A probe sends a nonce to know that the answer is to its own request and not from a cache.
function nonce(query) {
  const value = query.get('nonce') ?? '';
  if (!/^[\w.-]{0,64}$/.test(value)) throw new HttpError(400, 'nonce: expected at most 64 of [A-Za-z0-9_.-]');
  return value;
}

const meta = ({ config }, query) => ({ version: config.version, nonce: nonce(query) });

function text(body, name) {
  if (typeof body[name] !== 'string' || !body[name]) throw new HttpError(400, `${name}: expected a text`);
  return body[name];
}

function user({ config }, req) {
  const [scheme, token = ''] = (req.headers.authorization ?? '').split(' ');
  const claims = scheme === 'Bearer' ? verify(token, config.jwtSecret) : null;
  if (!claims) throw new HttpError(401, 'expected a valid bearer token; log in first');
  return claims.sub;
}

async function searchPrograms({ db }, query) {
  const words = query.get('query') ?? '';
  const page = integer(query.get('page') ?? 1, 'page', { most: LAST_PAGE });
  const where = words ? `WHERE search @@ websearch_to_tsquery('simple', $1)` : '';
  const parameters = words ? [words] : [];
  const [[{ total }], programs] = await Promise.all([
    db.read(`SELECT count(*) AS total FROM funding_programs ${where}`, parameters),
    db.read(`SELECT id, title, agency, region, amount, deadline FROM funding_programs ${where}
             ORDER BY deadline DESC, id LIMIT ${PAGE_SIZE} OFFSET ${(page - 1) * PAGE_SIZE}`, parameters),
  ]);
  return { query: words, page, pages: Math.max(1, Math.ceil(total / PAGE_SIZE)), total, programs };
}

async function showProgram({ db }, { res, params }) {
  const id = integer(params.id, 'id', { most: 2 ** 31 - 1 });
  const [program] = await db.read(
    `SELECT id, title, agency, region, amount, deadline, description, "scrapedAt"
     FROM funding_programs WHERE id = $1`, [id]);
  if (!program) throw new HttpError(404, `no program ${id}`);
  sendJson(res, 200, program);
}

async function showMatches({ db, cache }, { res, query }) {
  const id = integer(query.get('organizationId'), 'organizationId', { most: 2 ** 31 - 1 });
  const kept = await cache.matches(id);
  const answer = kept ?? JSON.stringify({
    organizationId: id,
    matches: await db.read(
      `SELECT m."programId", m.score, p.title, p.agency, p.deadline
       FROM funding_matches m JOIN funding_programs p ON p.id = m."programId"
       WHERE m."organizationId" = $1 ORDER BY m.score DESC, m."programId"`, [id]),
  });
  if (!kept) await cache.keepMatches(id, answer);
  send(res, 200, 'application/json; charset=utf-8', answer, { 'X-Cache': kept ? 'HIT' : 'MISS' });
}

// An unknown user costs the same time as a wrong password, so that a guess learns nothing.
const NOBODY = hashPassword('nobody');

async function login({ db, config, metrics }, { req, res }) {
  const body = await readJson(req);
  const [name, password] = [text(body, 'user'), text(body, 'password')];
  const [found] = await db.read('SELECT id, password FROM users WHERE email = $1', [name]);
  const right = await checkPassword(password, found?.password ?? await NOBODY);
  if (!found || !right) {
    metrics.count('login_failures_total');
    throw new HttpError(401, 'wrong user or password');
  }
  sendJson(res, 200, { token: sign(found.id, config.jwtSecret), expiresIn: LIFETIME_S });
}

async function register({ db, metrics }, { req, res }) {
  const body = await readJson(req);
  const [name, password] = [text(body, 'user'), text(body, 'password')];
  if (password.length < PASSWORD_LENGTH) {
    throw new HttpError(400, `password: expected at least ${PASSWORD_LENGTH} characters`);
  }
  const made = await db.write('INSERT INTO users (email, password) VALUES ($1, $2) RETURNING id',
    [name, await hashPassword(password)]);
  metrics.count('user_registrations_total');
  sendJson(res, 201, { id: made.rows[0].id });
}

async function upload(context, { req, res, query }) {
  user(context, req);
  const name = await receive(req, context.config.uploadsDir, query.get('name') ?? '');
  sendJson(res, 201, { url: `/uploads/${name}` });
}

function queueAway(error) {
  throw new HttpError(503, `the queue does not answer: ${error.message}`);
}

async function enqueue({ queue }, res, kind, payload) {
  if (!Object.hasOwn(KINDS, kind)) {
    throw new HttpError(400, `kind: expected one of ${Object.keys(KINDS).join(', ')}`);
  }
  const id = await queue.add(kind, payload).catch(queueAway);
  sendJson(res, 202, { id });
}

async function addJob({ queue }, { req, res }) {
  const { kind, payload = {} } = await readJson(req);
  if (payload === null || typeof payload !== 'object') throw new HttpError(400, 'payload: expected an object');
  await enqueue({ queue }, res, kind, payload);
}

async function addScrape({ queue }, { req, res }) {
  const body = await readJson(req);
  text(body, 'agency');
  await enqueue({ queue }, res, 'scrape', body);
}

async function showDepth({ queue }, { res }) {
  sendJson(res, 200, await queue.depth().catch(queueAway));
}

async function showJob({ db }, { res, params }) {
  const [run] = await db.read('SELECT id, kind, runs, "finishedAt" FROM job_runs WHERE id = $1', [params.id]);
  if (!run) throw new HttpError(404, `job ${params.id} is not finished, or unknown`);
  sendJson(res, 200, run);
}

async function addElement({ db }, { req, res }) {
  const element = integer((await readJson(req)).element, 'element');
  await db.write('INSERT INTO ledger (element) VALUES ($1)', [element]);
  sendJson(res, 201, { element });
}

/** Elements from `from` on; `next` continues a list that is longer than one answer. */
async function listElements({ db }, { res, query }) {
  const from = integer(query.get('from') ?? 1, 'from');
  const rows = await db.read(
    `SELECT element FROM ledger WHERE element >= $1 ORDER BY element LIMIT ${LEDGER_SIZE + 1}`, [from]);
  const elements = rows.map((row) => row.element);
  const next = elements.length > LEDGER_SIZE ? elements.pop() : null;
  sendJson(res, 200, { elements, next });
}

/** 'ok', or why the part does not answer. */
async function check(part) {
  let timer;
  const late = new Promise((_, reject) => {
    timer = setTimeout(() => reject(new Error(`no answer in ${PART_TIMEOUT_MS} ms`)), PART_TIMEOUT_MS);
  });
  try {
    await Promise.race([part.ping(), late]);
    return 'ok';
  } catch (error) {
    return error.message || error.code || 'failed';
  } finally {
    clearTimeout(timer);
  }
}

/** Healthy with everything, degraded without the cache, unhealthy without database or queue. */
async function health({ db, cache, queue }) {
  const [database, cached, queued] = await Promise.all([db, cache, queue].map(check));
  const needed = database === 'ok' && queued === 'ok';
  const status = !needed ? 'unhealthy' : cached === 'ok' ? 'healthy' : 'degraded';
  return { status, checks: { database, cache: cached, queue: queued } };
}

async function showHealth(context, { res, query }) {
  const { status, checks } = await health(context);
  const { version, nonce: echoed } = meta(context, query);
  sendJson(res, status === 'unhealthy' ? 503 : 200, { status, version, nonce: echoed, checks });
}

async function showMetrics({ report, metrics }, { res }) {
  await report();
  send(res, 200, 'text/plain; version=0.0.4; charset=utf-8', metrics.render());
}

const ROUTES = [
  route('GET /', (context, { res, query }) => sendHtml(res, 200, pages.home(meta(context, query)))),
  route('GET /programs', async (context, { res, query }) =>
    sendHtml(res, 200, pages.programs(await searchPrograms(context, query), meta(context, query)))),
  route('GET /api/programs', async (context, { res, query }) =>
    sendJson(res, 200, await searchPrograms(context, query))),
  route('GET /api/programs/:id', showProgram),
  route('GET /api/matches', showMatches),
  route('POST /api/login', login),
  route('POST /api/register', register),
  // The documented nginx allows 100 MB below / only; below /api/ its own limit of 1 MB holds.
  route('POST /api/uploads', upload),
  route('POST /upload', upload),
  route('GET /uploads/:name', ({ config }, { res, params }) =>
    sendFile(res, config.uploadsDir, params.name, UPLOAD_TYPES)),
  route('GET /_next/static/:name', ({ config }, { res, params }) =>
    sendFile(res, path.join(config.root, 'static'), params.name, STATIC_TYPES)),
  route('POST /api/jobs', addJob),
  route('GET /api/jobs', showDepth),
  route('GET /api/jobs/:id', showJob),
  route('POST /api/scrapes', addScrape),
  route('POST /api/ledger', addElement),
  route('GET /api/ledger', listElements),
  route('GET /api/health', showHealth),
  // For Prometheus on this host; the front door does not give it away.
  route('GET /api/metrics', showMetrics, { local: true }),
];

module.exports = { ROUTES, health };
