'use strict';
// Makes deadlines readable: the reader's own date format, and a mark on those of the next 30 days.

const DAY_MS = 24 * 60 * 60 * 1000;
const SOON_DAYS = 30;

function daysUntil(date, now) {
  return Math.ceil((date.getTime() - now.getTime()) / DAY_MS);
}

function describe(days) {
  if (days < 0) return 'closed';
  if (days === 0) return 'closes today';
  return days === 1 ? 'closes tomorrow' : `closes in ${days} days`;
}

function markDeadlines(root, now) {
  const format = new Intl.DateTimeFormat(undefined, { dateStyle: 'medium' });
  for (const element of root.querySelectorAll('time')) {
    const date = new Date(`${element.textContent.trim()}T00:00:00`);
    if (Number.isNaN(date.getTime())) continue;
    const days = daysUntil(date, now);
    element.dateTime = element.textContent.trim();
    element.textContent = format.format(date);
    element.title = describe(days);
    element.classList.toggle('soon', days >= 0 && days <= SOON_DAYS);
  }
}

function focusSearch(root) {
  root.addEventListener('keydown', (event) => {
    const typing = event.target instanceof HTMLInputElement;
    if (event.key !== '/' || typing || event.ctrlKey || event.metaKey) return;
    const field = root.querySelector('input[type="search"]');
    if (!field) return;
    event.preventDefault();
    field.focus();
  });
}

document.addEventListener('DOMContentLoaded', () => {
  markDeadlines(document, new Date());
  focusSearch(document);
});
