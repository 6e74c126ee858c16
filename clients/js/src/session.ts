// A sealed session (docs/protocol.md §7, §8): the handshake over a pipe, and then the loop that carries
// the multiplexer's bytes through link and records. Whatever goes wrong ends all of it.
import type { Bytes } from './bytes.js';
import { ByteQueue, concat, text, view } from './bytes.js';
import type { KeyPair, Primitives, Suite } from './crypto.js';
import { suiteKey } from './crypto.js';
import { LeatError, leatError, shownCode } from './errors.js';
import { Link } from './link.js';
import type { Reply } from './messages.js';
import { decodeReply, encodeHello } from './messages.js';
import { Mux } from './mux.js';
import { Initiator, pairingPsk } from './noise.js';
import type { Pipe } from './pipe.js';
import { RecordReceiver, RecordSender, Volume } from './records.js';
import type { MuxStream } from './stream.js';

export const UNIT = { hello: 1, pairingHello: 2, reply: 3, refused: 4 } as const;

/** How long the last words of a session may take to leave. */
const GOODBYE_MS = 1_000;

export const now = (): number => performance.now();

/** Cuts what a pipe gives into units (§7.1). */
export class UnitReader {
  private readonly input = new ByteQueue();

  constructor(private readonly pipe: Pipe) {}

  /** The body of the next unit; undefined if the pipe ended between two. `judge` throws for a bad length. */
  async next(judge: (length: number) => void): Promise<Bytes | undefined> {
    if (!(await this.fill(2))) return undefined;
    const length = view(this.input.take(2)).getUint16(0);
    judge(length);
    if (!(await this.fill(length))) throw new LeatError('LEAT_CARRIER_CUT');
    return this.input.take(length);
  }

  /** True if anything is there, without waiting for it. */
  get pending(): boolean {
    return this.input.size > 0;
  }

  private async fill(size: number): Promise<boolean> {
    while (this.input.size < size) {
      const bytes = await this.pipe.read();
      if (!bytes) {
        if (this.input.size) throw new LeatError('LEAT_CARRIER_CUT');
        return false;
      }
      this.input.push(bytes);
    }
    return true;
  }
}

export const unit = (kind: number, message: Bytes): Bytes => {
  const length = message.length + 1;
  return concat(Uint8Array.of(length >> 8, length & 255, kind), message);
};

export interface SessionOptions {
  crypto: Primitives;
  agent: Bytes;
  own: KeyPair;
  /** What this device calls itself. */
  device: string;
  /** The link's, by whatever way this goes: a relay must not lead to another service of the agent's. */
  tunnel: string;
  /** Best first. */
  suites: Suite[];
  /** Set: pair with the link's id and one-time secret. */
  pairing?: { id: Bytes; secret: Bytes };
  /** Records are filled with zeros to a multiple of this. */
  padding: number;
}

export class Session {
  readonly mux: Mux;
  /** Resolves when it is over, with the reason. */
  readonly closed: Promise<LeatError>;
  /** Resolves when the agent has opened the session; rejects if it does not. */
  readonly opened: Promise<void>;

  private readonly link: Link;
  private settle!: { opened(): void; failed(error: LeatError): void; closed(error: LeatError): void };
  private over: LeatError | undefined;
  private begun = false;
  private wakeUp: (() => void) | undefined;
  private timer: ReturnType<typeof setTimeout> | undefined;

  private constructor(
    private readonly pipe: Pipe,
    private readonly units: UnitReader,
    private readonly sender: RecordSender,
    private readonly receiver: RecordReceiver,
    readonly reply: Reply,
    readonly binding: Bytes,
  ) {
    let settleOpened!: Pick<typeof this.settle, 'opened' | 'failed'>;
    this.opened = new Promise((opened, failed) => (settleOpened = { opened, failed }));
    this.opened.catch(() => {});
    this.closed = new Promise((closed) => (this.settle = { ...settleOpened, closed }));
    this.link = new Link(
      {
        data: (bytes) => this.mux.feed(bytes),
        opened: () => this.settle.opened(),
        closed: (reason) => this.end(reason),
      },
      now(),
    );
    this.mux = new Mux({ wake: () => this.wake(), now, roundTrip: () => this.link.roundTrip });
  }

  /** Sends the first record: from here on the agent knows who this is. */
  begin(): this {
    this.begun = true;
    void this.writeLoop();
    void this.readLoop();
    return this;
  }

  /**
   * The handshake, over a pipe that it takes over. Rejects with what ended it. What it gives has sent no
   * record yet: of several ways to one agent the others can still be given up without a trace there.
   */
  static async start(pipe: Pipe, options: SessionOptions): Promise<Session> {
    const { crypto, pairing, suites } = options;
    const secrets: Bytes[] = []; // overwritten, however it ends
    let initiator: Initiator | undefined;
    try {
      const psk = pairing && (await pairingPsk(crypto, pairing.secret));
      if (psk) secrets.push(psk);
      initiator = new Initiator({ crypto, agent: options.agent, own: options.own, psk });
      const hello = encodeHello({ device: options.device, tunnel: options.tunnel, pairing: pairing?.id, suites });
      await pipe.write(unit(pairing ? UNIT.pairingHello : UNIT.hello, await initiator.write(hello)));
      const units = new UnitReader(pipe);
      const { payload, sendKey, receiveKey, binding } = await initiator.read(await readReply(units));
      secrets.push(sendKey, receiveKey);
      const reply = decodeReply(payload, suites);
      const key = await suiteKey(crypto, reply.suite, sendKey);
      const sender = new RecordSender(key, now(), new Volume(), options.padding);
      const receiver = new RecordReceiver(await suiteKey(crypto, reply.suite, receiveKey));
      return new Session(pipe, units, sender, receiver, reply, binding);
    } catch (error) {
      pipe.close();
      throw leatError(error, 'LEAT_CARRIER_CUT');
    } finally {
      initiator?.erase();
      for (const secret of secrets) secret.fill(0);
    }
  }

