// A page in headless Chromium, driven by lines of JSON on standard input: [what, ...arguments], each
// answered by one line, { value } or { error }. For the end-to-end tests.
//
//   CHROMIUM=/usr/bin/chromium [CERTIFICATES=any] node page_driver.mjs
import { createInterface } from 'node:readline';
import { chromium } from 'playwright-core';

// Most of the tests' relays sign their certificates themselves. Of others the authority is one that NSS has in
// HOME, as a person's browser has those it trusts.
const any = process.env.CERTIFICATES === 'any';
const browser = await chromium.launch({
  executablePath: process.env.CHROMIUM ?? '/usr/bin/chromium',
  args: ['--no-sandbox', '--disable-gpu', '--disable-dev-shm-usage', ...(any ? ['--ignore-certificate-errors'] : [])],
});
const context = await browser.newContext({ ignoreHTTPSErrors: any, viewport: { width: 390, height: 760 } });
const page = await context.newPage();
page.setDefaultTimeout(20_000);
const complaints = [];
page.on('pageerror', (error) => complaints.push(String(error)));
page.on('console', (message) => {
  // Chromium says this of every answer that is not 101, which is what some tests are about.
  const network = /WebSocket connection to|Failed to load resource/.test(message.text());
  if (message.type() === 'error' && !network) complaints.push(message.text());
});

const things = {
  goto: (url) => page.goto(url).then(() => undefined),
  reload: () => page.reload().then(() => undefined),
  blank: () => page.goto('about:blank').then(() => undefined),
  fill: (selector, text) => page.fill(selector, text),
  click: (selector) => page.click(selector),
  press: (key) => page.keyboard.press(key),
  text: (selector) => page.innerText(selector),
  count: (selector) => page.locator(selector).count(),
  wait: (selector, text) => page.locator(selector, { hasText: text }).first().waitFor({ state: 'visible' }),
  gone: (selector) => page.locator(selector).first().waitFor({ state: 'hidden' }),
  url: () => page.url(),
  evaluate: (code) => page.evaluate(code),
  scheme: (colorScheme) => page.emulateMedia({ colorScheme }),
  size: (width, height) => page.setViewportSize({ width, height }),
  shot: (path) => page.screenshot({ path }).then(() => undefined),
  complaints: () => complaints,
};

console.log(JSON.stringify({ value: browser.version() }));
for await (const line of createInterface({ input: process.stdin })) {
  const [what, ...given] = JSON.parse(line);
  let answer;
  try {
    answer = { value: (await things[what](...given)) ?? null };
  } catch (error) {
    answer = { error: String(error) };
  }
  console.log(JSON.stringify(answer));
}
await browser.close();
