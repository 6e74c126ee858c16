// Streams one chat completion with OpenAI's own client and prints when each token came.
//
//   node openai_stream.mjs BASE_URL TOKENS
//
// Output: one JSON object {"tokens": [{"text", "sent", "received"}]}, times in unix microseconds. "sent" is
// what the sample server wrote into the event.
import OpenAI from "openai";

const [baseURL, tokens] = process.argv.slice(2);
// Node's own fetch: the one this version brings along (node-fetch 2) reports a premature close of every
// chunked answer over a connection that is kept alive, under some releases of Node 18.
const client = new OpenAI({
  baseURL,
  apiKey: "none",
  maxRetries: 0,
  timeout: 120_000,
  fetch: globalThis.fetch,
});

const models = await client.models.list();
const stream = await client.chat.completions.create({
  model: models.data[0].id,
  messages: [{ role: "user", content: "What is a leat?" }],
  max_tokens: Number(tokens),
  stream: true,
});

const result = [];
for await (const event of stream) {
  const received = Math.round((performance.timeOrigin + performance.now()) * 1000);
  const text = event.choices[0]?.delta?.content;
  if (text) result.push({ text, sent: event.leat_sent_us, received });
}
console.log(JSON.stringify({ tokens: result }));
