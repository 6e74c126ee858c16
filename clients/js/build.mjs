// Makes dist/: the modules and their types by tsc, and beside them the client in one file, with everything
// it may need, for pages without a bundler; clients/chat gets a copy of that.
//
//   node build.mjs
import { build } from 'esbuild';
import { spawnSync } from 'node:child_process';
import fs from 'node:fs';
import { fileURLToPath } from 'node:url';

const here = (path) => fileURLToPath(new URL(path, import.meta.url));

const tsc = spawnSync(process.execPath, [here('node_modules/typescript/bin/tsc'), '-p', here('tsconfig.json')], {
  stdio: 'inherit',
});
if (tsc.status !== 0) process.exit(tsc.status ?? 1);

await build({
  entryPoints: [here('dist/index.js')],
  outfile: here('dist/leat-client.min.js'),
  bundle: true,
  minify: true,
  format: 'esm',
  platform: 'browser',
  target: ['es2022'],
  legalComments: 'none',
  logLevel: 'warning',
});
fs.copyFileSync(here('dist/leat-client.min.js'), here('../chat/leat-client.min.js'));
