// The dashboard: views over the admin API, kept up to date by its events. What agents and visitors say is
// put into the page as text, never as markup.
import * as api from './api.js';
import { bytes, milliseconds, moment, number, since, whole } from './format.js';
import { Plot } from './plot.js';

const $ = (id) => document.getElementById(id);
const VIEWS = ['overview', 'tunnels', 'visits', 'usage', 'access'];
const RECENT = 12;

function h(name, attributes = {}, ...children) {
  const made = document.createElement(name);
  for (const [key, value] of Object.entries(attributes)) {
    if (key === 'on') made.addEventListener('click', value);
    else if (value !== false && value !== null) made.setAttribute(key, value === true ? '' : value);
  }
  made.append(...children.flat().filter((child) => child !== null && child !== undefined && child !== false));
  return made;
}

// `columns`: [{ name, cell(row), class }]; `row`: the class of a row.
function table(host, columns, rows, { empty, row = () => null }) {
  if (!rows.length) return host.replaceChildren(h('p', { class: 'empty' }, empty));
  // What has the keyboard keeps it: a row, or the button in it.
  const rowOf = document.activeElement.closest?.('tr');
  const focused = [...host.querySelectorAll('tbody tr')].indexOf(rowOf);
  const inRow = focused >= 0 ? [...rowOf.querySelectorAll('button, a')].indexOf(document.activeElement) : -1;
  host.replaceChildren(h('table', {},
    h('thead', {}, h('tr', {}, columns.map((column) => h('th', { class: column.class, scope: 'col' }, column.name)))),
    h('tbody', {}, rows.map((each) => h('tr', { tabindex: '-1', class: row(each) },
      columns.map((column) => h('td', { class: column.class, 'data-name': column.name },
        h('span', {}, column.cell(each)))))))));
  const again = focused >= 0 ? host.querySelectorAll('tbody tr')[focused] : null;
  (again?.querySelectorAll('button, a')[inRow] ?? again)?.focus({ preventScroll: true });
}

const sub = (text) => h('span', { class: 'sub' }, text);

// --- what is known ---

const state = { status: null, agents: [], tunnels: [], tokens: [], recent: [], visits: [], next: null, second: null };
let stop = null;
const plots = {};

function complain(error) {
  if (error.status === 401 || error.status === 403) return showLogin(error.status === 403 ? error.message : '');
  $('notice').textContent = `${error.message} (${error.code ?? error.name})`;
  $('notice').hidden = false;
  return undefined;
}

async function load(...names) {
  try {
    await Promise.all(names.map((name) => loaders[name]()));
    $('notice').hidden = true;
  } catch (error) {
    complain(error);
  }
}

const loaders = {
  async status() {
    state.status = await api.get('status');
    $('relay-url').textContent = state.status.url;
    $('version').textContent = `leat ${state.status.version}`;
    document.title = `leat · ${new URL(state.status.url).host}`;
    showFigures();
  },
  async agents() {
    state.agents = (await api.get('agents')).agents;
    showAgents();
  },
  async tunnels() {
    state.tunnels = (await api.get('tunnels')).tunnels;
    showTunnels();
    showFigures();
  },
  async visits() {
    await search(false);
  },
  async recent() {
    state.recent = (await api.get(`connections?limit=${RECENT}`).catch((error) => {
      if (error.code === 'LEAT_ADMIN_NO_LOG') return { connections: [] };
      throw error;
    })).connections;
    showRecent();
  },
  async usage() {
    // A fortnight and the month.
    const since = new Date(Date.now() - 14 * 86_400_000).toISOString().slice(0, 7);
    const [usage, plans, tokens] = await Promise.all(
      [api.get(`usage?since=${since}`), api.get('plans'), allTokens()]);
    showUsage(usage.usage, plans, tokens);
  },
  async access() {
    state.tokens = await allTokens();
    showTokens();
  },
};

