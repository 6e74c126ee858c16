// A chat with a model at home, through a relay that can read none of it. See README.md.
import { connect, isPairingLink } from './leat-client.min.js';
import { forget, forgetBegun, load, loadBegun, save, saveBegun } from './store.js';
import { wordsFor } from './words.js';

const $ = (id) => document.getElementById(id);

/** The link in the address bar. It holds a secret: off the bar and the history with it at once. */
function takeLink() {
  if (!isPairingLink(location.href)) return undefined;
  const link = location.href;
  history.replaceState(null, '', location.pathname + location.search);
  return link;
}

let client;
let messages = [];
let answering;

// --- what is shown ---

const status = (text) => ($('status').textContent = text);

function bubble(role, text) {
  const paragraph = document.createElement('p');
  paragraph.className = role;
  paragraph.textContent = text;
  $('log').append(paragraph);
  paragraph.scrollIntoView({ block: 'end' });
  return paragraph;
}

function button(label, act, kind = '') {
  const made = document.createElement('button');
  made.type = 'button';
  made.textContent = label;
  made.className = kind;
  made.addEventListener('click', act);
  return made;
}

function notice(words, ...actions) {
  const box = $('notice');
  box.querySelector('h2').textContent = words.title;
  box.querySelector('p').textContent = words.text;
  box.querySelector('.next').textContent = words.next ?? '';
  box.querySelector('code').textContent = words.code ?? '';
  box.querySelector('.actions').replaceChildren(...actions);
  box.hidden = false;
  actions[0]?.focus();
}

const clearNotice = () => ($('notice').hidden = true);

function showPairing() {
  status('');
  $('agent').textContent = 'leat chat';
  $('pairing').hidden = false;
  $('composer').hidden = true;
  $('more').hidden = true;
  $('link').focus();
}

function failed(error, again, others = []) {
  const words = wordsFor(error);
  const actions = [];
  if (words.retry && again) actions.push(button('Try again', again));
  if (words.forget) actions.push(button('Forget this pairing', forgetPairing));
  notice(words, ...actions, ...others);
}

function shown() {
  const { credential, via } = client;
  $('agent').textContent = credential.name || 'your agent';
  $('facts').textContent =
    `Paired as “${credential.device}”. By way of ${via.address}, which sees encrypted bytes, their sizes and when.`;
  $('pairing').hidden = true;
  $('composer').hidden = false;
  $('more').hidden = false;
  $('prompt').focus();
}

function onstate(change) {
  if (change.state === 'connected') return status('connected, end-to-end encrypted');
  status(change.error.code === 'LEAT_CLOSED' ? '' : 'not connected');
  // Words for what ended it; a mere cut is mended by the next message.
  if (change.error.final && change.error.code !== 'LEAT_CLOSED') failed(change.error);
}

// --- pairing and connecting ---

const deviceName = () => {
  const system = /iPhone|iPad|Android|Windows|Mac|Linux/.exec(navigator.userAgent)?.[0] ?? 'browser';
  return `chat-${system.toLowerCase()}`;
};

const reach = (linkOrCredential, oncredential) =>
  connect(linkOrCredential, { device: deviceName(), timeout: 6_000, oncredential, onstate });

/** Pairs. What it began is kept beside what was there, until it is known to have come through. */
const pair = (link) => reach(link, (credential) => (client ? save(credential) : saveBegun({ link, credential })));

/** The agent may have taken this device in before the connection was cut; else the link is still good. */
async function pairOn({ link, credential }) {
  try {
    return await reach(credential, (fresh) => void save(fresh));
  } catch (error) {
    if (error.code !== 'LEAT_UNKNOWN_DEVICE') throw error;
    return pair(link);
  }
}

/** With a link, a credential, or a pairing that was begun. */
async function enter(what) {
  clearNotice();
  client?.close();
  client = undefined;
  status('connecting…');
  try {
    if (typeof what === 'string') client = await pair(what);
    else if ('link' in what) client = await pairOn(what);
    else client = await reach(what, (fresh) => void save(fresh));
    await save(client.credential);
    shown();
    await listModels();
  } catch (error) {
    status('');
    const begun = await loadBegun().catch(() => undefined);
    const paired = await load().catch(() => undefined);
    if (!paired) showPairing();
    const next = begun ?? paired;
    const goBack = () => forgetBegun().then(() => enter(paired));
    failed(error, next && (() => enter(next)), begun && paired ? [button('Keep the pairing before', goBack)] : []);
  }
}

/** A link that was opened while there is a pairing might be somebody's attempt to replace it. */
function confirmReplacement(credential, newLink) {
  notice(
    {
      title: 'Pair with another agent?',
      text: `This page is paired with “${credential.name || 'an agent'}” already. The link you opened replaces that.`,
      next: 'Go on only if you asked for this link yourself.',
    },
    button('Keep what I have', () => enter(credential)),
    button('Use the new link', () => enter(newLink), 'danger'),
  );
}

