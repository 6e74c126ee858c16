// What goes wrong, each with a code that stays (LEAT_…), what happened, and what to do next.

/**
 * A `TypeError`, as `fetch` has always thrown for what is not an HTTP answer, with a stable `code`.
 * Codes that come from the agent or the relay and are not listed here are passed on as they are.
 */
export class LeatError extends TypeError {
  override readonly name = 'LeatError';
  /** What a person can do about it. */
  readonly next: string;

  constructor(
    /** `LEAT_…`, see the table in README.md. */
    readonly code: string,
    message?: string,
    options: { cause?: unknown } = {},
  ) {
    const known = codes[code];
    super(message ?? known?.[0] ?? code);
    this.next = known?.[1] ?? '';
    if (options.cause !== undefined) (this as { cause?: unknown }).cause = options.cause;
  }

  /** True when trying again cannot help before somebody has done something. */
  get final(): boolean {
    return codes[this.code]?.[2] ?? false;
  }
}

/** code: what happened, what to do, final. README.md has them all. */
export const codes: Record<string, [string, string, boolean?]> = {
  LEAT_BAD_LINK: ['this is no pairing link', 'open the whole link, or scan the code again', true],
  LEAT_BAD_CREDENTIAL: ['this is no stored credential', 'pair again with a new link', true],
  LEAT_KEY_CHANGED: [
    'what answers does not have the key this device was paired with: the agent has a new key, or somebody is in between',
    "ask the agent's owner; only a new pairing link from them can replace a key",
    true,
  ],
  LEAT_PAIRING_USED: ['this pairing link has been used', 'ask for a new link; if nobody of yours used it, say so', true],
  LEAT_PAIRING_OVER: ['this pairing link is no longer valid', 'ask for a new link', true],
  LEAT_UNKNOWN_DEVICE: ['the agent does not know this device', 'pair again with a new link', true],
  LEAT_REVOKED: ["the agent's owner has revoked this device", "ask the agent's owner for a new link", true],
  LEAT_AGENT_OFFLINE: ['the agent is not connected now', 'see whether the machine at home is on, then try again'],
  LEAT_RELAY_UNREACHABLE: [
    'no relay could be reached',
    'check the network, then try again; browsers and apps take no relay without a certificate of a public authority',
  ],
  LEAT_PIN_MISMATCH: ["the relay's certificate has another key than the link says", 'ask who runs the relay'],
  LEAT_DRAINING: ['the agent or the relay is stopping', 'try again'],
  LEAT_AGENT_BUSY: ['the agent has as many sessions or streams as it takes', 'try again shortly'],
  LEAT_CARRIER_CUT: ['the connection was cut', 'try again'],
  LEAT_TIMEOUT: ['no answer in time', 'try again'],
  LEAT_TAMPERED: ['what arrived was changed on its way', 'use another network or relay'],
  LEAT_PROTOCOL: ['the other end broke the protocol', 'report it with the versions of both ends'],
  LEAT_VERSION_MISMATCH: ['this client and the agent speak no common version', 'update the older of the two', true],
  LEAT_OUT_OF_SCOPE: ['what this device may use has been changed', 'try again; what is not allowed now is refused'],
  LEAT_SESSION_LOST: ['the agent does not know this session', 'try again'],
  LEAT_CLOSED: ['the client was closed', 'connect again', true],
  LEAT_AGENT_LOST: ['the agent gave no answer', 'try again'],
  LEAT_NO_SUCH_SERVICE: ['the agent has no such service for this device', "compare with the agent's services"],
  LEAT_SERVICE_REFUSED: ['the service behind the agent refused the connection', 'start the service'],
  LEAT_SERVICE_TIMEOUT: ['the service behind the agent did not answer in time', 'see whether it hangs'],
  LEAT_SERVICE_UNREACHABLE: ['the agent could not reach the service', "check the service's address at the agent"],
  LEAT_SERVICE_CUT: ['the answer was cut off', 'see the log of the service'],
  LEAT_SERVICE_PROTOCOL: ['the service answered with invalid HTTP', 'check that it speaks HTTP/1.1'],
  LEAT_REDIRECT: ['a redirect could not be followed', "use redirect: 'manual' and look at Location"],
  LEAT_BAD_REQUEST: ['the request cannot be sent', 'correct the request'],
  LEAT_NOT_SUPPORTED: ['this environment lacks something that is needed', 'see README.md, "Where it runs"', true],
};

/** Anything that was thrown, as a LeatError. */
export const leatError = (error: unknown, code: string): LeatError =>
  error instanceof LeatError ? error : new LeatError(code, undefined, { cause: error });

/** What the other end says, made fit to be shown: printable ASCII only. */
export const shown = (said: string): string => said.replace(/[^\x20-\x7e]/g, '?').slice(0, 512);
/** A code the other end named, or LEAT_PROTOCOL if that is no code. */
export const shownCode = (said: string): string => (/^LEAT_[A-Z_]{1,43}$/.test(said) ? said : 'LEAT_PROTOCOL');
