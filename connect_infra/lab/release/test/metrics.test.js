'use strict';
const assert = require('node:assert');
const { test } = require('node:test');
const { bucket, expose } = require('../lib/metrics');

const WHERE = 'method="GET",route="/"';

test('a duration counts in the smallest bucket that holds it', () => {
  assert.equal(bucket(0.005), '0.005');
  assert.equal(bucket(0.0051), '0.01');
  assert.equal(bucket(1), '1');
  assert.equal(bucket(11), '+Inf');
});

test('buckets are exposed as running totals up to the count', () => {
  const text = expose(new Map([
    [`http_request_duration_seconds_bucket{${WHERE},le="0.01"}`, 3],
    [`http_request_duration_seconds_bucket{${WHERE},le="+Inf"}`, 1],
    [`http_request_duration_seconds_sum{${WHERE}}`, 12.5],
  ]));
  const value = (series) => text.split('\n').find((line) => line.startsWith(series)).split(' ').pop();
  assert.equal(value(`http_request_duration_seconds_bucket{${WHERE},le="0.005"}`), '0');
  assert.equal(value(`http_request_duration_seconds_bucket{${WHERE},le="1"}`), '3');
  assert.equal(value(`http_request_duration_seconds_bucket{${WHERE},le="+Inf"}`), '4');
  assert.equal(value(`http_request_duration_seconds_count{${WHERE}}`), '4');
  assert.equal(value(`http_request_duration_seconds_sum{${WHERE}}`), '12.5');
});

test('a counter is there before its first event', () => {
  assert.match(expose(new Map()), /^scraping_failures_total 0$/m);
  assert.match(expose(new Map([['scraping_failures_total', 4]])), /^scraping_failures_total 4$/m);
});
