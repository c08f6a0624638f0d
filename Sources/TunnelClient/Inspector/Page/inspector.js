'use strict';
// Whatever a visitor or a service sent is put in as text, never as markup.
const $ = id => document.getElementById(id);

function h(tag, attributes, ...children) {
  const element = document.createElement(tag);
  for (const [name, value] of Object.entries(attributes || {})) {
    if (name.startsWith('on')) element.addEventListener(name.slice(2), value);
    else if (value === true) element.setAttribute(name, '');
    else if (value !== false && value != null) element.setAttribute(name, value);
  }
  element.append(...children.filter(child => child != null && child !== false));
  return element;
}

const items = new Map();   // id: summary
const rows = new Map();    // id: its row
let shown = [];            // ids, newest first, that pass the filter
let tunnels = [];
let selected = null, isOpen = false, detail = null, tab = 'Summary', reveals = false;
let text = '', method = '', tunnel = '', classes = new Set();
let awaited = null;        // the request whose replay is to be selected
let started = false, dirty = false;

// Words and numbers

const two = n => String(n).padStart(2, '0');
const clock = ms => { const d = new Date(ms); return `${two(d.getHours())}:${two(d.getMinutes())}:${two(d.getSeconds())}`; };
function span(ns) {
  const ms = ns / 1e6;
  if (ms < 10) return `${ms.toFixed(ms < 1 ? 2 : 1)} ms`;
  if (ms < 1000) return `${Math.round(ms)} ms`;
  return ms < 60000 ? `${(ms / 1000).toFixed(2)} s` : `${Math.floor(ms / 60000)} min ${Math.round(ms / 1000) % 60} s`;
}
function size(bytes) {
  if (bytes < 1000) return `${bytes} B`;
  for (const [unit, power] of [['KB', 1e3], ['MB', 1e6], ['GB', 1e9]]) {
    const value = bytes / power;
    if (value < 999.5 || unit === 'GB') return `${value < 9.95 ? value.toFixed(1) : Math.round(value)} ${unit}`;
  }
}
const statusClass = item => item.status ? 's' + Math.floor(item.status / 100) : item.state === 'failed' ? 'sx' : 's0';
const statusText = item => item.status ? String(item.status) : item.state === 'failed' ? 'failed' : '…';
const byteText = (count, kept) => kept < count ? `${size(count)}, the first ${size(kept)} kept` : size(count);

let toastTimer;
function toast(message) {
  $('toast').textContent = message;
  $('toast').classList.add('on');
  clearTimeout(toastTimer);
  toastTimer = setTimeout(() => $('toast').classList.remove('on'), 2200);
}

// The list

function passes(item) {
  if (method && item.method !== method) return false;
  if (tunnel && item.tunnel_name !== tunnel) return false;
  if (classes.size && !classes.has(item.status ? Math.floor(item.status / 100) : item.state === 'failed' ? 5 : 0)) return false;
  if (!text) return true;
  const all = `${item.method} ${item.path} ${item.status || item.state} ${item.remote_addr} ${item.tunnel_name} ${item.content_type || ''} ${item.id}`.toLowerCase();
  return text.split(/\s+/).every(word => all.includes(word));
}

function fill(row, item) {
  const cells = row.children;
  const cut = item.path.indexOf('?');
  cells[0].textContent = clock(item.start);
  cells[1].textContent = item.method;
  cells[2].replaceChildren(
    ...(item.replay_of ? [h('b', {}, 'replay')] : []),
    ...(cut < 0 ? [item.path] : [item.path.slice(0, cut), h('i', {}, item.path.slice(cut))]));
  cells[2].title = item.path;
  cells[3].textContent = statusText(item);
  cells[3].className = 's ' + statusClass(item);
  cells[4].textContent = item.duration == null ? '…' : span(item.duration);
  cells[5].textContent = item.status ? size(item.response_bytes) : '';
  cells[6].textContent = item.remote_addr;
  row.setAttribute('aria-label', `${item.method} ${item.path}, ${statusText(item)}`);
}