async function forgetPairing() {
  answering?.abort();
  client?.close();
  client = undefined;
  await forget();
  messages = [];
  $('log').replaceChildren();
  $('model').replaceChildren();
  $('model').parentElement.hidden = true;
  clearNotice();
  showPairing();
}

async function listModels() {
  const response = await client.fetch('/v1/models');
  if (!response.ok) throw new Error(`The service answered ${response.status} when asked for its models.`);
  const { data } = await response.json();
  const select = $('model');
  select.replaceChildren(...data.map(({ id }) => new Option(id, id)));
  const last = localStorage.getItem('model');
  if (data.some(({ id }) => id === last)) select.value = last;
  select.parentElement.hidden = !data.length;
}

// --- the conversation ---

/** The texts of a streamed completion, as they come. */
async function* deltas(response) {
  const decoder = new TextDecoder();
  let pending = '';
  for (const reader = response.body.getReader(); ; ) {
    const { done, value } = await reader.read();
    if (done) return;
    pending += decoder.decode(value, { stream: true });
    const lines = pending.split(/\r?\n/);
    pending = lines.pop();
    for (const line of lines) {
      if (!line.startsWith('data:')) continue;
      const data = line.slice(5).trim();
      if (data === '[DONE]') return;
      const text = JSON.parse(data).choices?.[0]?.delta?.content;
      if (text) yield text;
    }
  }
}

async function say(text) {
  clearNotice();
  messages.push({ role: 'user', content: text });
  bubble('user', text);
  const paragraph = bubble('assistant', '');
  answering = new AbortController();
  $('send').hidden = true;
  $('stop').hidden = false;
  let answer = '';
  try {
    const response = await client.fetch('/v1/chat/completions', {
      method: 'POST',
      headers: { 'content-type': 'application/json' },
      body: JSON.stringify({ model: $('model').value, messages, stream: true }),
      signal: answering.signal,
    });
    if (!response.ok) throw new Error(`The service answered ${response.status}: ${(await response.text()).slice(0, 300)}`);
    const log = $('log');
    for await (const delta of deltas(response)) {
      const atEnd = log.scrollHeight - log.scrollTop - log.clientHeight < 80;
      paragraph.textContent = answer += delta;
      if (atEnd) log.scrollTop = log.scrollHeight;
    }
  } catch (error) {
    if (error?.name === 'AbortError') paragraph.classList.add('stopped');
    else failed(error, () => (clearNotice(), retry(text, paragraph)));
  } finally {
    if (answer) messages.push({ role: 'assistant', content: answer });
    answering = undefined;
    $('send').hidden = false;
    $('stop').hidden = true;
    $('prompt').focus();
  }
}

function retry(text, paragraph) {
  while (messages.length && messages.pop().role !== 'user');
  paragraph.previousElementSibling?.remove();
  paragraph.remove();
  void say(text);
}

const stop = () => answering?.abort();

// --- what can be pressed ---

$('pairing').addEventListener('submit', (event) => {
  event.preventDefault();
  const given = $('link').value.trim();
  $('link').value = '';
  void enter(given);
});

$('composer').addEventListener('submit', (event) => {
  event.preventDefault();
  const text = $('prompt').value.trim();
  if (!text || answering || !client) return;
  $('prompt').value = '';
  $('prompt').style.height = '';
  void say(text);
});

$('prompt').addEventListener('keydown', (event) => {
  if (event.key !== 'Enter' || event.shiftKey || event.isComposing) return;
  event.preventDefault();
  $('composer').requestSubmit();
});

$('prompt').addEventListener('input', ({ target }) => {
  target.style.height = 'auto';
  target.style.height = `${target.scrollHeight + 2}px`;
});

document.addEventListener('keydown', (event) => {
  if (event.key === 'Escape') stop();
});
$('stop').addEventListener('click', stop);
$('forget').addEventListener('click', () => void forgetPairing());
$('model').addEventListener('change', ({ target }) => localStorage.setItem('model', target.value));
$('fresh').addEventListener('click', () => {
  stop();
  messages = [];
  $('log').replaceChildren();
  $('more').open = false;
  clearNotice();
});

async function begin(link) {
  const credential = await load();
  const begun = await loadBegun();
  if (begun && (!link || link === begun.link)) await enter(begun);
  else if (link && credential) confirmReplacement(credential, link);
  else if (link || credential) await enter(link ?? credential);
  else showPairing();
}

// A link that is opened where the page is already open comes as another fragment.
addEventListener('hashchange', () => {
  const link = takeLink();
  if (link) void begin(link);
});
void begin(takeLink());
