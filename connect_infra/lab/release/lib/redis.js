'use strict';
// The two Redis servers. The cache may fail at any time and costs at most CACHE_TIMEOUT_MS; the
// queue may not, and says so.

const Redis = require('ioredis');

const CACHE_TIMEOUT_MS = 250;
const QUEUE_TIMEOUT_MS = 2000;
const MATCHES_TTL_S = 3600;

const matchesKey = (organizationId) => `org:${organizationId}:matches`;

/** A client that reconnects for ever and fails a command at once while it is not connected. */
function connect(url, log, options) {
  const client = new Redis(url, {
    enableOfflineQueue: false,
    connectTimeout: 2000,
    maxRetriesPerRequest: 0,
    retryStrategy: (attempt) => Math.min(attempt * 100, 1000),
    ...options,
  });
  let said = '';
  client.on('ready', () => { said = ''; });
  client.on('error', (error) => {
    const message = error.code ?? error.message;
    if (message !== said) log(`redis at port ${client.options.port}`, error);
    said = message;
  });
  return client;
}

/** The client, if a command would reach its server now. */
function ready(client) {
  if (client.status !== 'ready') throw new Error('not connected');
  return client;
}

const queueClient = (url, log) => connect(url, log, { commandTimeout: QUEUE_TIMEOUT_MS });
// Waits on the server for seconds at a time, so it has no time-out of its own.
const blockingClient = (url, log) => connect(url, log, {});

/** Matches of organizations, kept for an hour. Without Redis every look-up is a miss. */
class Cache {
  constructor(url, log) {
    this.client = connect(url, log, { commandTimeout: CACHE_TIMEOUT_MS });
  }

  async matches(organizationId) {
    const text = await this.#tolerate(this.client.get(matchesKey(organizationId)));
    return text ?? null;
  }

  keepMatches(organizationId, text) {
    return this.#tolerate(this.client.set(matchesKey(organizationId), text, 'EX', MATCHES_TTL_S));
  }

  forgetMatches(organizationId) {
    return this.#tolerate(this.client.del(matchesKey(organizationId)));
  }

  // The client's error event has told the log already; the health check tells everybody else.
  #tolerate(answer) {
    return answer.catch(() => undefined);
  }

  async ping() {
    await ready(this.client).ping();
  }

  close() {
    this.client.disconnect();
  }
}

module.exports = { Cache, blockingClient, matchesKey, queueClient, ready };
