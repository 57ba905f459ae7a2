//! riverqueue, the port of River to Rust. Tuned is the shortest pause between fetches that it
//! allows and many concurrent jobs, as in River's own benchmark.

use peer_protocol::{BULK, Case, Order, WORKERS};
use riverqueue::migrate::PostgresMigrator;
use riverqueue::sqlx::postgres::PgPoolOptions;
use riverqueue::sqlx::{self, PgPool};
use riverqueue::{
    BoxError, Client, InsertOpts, Job, JobArgs, QueueConfig, WorkContext, WorkOutcome, Workers,
};
use serde::{Deserialize, Serialize};
use std::time::{Duration, Instant};

const IS_ACKED: &str = "SELECT NOT EXISTS (
    SELECT FROM river_job WHERE queue = 'work' AND state IN ('available', 'running'))";
/// Concurrent jobs in the tuned drain.
const MANY: usize = 2000;
/// Concurrent jobs in its documentation's first example; there is no default.
const FIRST_EXAMPLE: usize = 10;
const SHORTEST_COOLDOWN: Duration = Duration::from_millis(1);

#[derive(Clone, Debug, Deserialize, JobArgs, Serialize)]
#[river(kind = "work")]
struct Work {
    n: i64,
}

async fn nothing(_: WorkContext, _: Job<Work>) -> Result<WorkOutcome, BoxError> {
    peer_protocol::handled();
    Ok(WorkOutcome::Complete)
}

/// Inserts, sends, and completes the job in the same transaction.
async fn insert_and_send(context: WorkContext, job: Job<Work>) -> Result<WorkOutcome, BoxError> {
    let client = context.client().ok_or("a job has a client")?;
    let database = client.database().as_postgres().ok_or("it is PostgreSQL")?;
    let mut transaction = riverqueue::database::begin_postgres(database.pool()).await?;
    sqlx::query("INSERT INTO thing (n) VALUES ($1)")
        .bind(job.args.n)
        .execute(&mut *transaction)
        .await?;
    client
        .insert(Work { n: job.args.n })
        .opts(InsertOpts::default().with_queue("next"))
        .tx(&mut transaction)
        .await?;
    context.job_complete_tx(&mut transaction).await?;
    transaction.commit().await?;
    peer_protocol::handled();
    Ok(WorkOutcome::Complete)
}

#[tokio::main]
async fn main() {
    let order = Order::from_arguments();
    let connections = if order.case == Case::SendOne { 1 } else { 20 };
    let pool = PgPoolOptions::new().max_connections(connections);
    let pool = pool.connect(&order.url).await.expect("a pool");
    let messages = order.messages;
    match order.case {
        Case::Setup => {
            let migrator = PostgresMigrator::new(pool);
            migrator.migrate_up().await.expect("a schema");
            peer_protocol::print_nothing();
        }
        Case::SendOne => {
            let client = sender(pool);
            let started = Instant::now();
            for number in 0..messages {
                send(&client, number).await;
            }
            peer_protocol::print_time(started.elapsed());
        }
        Case::SendBulk => {
            let client = sender(pool);
            let started = Instant::now();
            for first in (0..messages).step_by(BULK as usize) {
                let some = first..messages.min(first + BULK);
                let jobs = some.map(|number| (Work { n: number as i64 }, to_work()));
                client.insert_many(jobs).await.expect("sent jobs");
            }
            peer_protocol::print_time(started.elapsed());
        }
        Case::Drain | Case::DrainDefault | Case::Crud => {
            peer_protocol::expect(messages);
            let started = Instant::now();
            start(order.case, pool);
            let took = peer_protocol::time_to_acks(&order.url, IS_ACKED, started).await;
            peer_protocol::print_time(took);
        }
        Case::Latency => {
            let client = start(order.case, pool);
            let waits = peer_protocol::time_pings(messages, async |n| send(&client, n).await).await;
            peer_protocol::print_waits(&waits);
        }
    }
    // Its services stop in their own time, which nothing here waits for.
    std::process::exit(0);
}

fn to_work() -> InsertOpts {
    InsertOpts::default().with_queue("work")
}

async fn send(client: &Client, number: u64) {
    let sent = client
        .insert(Work { n: number as i64 })
        .opts(to_work())
        .await;
    sent.expect("a sent job");
}

fn sender(pool: PgPool) -> Client {
    Client::builder(pool).build().expect("a client")
}

fn start(case: Case, pool: PgPool) -> Client {
    let mut workers = Workers::new();
    if case == Case::Crud {
        workers.add_fn(insert_and_send).expect("a worker");
    } else {
        workers.add_fn(nothing).expect("a worker");
    }
    let queue = match case {
        Case::Drain => QueueConfig::new(MANY).with_fetch_cooldown(SHORTEST_COOLDOWN),
        Case::DrainDefault => QueueConfig::new(FIRST_EXAMPLE),
        _ => QueueConfig::new(WORKERS).with_fetch_cooldown(SHORTEST_COOLDOWN),
    };
    let mut builder = Client::builder(pool).workers(workers).queue("work", queue);
    if case != Case::DrainDefault {
        // Paces notifications of inserts, too.
        builder = builder.fetch_cooldown(SHORTEST_COOLDOWN);
    }
    let client = builder.build().expect("a client");
    client.start().expect("a running client").detach();
    client
}
