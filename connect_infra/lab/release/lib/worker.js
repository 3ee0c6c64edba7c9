'use strict';
// Does the queue's jobs, one at a time. Each kind of work may be repeated safely, because delivery is
// at least once; job_runs counts how often each job was done.

const { setTimeout: sleep } = require('node:timers/promises');
const { IDLE_MS } = require('./queue');

const RETRY_MS = 500;
const MOST_WORK_MS = 10000;
const MATCHES_MADE = 10;

/** What each kind of job does with its payload: {kind: async (payload, {db, cache, metrics})}. */
const KINDS = {
  // The outcome of a scrape is part of its payload, so that a drill decides how many fail.
  async scrape({ agency, fail = false, ms = 0 }, { db, metrics }) {
    await sleep(Math.min(Number(ms) || 0, MOST_WORK_MS));
    if (!fail) {
      await db.write('UPDATE funding_programs SET "scrapedAt" = now() WHERE agency = $1', [agency]);
    }
    metrics.count(fail ? 'scraping_failures_total' : 'scraping_success_total');
  },

  async match({ organizationId }, { db, cache, metrics }) {
    const made = await db.write(
      `INSERT INTO funding_matches ("organizationId", "programId", score)
       SELECT o.id, p.id, 100 - (p.id + o.id) % 100
       FROM organizations o JOIN funding_programs p ON p.region = o.region
       WHERE o.id = $1 ORDER BY p.deadline DESC, p.id LIMIT ${MATCHES_MADE}
       ON CONFLICT ("organizationId", "programId") DO UPDATE SET score = excluded.score`,
      [organizationId]);
    await cache.forgetMatches(organizationId);
    metrics.count('funding_matches_total', made.rowCount);
  },

  async noop() {},
};

class Worker {
  #stopping = false;
  #said = '';
  #done = Promise.resolve();

  constructor({ queue, blocking, db, cache, metrics, log, name }) {
    Object.assign(this, { queue, blocking, db, cache, metrics, log, name });
  }

  start() {
    this.#done = this.#loop();
  }

  /** Finishes the job at hand and takes no other. */
  async stop() {
    this.#stopping = true;
    await this.#done;
    this.blocking.disconnect();
  }

  async #loop() {
    let prepared = false;
    let looked = 0;
    while (!this.#stopping) {
      try {
        if (!prepared) await this.queue.prepare();
        prepared = true;
        if (Date.now() - looked > IDLE_MS) {
          looked = Date.now();
          for (const job of await this.queue.abandoned(this.name)) await this.#run(job);
        }
        const job = await this.queue.next(this.blocking, this.name);
        if (job) await this.#run(job);
      } catch (error) {
        // Redis is away, or came back without the group: begin again. A failed job stays pending.
        prepared = false;
        this.#say(error);
        await sleep(RETRY_MS);
      }
    }
  }

  #say(error) {
    if (error.message !== this.#said) this.log('worker', error);
    this.#said = error.message;
  }

  async #run(job) {
    const work = KINDS[job.kind];
    if (!work) throw new Error(`job ${job.id} is of unknown kind '${job.kind}'`);
    await work(job.payload, this);
    await this.db.write(
      `INSERT INTO job_runs (id, kind) VALUES ($1, $2)
       ON CONFLICT (id) DO UPDATE SET runs = job_runs.runs + 1, "finishedAt" = now()`,
      [job.id, job.kind]);
    await this.queue.finished(job);
    this.#said = '';
  }
}

module.exports = { KINDS, Worker };