function makeRow(item) {
  const row = h('div', { class: started ? 'row fresh' : 'row', role: 'option', id: 'r-' + item.id, 'aria-selected': 'false' });
  for (const name of 'tmpsdzv') row.append(h('span', { class: name }));
  row.addEventListener('click', () => { select(item.id); open(); });
  return row;
}

function render() {
  dirty = false;
  const list = $('rows');
  shown = [...items.values()].filter(passes).sort((a, b) => b.sequence - a.sequence).map(item => item.id);
  const wanted = new Set(shown);
  for (const child of [...list.children]) if (!wanted.has(child.id.slice(2))) child.remove();
  let place = list.firstElementChild;
  for (const id of shown) {
    const item = items.get(id);
    let row = rows.get(id);
    if (!row) rows.set(id, row = makeRow(item));
    if (row.item !== item) { row.item = item; fill(row, item); }
    if (row === place) place = place.nextElementSibling;
    else list.insertBefore(row, place);
  }
  $('empty').hidden = shown.length > 0;
  $('emptytext').textContent = items.size ? 'Nothing matches the filter.' : 'No requests yet.';
  $('hints').hidden = items.size > 0;
  document.title = items.size ? `(${items.size}) Inspector` : 'Inspector';
  mark();
}

function changed() {
  if (dirty) return;
  dirty = true;
  requestAnimationFrame(render);
}

function mark() {
  for (const row of document.querySelectorAll('.row[aria-selected=true]')) if (row.id !== 'r-' + selected) row.setAttribute('aria-selected', 'false');
  const row = rows.get(selected);
  if (row) row.setAttribute('aria-selected', 'true');
  if (row && row.isConnected) $('rows').setAttribute('aria-activedescendant', row.id);
  else $('rows').removeAttribute('aria-activedescendant');
}

function forget(id) {
  items.delete(id);
  const row = rows.get(id);
  if (row) row.remove();
  rows.delete(id);
}

function learn(news) {
  if (news.reset) for (const id of [...items.keys()]) forget(id);
  for (const item of items.values()) if (item.sequence < news.first) forget(item.id);
  const methods = new Set();
  for (const item of news.requests) {
    const isNew = !items.has(item.id);
    items.set(item.id, item);
    methods.add(item.method);
    if (isNew && awaited && item.replay_of === awaited) {
      awaited = null;
      select(item.id);
      open();
    } else if (item.id === selected && isOpen) load();
  }
  for (const name of methods) if (![...$('method').options].some(option => option.value === name)) $('method').append(h('option', { value: name }, name));
  if (news.reset && selected && !items.has(selected)) close();
  changed();
  requestAnimationFrame(() => { started = true; });
}

function select(id) {
  selected = id;
  mark();
  const row = rows.get(id);
  if (row && row.isConnected) row.scrollIntoView({ block: 'nearest' });
}

function move(step) {
  if (!shown.length) return;
  const at = shown.indexOf(selected);
  select(shown[at < 0 ? 0 : Math.min(shown.length - 1, Math.max(0, at + step))]);
  if (isOpen) load();
}

// Tunnels and the connection

