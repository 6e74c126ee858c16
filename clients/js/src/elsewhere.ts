// What React Native's engine lacks of the web platform, as far as the client needs it. Where it is there,
// the environment's own is used.

/** What there has to be; the parts of a URL are read all over. In words, if it is not there. */
export function lacking(): string | undefined {
  try {
    const url = new URL('b?c#d', 'http://a:1/');
    url.protocol = 'ws:';
    if (`${url.protocol} ${url.host} ${url.pathname} ${url.search} ${url.hash}` !== 'ws: a:1 /b ?c #d') throw url;
  } catch {
    return 'URL is not all there: bring react-native-url-polyfill';
  }
  try {
    new TextDecoder('utf-8', { fatal: true });
  } catch {
    return 'there is no TextDecoder that takes `fatal`: bring one, as text-encoding is';
  }
  const there = {
    'Promise.any': Promise.any,
    atob: globalThis.atob,
    btoa: globalThis.btoa,
    BigInt: globalThis.BigInt,
    'DataView with BigInt': DataView.prototype.setBigUint64,
  };
  const missing = Object.entries(there).find(([, value]) => typeof value !== 'function');
  return missing && `there is no ${missing[0]}: bring one, or a newer engine`;
}

type Listener = ((event: Event) => unknown) | { handleEvent(event: Event): unknown };

class Listeners {
  private readonly all = new Map<string, Map<Listener, boolean>>();

  addEventListener(type: string, listener: Listener | null, options?: boolean | { once?: boolean }): void {
    if (!listener) return;
    const list = this.all.get(type) ?? new Map<Listener, boolean>();
    this.all.set(type, list);
    if (!list.has(listener)) list.set(listener, typeof options === 'object' && options.once === true);
  }

  removeEventListener(type: string, listener: Listener | null): void {
    if (listener) this.all.get(type)?.delete(listener);
  }

  dispatchEvent(event: Event): boolean {
    for (const [listener, once] of [...(this.all.get(event.type) ?? [])]) {
      if (once) this.removeEventListener(event.type, listener);
      safely(() => (typeof listener === 'function' ? listener.call(this, event) : listener.handleEvent(event)));
    }
    return true;
  }
}

/** What a listener throws is the business of the environment, as with its own events. */
export function safely(call: () => unknown): void {
  try {
    call();
  } catch (error) {
    queueMicrotask(() => {
      throw error;
    });
  }
}

export const Target = (typeof EventTarget === 'undefined' ? Listeners : EventTarget) as typeof EventTarget;

export function makeEvent<T extends object>(type: string, fields: T, target: unknown): Event & T {
  const own = typeof Event === 'undefined';
  const all = own ? { type, target, currentTarget: target, ...fields } : fields;
  return Object.defineProperties(
    own ? {} : new Event(type),
    Object.fromEntries(Object.entries(all).map(([name, value]) => [name, { value, enumerable: true }])),
  ) as Event & T;
}

export function domException(message: string, name: string): Error {
  if (typeof DOMException !== 'undefined') return new DOMException(message, name);
  return Object.assign(new Error(message), { name });
}

// An AbortController there has no reason to give: ours are kept beside it.
const reasons = new WeakMap<AbortSignal, unknown>();

export function abort(controller: AbortController, reason: unknown): void {
  if (!controller.signal.aborted) reasons.set(controller.signal, reason);
  controller.abort(reason);
}

export const reasonOf = (signal: AbortSignal): unknown =>
  reasons.get(signal) ?? signal.reason ?? domException('This operation was aborted', 'AbortError');

export function throwIfAborted(signal: AbortSignal | undefined): void {
  if (signal?.aborted) throw reasonOf(signal);
}
