// The package as `npm install` would put it down: packed, unpacked, and imported as each environment resolves it.
import test from 'node:test';
import assert from 'node:assert/strict';
import fs from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import { spawnSync } from 'node:child_process';
import { fileURLToPath } from 'node:url';

const here = (name) => fileURLToPath(new URL(name, import.meta.url));
const folder = fs.mkdtempSync(path.join(os.tmpdir(), 'leat-package-'));
process.on('exit', () => fs.rmSync(folder, { recursive: true }));

function run(command, ...words) {
  const done = spawnSync(command, words, { cwd: folder, encoding: 'utf8' });
  assert.equal(done.status, 0, `${command} ${words.join(' ')}: ${done.error ?? done.stderr}${done.stdout}`);
  return done.stdout;
}

// dist/ is made by now; made anew it would be missing for a moment to tests beside this one.
const pack = ['--ignore-scripts', '--offline', '--json', '--cache', path.join(folder, 'cache')];
const [packed] = JSON.parse(run('npm', 'pack', here('..'), ...pack));
const home = path.join(folder, 'node_modules/leat-client');
fs.mkdirSync(home, { recursive: true });
run('tar', 'xzf', packed.filename, '--strip-components=1', '-C', home);
fs.symlinkSync(here('../node_modules/@noble'), path.join(folder, 'node_modules/@noble'));
const manifest = JSON.parse(fs.readFileSync(path.join(home, 'package.json'), 'utf8'));

test('what it names is in it, and nothing that is not meant to be', () => {
  const { main, browser, types, 'react-native': native, exports, sideEffects } = manifest;
  for (const file of [main, browser, native, types, ...Object.values(exports['.']), ...sideEffects]) {
    assert.ok(fs.existsSync(path.join(home, file)), file);
  }
  const meant = /^(dist\/[\w.-]+\.(js|d\.ts)|README\.md|LICENSE|package\.json)$/;
  for (const { path: file } of packed.files) assert.match(file, meant);
  assert.deepEqual(Object.keys(manifest.dependencies).sort(), ['@noble/ciphers', '@noble/curves', '@noble/hashes']);
});

const use = `
import { webcrypto } from 'node:crypto';
import { createRequire } from 'node:module';
globalThis.crypto ??= webcrypto; // which browsers have, and Node.js 18 has not
const leat = await import('leat-client');
let refused;
await leat.connect('https://chat.example/#nothing').catch((error) => (refused = error));
const file = createRequire(import.meta.url).resolve('leat-client');
const code = refused instanceof leat.LeatError && refused.code;
console.log(JSON.stringify({ file, names: Object.keys(leat).sort(), code }));
`;
fs.writeFileSync(path.join(folder, 'use.mjs'), use);

const entries = { node: 'dist/node.js', browser: 'dist/index.js', 'react-native': 'dist/index.js' };
for (const [condition, entry] of Object.entries(entries)) {
  test(`it is imported under the condition ${condition}`, () => {
    const { file, names, code } = JSON.parse(run(process.execPath, `--conditions=${condition}`, 'use.mjs'));
    assert.equal(file, path.join(fs.realpathSync(home), entry));
    assert.deepEqual(names, ['LeatError', 'connect', 'isPairingLink']);
    assert.equal(code, 'LEAT_BAD_LINK');
  });
}

test('its types are found', () => {
  fs.writeFileSync(path.join(folder, 'package.json'), '{ "type": "module" }');
  const code = `import { connect } from 'leat-client';\n(await connect('')).fetch('/');\n`;
  fs.writeFileSync(path.join(folder, 'use.ts'), code);
  const tsc = here('../node_modules/typescript/bin/tsc');
  const options = ['--noEmit', '--strict', '--target', 'es2022', '--lib', 'es2022,dom,dom.iterable', 'use.ts'];
  for (const [module, resolution] of [['es2022', 'bundler'], ['node16', 'node16']]) {
    run(process.execPath, tsc, '--module', module, '--moduleResolution', resolution, ...options);
  }
});
