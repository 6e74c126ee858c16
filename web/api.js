// The admin API, as a browser may use it: a cookie that this script cannot read, and a token that is kept
// for this origin. Both are needed for everything.

const KEPT = 'leat-token';
let token = localStorage.getItem(KEPT);

export class Refused extends Error {
  constructor(status, code, message) {
    super(message);
    Object.assign(this, { status, code });
  }
}

async function check(response) {
  if (response.ok) return response;
  const said = await response.json().catch(() => ({}));
  const { code = `HTTP ${response.status}`, message = response.statusText } = said.error ?? {};
  if (response.status === 401 || code === 'LEAT_ADMIN_FORGERY') forget();
  throw new Refused(response.status, code, message);
}

async function ask(method, path, options = {}) {
  const headers = { 'X-Csrf-Token': token ?? '', ...options.headers };
  return check(await fetch(`/api/v1/${path}`, { method, cache: 'no-store', ...options, headers }));
}

function forget() {
  token = null;
  localStorage.removeItem(KEPT);
}

export const known = () => token !== null;
export const get = async (path) => (await ask('GET', path)).json();
export const remove = (path) => ask('DELETE', path);
export const post = async (path) => (await ask('POST', path)).json();

export async function logIn(key) {
  const made = await ask('POST', 'session', { headers: { 'X-Admin-Key': key } });
  ({ token } = await made.json());
  localStorage.setItem(KEPT, token);
}

export async function logOut() {
  await remove('session').catch(() => {});
  forget();
}

// Server-sent events, read with fetch since EventSource cannot send the token. `hear(event, data)` for
// each; `state(up)` when the stream begins and breaks. Comes back by itself; ends when refused or told to.
export function listen(hear, state) {
  const stop = new AbortController();
  (async () => {
    for (let wait = 1000; !stop.signal.aborted; wait = Math.min(wait * 2, 15_000)) {
      try {
        const response = await ask('GET', 'events', { signal: stop.signal });
        state(true);
        wait = 1000;
        await read(response.body.getReader(), hear);
      } catch (error) {
        if (stop.signal.aborted) return;
        if (error.status === 401 || error.status === 403) return hear('refused', error);
      }
      state(false);
      await new Promise((go) => setTimeout(go, wait));
    }
  })();
  return () => stop.abort();
}

async function read(reader, hear) {
  const decoder = new TextDecoder();
  for (let text = ''; ;) {
    const { done, value } = await reader.read();
    if (done) return;
    text += decoder.decode(value, { stream: true });
    for (let end = text.indexOf('\n\n'); end >= 0; end = text.indexOf('\n\n')) {
      const fields = Object.fromEntries(text.slice(0, end).split('\n').map((line) => line.split(/: (.*)/s, 2)));
      text = text.slice(end + 2);
      hear(fields.event, JSON.parse(fields.data));
    }
  }
}
