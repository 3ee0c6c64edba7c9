'use strict';
// Reads the environment once, so that a missing or senseless value stops the start with one line
// instead of failing a request later.

const fs = require('node:fs');
const os = require('node:os');
const path = require('node:path');

const SECRET_LENGTHS = { JWT_SECRET: 64, ENCRYPTION_KEY: 32 };

class ConfigError extends Error {}

function required(env, name) {
  if (!env[name]) throw new ConfigError(`${name} is not set; see the release's environment`);
  return env[name];
}

function secret(env, name) {
  const value = required(env, name);
  if (value.length < SECRET_LENGTHS[name]) {
    throw new ConfigError(
      `${name} has ${value.length} characters, expected at least ${SECRET_LENGTHS[name]}`);
  }
  return value;
}

function port(env, name, fallback) {
  const value = Number(env[name] ?? fallback);
  if (!Number.isInteger(value) || value < 0 || value > 65535) {
    throw new ConfigError(`${name} is '${env[name]}', expected a port from 0 to 65535`);
  }
  return value;
}

function choice(env, name, values) {
  const value = env[name] ?? values[0];
  if (!values.includes(value)) {
    throw new ConfigError(`${name} is '${value}', expected one of ${values.join(', ')}`);
  }
  return value;
}

// bind() refuses a path that is a symbolic link, and the documented socket is one wherever the
// system user may not write to /run: what the link points to is bound instead.
function socketFile(file) {
  const link = fs.lstatSync(file, { throwIfNoEntry: false });
  if (!link?.isSymbolicLink()) return file;
  return path.resolve(path.dirname(file), fs.readlinkSync(file));
}

function listener(env) {
  const tcp = port(env, 'PORT', 0);
  if (tcp) return { host: env.HOST || '127.0.0.1', port: tcp };
  const mode = env.SOCKET_MODE ?? '660';
  if (!/^0?[0-7]{3}$/.test(mode)) {
    throw new ConfigError(`SOCKET_MODE is '${mode}', expected an octal mode such as 660`);
  }
  return { path: socketFile(required(env, 'SOCKET_PATH')), mode: parseInt(mode, 8) };
}

function version(root, env) {
  const file = path.join(root, 'VERSION');
  return fs.existsSync(file) ? fs.readFileSync(file, 'utf8').trim() : env.RELEASE_VERSION ?? 'source';
}

/** The settings of one process. Throws ConfigError naming the variable. */
function load(env, root) {
  const listen = listener(env);
  return {
    root,
    version: version(root, env),
    listen,
    // Beside a socket, Prometheus needs a port; a server with a port answers there itself.
    metricsPort: listen.path ? port(env, 'METRICS_PORT', 3001) : 0,
    // Counters outlive a process, but hosts that share a Redis must not share counters.
    scope: os.hostname(),
    instance: env.NODE_APP_INSTANCE ?? '0',
    worker: choice(env, 'QUEUE_WORKER', ['on', 'off']) === 'on',
    databaseUrl: required(env, 'DATABASE_URL'),
    cacheUrl: required(env, 'REDIS_CACHE_URL'),
    queueUrl: required(env, 'REDIS_QUEUE_URL'),
    jwtSecret: secret(env, 'JWT_SECRET'),
    encryptionKey: secret(env, 'ENCRYPTION_KEY'),
    uploadsDir: env.UPLOADS_DIR || '/opt/connect/shared/uploads',
  };
}

module.exports = { ConfigError, load };
