'use strict';
// PostgreSQL through PgBouncer's transaction pool: unnamed statements only, no session state, and no
// start-up parameters that the pooler would refuse.

const pg = require('pg');
const { HttpError } = require('./http');

// Classes of errors after which nobody knows what became of the statement: lost connections, a
// server on its way down or up, failures of its machine.
const UNCERTAIN = new Set(['08', '57', '58', 'XX']);

pg.types.setTypeParser(pg.types.builtins.INT8, Number);
pg.types.setTypeParser(pg.types.builtins.DATE, String);

const lost = (error) => !error.severity || UNCERTAIN.has(error.code?.slice(0, 2));

class Database {
  constructor(url, log) {
    this.pool = new pg.Pool({
      connectionString: url,
      application_name: 'connect',
      max: 4,
      connectionTimeoutMillis: 2000,
      idleTimeoutMillis: 30000,
      query_timeout: 5000,
      keepAlive: true,
    });
    this.pool.on('error', (error) => log('idle database connection lost', error));
  }

  /** The rows of a statement that only reads; tried a second time when the connection was lost. */
  async read(sql, parameters = []) {
    for (const last of [false, true]) {
      try {
        return (await this.pool.query(sql, parameters)).rows;
      } catch (error) {
        if (!lost(error)) throw error;
        if (last) throw new HttpError(503, `the database does not answer: ${error.message}`);
      }
    }
  }

  /**
   * The result of a statement that writes, tried once. 503 tells the client what is known:
   * outcome 'fail' (it did not happen) or 'info' (it may have happened).
   */
  async write(sql, parameters = []) {
    const client = await this.pool.connect().catch((error) => {
      throw new HttpError(503, `no database connection: ${error.message}`, { outcome: 'fail' });
    });
    let broken;
    try {
      return await client.query(sql, parameters);
    } catch (error) {
      broken = lost(error);
      if (broken) {
        throw new HttpError(503, `database connection lost: ${error.message}`, { outcome: 'info' });
      }
      if (error.code === '23505') throw new HttpError(409, 'exists already', { outcome: 'fail' });
      if (/^(25|40|53|55)/.test(error.code)) {
        throw new HttpError(503, error.message, { outcome: 'fail' });
      }
      throw error;
    } finally {
      client.release(broken);
    }
  }

  ping() {
    return this.pool.query('SELECT 1');
  }

  close() {
    return this.pool.end();
  }
}

module.exports = { Database };
