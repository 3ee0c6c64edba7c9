'use strict';
const assert = require('node:assert');
const fs = require('node:fs');
const os = require('node:os');
const path = require('node:path');
const { after, test } = require('node:test');
const { ConfigError, load } = require('../lib/config');

const directory = fs.mkdtempSync(path.join(os.tmpdir(), 'connect-config-'));
after(() => fs.rmSync(directory, { recursive: true }));

const ENV = {
  SOCKET_PATH: path.join(directory, 'connect.sock'),
  DATABASE_URL: 'postgresql://connect@localhost:6432/connect',
  REDIS_CACHE_URL: 'redis://localhost:6379',
  REDIS_QUEUE_URL: 'redis://localhost:6380',
  JWT_SECRET: 'j'.repeat(64),
  ENCRYPTION_KEY: 'e'.repeat(32),
};
const config = (changes = {}) => load({ ...ENV, ...changes }, directory);

test('the documented PORT 0 means the socket, with metrics on 3001', () => {
  const { listen, metricsPort } = config({ PORT: '0' });
  assert.deepEqual(listen, { path: ENV.SOCKET_PATH, mode: 0o660 });
  assert.equal(metricsPort, 3001);
});

test('another PORT means that port, and no second listener', () => {
  const { listen, metricsPort } = config({ PORT: '3002' });
  assert.deepEqual(listen, { host: '127.0.0.1', port: 3002 });
  assert.equal(metricsPort, 0);
});

test('a socket that is a link is bound where the link leads, even to nothing', () => {
  const link = path.join(directory, 'link.sock');
  fs.symlinkSync('elsewhere/real.sock', link);
  assert.equal(config({ SOCKET_PATH: link }).listen.path, path.join(directory, 'elsewhere/real.sock'));
});

test('the version comes from the release, not from the environment', () => {
  assert.equal(config({ RELEASE_VERSION: 'e' }).version, 'e');
  fs.writeFileSync(path.join(directory, 'VERSION'), 'f\n');
  assert.equal(config({ RELEASE_VERSION: 'e' }).version, 'f');
});

for (const name of Object.keys(ENV)) {
  test(`a missing ${name} is named`, () => {
    assert.throws(() => config({ [name]: undefined }), (error) =>
      error instanceof ConfigError && error.message.startsWith(`${name} is not set`));
  });
}

for (const [name, value] of [['PORT', '70000'], ['PORT', 'x'], ['SOCKET_MODE', '888'],
  ['QUEUE_WORKER', 'yes'], ['JWT_SECRET', 'j'.repeat(63)], ['ENCRYPTION_KEY', 'short']]) {
  test(`${name}=${value.slice(0, 8)} is refused`, () => {
    assert.throws(() => config({ [name]: value }), (error) =>
      error instanceof ConfigError && error.message.startsWith(name));
  });
}
