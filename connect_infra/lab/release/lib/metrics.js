'use strict';
// Counters that Prometheus can trust although any of PM2's processes may answer the scrape and each
// is replaced at every reload. A process keeps only what it has not reported yet; the sums live in
// one hash of the queue's Redis. A sum never falls, not even when Redis comes back with an older
// state: each report carries the largest sums its process has seen, as floors.

const { ready } = require('./redis');

const BUCKETS = [0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, Infinity];
const DURATION = 'http_request_duration_seconds';
const COUNTERS = {
  http_requests_total: 'Requests answered, by method, route and status',
  scraping_success_total: 'Scrapes of an agency that succeeded',
  scraping_failures_total: 'Scrapes of an agency that failed',
  user_registrations_total: 'Users registered',
  funding_matches_total: 'Matches made between organizations and programs',
  login_failures_total: 'Logins refused',
};

// KEYS[1] the hash; ARGV: field, floor, increment, and so on. Returns the whole hash.
const REPORT = `
for i = 1, #ARGV, 3 do
  local sum = math.max(tonumber(redis.call('HGET', KEYS[1], ARGV[i]) or '0'), tonumber(ARGV[i + 1]))
  redis.call('HSET', KEYS[1], ARGV[i], string.format('%.17g', sum + tonumber(ARGV[i + 2])))
end
return redis.call('HGETALL', KEYS[1])`;

const labels = (pairs) => pairs.map(([name, value]) => `${name}="${value}"`).join(',');
const bound = (le) => (le === Infinity ? '+Inf' : String(le));

const bucket = (seconds) => bound(BUCKETS.find((limit) => seconds <= limit));

class Metrics {
  #unreported = new Map();
  #sums = new Map();

  count(name, by = 1, pairs = []) {
    const field = pairs.length ? `${name}{${labels(pairs)}}` : name;
    this.#unreported.set(field, (this.#unreported.get(field) ?? 0) + by);
  }

  /** One answered request; `seconds` from its first byte to the end of the answer. */
  request(method, route, status, seconds) {
    const where = [['method', method], ['route', route]];
    this.count('http_requests_total', 1, [...where, ['status', status]]);
    this.count(`${DURATION}_sum`, seconds, where);
    this.count(`${DURATION}_bucket`, 1, [...where, ['le', bucket(seconds)]]);
  }

  /** Adds what is unreported to the sums in Redis; on failure it stays unreported. */
  async report(redis, key) {
    const sent = this.#unreported;
    this.#unreported = new Map();
    try {
      const fields = new Set([...this.#sums.keys(), ...sent.keys()]);
      const args = [...fields].flatMap(
        (field) => [field, this.#sums.get(field) ?? 0, sent.get(field) ?? 0]);
      const pairs = await ready(redis).eval(REPORT, 1, key, ...args);
      const sums = Array.from({ length: pairs.length / 2 },
        (_, i) => [pairs[2 * i], Number(pairs[2 * i + 1])]);
      this.#sums = new Map(sums.sort(([left], [right]) => (left < right ? -1 : 1)));
    } catch (error) {
      for (const [field, by] of sent) this.count(field, by);
      throw error;
    }
  }

  /** The sums last seen, in Prometheus' text format. */
  render() {
    return expose(this.#sums);
  }
}

/** Counters and the histogram, from sums by their series, in Prometheus' text format. */
function expose(sums) {
  const lines = [];
  for (const [name, help] of Object.entries(COUNTERS)) {
    lines.push(`# HELP ${name} ${help}`, `# TYPE ${name} counter`);
    const series = [...sums].filter(([field]) => field.split('{')[0] === name);
    // A counter that starts at its first event hides that event from increase().
    if (!series.length && name !== 'http_requests_total') series.push([name, 0]);
    lines.push(...series.map(([field, sum]) => `${field} ${sum}`));
  }
  return [...lines, ...histogram(sums), ''].join('\n');
}

function histogram(sums) {
  const lines = [`# HELP ${DURATION} Time to answer a request`, `# TYPE ${DURATION} histogram`];
  for (const [field, total] of sums) {
    if (!field.startsWith(`${DURATION}_sum`)) continue;
    const where = field.slice(`${DURATION}_sum{`.length, -1);
    let count = 0;
    for (const le of BUCKETS) {
      const series = `${DURATION}_bucket{${where},le="${bound(le)}"}`;
      count += sums.get(series) ?? 0;
      lines.push(`${series} ${count}`);
    }
    lines.push(`${field} ${total}`, `${DURATION}_count{${where}} ${count}`);
  }
  return lines;
}

module.exports = { Metrics, bucket, expose };
