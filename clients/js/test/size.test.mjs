// What a page has to load: everything, with the fallbacks for browsers that lack primitives.
import test from 'node:test';
import assert from 'node:assert/strict';
import fs from 'node:fs';
import zlib from 'node:zlib';

test('under 40 kB minified and gzipped, nothing of Node in it, nothing left to load', () => {
  const bundle = fs.readFileSync(new URL('../dist/leat-client.min.js', import.meta.url));
  const size = zlib.gzipSync(bundle, { level: 9 }).length;
  console.log(`measured: leat-client.min.js: ${bundle.length} bytes, ${size} gzipped`);
  assert.ok(size < 40_000, `${size} bytes`);
  const text = bundle.toString();
  assert.doesNotMatch(text, /node:|require\(|process\./);
  assert.doesNotMatch(text, /\bimport\s*["'(]|from\s*["']/);
  assert.match(text, /XSalsa20|xsalsa20|expand 32-byte k/);
});
