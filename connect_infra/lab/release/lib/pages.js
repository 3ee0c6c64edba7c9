'use strict';
// The pages a browser sees. Every value from outside passes through `escape`.

const ENTITIES = { '&': '&amp;', '<': '&lt;', '>': '&gt;', '"': '&quot;', "'": '&#39;' };
const escape = (value) => String(value).replace(/[&<>"']/g, (sign) => ENTITIES[sign]);

/** A whole page. `meta` goes into the head, where probes look for the version and their nonce. */
function page(title, body, meta = {}) {
  const tags = Object.entries(meta)
    .map(([name, value]) => `<meta name="${name}" content="${escape(value)}">`).join('\n');
  return `<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
${tags}
<title>${escape(title)}</title>
<link rel="stylesheet" href="/_next/static/app.css">
<script src="/_next/static/app.js" defer></script>
</head>
<body>
<header><a href="/">Connect</a> <nav><a href="/programs">Programs</a></nav></header>
<main>
<h1>${escape(title)}</h1>
${body}
</main>
</body>
</html>
`;
}

const search = (query = '') => `<form action="/programs" role="search">
<label>Search <input name="query" value="${escape(query)}" type="search"></label>
<button>Find programs</button>
</form>`;

function home(meta) {
  return page('Connect', `<p>Funding programs, matched with your organization.</p>\n${search()}`, meta);
}

function programs({ query, page: number, total, pages, programs: found }, meta) {
  const rows = found.map((program) => `<tr><td><a href="/api/programs/${program.id}">` +
    `${escape(program.title)}</a></td><td>${escape(program.agency)}</td>` +
    `<td><time>${escape(program.deadline)}</time></td></tr>`).join('\n');
  const link = (to, text) =>
    `<a href="/programs?query=${encodeURIComponent(query)}&amp;page=${to}">${text}</a>`;
  return page('Programs', `${search(query)}
<p>${total} programs, page ${number} of ${pages}</p>
<table><thead><tr><th>Program</th><th>Agency</th><th>Deadline</th></tr></thead>
<tbody>
${rows}
</tbody></table>
<p>${number > 1 ? link(number - 1, 'Previous') : ''} ${number < pages ? link(number + 1, 'Next') : ''}</p>`,
  meta);
}

function failure(status, message, meta) {
  return page(`${status}`, `<p>${escape(message)}</p>`, meta);
}

module.exports = { escape, failure, home, programs };
