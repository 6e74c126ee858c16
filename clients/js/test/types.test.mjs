// The types as a program that uses the package sees them: what fits where fetch and WebSocket are asked for.
import test from 'node:test';
import assert from 'node:assert/strict';
import fs from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import { spawnSync } from 'node:child_process';
import { fileURLToPath } from 'node:url';

const here = (name) => fileURLToPath(new URL(name, import.meta.url));

const good = `
import { connect, LeatError, isPairingLink } from 'leat-client';
import type { Client, Credential, Way } from 'leat-client';

export async function use(link: string, credential: Credential): Promise<number> {
  const client: Client = await connect(isPairingLink(link) ? link : credential, {
    device: 'x',
    onstate: (change) => console.log(change.state === 'connected' ? change.via.address : change.error.code),
  });
  const asFetch: typeof globalThis.fetch = client.fetch;
  const asClass: typeof globalThis.WebSocket = client.WebSocket;
  const response: Response = await asFetch('/x', { method: 'POST', body: 'x', signal: AbortSignal.timeout(1) });
  async function* parts() {
    yield new Uint8Array(1);
  }
  await client.fetch('/x', { method: 'POST', body: parts() });
  const socket = new client.WebSocket('/x', ['a']);
  socket.onclose = ({ code, wasClean }) => console.log(code, wasClean, asClass.OPEN);
  const via: Way | undefined = client.via;
  const error = new LeatError('LEAT_X');
  return response.status + (via?.kind === 'direct' ? 1 : 0) + (error.final ? 1 : 0);
}
`;
const bad = {
  'a body of a number': `import { connect } from 'leat-client'; (await connect('')).fetch('/', { body: 1 });`,
  'an unknown option': `import { connect } from 'leat-client'; await connect('', { divice: 'x' });`,
  'a credential that is changed': `import type { Credential } from 'leat-client'; (c: Credential) => (c.agent = '');`,
};

function check(code, types) {
  const folder = fs.mkdtempSync(path.join(os.tmpdir(), 'leat-types-'));
  try {
    fs.mkdirSync(path.join(folder, 'node_modules'));
    fs.symlinkSync(here('..'), path.join(folder, 'node_modules/leat-client'));
    fs.writeFileSync(path.join(folder, 'use.ts'), code);
    const options = ['--noEmit', '--strict', '--target', 'es2022', '--module', 'es2022', '--moduleResolution', 'bundler'];
    const tsc = here('../node_modules/typescript/bin/tsc');
    const run = spawnSync(process.execPath, [tsc, ...options, ...types, 'use.ts'], { cwd: folder, encoding: 'utf8' });
    return { ok: run.status === 0, output: run.stdout };
  } finally {
    fs.rmSync(folder, { recursive: true });
  }
}

test('types fit where fetch and WebSocket are asked for', () => {
  const { ok, output } = check(good, ['--lib', 'es2022,dom,dom.iterable']);
  assert.ok(ok, output);
});

for (const [name, code] of Object.entries(bad)) {
  test(`and do not fit: ${name}`, () => {
    const { ok, output } = check(`${code}\nexport {};`, ['--lib', 'es2022,dom,dom.iterable']);
    assert.equal(ok, false, 'it was taken');
    assert.match(output, /^use\.ts/m);
  });
}