function showTunnels(list) {
  tunnels = list;
  $('tunnels').replaceChildren(...list.map(one => h('div', { title: `${one.public_url} leads to ${one.config.addr}` },
    h('a', { href: /^https?:/.test(one.public_url) && one.public_url, target: '_blank', rel: 'noreferrer noopener' }, one.public_url.replace(/^https?:\/\//, '')), ` → ${one.config.addr}`)));
  $('hints').replaceChildren(...list.map(one => h('code', {}, `curl ${one.public_url}/`)));
  $('tunnel').replaceChildren(h('option', { value: '' }, 'Any tunnel'), ...list.map(one => h('option', { value: one.name }, one.name)));
  $('tunnel').value = tunnel = list.some(one => one.name === tunnel) ? tunnel : '';
  $('tunnel').hidden = list.length < 2;
}

let source = null;
function follow() {
  if (source) return;
  source = new EventSource('/api/events');
  source.addEventListener('open', () => { $('live').className = 'on'; $('live').textContent = 'live'; });
  source.addEventListener('error', () => { $('live').className = 'off'; $('live').textContent = 'not connected'; });
  source.addEventListener('tunnels', event => showTunnels(JSON.parse(event.data)));
  source.addEventListener('requests', event => learn(JSON.parse(event.data)));
}
// A browser has six connections for all its tabs: one that nobody looks at gives its own back.
document.addEventListener('visibilitychange', () => {
  if (!document.hidden) follow();
  else if (source) { source.close(); source = null; }
});

async function write(verb, body) {
  const answer = await fetch('/api/requests/http', {
    method: verb, headers: body ? { 'Content-Type': 'application/json' } : {}, body: body && JSON.stringify(body) });
  if (!answer.ok) throw new Error((await answer.json().catch(() => ({}))).msg || `The inspector answered ${answer.status}.`);
}

// One request

function open() {
  if (!selected) return;
  isOpen = true;
  document.body.classList.add('open');
  $('detail').hidden = false;
  const row = rows.get(selected);
  if (row) row.scrollIntoView({ block: 'nearest' });
  load();
}

function close() {
  isOpen = false;
  detail = null;
  document.body.classList.remove('open');
  $('detail').hidden = true;
  history.replaceState(null, '', location.pathname);
  $('rows').focus({ preventScroll: true });
}

let asked = 0;
async function load() {
  const id = selected, mine = ++asked;
  history.replaceState(null, '', '#' + id);
  try {
    const answer = await fetch(`/api/requests/http/${encodeURIComponent(id)}${reveals ? '?reveal=true' : ''}`);
    const value = await answer.json();
    if (mine !== asked || !isOpen) return;
    if (!answer.ok) throw new Error(value.msg);
    const isSame = detail && detail.id === value.id;
    detail = value;
    for (const side of [detail.request, detail.response]) if (side) side.bytes = bytesOf(side.body.base64);
    await Promise.all([detail.request, detail.response].filter(Boolean).map(unpack));
    if (mine === asked && isOpen) showDetail(isSame);
  } catch (error) {
    if (mine !== asked || !isOpen) return;
    detail = null;
    $('detail').replaceChildren(h('div', { class: 'top' }, h('button', { class: 'back', onclick: close }, '‹ Back'), h('p', { class: 'note bad' }, error.message)));
  }
}

const bytesOf = base64 => Uint8Array.from(atob(base64), c => c.charCodeAt(0));
const field = (side, name) => { const found = side.fields.find(([key]) => key.toLowerCase() === name); return found ? found[1] : ''; };
const isCut = side => side.body.kept < side.body.size;

/** Undoes Content-Encoding where the browser can; of a body that is cut, as far as it goes. */
async function unpack(side) {
  const format = { gzip: 'gzip', 'x-gzip': 'gzip', deflate: 'deflate' }[field(side, 'content-encoding').trim().toLowerCase()];
  if (!format || !side.bytes.length || !window.DecompressionStream) return;
  const reader = new Blob([side.bytes]).stream().pipeThrough(new DecompressionStream(format)).getReader();
  const parts = [];
  let count = 0;
  try {
    for (;;) {
      const { done, value } = await reader.read();
      if (done) break;
      parts.push(value);
      count += value.length;
      if (count > 1 << 20) { side.unpackedCut = true; reader.cancel().catch(() => {}); break; }
    }
  } catch { /* It ends where the kept part does. */ }
  if (!count) return;
  side.packed = format;
  side.bytes = new Uint8Array(await new Blob(parts).arrayBuffer());
}

function showDetail(keepsPlace) {
  const { request, response } = detail;
  const item = { status: response && response.status_code, state: detail.state };
  const place = keepsPlace && document.querySelector('[role=tabpanel]') ? document.querySelector('[role=tabpanel]').scrollTop : 0;
  const focus = $('detail').contains(document.activeElement) ? document.activeElement.dataset.key : null;
  const query = request.uri.indexOf('?') < 0 ? [] : [...new URLSearchParams(request.uri.slice(request.uri.indexOf('?')))];
  const counts = { Headers: request.fields.length + (response ? response.fields.length : 0), Query: query.length };
  const panel = h('div', { role: 'tabpanel', tabindex: '0', 'aria-label': tab, 'data-key': 'panel' },
    ...{ Summary: summary, Headers: headers, Query: () => queries(query), Body: bodies, Raw: raw }[tab]());
  $('detail').replaceChildren(
    h('div', { class: 'top' },
      h('div', { class: 'line' },
        h('span', { class: 'm' }, request.method), h('span', { class: 'u' }, request.uri),
        h('span', { class: 's ' + statusClass(item) }, response ? response.status : statusText(item))),
      h('div', { class: 'acts' },
        h('button', { class: 'back', onclick: close, 'data-key': 'back' }, '‹ Back'),
        h('button', { class: 'first', onclick: replay, disabled: !!detail.replay_refused, title: detail.replay_refused || 'Send it to the service again (r)', 'data-key': 'replay' }, 'Replay'),
        h('button', { onclick: edit, title: 'Change it, then send it (e)', 'data-key': 'edit' }, 'Edit and replay'),
        h('button', { onclick: copyCurl, title: 'Copy as a command line (c)', 'data-key': 'curl' }, 'Copy as curl'),
        h('a', { class: 'button', href: `/api/har?id=${encodeURIComponent(detail.id)}${reveals ? '&reveal=true' : ''}`, download: `${detail.id}.har`, 'data-key': 'har' }, 'HAR'),
        (detail.hides || reveals) && h('button', { onclick: reveal, 'aria-pressed': String(reveals), 'data-key': 'reveal' }, reveals ? 'Hide secrets' : 'Show secrets'))),
    h('div', { role: 'tablist', 'aria-label': 'Parts of the request' }, ...['Summary', 'Headers', 'Query', 'Body', 'Raw'].map(name =>
      h('button', { role: 'tab', 'aria-selected': String(name === tab), tabindex: name === tab ? '0' : '-1', 'data-key': name, onclick: () => choose(name),
        onkeydown: event => turn(event, name) }, name, counts[name] ? h('small', {}, counts[name]) : null))),
    panel);
  panel.scrollTop = place;
  if (focus) { const again = $('detail').querySelector(`[data-key="${focus}"]`); if (again) again.focus({ preventScroll: true }); }
}

const tabs = ['Summary', 'Headers', 'Query', 'Body', 'Raw'];
function choose(name) {
  tab = name;
  if (detail) showDetail(false);
}
function turn(event, name) {
  const step = { ArrowRight: 1, ArrowLeft: -1 }[event.key];
  if (!step) return;
  event.preventDefault();
  choose(tabs[(tabs.indexOf(name) + step + tabs.length) % tabs.length]);
  document.querySelector('[role=tab][aria-selected=true]').focus();
}

const heading = (title, ...more) => h('h3', {}, title, h('span', { class: 'fill' }), ...more);
const missing = sentence => h('p', { class: 'note' }, sentence);
const pairs = (list, kind) => h('table', { class: 'pairs ' + (kind || '') }, h('tbody', {}, ...list.map(([name, value]) => h('tr', {},
  h('th', { scope: 'row' }, name), h('td', value === '•••' ? { class: 'hid', title: 'Hidden: Show secrets reveals it' } : {}, value)))));

function summary() {
  const { request, response } = detail;
  const total = detail.duration, wait = Math.min(detail.time_to_head == null ? total : detail.time_to_head, total || Infinity);
  const facts = [
    ['URL', detail.url], ['Time', `${new Date(detail.start).toLocaleString()}`], ['Visitor', detail.remote_addr || 'unknown'], ['Tunnel', detail.tunnel_name],
    ['Request', byteText(request.body.size, request.body.kept) + (field(request, 'content-type') ? `, ${field(request, 'content-type')}` : '')],
    ['Response', response ? byteText(response.body.size, response.body.kept) + (field(response, 'content-type') ? `, ${field(response, 'content-type')}` : '') : detail.state === 'underway' ? 'under way' : 'none'],
    ['User agent', field(request, 'user-agent')], ['Id', detail.id]].filter(([, value]) => value);
  const bar = (ns, from, kind) => {
    const track = h('div', { class: 'track' }, h('i', { class: kind }));
    track.firstChild.style.width = `${total ? Math.max(ns / total * 100, .5) : 0}%`;
    track.firstChild.style.marginLeft = `${total ? Math.min(from / total * 100, 99) : 0}%`;
    return track;
  };
  return [
    detail.error && h('p', { class: 'note bad' }, detail.error),
    heading('Exchange'), pairs(facts, 'facts'),
    detail.replay_of && h('p', { class: 'note' }, 'A replay of ', h('a', { href: '#' + detail.replay_of, onclick: event => { event.preventDefault(); select(detail.replay_of); load(); } }, detail.replay_of)),
    detail.replay_refused && detail.state !== 'underway' && h('p', { class: 'note' }, detail.replay_refused),
    heading('Timing'),
    detail.state === 'underway' ? missing('Under way.') : h('div', { class: 'bars' },
      h('span', {}, 'Waiting'), bar(wait, 0, ''), h('span', { class: 'num' }, span(wait)),
      h('span', {}, 'Receiving'), bar(total - wait, wait, 'r'), h('span', { class: 'num' }, span(total - wait)),
      h('strong', {}, 'Total'), h('span', {}), h('strong', { class: 'num' }, span(total)))].filter(Boolean);
}

function headers() {
  const { request, response } = detail;
  return [heading(`Request · ${request.fields.length}`), pairs(request.fields),
    heading(response ? `Response · ${response.fields.length}` : 'Response'), response ? pairs(response.fields) : missing('None.')];
}

const queries = list => [heading('Query'), list.length ? pairs(list) : missing('The URL has no query.')];

function bodies() {
  return ['request', 'response'].flatMap(name => {
    const side = detail[name];
    const title = name === 'request' ? 'Request' : 'Response';
    if (!side || !side.body.size) return [heading(title), missing(side ? 'No body.' : 'No response.')];
    const address = `/api/requests/http/${encodeURIComponent(detail.id)}/${name}/body`;
    return [
      heading(`${title} · ${field(side, 'content-type') || 'unknown type'} · ${size(side.body.size)}`,
        h('a', { class: 'button', href: address, download: `${detail.id}-${name}.bin` }, 'Save')),
      isCut(side) && h('p', { class: 'note' }, `Cut: the first ${size(side.body.kept)} of ${size(side.body.size)} are kept.`),
      side.packed && h('p', { class: 'note' }, `Unpacked from ${side.packed}.`),
      body(side)].filter(Boolean);
  });
}

function raw() {
  return ['request', 'response'].flatMap(name => {
    const side = detail[name];
    const title = name === 'request' ? 'Request' : 'Response';
    if (!side) return [heading(title), missing('None.')];
    const all = bytesOf(side.raw);
    const bytes = all.length - side.body.kept;
    const head = new TextDecoder().decode(all.subarray(0, bytes)), rest = all.subarray(bytes);
    const plain = textOf(rest, isCut(side));
    return [heading(title, h('button', { onclick: () => copy(head + (plain || ''), 'Copied') }, 'Copy')),
      h('pre', {}, head.replaceAll('\r\n', '\n'), plain != null ? plain : h('span', { class: 'q' }, `(${size(rest.length)} that are no text: see Body)`)),
      isCut(side) && h('p', { class: 'note' }, `Cut: the first ${size(side.body.kept)} of ${size(side.body.size)} are kept.`)].filter(Boolean);
  });
}

// Bodies

/** The text, or null for what is none. A letter may be cut in two at the end of what is kept. */
function textOf(bytes, cut) {
  for (let drop = 0; drop <= (cut ? 3 : 0); drop++) {
    try {
      const text = new TextDecoder('utf-8', { fatal: true }).decode(bytes.subarray(0, bytes.length - drop));
      return /[\x00-\x08\x0e-\x1a\x1c-\x1f]/.test(text) ? null : text;
    } catch { /* Perhaps without its last byte. */ }
  }
  return null;
}

function body(side) {
  const type = field(side, 'content-type').split(';')[0].trim().toLowerCase();
  const cut = isCut(side) || side.unpackedCut;
  if (type.startsWith('image/')) {
    const image = h('img', { class: 'shown', alt: `The ${type} that was sent` });
    const url = URL.createObjectURL(new Blob([side.bytes], { type }));
    image.addEventListener('load', () => URL.revokeObjectURL(url));
    image.addEventListener('error', () => { URL.revokeObjectURL(url); image.replaceWith(plain(side, cut)); });
    image.src = url;
    return image;
  }
  const text = textOf(side.bytes, cut);
  if (text == null) return hex(side.bytes);
  if (type === 'application/x-www-form-urlencoded') return pairs([...new URLSearchParams(text)]);
  if (type === 'multipart/form-data') { const parts = multipart(side, text); if (parts) return pairs(parts); }
  if (/[/+]json$/.test(type) || /^\s*[[{]/.test(text)) { const made = json(text, cut); if (made) return made; }
  if (/[/+]xml$/.test(type)) { const made = xml(text); if (made) return made; }
  return h('pre', {}, text);
}

function plain(side, cut) {
  const text = textOf(side.bytes, cut);
  return text == null ? hex(side.bytes) : h('pre', {}, text);
}

/** Token by token, so that long numbers stay as they are and a text that is cut is laid out as far as it goes. */
function json(text, cut) {
  if (!cut) try { JSON.parse(text); } catch { return null; }
  const pre = h('pre', {});
  const tokens = /\s*(?:("(?:[^"\\]|\\.)*")(\s*:)?|(-?\d[\d.eE+-]*)|(true|false|null)|([[\]{},])|(\S[^]*))/gy;
  let depth = 0, line = '', last = '';
  const put = (kind, value) => { if (line) pre.append(line); line = ''; pre.append(kind ? h('span', { class: kind }, value) : value); };
  const wrap = () => { line += '\n' + '  '.repeat(Math.max(0, depth)); };
  for (let match; (match = tokens.exec(text)) && match[0].trim();) {
    const [, string, colon, number, word, mark, rest] = match;
    if (rest != null) { put('q', rest); break; }
    if (mark === '}' || mark === ']') { depth--; if (last !== '{' && last !== '[') wrap(); put('', mark); }
    else {
      if (last === '{' || last === '[') wrap();
      if (mark === '{' || mark === '[') { put('', mark); depth++; }
      else if (mark === ',') { put('', ','); wrap(); }
      else if (string != null) { put(colon ? 'k' : 't', string); if (colon) put('', ': '); }
      else put(number != null ? 'n' : 'w', number ?? word);
    }
    last = mark || '';
  }
  if (cut) put('q', ' …');
  return pre;
}

function xml(text) {
  const tokens = text.match(/<!--[^]*?-->|<!\[CDATA\[[^]*?\]\]>|<[^>]*>|[^<]+/g);
  if (!tokens) return null;
  const pre = h('pre', {});
  let depth = 0, isInline = true;
  const wrap = () => { if (pre.childNodes.length) pre.append('\n' + '  '.repeat(Math.max(0, depth))); };
  tokens.forEach((token, at) => {
    if (token[0] !== '<' || token.startsWith('<![')) { if (token.trim()) { pre.append(h('span', { class: 't' }, token.trim())); isInline = true; } return; }
    const closes = token.startsWith('</'), alone = token.endsWith('/>') || /^<[?!]/.test(token);
    if (closes) depth--;
    if (!closes || !isInline) wrap();
    pre.append(h('span', { class: 'k' }, token));
    isInline = !closes && !alone && (tokens[at + 1] || '')[0] !== '<' || (tokens[at + 1] || '').startsWith('</') && !closes && !alone;
    if (!closes && !alone) depth++;
  });
  return pre;
}

function multipart(side, text) {
  const boundary = /boundary="?([^";]+)"?/i.exec(field(side, 'content-type'));
  if (!boundary) return null;
  const parts = text.split('--' + boundary[1]).slice(1).filter(part => !part.startsWith('--')).map(part => {
    const [head, ...rest] = part.replace(/^\r?\n/, '').split(/\r?\n\r?\n/);
    const name = /name="([^"]*)"/i.exec(head), file = /filename="([^"]*)"/i.exec(head);
    return [(name ? name[1] : '') + (file ? ` (${file[1]})` : ''), rest.join('\n\n').replace(/\r?\n$/, '')];
  });
  return parts.length ? parts : null;
}

function hex(bytes) {
  const lines = [];
  for (let at = 0; at < bytes.length; at += 16) {
    const part = [...bytes.subarray(at, at + 16)];
    const left = part.map(byte => byte.toString(16).padStart(2, '0'));
    lines.push(`${at.toString(16).padStart(4, '0')}  ${left.slice(0, 8).join(' ').padEnd(23)}  ${left.slice(8).join(' ').padEnd(23)}  ${part.map(byte => byte > 31 && byte < 127 ? String.fromCharCode(byte) : '·').join('')}`);
  }
  return h('pre', { class: 'hex' }, lines.join('\n'));
}

// What can be done

async function replay() {
  if (!detail || detail.replay_refused) { if (detail) toast(detail.replay_refused); return; }
  await send({ id: detail.id, tunnel_name: '' });
}

async function send(wanted) {
  awaited = wanted.id;
  try {
    await write('POST', wanted);
    toast('Sent again');
    return true;
  } catch (error) {
    awaited = null;
    toast(error.message);
    return false;
  }
}

function edit() {
  if (!detail) return;
  const { request, id } = detail;
  const kept = bytesOf(request.body.base64), known = textOf(kept, isCut(request));
  const isBinary = known == null;
  const verb = h('input', { value: request.method, required: true, autocomplete: 'off', spellcheck: 'false' });
  const path = h('input', { value: request.uri, required: true, autocomplete: 'off', spellcheck: 'false' });
  const fields = h('textarea', { rows: '9', spellcheck: 'false' });
  const content = h('textarea', { rows: '8', spellcheck: 'false', disabled: isBinary });
  const why = h('span', { class: 'note' }, isBinary ? 'The body is no text and stays as it is.' : isCut(request) ? `Only the first ${size(request.body.kept)} of the body are here.` : 'A hidden value (•••) stands for what it hides.');
  fields.value = request.fields.filter(([name]) => name.toLowerCase() !== 'content-length').map(([name, value]) => `${name}: ${value}`).join('\n');
  content.value = known || '';
  const submit = async event => {
    event.preventDefault();
    const list = [];
    for (const line of fields.value.split('\n').filter(line => line.trim())) {
      const colon = line.indexOf(':');
      if (colon < 1) { why.textContent = `“${line}” is not a header: write Name: value.`; why.className = 'note bad'; fields.focus(); return; }
      list.push([line.slice(0, colon).trim(), line.slice(colon + 1).trim()]);
    }
    const wanted = { id, method: verb.value.trim(), uri: path.value.trim(), headers: list };
    if (!isBinary) wanted.body = content.value;
    if (await send(wanted)) $('editor').close();
  };
  $('editor').replaceChildren(h('h2', {}, 'Edit and replay'), h('form', { onsubmit: submit },
    h('div', { class: 'two' }, h('label', {}, 'Method', verb), h('label', {}, 'Path and query', path)),
    h('label', {}, 'Headers, one to a line', fields), h('label', {}, 'Body', content),
    h('div', { class: 'acts' }, why, h('button', { type: 'button', onclick: () => $('editor').close() }, 'Cancel'), h('button', { class: 'first' }, 'Send'))));
  $('editor').showModal();
  path.focus();
}

async function copy(value, message) {
  try {
    await navigator.clipboard.writeText(value);
  } catch {
    const area = h('textarea', {});
    area.value = value;
    document.body.append(area);
    area.select();
    document.execCommand('copy');
    area.remove();
  }
  toast(message);
}

async function copyCurl() {
  if (!detail) return;
  const answer = await fetch(`/api/requests/http/${encodeURIComponent(detail.id)}/curl${reveals ? '?reveal=true' : ''}`);
  if (answer.ok) copy((await answer.text()).trimEnd(), detail.hides ? 'Copied; secrets are left out' : 'Copied');
  else toast('It is no longer kept.');
}

function reveal() {
  reveals = !reveals;
  $('har').href = reveals ? '/api/har?reveal=true' : '/api/har';
  load();
}

// The bar and the keys

for (const [name, value] of [['2xx', 2], ['3xx', 3], ['4xx', 4], ['5xx', 5]]) {
  const button = h('button', { 'aria-pressed': 'false', onclick: () => {
    if (classes.has(value)) classes.delete(value); else classes.add(value);
    button.setAttribute('aria-pressed', String(classes.has(value)));
    render();
  } }, name);
  $('classes').append(button);
}
$('filter').addEventListener('input', () => { text = $('filter').value.trim().toLowerCase(); render(); });
$('method').addEventListener('change', () => { method = $('method').value; render(); });
$('tunnel').addEventListener('change', () => { tunnel = $('tunnel').value; render(); });
$('clear').addEventListener('click', () => write('DELETE').then(() => toast('Cleared'), error => toast(error.message)));
$('help').addEventListener('click', () => $('keys').showModal());

// A browser leaves the focus in what it has just hidden.
for (const dialog of document.querySelectorAll('dialog')) dialog.addEventListener('close', () => {
  document.activeElement.blur();
  $('rows').focus({ preventScroll: true });
});

document.addEventListener('keydown', event => {
  if (event.ctrlKey || event.metaKey || event.altKey || document.querySelector('dialog[open]')) return;
  const isTyping = event.target.matches('input, textarea, select');
  if (event.key === 'Escape') {
    if (event.target === $('filter') && $('filter').value) { $('filter').value = text = ''; render(); }
    else if (isTyping) event.target.blur();
    else if (isOpen) close();
    return;
  }
  if (isTyping) {
    if (event.target === $('filter') && (event.key === 'Enter' || event.key === 'ArrowDown')) { event.preventDefault(); $('rows').focus(); if (!shown.includes(selected)) move(1); }
    return;
  }
  const inPanel = event.target.matches('[role=tabpanel]');
  const keys = {
    j: () => move(1), k: () => move(-1), ArrowDown: () => move(1), ArrowUp: () => move(-1), Home: () => move(-shown.length), End: () => move(shown.length),
    '/': () => $('filter').focus(), '?': () => $('keys').showModal(),
    r: () => isOpen && replay(), e: () => isOpen && edit(), c: () => isOpen && copyCurl(),
    Enter: () => { if (!selected && shown.length) select(shown[0]); open(); },
  };
  tabs.forEach((name, at) => { keys[at + 1] = () => isOpen && choose(name); });
  const action = keys[event.key];
  if (!action || event.key === 'Enter' && event.target.matches('button, a') || inPanel && /^(Arrow|Home|End)/.test(event.key)) return;
  event.preventDefault();
  action();
});

if (location.hash.length > 1) {
  selected = decodeURIComponent(location.hash.slice(1));
  open();
}
follow();
