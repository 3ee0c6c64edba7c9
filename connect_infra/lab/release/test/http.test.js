'use strict';
const assert = require('node:assert');
const { Readable } = require('node:stream');
const { test } = require('node:test');
const { integer, match, readJson, route } = require('../lib/http');
const pages = require('../lib/pages');

const ROUTES = [route('GET /api/jobs'), route('POST /api/jobs'), route('GET /api/jobs/:id'),
  route('GET /a.css')];
const status = (code) => (error) => error.status === code;

test('a request finds its route and its parameters', () => {
  assert.equal(match(ROUTES, 'POST', '/api/jobs').route.method, 'POST');
  assert.equal(match(ROUTES, 'HEAD', '/api/jobs').route.method, 'GET');
  assert.equal(match(ROUTES, 'GET', '/api/jobs/7-0%20x').params.id, '7-0 x');
});

test('other paths, other methods and broken encodings are told apart', () => {
  for (const path of ['/api/job', '/api/jobs/', '/api/jobs/1/2', '/aXcss']) {
    assert.throws(() => match(ROUTES, 'GET', path), status(404));
  }
  assert.throws(() => match(ROUTES, 'DELETE', '/api/jobs'), status(405));
  assert.throws(() => match(ROUTES, 'GET', '/api/jobs/%E0%A4'), status(400));
});

test('a body is a JSON object of bounded size', async () => {
  const body = (text) => readJson(Readable.from([Buffer.from(text)]));
  assert.deepEqual(await body('{"element": 1}'), { element: 1 });
  for (const text of ['', '{', 'null', '7']) await assert.rejects(body(text), status(400));
  await assert.rejects(body(JSON.stringify({ text: 'x'.repeat(70000) })), status(413));
});

test('whole numbers only, within their bounds', () => {
  assert.equal(integer('17', 'id'), 17);
  assert.equal(integer(17, 'id'), 17);
  for (const value of ['', '-1', '0', '1.5', '1e3', ' 1', 'x', null, undefined, 1.5, '9'.repeat(20)]) {
    assert.throws(() => integer(value, 'id'), status(400), String(value));
  }
});

test('what comes from outside is text on a page', () => {
  const page = pages.programs({ query: '"><script>', page: 2, pages: 3, total: 1,
    programs: [{ id: 1, title: '<b>', agency: 'A & B', deadline: '2026-01-01' }] }, { nonce: 'n-1' });
  assert.ok(!page.includes('<script>') && !page.includes('<b>'));
  assert.match(page, /A &amp; B/);
  assert.match(page, /<meta name="nonce" content="n-1">/);
  assert.match(page, /page=1">Previous.*page=3">Next/);
});