  /** False if it is over, takes no new streams, or would be given up if anybody looked. */
  get usable(): boolean {
    if (!this.over && this.link.dead(now())) this.end(new LeatError('LEAT_CARRIER_CUT', 'nothing was heard for 6 s'));
    return !this.over && !this.mux.full;
  }

  openStream(): MuxStream {
    return this.mux.openStream();
  }

  /** Says goodbye and ends every stream. */
  close(code = '', why = ''): void {
    const reason = new LeatError(code || 'LEAT_CLOSED', why || undefined);
    if (!this.begun) return this.end(reason); // the agent knows of none
    this.link.close(code, why);
    this.end(reason, true);
    const cut = setTimeout(() => this.pipe.close(), GOODBYE_MS);
    (cut as { unref?: () => void }).unref?.();
  }

  private end(error: LeatError, saysGoodbye = false): void {
    if (this.over) return;
    this.over = error;
    clearTimeout(this.timer);
    this.mux.end(error);
    this.receiver.erase();
    if (!saysGoodbye) {
      this.sender.erase();
      this.pipe.close();
    }
    this.settle.failed(error);
    this.settle.closed(error);
    this.wake();
  }

  private async readLoop(): Promise<void> {
    try {
      for (;;) {
        const body = await this.units.next((length) => {
          const fault = this.receiver.judge(length);
          if (fault) throw new LeatError('LEAT_TAMPERED', `a sealed record was refused: ${fault}`);
        });
        if (this.over) return;
        if (!body) return this.end(new LeatError('LEAT_CARRIER_CUT'));
        const { content } = await this.receiver.open(body);
        if (this.over) return;
        if (this.receiver.ended) return this.end(new LeatError('LEAT_CARRIER_CUT', 'the agent ended the session'));
        if (content.length) this.link.feed(content, now());
        // What waits for room in the log is woken by whatever may have made some.
        if (!this.over && (this.link.wants(now()) || this.mux.wants || this.timer === undefined)) this.wake();
        else this.arm();
      }
    } catch (error) {
      if (error instanceof LeatError && error.code === 'LEAT_PROTOCOL') this.close(error.code, error.message);
      else this.end(leatError(error, 'LEAT_CARRIER_CUT'));
    }
  }

  private async writeLoop(): Promise<void> {
    try {
      for (;;) {
        const content = this.link.pull(now(), (max) => this.mux.pull(max));
        if (content.length) {
          const units = await this.sender.data(content, now());
          if (!this.over || this.sendsGoodbye) await this.pipe.write(units.length > 1 ? concat(...units) : units[0]);
        } else if (this.over) {
          if (this.sendsGoodbye) await this.pipe.write(await this.sender.end());
          return this.pipe.close();
        } else {
          const woken = new Promise<void>((resolve) => (this.wakeUp = resolve));
          this.arm();
          await woken;
        }
      }
    } catch (error) {
      this.end(leatError(error, 'LEAT_CARRIER_CUT'));
      this.pipe.close();
    }
  }

  private get sendsGoodbye(): boolean {
    return this.sender.usable;
  }

  private wake(): void {
    this.wakeUp?.();
    this.wakeUp = undefined;
  }

  /** One timer for whatever is due next: an ack, a ping, the end of patience, which alone ends a write that hangs. */
  private arm(): void {
    clearTimeout(this.timer);
    if (this.over) return;
    const due = this.wakeUp ? this.link.deadline(now()) : this.link.deadAt;
    this.timer = setTimeout(
      () => {
        if (this.link.dead(now())) return this.end(new LeatError('LEAT_CARRIER_CUT', 'nothing was heard for 6 s'));
        this.wake();
        this.arm();
      },
      Math.max(1, due - now()),
    );
  }
}

/** Message 2, or the words in which the agent's end, or whoever stands there, tells the failure. */
async function readReply(units: UnitReader): Promise<Bytes> {
  const body = await units.next((length) => {
    if (length < 6 || length > 1073) throw new LeatError('LEAT_PROTOCOL', 'what answers is no agent');
  });
  if (!body) throw new LeatError('LEAT_CARRIER_CUT', 'the agent answered nothing');
  if (body[0] === UNIT.refused && body.length <= 48) throw new LeatError(shownCode(text(body.subarray(1))));
  if (body[0] !== UNIT.reply || body.length < 49) throw new LeatError('LEAT_PROTOCOL', 'what answers is no agent');
  return body.subarray(1);
}
