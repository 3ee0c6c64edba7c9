'use strict';
// Jobs on the queue's Redis, delivered at least once: a stream with one consumer group. A job is
// removed only after its work is done; one whose worker died is taken over after IDLE_MS, and one
// that was taken over DELIVERIES times is put aside on the dead stream.

const { ready } = require('./redis');

const STREAM = 'connect:jobs';
const DEAD = 'connect:jobs:dead';
const GROUP = 'workers';
const BLOCK_MS = 1000;
const IDLE_MS = 30000;
const DELIVERIES = 5;

/** The job in a stream entry [id, [field, value, …]]. */
function parse([id, fields]) {
  const values = Object.fromEntries(
    Array.from({ length: fields.length / 2 }, (_, i) => [fields[2 * i], fields[2 * i + 1]]));
  return { id, kind: values.kind, payload: JSON.parse(values.payload) };
}

class Queue {
  constructor(client) {
    this.client = client;
  }

  /** The id of the accepted job. */
  async add(kind, payload) {
    return ready(this.client).xadd(STREAM, '*', 'kind', kind, 'payload', JSON.stringify(payload));
  }

  /** Jobs not yet finished (waiting or running) and jobs given up. */
  async depth() {
    const client = ready(this.client);
    const [unfinished, dead] = await Promise.all([client.xlen(STREAM), client.xlen(DEAD)]);
    return { unfinished, dead };
  }

  /** Makes the group; calling it again is fine. */
  async prepare() {
    await ready(this.client).xgroup('CREATE', STREAM, GROUP, '0', 'MKSTREAM').catch((error) => {
      if (!error.message.startsWith('BUSYGROUP')) throw error;
    });
  }

  /** The next job, or null after BLOCK_MS without one. `blocking` is a connection of its own. */
  async next(blocking, consumer) {
    const answer = await blocking.xreadgroup(
      'GROUP', GROUP, consumer, 'COUNT', 1, 'BLOCK', BLOCK_MS, 'STREAMS', STREAM, '>');
    return answer ? parse(answer[0][1][0]) : null;
  }

  /** Jobs left behind by a worker that is gone; they are this consumer's from now on. */
  async abandoned(consumer) {
    const pending = await this.client.xpending(STREAM, GROUP, 'IDLE', IDLE_MS, '-', '+', 10);
    const jobs = [];
    for (const [id, , , deliveries] of pending) {
      const [entry] = await this.client.xclaim(STREAM, GROUP, consumer, IDLE_MS, id);
      if (!entry) continue;
      if (deliveries >= DELIVERIES) await this.#giveUp(entry);
      else jobs.push(parse(entry));
    }
    return jobs;
  }

  #giveUp([id, fields]) {
    return this.client.multi().xadd(DEAD, '*', 'id', id, ...fields)
      .xack(STREAM, GROUP, id).xdel(STREAM, id).exec();
  }

  finished(job) {
    return this.client.multi().xack(STREAM, GROUP, job.id).xdel(STREAM, job.id).exec();
  }

  async ping() {
    await ready(this.client).ping();
  }

  close() {
    this.client.disconnect();
  }
}

module.exports = { IDLE_MS, Queue, parse };