async function allTokens() {
  const all = [];
  for (let next = ''; next !== null;) {
    const page = await api.get(`tokens${next && `?cursor=${next}`}`);
    all.push(...page.tokens);
    ({ next } = page);
  }
  return all;
}

const NEEDS = {
  overview: ['status', 'agents', 'tunnels', 'recent'],
  tunnels: ['status', 'tunnels', 'agents'],
  visits: ['status', 'visits'],
  usage: ['status', 'usage'],
  access: ['status', 'access'],
};

// --- views ---

const view = () => (VIEWS.includes(location.hash.slice(1)) ? location.hash.slice(1) : 'overview');

function showView() {
  if ($('app').hidden) return;
  for (const name of VIEWS) $(name).hidden = name !== view();
  for (const link of document.querySelectorAll('nav a')) {
    if (link.hash.slice(1) === view()) link.setAttribute('aria-current', 'page');
    else link.removeAttribute('aria-current');
  }
  load(...NEEDS[view()]);
}

function showFigures() {
  const { second, status } = state;
  const figures = [
    ['Agents', number(second?.agents ?? status?.agents ?? 0)],
    ['Tunnels', number(state.tunnels.length)],
    ['Visitors', number((status?.http_visitors ?? 0) + (status?.tcp_visitors ?? 0))],
    ['To visitors', `${bytes(second?.bytes_out ?? 0)}/s`],
    ['From visitors', `${bytes(second?.bytes_in ?? 0)}/s`],
    ['Answers begin', milliseconds(second?.first_byte_p50_ms)],
  ];
  $('figures').replaceChildren(...figures.map(([name, value]) => h('div', {}, h('dt', {}, name), h('dd', {}, value))));
}

// What bounds the bytes on their way to an agent.
function governor({ mode, outstanding_cap: cap, delivery_rate: rate, min_rtt_ms: trip }) {
  const parts = [mode];
  if (cap !== null) parts.push(`at most ${bytes(cap)} on the way`);
  if (rate) parts.push(`${bytes(rate)}/s`);
  if (trip !== null) parts.push(`${milliseconds(trip)} at best`);
  return parts.join(', ');
}

function showAgents() {
  table($('agents'), [
    { name: 'Machine', cell: (a) => [a.name || a.identity.slice(0, 12), sub(`${a.owner}, ${a.software}`)] },
    { name: 'From', cell: (a) => a.address, class: 'w' },
    { name: 'Online', cell: (a) => h('time', { datetime: a.since, title: a.since }, since(a.since)), class: 'w' },
    { name: 'Tunnels', cell: (a) => a.tunnels.join(', '), class: 'path' },
    { name: 'Round trip', cell: (a) => [milliseconds(a.rtt_ms), sub(governor(a.governor))] },
    { name: 'Streams', cell: (a) => number(a.streams), class: 'n' },
    { name: 'Out', cell: (a) => bytes(a.bytes_out), class: 'n' },
    { name: 'In', cell: (a) => bytes(a.bytes_in), class: 'n' },
    { name: '', cell: (a) => button('Cut',
      `Cut ${a.name || a.tunnels.join(', ')}? It may come back unless its token is revoked.`, 'Cut',
      () => api.remove(`agents/${a.identity}`)), class: 'n' },
  ], state.agents, { empty: 'No agent is connected. At home: leat http 8080 --relay …' });
}

