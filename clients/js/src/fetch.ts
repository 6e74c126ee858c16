// `client.fetch()`: fetch's own semantics (https://fetch.spec.whatwg.org) over sealed streams.
import type { BodySource, RequestBody } from './body.js';
import { bodyOfRequest, requestBody } from './body.js';
import type { Bytes } from './bytes.js';
import { concat } from './bytes.js';
import { abort, reasonOf } from './elsewhere.js';
import { LeatError, leatError } from './errors.js';
import type { FieldList, Head } from './http.js';
import { Exchange, LAST_CHUNK, listed, valuesOf, writeChunk, writeHead } from './http.js';
import type { StreamSource } from './websocket.js';

export type FetchInit = Omit<RequestInit, 'body'> & {
  body?: BodySource | null;
  /** As in Node: accepted and not needed. */
  duplex?: 'half';
};

/** Fields that belong to one connection, or that are written from what is sent. */
const OWN_FIELDS = new Set(
  ('connection content-length expect host http2-settings keep-alive proxy-authenticate proxy-authorization ' +
    'proxy-connection te trailer transfer-encoding upgrade').split(' '),
);
const STANDARD_METHOD = /^(delete|get|head|options|post|put)$/i;
const REDIRECT = new Set([301, 302, 303, 307, 308]);
const NULL_BODY = new Set([204, 205, 304]);
const MAX_REDIRECTS = 20;

interface Plan {
  url: URL;
  method: string;
  headers: Headers;
  body: RequestBody | undefined;
  redirect: RequestRedirect;
  signal: AbortSignal | undefined;
}

async function planOf(input: string | URL | Request, init: FetchInit, base: string): Promise<Plan> {
  const request = typeof input === 'object' && 'url' in input ? input : undefined;
  const url = new URL(request ? request.url : String(input), base);
  const given = String(init.method ?? request?.method ?? 'GET');
  const method = STANDARD_METHOD.test(given) ? given.toUpperCase() : given;
  const headers = new Headers(init.headers ?? request?.headers);
  const signal = init.signal ?? request?.signal ?? undefined;
  if (!/^(http|ws)s?:$/.test(url.protocol)) throw new LeatError('LEAT_BAD_REQUEST', `cannot fetch ${url.protocol}`);
  if (/^(connect|trace|track)$/i.test(method)) throw new LeatError('LEAT_BAD_REQUEST', `the method ${method}`);
  if (signal?.aborted) throw reasonOf(signal);

  let source = init.body;
  let body: RequestBody | undefined;
  if (source === undefined && request && !/^(GET|HEAD)$/.test(method)) {
    if (request.bodyUsed) throw new TypeError('the body of the request has been used');
    if (request.body) body = await bodyOfRequest(request.body);
    else source = await request.arrayBuffer();
    if (source instanceof ArrayBuffer && !source.byteLength) source = undefined;
  }
  if (source !== null && source !== undefined) body = await requestBody(source);
  if (body && /^(GET|HEAD)$/.test(method)) throw new TypeError(`a ${method} request cannot have a body`);
  if (body?.type && !headers.has('content-type')) headers.set('content-type', body.type);
  return { url, method, headers, body, redirect: init.redirect ?? request?.redirect ?? 'follow', signal };
}

/** Fetches through streams of `source`. Rejects with LeatError, or with the reason of the signal. */
export async function leatFetch(
  source: StreamSource,
  input: string | URL | Request,
  init: FetchInit = {},
): Promise<Response> {
  const plan = await planOf(input, init, source.base);
  for (let redirects = 0; ; redirects++) {
    const { head, exchange } = await exchangeOne(source, plan).catch((error: unknown) => {
      void giveUp(plan.body, error);
      throw error;
    });
    const location = REDIRECT.has(head.status) ? valuesOf(head.fields, 'location')[0] : undefined;
    if (location === undefined || plan.redirect === 'manual') {
      const whole = typeof ReadableStream === 'undefined' ? await wholeBody(exchange, plan.signal) : undefined;
      return responseOf(plan, head, exchange, redirects > 0, whole);
    }
    exchange.stream.reset();
    if (plan.redirect === 'error') throw new LeatError('LEAT_REDIRECT', `a redirect to ${location}`);
    if (redirects === MAX_REDIRECTS) throw new LeatError('LEAT_REDIRECT', 'more than 20 redirects');
    follow(plan, head.status, location);
  }
}

