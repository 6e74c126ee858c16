// The ways to the agent: its own addresses, where they can be dialled, and its relays. They are tried so
// that one that leads nowhere costs little, and that exactly one session begins.
import { abort, reasonOf, throwIfAborted } from './elsewhere.js';
import { LeatError, leatError } from './errors.js';

export interface Way {
  kind: 'direct' | 'relay';
  /** `host:port`, or the relay's URL. */
  address: string;
}

/** What a way is left to by the direct ones before the relays are tried beside them. */
const HEAD_START_MS = 200;
const WAY_MS = 10_000;
/** What an agent is given to answer a hello while other ways wait to say theirs. */
const TURN_MS = 5_000;

/** Runs `task` when no other way runs one; at once where they need not go one by one. */
export type Turn = <R>(task: () => Promise<R>) => Promise<R>;
export type Try<T> = (way: Way, signal: AbortSignal, turn: Turn) => Promise<T>;

/** One after the other, and none behind the one that came through. */
function turns(): Turn {
  let last: Promise<unknown> = Promise.resolve();
  let through = false;
  return (task) => {
    const mine = last.then(async () => {
      if (through) throw new LeatError('LEAT_CLOSED', 'another way was faster');
      const result = await task();
      through = true;
      return result;
    });
    last = mine.catch(() => {});
    return mine;
  };
}

/** One way, for ten seconds; those in which others have their turn do not count. */
async function limited<T>(attempt: Try<T>, way: Way, outer: AbortSignal, inTurn: Turn | undefined): Promise<T> {
  if (outer.aborted) throw leatError(reasonOf(outer), 'LEAT_CLOSED');
  const inner = new AbortController();
  const stop = () => abort(inner, reasonOf(outer));
  let late: ReturnType<typeof setTimeout> | undefined;
  const within = (ms: number) => {
    late = setTimeout(() => abort(inner, new LeatError('LEAT_TIMEOUT', `no answer from ${way.address}`)), ms);
  };
  within(WAY_MS);
  outer.addEventListener('abort', stop);
  try {
    const stopped = new Promise<never>((_, reject) => {
      inner.signal.addEventListener('abort', () => reject(reasonOf(inner.signal)));
    });
    stopped.catch(() => {});
    const turn: Turn = async (task) => {
      if (!inTurn) return task();
      clearTimeout(late);
      return inTurn(async () => {
        throwIfAborted(inner.signal);
        within(TURN_MS);
        return Promise.race([task(), stopped]);
      });
    };
    return await Promise.race([attempt(way, inner.signal, turn), stopped]);
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
 * relays in turn. With `oneByOne` they get as far as their turn beside each other, and take it one by one.
 * One that comes through in the same moment as the first is given to `lost`.
 */
export async function firstWay<T>(
  ways: Way[],
  oneByOne: boolean,
  attempt: Try<T>,
  signal: AbortSignal,
  lost: (result: T) => void = () => {},
): Promise<T> {
  const race = new AbortController();
  const stop = () => abort(race, reasonOf(signal));
  signal.addEventListener('abort', stop);
  if (signal.aborted) stop();
  const errors: { way: Way; error: LeatError }[] = [];
  const oneOf = oneByOne ? turns() : undefined;
  let decided = false;
  const tried = async (way: Way): Promise<T> => {
    try {
      const result = await limited(attempt, way, race.signal, oneOf);
      if (!decided) {
        decided = true;
        return result;
      }
      lost(result);
      throw new LeatError('LEAT_CLOSED', 'another way was faster');
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
        if (decided || race.signal.aborted) break;
      }
    }
    throw worst(errors);
  };
  const direct = ways.filter((way) => way.kind === 'direct');
  const relays = ways.filter((way) => way.kind === 'relay');
  try {
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
