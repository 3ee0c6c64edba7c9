'use strict';
// A stand-in Connect release: one process of PM2's cluster, or a server of its own on PORT.

require('node:dns').setDefaultResultOrder('ipv4first'); // The services listen on 127.0.0.1 only.

const fs = require('node:fs');
const http = require('node:http');
const net = require('node:net');
const { performance } = require('node:perf_hooks');
const { setTimeout: sleep } = require('node:timers/promises');

const { ConfigError, load } = require('./lib/config');
const { Database } = require('./lib/database');
const { HttpError, match, sendHtml, sendJson } = require('./lib/http');
const { Metrics } = require('./lib/metrics');
const pages = require('./lib/pages');
const { Queue } = require('./lib/queue');
const { Cache, blockingClient, queueClient } = require('./lib/redis');
const { ROUTES, health } = require('./lib/routes');
const { Worker } = require('./lib/worker');

const REPORT_MS = 2000;
// Longer than nginx keeps a connection (60 s): only nginx closes it, never under a request.
const KEEP_ALIVE_MS = 75000;
// PM2 waits 10 s for the ready signal and for the end. Serve before that even without the
// services, so that /api/health can name the one that is missing.
const READY_WITHIN_MS = 8000;
const CACHE_WITHIN_MS = 3000;
const IDLE_GRACE_MS = 1500;
const STOP_WITHIN_MS = 9500;
const LISTEN_ATTEMPTS = 20;
const CLIENT_GONE = new Set(['ECONNRESET', 'EPIPE', 'ERR_STREAM_PREMATURE_CLOSE']);

function log(what, error, stack) {
  console.error(JSON.stringify({ what, message: error?.message, code: error?.code, stack }));
}

function fail(context, res, path, error) {
  if (res.destroyed && CLIENT_GONE.has(error.code)) return;
  const status = error.status ?? 500;
  if (status === 500) log(`request ${path}`, error, error.stack);
  if (res.headersSent) return res.destroy();
  const message = status === 500 ? 'something went wrong on our side' : error.message;
  if (path.startsWith('/api/')) return sendJson(res, status, { error: message, ...error.body });
  return sendHtml(res, status, pages.failure(status, message, { version: context.config.version }));
}

/** Answers requests; `local` listeners also answer what is only for this host. */
function handler(context, local) {
  return async (req, res) => {
    const started = performance.now();
    const [path, search = ''] = req.url.split(/\?(.*)/s);
    let name = 'unknown';
    res.setHeader('X-Connect-Version', context.config.version);
    if (context.stopping) res.setHeader('Connection', 'close');
    res.once('close', () => {
      const seconds = (performance.now() - started) / 1000;
      const status = res.writableFinished ? res.statusCode : 499;
      if (name !== '/api/metrics') context.metrics.request(req.method, name, status, seconds);
    });
    try {
      const { route, params } = match(ROUTES, req.method, path);
      if (route.local && !local) throw new HttpError(404, 'not found');
      name = route.name;
      await route.handler(context, { req, res, params, query: new URLSearchParams(search) });
    } catch (error) {
      fail(context, res, path, error);
    }
  };
}

function listening(server, where) {
  return new Promise((resolve, reject) => {
    server.once('error', reject);
    server.listen(where, () => { server.off('error', reject); resolve(); });
  });
}

const refused = (file) => new Promise((resolve) => {
  const probe = net.connect(file);
  probe.once('connect', () => { probe.destroy(); resolve(false); });
  probe.once('error', (error) => resolve(error.code === 'ECONNREFUSED'));
});

// A killed PM2 leaves its socket file behind. Only the first instance removes it: the others might
// remove the one that the first has just made.
async function listenOnSocket(server, { listen, instance }) {
  for (let attempt = 1; ; attempt += 1) {
    try {
      await listening(server, listen.path);
      return fs.chmodSync(listen.path, listen.mode);
    } catch (error) {
      if (error.code !== 'EADDRINUSE' || attempt === LISTEN_ATTEMPTS) throw error;
      if (instance === '0' && await refused(listen.path)) fs.rmSync(listen.path, { force: true });
      else await sleep(200);
    }
  }
}

/** Resolves when the services answer; false when they did not in time. */
async function servicesAnswer(context, within) {
  const started = Date.now();
  for (;;) {
    const { status } = await health(context);
    const waited = Date.now() - started;
    if (status === 'healthy' || (status === 'degraded' && waited > CACHE_WITHIN_MS)) return true;
    if (waited > within || context.stopping) return false;
    await sleep(100);
  }
}

async function stop(context, servers) {
  if (context.stopping) return;
  context.stopping = true;
  setTimeout(() => { log('stopped before every request was answered'); process.exit(1); },
    STOP_WITHIN_MS).unref();
  const closed = servers.map((server) => new Promise((resolve) => { server.close(resolve); }));
  // A request may be on its way on a connection that looks idle: let it arrive and answer it.
  await sleep(IDLE_GRACE_MS);
  for (const server of servers) server.closeIdleConnections();
  await Promise.all([...closed, context.worker?.stop()]);
  clearInterval(context.reporting);
  await context.report();
  await context.db.close();
  context.cache.close();
  context.queue.close();
  process.exit(0);
}

function services(config) {
  const metrics = new Metrics();
  const client = queueClient(config.queueUrl, log);
  let told = false;
  const context = {
    config, metrics,
    db: new Database(config.databaseUrl, log),
    cache: new Cache(config.cacheUrl, log),
    queue: new Queue(client),
    stopping: false,
    // Without Redis the sums stand still and what is new is kept for later.
    report: () => metrics.report(client, `connect:metrics:${config.scope}`).then(
      () => { told = false; },
      (error) => { if (!told) log('metrics not reported', error); told = true; }),
  };
  if (config.worker) {
    // The same name after a reload, so that names do not pile up in the consumer group.
    const name = `${config.scope}:${config.instance}`;
    context.worker = new Worker({
      ...context, name, log, blocking: blockingClient(config.queueUrl, log) });
  }
  return context;
}

function server(context, local) {
  const made = http.createServer({ keepAliveTimeout: KEEP_ALIVE_MS }, handler(context, local));
  made.headersTimeout = KEEP_ALIVE_MS + 1000;
  return made;
}

async function main() {
  const config = load(process.env, __dirname);
  const context = services(config);
  const front = server(context, !config.listen.path);
  const servers = [front];
  for (const signal of ['SIGINT', 'SIGTERM']) process.on(signal, () => stop(context, servers));
  process.on('message', (message) => { if (message === 'shutdown') stop(context, servers); });

  const answered = await servicesAnswer(context, READY_WITHIN_MS);
  if (context.stopping) return;
  await (config.listen.path ? listenOnSocket(front, config) : listening(front, config.listen));
  if (config.metricsPort) {
    servers.push(server(context, true));
    await listening(servers[1], { host: '127.0.0.1', port: config.metricsPort });
  }
  context.reporting = setInterval(context.report, REPORT_MS);
  context.worker?.start();
  if (answered || await servicesAnswer(context, Infinity)) process.send?.('ready');
}

main().catch((error) => {
  console.error(error instanceof ConfigError || error.code ? `connect: ${error.message}` : error);
  process.exit(1);
});