/** Whoever makes a body that was not asked for is told; one that was being sent has been. */
async function giveUp(body: RequestBody | undefined, error: unknown): Promise<void> {
  const stop = new AbortController();
  abort(stop, error);
  try {
    for await (const part of body?.chunks(stop.signal) ?? []) if (part) return;
  } catch {
    // It was being sent.
  }
}

function follow(plan: Plan, status: number, location: string): void {
  const url = new URL(location, plan.url);
  // The other side of a tunnel is one service: there is no way to any other origin.
  if (url.origin !== plan.url.origin) {
    throw new LeatError('LEAT_REDIRECT', `a redirect away from the service, to ${url.origin}`);
  }
  url.hash ||= plan.url.hash;
  plan.url = url;
  const becomesGet = status === 303 ? plan.method !== 'HEAD' : status <= 302 && plan.method === 'POST';
  if (becomesGet) {
    plan.method = 'GET';
    plan.body = undefined;
    for (const name of ['type', 'length', 'encoding', 'language', 'location']) plan.headers.delete(`content-${name}`);
  } else if (plan.body && !plan.body.replayable) {
    throw new LeatError('LEAT_REDIRECT', 'a redirect of a request whose body was a stream');
  }
}

/** Sends the request and waits for the final head. The signal resets the stream until the response ends. */
async function exchangeOne(source: StreamSource, plan: Plan): Promise<{ head: Head; exchange: Exchange }> {
  const { signal } = plan;
  if (!signal) return begin(source, plan, new AbortController().signal);
  if (signal.aborted) throw reasonOf(signal);
  let stop!: () => void;
  const stopped = new Promise<never>((_, reject) => {
    stop = () => reject(reasonOf(signal));
    signal.addEventListener('abort', stop);
  });
  try {
    return await Promise.race([begin(source, plan, signal), stopped]);
  } finally {
    signal.removeEventListener('abort', stop);
  }
}

async function begin(source: StreamSource, plan: Plan, signal: AbortSignal): Promise<{ head: Head; exchange: Exchange }> {
  const stream = await source.open();
  const abort = () => stream.reset(new LeatError('LEAT_CLOSED', 'the request was aborted'));
  if (signal.aborted) abort();
  signal.addEventListener('abort', abort);
  try {
    const exchange = new Exchange(stream, source.service);
    void stream.write(headOf(plan)).catch(() => {});
    const sent = send(exchange, plan);
    const head = await Promise.race([exchange.head(plan.method), sent.failed]);
    if (head.status === 101) throw new LeatError('LEAT_SERVICE_PROTOCOL', 'an upgrade nobody asked for');
    return { head, exchange };
  } catch (error) {
    stream.reset();
    throw error;
  } finally {
    // From here on the body of the response looks after it.
    signal.removeEventListener('abort', abort);
  }
}

function headOf({ url, method, headers, body }: Plan): Bytes {
  const fields: FieldList = [];
  headers.forEach((value, name) => {
    if (!OWN_FIELDS.has(name)) fields.push([name, value]);
  });
  if (!headers.has('accept')) fields.push(['accept', '*/*']);
  if (body?.length !== undefined) fields.push(['content-length', String(body.length)]);
  else if (body) fields.push(['transfer-encoding', 'chunked']);
  else if (/^(POST|PUT|PATCH)$/.test(method)) fields.push(['content-length', '0']);
  return writeHead({ method, target: url.pathname + url.search, host: url.host, fields });
}

