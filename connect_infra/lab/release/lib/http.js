'use strict';
// The little that a request needs: routes, bodies, replies and errors that know their status.

const fs = require('node:fs/promises');
const path = require('node:path');
const { pipeline } = require('node:stream/promises');

const JSON_LIMIT = 64 * 1024;
const FILE_NAME = /^[A-Za-z0-9][A-Za-z0-9._-]{0,200}$/;

/** An answer other than success; `body` is added to what the client reads. */
class HttpError extends Error {
  constructor(status, message, body = {}) {
    super(message);
    this.status = status;
    this.body = body;
  }
}

/** 'GET /api/programs/:id' as {method, pattern, name}; a parameter is one path segment. */
function route(text, handler, options = {}) {
  const [method, name] = text.split(' ');
  const source = name.replace(/[.]/g, '\\.').replace(/:(\w+)/g, '(?<$1>[^/]+)');
  return { method, name, pattern: new RegExp(`^${source}$`), handler, ...options };
}

/** The route of a request and its parameters. 404 for an unknown path, 405 for another method. */
function match(routes, method, path) {
  const found = routes.filter(({ pattern }) => pattern.test(path));
  if (!found.length) throw new HttpError(404, 'not found');
  const wanted = method === 'HEAD' ? 'GET' : method;
  const chosen = found.find((candidate) => candidate.method === wanted);
  if (!chosen) throw new HttpError(405, `${method} is not offered here`);
  try {
    const groups = Object.entries(chosen.pattern.exec(path).groups ?? {});
    const params = Object.fromEntries(groups.map(([key, text]) => [key, decodeURIComponent(text)]));
    return { route: chosen, params };
  } catch (error) {
    if (error instanceof URIError) throw new HttpError(400, 'the path is not valid UTF-8');
    throw error;
  }
}

async function readJson(req) {
  const chunks = [];
  let size = 0;
  for await (const chunk of req) {
    size += chunk.length;
    if (size > JSON_LIMIT) throw new HttpError(413, `a JSON body has at most ${JSON_LIMIT} bytes`);
    chunks.push(chunk);
  }
  let body;
  try {
    body = JSON.parse(Buffer.concat(chunks).toString());
  } catch (error) {
    throw new HttpError(400, `the body is not JSON: ${error.message}`);
  }
  if (body === null || typeof body !== 'object') throw new HttpError(400, 'expected a JSON object');
  return body;
}

/** A whole number from outside, or 400 with its name. */
function integer(text, name, { least = 1, most = Number.MAX_SAFE_INTEGER } = {}) {
  const value = typeof text === 'string' && /^\d+$/.test(text) ? Number(text) : text;
  if (!Number.isInteger(value) || value < least || value > most) {
    throw new HttpError(400, `${name}: expected a whole number from ${least} to ${most}`);
  }
  return value;
}

function send(res, status, type, body, headers = {}) {
  const bytes = Buffer.from(body);
  res.writeHead(status, { 'Content-Type': type, 'Content-Length': bytes.length, ...headers });
  res.end(res.req.method === 'HEAD' ? undefined : bytes);
}

function sendJson(res, status, body, headers) {
  send(res, status, 'application/json; charset=utf-8', JSON.stringify(body), headers);
}

function sendHtml(res, status, body) {
  send(res, status, 'text/html; charset=utf-8', body);
}

/**
 * Sends a file of a directory by its bare name, a piece at a time. Types that are not in `types`
 * are offered as a download, so that nothing a user uploaded runs as a page of ours.
 */
async function sendFile(res, dir, name, types) {
  if (!FILE_NAME.test(name) || name.endsWith('.tmp')) throw new HttpError(404, 'not found');
  const file = await fs.open(path.join(dir, name)).catch((error) => {
    if (error.code === 'ENOENT') throw new HttpError(404, 'not found');
    throw error;
  });
  const { size, mtime } = await file.stat();
  const type = types[path.extname(name)];
  res.writeHead(200, {
    'Content-Type': type ?? 'application/octet-stream',
    'Content-Length': size,
    'Last-Modified': mtime.toUTCString(),
    ...(type ? {} : { 'Content-Disposition': 'attachment' }),
  });
  if (res.req.method !== 'HEAD') return pipeline(file.createReadStream(), res);
  await file.close();
  return res.end();
}

module.exports = {
  HttpError, integer, match, readJson, route, send, sendFile, sendHtml, sendJson };