function showTunnels() {
  table($('tunnel-list'), [
    { name: 'Tunnel', cell: (t) => [t.id, h('span', { class: 'chip' }, t.kind),
      t.guarded ? h('span', { class: 'chip' }, 'guarded') : t.public ? h('span', { class: 'chip' }, 'public') : null] },
    { name: 'Address', cell: (t) => t.urls.map((url) => h('span', { class: 'sub url' }, url)), class: 'url' },
    { name: 'Privacy', cell: (t) => h('span', { class: 'sees' }, t.relay_sees) },
    { name: 'Served by', cell: (t) => [t.agent, sub(t.owner)] },
    { name: 'Online', cell: (t) => (t.since ? h('time', { datetime: t.since, title: t.since }, since(t.since)) : '–'),
      class: 'w' },
    { name: '', cell: (t) => button('Release', `Release ${t.id}? Its visitors are cut, and nobody owns it any more.`,
      'Release', () => api.remove(`tunnels/${encodeURIComponent(t.id)}`)), class: 'n' },
  ], state.tunnels, { empty: 'No tunnel is served.' });
}

const failed = (v) => v.reason !== '' || v.status >= 400;

const VISIT_COLUMNS = [
  { name: 'Time', cell: (v) => h('time', { datetime: v.began, title: v.began }, moment(v.began)), class: 'w' },
  { name: 'Tunnel', cell: (v) => [v.tunnel, h('span', { class: 'chip' }, v.kind)] },
  { name: 'Visitor', cell: (v) => v.address, class: 'w mono' },
  { name: 'Request', cell: (v) => (v.method ? `${v.method} ${v.path}` : '–'), class: 'path mono' },
  { name: 'End', cell: (v) => [h('span', { class: failed(v) ? 'bad' : 'ok' }, v.status ?? (v.reason || 'ended')),
    v.reason && v.status ? sub(v.reason) : null] },
  { name: 'Began', cell: (v) => whole(v.first_byte_ms), class: 'n' },
  { name: 'Took', cell: (v) => whole(v.duration_ms), class: 'n' },
  { name: 'In', cell: (v) => bytes(v.bytes_in), class: 'n' },
  { name: 'Out', cell: (v) => bytes(v.bytes_out), class: 'n' },
];

function showRecent() {
  table($('recent'), VISIT_COLUMNS, state.recent, { empty: 'Nobody has come by yet.' });
}

// The page of the log that the form asks for; `further`: what comes behind it.
let searches = 0; // a later one makes what an earlier one still brings worthless

async function search(further) {
  searches += 1;
  const mine = searches;
  const asked = new URLSearchParams({ limit: '100' });
  if ($('query').value.trim()) asked.set('text', $('query').value.trim());
  if ($('since').value) asked.set('since', $('since').value);
  if ($('until').value) {
    const end = new Date(`${$('until').value}T00:00:00Z`);
    end.setUTCDate(end.getUTCDate() + 1);
    asked.set('until', end.toISOString().slice(0, 10));
  }
  if (further) asked.set('cursor', state.next);
  else state.visits = [];
  // A page may be short and have a next one: the relay looks at so many rows at once.
  const before = state.visits.length;
  for (let pages = 0; pages < 200; pages += 1) {
    const page = await api.get(`connections?${asked}`);
    if (mine !== searches) return;
    state.visits.push(...page.connections);
    state.next = page.next;
    if (!page.next || state.visits.length - before >= 50) break;
    asked.set('cursor', page.next);
  }
  table($('visit-list'), VISIT_COLUMNS, state.visits, { empty: 'Nothing matches.' });
  $('more').hidden = !state.next;
}

