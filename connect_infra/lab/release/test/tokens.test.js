'use strict';
const assert = require('node:assert');
const { createHmac } = require('node:crypto');
const { test } = require('node:test');
const { LIFETIME_S, checkPassword, hashPassword, sign, verify } = require('../lib/tokens');

const SECRET = 'a secret of the test';
const encode = (value) => Buffer.from(JSON.stringify(value)).toString('base64url');

test('a token names its user until it ends', () => {
  const token = sign(42, SECRET, 1000);
  assert.equal(verify(token, SECRET, 1000 + LIFETIME_S - 1).sub, 42);
  assert.equal(verify(token, SECRET, 1000 + LIFETIME_S), null);
});

test('a token is refused with another secret, other claims or another algorithm', () => {
  const [header, claims, mac] = sign(42, SECRET).split('.');
  const other = encode({ sub: 1, exp: 9999999999 });
  const none = encode({ alg: 'none', typ: 'JWT' });
  const signed = createHmac('sha256', SECRET).update(`${none}.${other}`).digest('base64url');
  assert.equal(verify([header, claims, mac].join('.'), 'another secret'), null);
  assert.equal(verify([header, other, mac].join('.'), SECRET), null);
  assert.equal(verify([none, other, signed].join('.'), SECRET), null);
  assert.equal(verify([none, other, ''].join('.'), SECRET), null);
});

test('what is no token is refused', () => {
  for (const text of ['', '.', '..', 'a.b.c', 'a.b.c.d', '💥']) assert.equal(verify(text, SECRET), null);
});

test('a password is found right only when it is', async () => {
  const stored = await hashPassword('right');
  assert.equal(await checkPassword('right', stored), true);
  assert.equal(await checkPassword('wrong', stored), false);
  assert.notEqual(stored, await hashPassword('right'), 'each hash has a salt of its own');
});