/** Writes the body beside the reading of the response. `failed` rejects if the caller's own body does. */
function send({ stream }: Exchange, { body }: Plan): { failed: Promise<never> } {
  let fail!: (error: unknown) => void;
  const failed = new Promise<never>((_, reject) => (fail = reject));
  failed.catch(() => {});
  const stop = new AbortController();
  stream.onerror = (error) => abort(stop, error);
  if (stream.error) abort(stop, stream.error);
  void (async () => {
    let sent = 0;
    try {
      for await (const part of body?.chunks(stop.signal) ?? []) {
        sent += part.length;
        if (part.length) await stream.write(body!.length === undefined ? writeChunk(part) : part);
      }
      if (body && body.length === undefined) await stream.write(LAST_CHUNK);
      if (body?.length !== undefined && sent !== body.length) throw new TypeError('the body has another length');
      stream.finish();
    } catch (error) {
      if (stream.error || stream.done) return; // the stream's end is what the reader meets
      stream.reset(leatError(error, 'LEAT_BAD_REQUEST'));
      fail(error);
    }
  })();
  return { failed };
}

function responseOf(plan: Plan, head: Head, exchange: Exchange, redirected: boolean, whole?: Bytes): Response {
  const headers = new Headers();
  for (const [name, value] of head.fields) {
    if (!OWN_FIELDS.has(name.toLowerCase()) || name.toLowerCase() === 'content-length') headers.append(name, value);
  }
  const { status, reason: statusText } = head;
  const none = NULL_BODY.has(status) || plan.method === 'HEAD';
  const body = whole ? undefined : bodyStream(exchange, plan.signal);
  if (none && body) void drain(body);
  const shown = none ? null : body ? decoded(body, head.fields) : (whole!.slice().buffer as ArrayBuffer);
  const response = new Response(shown, { status, statusText, headers });
  const { hash, href } = plan.url;
  const url = hash ? href.slice(0, -hash.length) : href;
  return Object.defineProperties(response, {
    url: { value: url },
    redirected: { value: redirected },
    type: { value: 'basic' },
  });
}

/** Where there are no streams a response is there when all of it is. */
async function wholeBody(exchange: Exchange, signal: AbortSignal | undefined): Promise<Bytes> {
  const abort = () => exchange.stream.reset();
  if (signal?.aborted) abort();
  signal?.addEventListener('abort', abort);
  try {
    const parts: Bytes[] = [];
    for (let part = await exchange.body(); part; part = await exchange.body()) parts.push(part);
    return concat(...parts);
  } catch (error) {
    exchange.stream.reset();
    throw signal?.aborted ? reasonOf(signal) : leatError(error, 'LEAT_CARRIER_CUT');
  } finally {
    signal?.removeEventListener('abort', abort);
  }
}

const drain = async (body: ReadableStream<Bytes>): Promise<void> => {
  const reader = body.getReader();
  try {
    while (!(await reader.read()).done);
  } catch {
    // Whoever cannot have a body does not miss one.
  }
};

function bodyStream(exchange: Exchange, signal: AbortSignal | undefined): ReadableStream<Bytes> {
  let abort = () => {};
  const release = () => signal?.removeEventListener('abort', abort);
  return new ReadableStream<Bytes>(
    {
      start(controller) {
        if (!signal) return;
        abort = () => {
          release();
          controller.error(reasonOf(signal));
          exchange.stream.reset();
        };
        if (signal.aborted) abort();
        else signal.addEventListener('abort', abort);
      },
      async pull(controller) {
        try {
          const bytes = await exchange.body();
          if (bytes) return controller.enqueue(bytes);
          release();
          controller.close();
        } catch (error) {
          release();
          exchange.stream.reset();
          if (!signal?.aborted) controller.error(leatError(error, 'LEAT_CARRIER_CUT'));
        }
      },
      cancel() {
        release();
        exchange.stream.reset();
      },
    },
    { highWaterMark: 0 },
  );
}

/** Content codings are not asked for; a service that uses one all the same is understood, as fetch does. */
function decoded(body: ReadableStream<Bytes>, fields: FieldList): ReadableStream<Bytes> {
  const codings = listed(fields, 'content-encoding').reverse();
  if (typeof DecompressionStream === 'undefined' || !codings.every((name) => /^(x-)?gzip$|^deflate$/.test(name))) return body;
  return codings.reduce<ReadableStream<Bytes>>(
    (stream, name) => stream.pipeThrough(new DecompressionStream(name === 'deflate' ? 'deflate' : 'gzip')) as ReadableStream<Bytes>,
    body,
  );
}