function showUsage(usage, plans, tokens) {
  const plan_of = new Map(tokens.map((token) => [token.name, token.plan]));
  const owners = [...new Set(usage.map((row) => row.owner))].sort();
  if (!owners.length) return $('usage-list').replaceChildren(h('p', { class: 'empty' }, 'Nothing has been used yet.'));
  return $('usage-list').replaceChildren(...owners.map((owner) => {
    const rows = usage.filter((row) => row.owner === owner);
    const plan = plans.plans.find((each) => each.name === (plan_of.get(owner) || plans.default));
    const total = (row) => row.bytes_in + row.bytes_out;
    const days = rows.filter((row) => row.period.length === 10).slice(0, 14);
    const month = rows.find((row) => row.period.length === 7);
    const most = plan?.bytes_per_day ?? Math.max(...days.map(total), 1);
    const line = (name, row, limit, scale) => {
      const part = Math.min(1, total(row) / scale);
      const bar = h('i');
      bar.style.width = `${part * 100}%`;
      return h('div', { class: 'day' }, h('span', {}, name),
        h('div', { class: `bar${limit && part >= 0.9 ? ' full' : ''}`, role: 'img',
          'aria-label': limit ? `${Math.round(part * 100)} % of the quota` : bytes(total(row)) }, bar),
        h('span', { class: 'n' }, bytes(total(row))),
        h('span', { class: 'of' }, limit ? `of ${bytes(limit)}` : `${number(row.requests)} requests`));
    };
    return h('article', { class: 'owner' },
      h('h2', {}, owner, plan ? h('span', { class: 'chip' }, `plan ${plan.name}`) : null),
      month ? line(month.period, month, plan?.bytes_per_month, plan?.bytes_per_month ?? Math.max(total(month), 1)) : null,
      days.map((row) => line(row.period, row, plan?.bytes_per_day, most)));
  }));
}

function showTokens() {
  const columns = [
    { name: 'Name', cell: (t) => [t.name, t.plan ? h('span', { class: 'chip' }, t.plan) : null] },
    { name: 'Kind', cell: (t) => ({ token: 'token', jwt: 'JWT subject', agent: 'joined', app: 'app' })[t.kind], class: 'w' },
    { name: 'Made', cell: (t) => moment(t.created), class: 'w' },
    { name: 'Last used', cell: (t) => moment(t.last_used), class: 'w' },
    { name: '', cell: (t) => (t.revoked ? `revoked ${moment(t.revoked)}`
      : button('Revoke', `Revoke ${t.name}? What it has open ends within a second.`, 'Revoke',
        () => api.remove(`tokens/${encodeURIComponent(t.name)}`))), class: 'n' },
  ];
  // In force first, the latest of each on top.
  const sorted = [...state.tokens].reverse().sort((a, b) => Boolean(a.revoked) - Boolean(b.revoked));
  const row = (t) => (t.revoked ? 'gone' : null);
  table($('token-list'), columns, sorted.filter((t) => t.kind !== 'agent'), { empty: 'There are no tokens.', row });
  table($('device-list'), columns, sorted.filter((t) => t.kind === 'agent'),
    { empty: 'No machine has joined by a code.', row });
}

// --- changes ---

function button(text, question, yes, act) {
  return h('button', { class: 'small', type: 'button', on: async () => {
    if (!(await confirmed(question, yes))) return;
    try {
      await act();
      await load(...NEEDS[view()]);
    } catch (error) {
      complain(error);
    }
  } }, text);
}

function confirmed(question, yes) {
  const dialog = $('confirm');
  $('confirm-text').textContent = question;
  dialog.querySelector('.danger').textContent = yes;
  dialog.returnValue = 'no';
  dialog.showModal();
  return new Promise((tell) => {
    dialog.addEventListener('close', () => tell(dialog.returnValue === 'yes'), { once: true });
  });
}

function showSecret(...parts) {
  $('secret').replaceChildren(...parts);
  $('secret').hidden = false;
}

$('new-token').addEventListener('submit', async (event) => {
  event.preventDefault();
  try {
    const made = await api.post(`tokens?name=${encodeURIComponent($('token-name').value)}`);
    showSecret(`${made.name}, shown this once: `, h('code', {}, made.token));
    event.target.reset();
    await load('access');
  } catch (error) {
    complain(error);
  }
});

$('invite').addEventListener('click', async () => {
  try {
    const made = await api.post('pair');
    showSecret('Once, within 15 minutes, on the machine: ', h('code', {}, `leat join ${made.url}`));
  } catch (error) {
    complain(error);
  }
});

