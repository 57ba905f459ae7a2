// Graphile Worker. Tuned is what its own performance test uses: 24 concurrent jobs, a local queue of
// 500, acks collected.
import { Logger, makeWorkerUtils, run } from "graphile-worker";
import pg from "pg";
import { WORKERS, answer, handled, inBulk, order, pings, seconds, untilAcked } from "./protocol.js";

const IS_ACKED = `SELECT NOT EXISTS (
    SELECT FROM graphile_worker._private_jobs AS job
    JOIN graphile_worker._private_tasks AS task ON task.id = job.task_id
    WHERE task.identifier = 'work') AS acked`;
const JOBS_TUNED = 24;
const BATCHES = {
  localQueue: { size: 500, refetchDelay: { durationMs: 10 } },
  completeJobBatchDelay: 0,
  failJobBatchDelay: 0,
};

const quiet = new Logger(() => () => {});
const { name, url, messages } = order();

/** The handler of crud; that of the other cases does nothing. */
async function insertAndSend({ n }, helpers) {
  await helpers.withPgClient(async (client) => {
    await client.query("BEGIN");
    try {
      await client.query("INSERT INTO thing (n) VALUES ($1)", [n]);
      await client.query("SELECT graphile_worker.add_job('next', json_build_object('n', $1::bigint))", [n]);
      await client.query("COMMIT");
    } catch (error) {
      await client.query("ROLLBACK");
      throw error;
    }
  });
  handled();
}

function settings() {
  switch (name) {
    case "drain":
      return { concurrentJobs: JOBS_TUNED, maxPoolSize: JOBS_TUNED + 1, ...BATCHES };
    case "crud":
      return { concurrentJobs: WORKERS, maxPoolSize: 2 * WORKERS, ...BATCHES };
    case "latency":
      return { concurrentJobs: WORKERS };
    default:
      return {};
  }
}

function start() {
  const work = name === "crud" ? insertAndSend : async () => handled();
  const worker = { connectionString: url, logger: quiet, ...settings() };
  return run({ taskList: { work }, noHandleSignals: true, preset: { worker } });
}

const pgPool = new pg.Pool({ connectionString: url, max: name === "send-one" ? 1 : 10 });
pgPool.on("error", (error) => console.error(error));
pgPool.on("connect", (client) => client.on("error", (error) => console.error(error)));
const utils = await makeWorkerUtils({ pgPool, logger: quiet });
const send = (n) => utils.addJob("work", { n });

switch (name) {
  case "setup":
    await utils.migrate();
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
        inBulk(messages, (numbers) =>
          utils.addJobs(numbers.map((n) => ({ identifier: "work", payload: { n } }))),
        ),
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
