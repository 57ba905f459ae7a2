// pg-boss. Tuned is batches that are fetched without a pause while there are full ones, by several
// workers; crud uses its transactional workers on batches, since a worker pauses after a single job.
import { PgBoss } from "pg-boss";
import { WORKERS, answer, handled, inBulk, order, pings, seconds, untilAcked } from "./protocol.js";

const IS_ACKED = `SELECT NOT EXISTS (
    SELECT FROM pgboss.job WHERE name = 'work' AND state < 'completed') AS acked`;
const BATCH = 1000;
/** Jobs in a transaction of crud. */
const CRUD_BATCH = 50;
/** The shortest that it allows. */
const POLL_SECONDS = 0.5;

const { name, url, messages } = order();
const isLatency = name === "latency";
const boss = new PgBoss({
  connectionString: url,
  max: name === "send-one" ? 1 : 4 * WORKERS,
  useListenNotify: isLatency,
  supervise: false,
  schedule: false,
});
boss.on("error", (error) => console.error(error));

async function nothing(jobs) {
  handled(jobs.length);
}

async function insertAndSend(jobs, tx) {
  for (const { data } of jobs) {
    await tx.executeSql("INSERT INTO thing (n) VALUES ($1)", [data.n]);
    await boss.send("next", { n: data.n }, { db: tx });
  }
  handled(jobs.length);
}

function start() {
  switch (name) {
    case "drain":
      return boss.work(
        "work",
        { batchSize: BATCH, burstWhenBatchFull: true, localConcurrency: 2, pollingIntervalSeconds: POLL_SECONDS },
        nothing,
      );
    case "crud":
      return boss.work(
        "work",
        {
          transactional: true,
          batchSize: CRUD_BATCH,
          burstWhenBatchFull: true,
          localConcurrency: WORKERS,
          pollingIntervalSeconds: POLL_SECONDS,
        },
        insertAndSend,
      );
    case "latency":
      return boss.work("work", { localConcurrency: WORKERS, pollingIntervalSeconds: POLL_SECONDS }, nothing);
    default:
      return boss.work("work", nothing);
  }
}

const send = (n) => boss.send("work", { n });

await boss.start();
switch (name) {
  case "setup":
    await boss.createQueue("work", { notify: true });
    await boss.createQueue("next");
    answer({});
    break;
  case "send-one":
    answer(
      await seconds(async () => {
        for (let n = 0; n < messages; n += 1) await send(n);
      }),
    );
    break;
  case "send-bulk":
    answer(
      await seconds(() =>
        inBulk(messages, (numbers) => boss.insert("work", numbers.map((n) => ({ data: { n } })))),
      ),
    );
    break;
  case "latency":
    await start();
    answer(await pings(messages, send));
    break;
  default:
    answer(await untilAcked(url, IS_ACKED, messages, start));
}
