'use strict';
const assert = require('node:assert');
const { test } = require('node:test');
const { parse } = require('../lib/queue');

test('a stream entry is a job', () => {
  const entry = ['7-0', ['kind', 'scrape', 'payload', '{"agency":"A"}']];
  assert.deepEqual(parse(entry), { id: '7-0', kind: 'scrape', payload: { agency: 'A' } });
});
