// What the runners in JavaScript count, time and print alike; the crate peer-protocol says what the
// driver expects of them.
import pg from "pg";

export const BULK = 1000;
export const WORKERS = 8;
const REST_MS = 20;
const FIRST_PINGS = 3;

let left = 0;
let resolveLast = () => {};
let last = Promise.resolve();

/** Returns what the program was called with. */
export function order() {
  const [name, messages] = process.argv.slice(2);
  return { name, url: process.env.PEER_URL, messages: Number(messages) };
}

/** Sets how many messages `untilAcked` waits for. */
export function expect(messages) {
  left = messages;
  last = new Promise((resolve) => (resolveLast = resolve));
}

/** Counts messages; handlers call this when they are done, or begin in the latency case. */
export function handled(messages = 1) {
  left -= messages;
  if (left <= 0) resolveLast(performance.now());
}

/** Returns the seconds that `work` took. */
export async function seconds(work) {
  const started = performance.now();
  await work();
  return { seconds: (performance.now() - started) / 1000 };
}

/** Returns the seconds from now until all messages are handled and the query `isAcked` says so. */
export async function untilAcked(url, isAcked, messages, start) {
  expect(messages);
  const client = new pg.Client(url);
  await client.connect();
  return seconds(async () => {
    await start();
    await last;
    while (!(await client.query({ text: isAcked, name: "acked" })).rows[0].acked) await sleep(2);
  });
}

/** Sends one message after the other to idle workers; returns how long each waited. */
export async function pings(messages, send) {
  const waits = [];
  for (let number = 0; number < messages + FIRST_PINGS; number += 1) {
    await sleep(REST_MS);
    expect(1);
    await send(number);
    const committed = performance.now();
    const begun = await last;
    if (number >= FIRST_PINGS) waits.push(Math.max(0, begun - committed) * 1000);
  }
  return { waits_us: waits };
}

/** Calls `send` with the numbers of one bulk call after the other. */
export async function inBulk(messages, send) {
  for (let first = 0; first < messages; first += BULK) {
    const some = Math.min(BULK, messages - first);
    await send(Array.from({ length: some }, (_, index) => first + index));
  }
}

/** Prints the answer and ends the program, whose workers nobody stops. */
export function answer(figures) {
  process.stdout.write(`${JSON.stringify(figures)}\n`, () => process.exit(0));
}

function sleep(milliseconds) {
  return new Promise((resolve) => setTimeout(resolve, milliseconds));
}
