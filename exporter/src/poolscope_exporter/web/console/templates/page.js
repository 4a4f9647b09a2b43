// Update the open view in place, by server-sent events; without this file the page reloads itself.
'use strict';
const { live, page, token, refresh } = document.body.dataset;
const status = document.getElementById('live');
const pause = document.getElementById('pause');
const sort = document.getElementById('sort');
const waiting = new Map(); // new HTML of elements with text that the reader has selected
let orders = {};
let source = null;
let since = token;

function selected(element) {
  const selection = getSelection();
  return Boolean(selection) && !selection.isCollapsed && selection.containsNode(element, true);
}

// The keyboard stays where it was: on the same link or button of the new element.
function swap(old, fresh) {
  const controls = 'a, summary, button, [tabindex]';
  const place = [...old.querySelectorAll(controls)].indexOf(document.activeElement);
  old.replaceWith(fresh);
  const control = place < 0 ? null : fresh.querySelectorAll(controls)[place];
  if (control) control.focus({ preventScroll: true });
}

function parsed(html) {
  const template = document.createElement('template');
  template.innerHTML = html;
  return template.content.firstElementChild;
}

function opened(old, fresh) {
  const before = old.querySelectorAll('details');
  fresh.querySelectorAll('details').forEach((each, number) => {
    each.open = Boolean(before[number] && before[number].open);
  });
}

function replace(id, html) {
  const old = document.getElementById(id);
  const fresh = parsed(html);
  if (!old || !fresh) return;
  if (selected(old)) {
    waiting.set(id, html);
    return;
  }
  waiting.delete(id);
  opened(old, fresh);
  swap(old, fresh);
}

// Rows keep their place: only new ones are added, and those that are gone leave.
function arrange(id, order, html, byRank) {
  const list = document.getElementById(id);
  if (!list) return false;
  for (const row of [...list.children]) {
    if (!order.includes(row.id)) row.remove();
  }
  let last = null;
  for (const row of order) {
    const known = document.getElementById(row);
    const element = known || (html[row] && parsed(html[row]));
    if (!element) continue;
    if (!known || byRank) last ? last.after(element) : list.prepend(element);
    last = element;
  }
  const shown = [...list.children].map((row) => row.id).join();
  return shown !== order.filter((row) => document.getElementById(row)).join();
}

function apply(event) {
  const update = JSON.parse(event.data);
  if (update.page !== page) { // the pool came or went
    source.close();
    location.reload();
    return;
  }
  since = event.lastEventId;
  Object.assign(orders, update.lists);
  let moved = false;
  for (const [id, order] of Object.entries(orders)) moved = arrange(id, order, update.set, false) || moved;
  sort.hidden = !moved;
  for (const [id, html] of [...waiting, ...Object.entries(update.set)]) replace(id, html);
}

function open() {
  const mark = live.includes('?') ? '&' : '?';
  source = new EventSource(`${live}${mark}refresh=${refresh === '0' ? 2 : refresh}&since=${encodeURIComponent(since)}`);
  source.onopen = () => { status.textContent = 'live'; };
  source.onmessage = apply;
  source.onerror = () => {
    status.textContent = source.readyState === EventSource.CLOSED
      ? 'no live updates: too many open pages, or no access; reload by hand' : 'connection lost, trying again';
  };
  pause.textContent = 'Pause';
}

function close() {
  source.close();
  source = null;
  status.textContent = 'paused';
  pause.textContent = 'Resume';
}

function remember(seconds) {
  const address = new URL(location.href);
  if (seconds === null) address.searchParams.delete('refresh');
  else address.searchParams.set('refresh', seconds);
  history.replaceState(null, '', address);
}

document.addEventListener('selectionchange', () => {
  for (const [id, html] of [...waiting]) replace(id, html);
});
pause.hidden = false;
pause.addEventListener('click', () => {
  if (source) { close(); remember('0'); } else { open(); remember(refresh === '0' || refresh === '2' ? null : refresh); }
});
sort.addEventListener('click', () => {
  for (const [id, order] of Object.entries(orders)) arrange(id, order, {}, true);
  sort.hidden = true;
});
if (refresh === '0') { status.textContent = 'paused'; pause.textContent = 'Resume'; } else open();
