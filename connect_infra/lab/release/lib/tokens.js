'use strict';
// Passwords and session tokens, on node's own crypto: scrypt hashes and HS256 JSON web tokens.

const { createHmac, randomBytes, scrypt, timingSafeEqual } = require('node:crypto');
const { promisify } = require('node:util');

const COST = 16384;
const KEY_BYTES = 32;
const LIFETIME_S = 3600;
const derive = promisify(scrypt);

const encode = (value) => Buffer.from(JSON.stringify(value)).toString('base64url');
const HEADER = encode({ alg: 'HS256', typ: 'JWT' });

function equal(left, right) {
  return left.length === right.length && timingSafeEqual(left, right);
}

/** 'scrypt$<cost>$<salt>$<key>': everything needed to check the password later. */
async function hashPassword(password, salt = randomBytes(16)) {
  const key = await derive(password, salt, KEY_BYTES, { N: COST });
  return ['scrypt', COST, salt.toString('base64url'), key.toString('base64url')].join('$');
}

async function checkPassword(password, stored) {
  const [, cost, salt, key] = stored.split('$');
  const found = await derive(password, Buffer.from(salt, 'base64url'), KEY_BYTES, { N: Number(cost) });
  return equal(found, Buffer.from(key, 'base64url'));
}

function signature(text, secret) {
  return createHmac('sha256', secret).update(text).digest();
}

/** A token that names its user for an hour. `now` is in seconds. */
function sign(subject, secret, now = Math.floor(Date.now() / 1000)) {
  const text = `${HEADER}.${encode({ sub: subject, iat: now, exp: now + LIFETIME_S })}`;
  return `${text}.${signature(text, secret).toString('base64url')}`;
}

/** The claims of a valid token; null for any other text. The header is never trusted, only compared. */
function verify(token, secret, now = Math.floor(Date.now() / 1000)) {
  const [header, claims, mac, ...rest] = token.split('.');
  if (header !== HEADER || !claims || !mac || rest.length) return null;
  if (!equal(signature(`${header}.${claims}`, secret), Buffer.from(mac, 'base64url'))) return null;
  const read = JSON.parse(Buffer.from(claims, 'base64url').toString());
  return read.exp > now ? read : null;
}

module.exports = { LIFETIME_S, checkPassword, hashPassword, sign, verify };
