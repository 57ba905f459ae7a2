//! graphile_worker, the port of Graphile Worker to Rust. Tuned is what its own performance test
//! uses: many concurrent jobs, a local queue that claims thousands at a time, and acks in batches.

use graphile_worker::{
    IntoTaskHandlerResult, JobSpec, LocalQueueConfig, RawJobSpec, TaskHandler, WorkerContext,
    WorkerContextExt, WorkerOptions, WorkerUtils,
};
use peer_protocol::{BULK, Case, Order, WORKERS};
use serde::{Deserialize, Serialize};
use serde_json::json;
use sqlx::PgPool;
use sqlx::postgres::PgPoolOptions;
use std::time::{Duration, Instant};

const IS_ACKED: &str = "SELECT NOT EXISTS (
    SELECT FROM graphile_worker._private_jobs AS job
    JOIN graphile_worker._private_tasks AS task ON task.id = job.task_id
    WHERE task.identifier <> 'next')";

#[derive(Serialize, Deserialize, Clone)]
struct Nothing {
    n: i64,
}

impl TaskHandler for Nothing {
    const IDENTIFIER: &'static str = "work";

    async fn run(self, _: WorkerContext) -> impl IntoTaskHandlerResult {
        peer_protocol::handled();
        Ok::<(), String>(())
    }
}

/// The same task with another handler: a process registers one of the two.
#[derive(Serialize, Deserialize, Clone)]
struct Crud {
    n: i64,
}

impl TaskHandler for Crud {
    const IDENTIFIER: &'static str = "work";

    async fn run(self, context: WorkerContext) -> impl IntoTaskHandlerResult {
        let done = insert_and_send(self.n, &context).await;
        peer_protocol::handled();
        done.map_err(|error| error.to_string())
    }
}

type Done = Result<(), Box<dyn std::error::Error + Send + Sync>>;

async fn insert_and_send(number: i64, context: &WorkerContext) -> Done {
    let mut transaction = context.pg_pool().begin().await?;
    sqlx::query("INSERT INTO thing (n) VALUES ($1)")
        .bind(number)
        .execute(&mut *transaction)
        .await?;
    let utils = context.utils();
    utils
        .with_executor(&mut *transaction)
        .add_raw_job("next", json!({ "n": number }), JobSpec::default())
        .await?;
    transaction.commit().await?;
    Ok(())
}

#[tokio::main]
async fn main() {
    let order = Order::from_arguments();
    let connections = if order.case == Case::SendOne { 1 } else { 20 };
    let pool = PgPoolOptions::new().max_connections(connections);
    let pool = pool.connect(&order.url).await.expect("a pool");
    let utils = WorkerUtils::new(pool.clone(), "graphile_worker");
    let messages = order.messages;
    match order.case {
        Case::Setup => {
            utils.migrate().await.expect("a schema");
            peer_protocol::print_nothing();
        }
        Case::SendOne => {
            let started = Instant::now();
            for number in 0..messages {
                send(&utils, number).await;
            }
            peer_protocol::print_time(started.elapsed());
        }
        Case::SendBulk => {
            let started = Instant::now();
            for first in (0..messages).step_by(BULK as usize) {
                let jobs: Vec<RawJobSpec> = (first..messages.min(first + BULK)).map(job).collect();
                utils.add_raw_jobs(&jobs).await.expect("sent jobs");
            }
            peer_protocol::print_time(started.elapsed());
        }
        Case::Drain | Case::DrainDefault | Case::Crud => {
            peer_protocol::expect(messages);
            let started = Instant::now();
            start(order.case, pool).await;
            let took = peer_protocol::time_to_acks(&order.url, IS_ACKED, started).await;
            peer_protocol::print_time(took);
        }
        Case::Latency => {
            start(order.case, pool).await;
            let waits = peer_protocol::time_pings(messages, async |n| send(&utils, n).await).await;
            peer_protocol::print_waits(&waits);
        }
    }
    // Its workers stop in their own time, which nothing here waits for.
    std::process::exit(0);
}

fn job(number: u64) -> RawJobSpec {
    RawJobSpec {
        identifier: "work".to_owned(),
        payload: json!({ "n": number }),
        spec: JobSpec::default(),
    }
}

async fn send(utils: &WorkerUtils, number: u64) {
    let job = job(number);
    let sent = utils
        .add_raw_job(&job.identifier, job.payload, job.spec)
        .await;
    sent.expect("a sent job");
}

async fn start(case: Case, pool: PgPool) {
    let options = WorkerOptions::default()
        .schema("graphile_worker")
        .pg_pool(pool);
    let tuned = |options: WorkerOptions| {
        options
            .poll_interval(Duration::from_millis(5))
            .complete_job_batch_delay(Duration::from_millis(5))
            .local_queue(LocalQueueConfig::default().with_size(5000))
    };
    let options = match case {
        Case::Drain => tuned(options).concurrency(500).define_job::<Nothing>(),
        Case::Crud => tuned(options).concurrency(WORKERS).define_job::<Crud>(),
        Case::Latency => options.concurrency(WORKERS).define_job::<Nothing>(),
        _ => options.define_job::<Nothing>(),
    };
    let worker = options.init().await.expect("a worker");
    tokio::spawn(async move { worker.run().await.expect("a worker that runs") });
}
