'use strict';
// User files: streamed to disk under a name of our own, complete or not there at all. The name ends
// in .tmp until the last byte is flushed, which is what the documented maintenance cleans up.

const { randomUUID } = require('node:crypto');
const fs = require('node:fs/promises');
const path = require('node:path');
const { finished } = require('node:stream/promises');
const busboy = require('busboy');
const { HttpError } = require('./http');

const LIMIT_BYTES = 100 * 1024 * 1024;
const FORM_OVERHEAD_BYTES = 64 * 1024;

/** The harmless part of a client's file name: its extension. */
function extension(name) {
  return path.extname(path.basename(name)).toLowerCase().replace(/[^.a-z0-9]/g, '');
}

async function write(source, file) {
  let size = 0;
  // The source stays open after a failure: whoever sent it still gets an answer.
  for await (const chunk of source.iterator({ destroyOnReturn: false })) {
    size += chunk.length;
    if (size > LIMIT_BYTES) throw new HttpError(413, `a file has at most ${LIMIT_BYTES} bytes`);
    await file.writeFile(chunk);
  }
  await file.sync();
}

async function store(source, original, dir) {
  const name = `${randomUUID()}${extension(original)}`;
  const temporary = path.join(dir, `${name}.tmp`);
  try {
    const file = await fs.open(temporary, 'wx', 0o640);
    await write(source, file).finally(() => file.close());
    await fs.rename(temporary, path.join(dir, name));
    return name;
  } catch (error) {
    await fs.rm(temporary, { force: true });
    source.resume();
    throw error;
  }
}

function parser(req) {
  try {
    return busboy({ headers: req.headers, limits: { files: 1 } });
  } catch (error) {
    throw new HttpError(400, `not a form: ${error.message}`);
  }
}

async function fromForm(req, dir) {
  const form = parser(req);
  const stored = [];
  form.on('file', (_, stream, { filename }) => {
    stored.push(Promise.allSettled([store(stream, filename ?? '', dir)]));
  });
  req.once('close', () => { if (!req.complete) form.destroy(new Error('cut off')); });
  try {
    await finished(req.pipe(form), { readable: false });
  } catch (error) {
    req.unpipe(form);
    req.resume();
    await Promise.all(stored);
    throw new HttpError(400, `the form is broken: ${error.message}`);
  }
  if (!stored.length) throw new HttpError(400, 'the form has no file');
  const [{ value, reason }] = await stored[0];
  if (reason) throw reason;
  return value;
}

/** Stores the request's file, a form's first or the bare body, and returns its new name. */
async function receive(req, dir, original) {
  if (Number(req.headers['content-length']) > LIMIT_BYTES + FORM_OVERHEAD_BYTES) {
    throw new HttpError(413, `a file has at most ${LIMIT_BYTES} bytes`);
  }
  const form = req.headers['content-type']?.startsWith('multipart/form-data');
  return form ? fromForm(req, dir) : store(req, original, dir);
}

module.exports = { extension, receive };