$('search').addEventListener('submit', (event) => {
  event.preventDefault();
  search(false).catch(complain);
});
$('more').addEventListener('click', () => search(true).catch(complain));

// --- live ---

function hear(event, data) {
  if (event === 'refused') return complain(data);
  if (event === 'history') {
    for (const plot of Object.values(plots)) plot.set(data);
    state.second ??= data.at(-1) ?? null;
    showFigures();
  } else if (event === 'changed') {
    const open = view();
    load(...NEEDS[open].filter((name) => name !== 'visits' && name !== 'usage'));
  } else if (event === 'second') {
    state.second = data;
    for (const plot of Object.values(plots)) plot.add(data);
    showFigures();
    if (data.ended.length) {
      state.recent = [...data.ended.reverse(), ...state.recent].slice(0, RECENT);
      if (view() === 'overview') showRecent();
    }
    if (data.at % 5 === 0 && view() === 'overview') load('status', 'agents');
  }
  return undefined;
}

function showLive(up) {
  $('live').textContent = up ? 'live' : 'no connection, trying again';
  $('live').className = `state ${up ? 'up' : 'down'}`;
}

// --- in and out ---

function showLogin(message = '') {
  stop?.();
  stop = null;
  $('app').hidden = true;
  $('login').hidden = false;
  $('login-error').textContent = message;
  $('key').focus();
}

function showApp() {
  $('login').hidden = true;
  $('app').hidden = false;
  plots.rate ??= new Plot($('rate-plot'), {
    title: 'Traffic', least: 1000, show: bytes,
    series: [{ name: 'to visitors', key: 'bytes_out', fill: true }, { name: 'from them', key: 'bytes_in' }],
  });
  plots.latency ??= new Plot($('latency-plot'), {
    title: 'Until an answer begins', least: 10, show: milliseconds,
    series: [{ name: 'half', key: 'first_byte_p50_ms' }, { name: '95 of 100', key: 'first_byte_p95_ms' }],
  });
  showView();
  stop ??= api.listen(hear, showLive);
}

$('login').addEventListener('submit', async (event) => {
  event.preventDefault();
  try {
    await api.logIn($('key').value);
    event.target.reset();
    showApp();
  } catch (error) {
    $('login-error').textContent = error.code === 'LEAT_ADMIN_KEY' ? 'That is not the key.' : error.message;
    $('key').select();
  }
});

$('logout').addEventListener('click', async () => {
  await api.logOut();
  showLogin();
});

// --- keys ---

let toFocus = 'main'; // when another view has come

function moveRow(by) {
  const rows = [...document.querySelectorAll(`#${view()} tbody tr`)];
  if (!rows.length) return;
  const now = rows.indexOf(document.activeElement.closest?.('tr'));
  rows[Math.min(Math.max(now < 0 ? 0 : now + by, 0), rows.length - 1)].focus();
}

document.addEventListener('keydown', (event) => {
  if (event.ctrlKey || event.metaKey || event.altKey || $('app').hidden) return;
  if (document.querySelector('dialog[open]')) return;
  if (event.target.matches('input')) {
    if (event.key === 'Escape') event.target.blur();
    return;
  }
  const act = {
    '/': () => {
      if (view() === 'visits') return $('query').focus();
      toFocus = 'query';
      location.hash = 'visits';
    },
    '?': () => $('help').showModal(),
    j: () => moveRow(1),
    k: () => moveRow(-1),
    r: () => load(...NEEDS[view()]),
  }[event.key] ?? (VIEWS[event.key - 1] && (() => { location.hash = VIEWS[event.key - 1]; }));
  if (!act) return;
  event.preventDefault();
  act();
});

$('help-button').addEventListener('click', () => $('help').showModal());
window.addEventListener('hashchange', () => {
  showView();
  scrollTo(0, 0);
  $(toFocus).focus({ preventScroll: true });
  toFocus = 'main';
});

if (api.known()) showApp();
else showLogin();
