// The ways to the agent: its own addresses, where they can be dialled, and its relays. They are tried so
// that one that leads nowhere costs little, and that exactly one session begins.
import { abort, reasonOf } from './elsewhere.js';
import { LeatError, leatError } from './errors.js';

export interface Way {
  kind: 'direct' | 'relay';
  /** `host:port`, or the relay's URL. */
  address: string;
}

/** What a way is left to by the direct ones before the relays are tried beside them. */
const HEAD_START_MS = 200;
const WAY_MS = 10_000;

export type Try<T> = (way: Way, signal: AbortSignal) => Promise<T>;

/** One way, for ten seconds. */
async function limited<T>(attempt: Try<T>, way: Way, outer: AbortSignal): Promise<T> {
  if (outer.aborted) throw leatError(reasonOf(outer), 'LEAT_CLOSED');
  const inner = new AbortController();
  const stop = () => abort(inner, reasonOf(outer));
  const late = setTimeout(() => abort(inner, new LeatError('LEAT_TIMEOUT', `no answer from ${way.address}`)), WAY_MS);
  outer.addEventListener('abort', stop);
  try {
    const stopped = new Promise<never>((_, reject) => {
      inner.signal.addEventListener('abort', () => reject(reasonOf(inner.signal)));
    });
    return await Promise.race([attempt(way, inner.signal), stopped]);
  } catch (error) {
    abort(inner, error);
    throw leatError(error, 'LEAT_RELAY_UNREACHABLE');
  } finally {
    clearTimeout(late);
    outer.removeEventListener('abort', stop);
  }
}

/** What to tell when every way has failed: the word of an agent before silence, of a relay before a direct address. */
function worst(errors: { way: Way; error: LeatError }[]): LeatError {
  const weight = ({ way, error }: { way: Way; error: LeatError }) =>
    (way.kind === 'relay' ? 2 : 0) + (error.final ? 4 : 0) + (error.code === 'LEAT_RELAY_UNREACHABLE' ? 0 : 1);
  return [...errors].sort((a, b) => weight(b) - weight(a))[0]?.error ?? new LeatError('LEAT_RELAY_UNREACHABLE');
}

/**
 * The first way that comes through: the direct ones all at once with a short head start, beside them the
 * relays in turn. With `oneByOne` never two at a time.
 */
export async function firstWay<T>(ways: Way[], oneByOne: boolean, attempt: Try<T>, signal: AbortSignal): Promise<T> {
  const race = new AbortController();
  const stop = () => abort(race, reasonOf(signal));
  signal.addEventListener('abort', stop);
  if (signal.aborted) stop();
  const errors: { way: Way; error: LeatError }[] = [];
  const tried = async (way: Way): Promise<T> => {
    try {
      return await limited(attempt, way, race.signal);
    } catch (error) {
      errors.push({ way, error: error as LeatError });
      throw error;
    }
  };
  const inTurn = async (list: Way[]): Promise<T> => {
    for (const way of list) {
      try {
        return await tried(way);
      } catch {
        if (race.signal.aborted) break;
      }
    }
    throw worst(errors);
  };
  const direct = ways.filter((way) => way.kind === 'direct');
  const relays = ways.filter((way) => way.kind === 'relay');
  try {
    if (oneByOne) return await inTurn([...direct, ...relays]);
    const directs = Promise.any(direct.map(tried));
    let timer: ReturnType<typeof setTimeout> | undefined;
    const headStart = new Promise<void>((resolve) => (timer = setTimeout(resolve, HEAD_START_MS)));
    const beside = Promise.race([headStart, directs.then(() => new Promise<void>(() => {}), () => {})]);
    const relayed = beside.then(() => inTurn(relays));
    return await Promise.any([directs, relayed]).finally(() => clearTimeout(timer));
  } catch {
    if (signal.aborted) throw reasonOf(signal);
    throw worst(errors);
  } finally {
    signal.removeEventListener('abort', stop);
    abort(race, new LeatError('LEAT_CLOSED', 'another way was faster'));
  }
}
