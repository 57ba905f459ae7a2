//! sqlxmq. Tuned is more concurrent jobs, fetched in larger batches; it has no bulk API, so its own
//! insert runs many times in one transaction.

use peer_protocol::{BULK, Case, Order, WORKERS};
use serde_json::json;
use sqlx::postgres::PgPoolOptions;
use sqlx::{Executor, PgPool, Postgres};
use sqlxmq::{CurrentJob, JobRegistry, JobRunnerHandle};
use std::error::Error;
use std::time::Instant;

const IS_ACKED: &str = "SELECT NOT EXISTS (SELECT FROM mq_msgs WHERE channel_name = 'work')";
/// Jobs that run at least, and at most, in the tuned drain: the difference is fetched at once.
const MANY: (usize, usize) = (50, 250);

type Done = Result<(), Box<dyn Error + Send + Sync>>;

#[sqlxmq::job("work", channel_name = "work")]
async fn work(mut job: CurrentJob, case: Case) -> Done {
    if case == Case::Crud {
        insert_and_send(&mut job).await?;
    } else {
        if case == Case::Latency {
            peer_protocol::handled();
            return Ok(job.complete().await?);
        }
        job.complete().await?;
    }
    peer_protocol::handled();
    Ok(())
}

#[sqlxmq::job("next", channel_name = "next")]
async fn next(_: CurrentJob) -> Done {
    Ok(())
}

/// Inserts, sends, and completes the job in the same transaction.
async fn insert_and_send(job: &mut CurrentJob) -> Done {
    let payload: serde_json::Value = job.json()?.unwrap_or_default();
    let mut transaction = job.pool().begin().await?;
    sqlx::query("INSERT INTO thing (n) VALUES ($1)")
        .bind(payload["n"].as_i64())
        .execute(&mut *transaction)
        .await?;
    next.builder()
        .set_json(&payload)?
        .spawn(&mut *transaction)
        .await?;
    job.complete_with_transaction(transaction).await?;
    Ok(())
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
            migrate(&pool).await;
            peer_protocol::print_nothing();
        }
        Case::SendOne => {
            let started = Instant::now();
            for number in 0..messages {
                send(&pool, number).await;
            }
            peer_protocol::print_time(started.elapsed());
        }
        Case::SendBulk => {
            let started = Instant::now();
            for first in (0..messages).step_by(BULK as usize) {
                let mut transaction = pool.begin().await.expect("a transaction");
                for number in first..messages.min(first + BULK) {
                    send(&mut *transaction, number).await;
                }
                transaction.commit().await.expect("sent jobs");
            }
            peer_protocol::print_time(started.elapsed());
        }
        Case::Drain | Case::DrainDefault | Case::Crud => {
            peer_protocol::expect(messages);
            let started = Instant::now();
            let _runner = start(order.case, &pool).await;
            let took = peer_protocol::time_to_acks(&order.url, IS_ACKED, started).await;
            peer_protocol::print_time(took);
        }
        Case::Latency => {
            let _runner = start(order.case, &pool).await;
            let waits = peer_protocol::time_pings(messages, async |n| send(&pool, n).await).await;
            peer_protocol::print_waits(&waits);
        }
    }
    // Its runner stops in its own time, which nothing here waits for.
    std::process::exit(0);
}

/// Runs the migrations that the crate ships, which it has no code for.
async fn migrate(pool: &PgPool) {
    let folder = std::fs::read_dir(env!("SQLXMQ_MIGRATIONS")).expect("migrations");
    let mut files: Vec<_> = folder.flatten().map(|entry| entry.path()).collect();
    files.retain(|file| file.to_string_lossy().ends_with(".up.sql"));
    files.sort();
    for file in files {
        let sql = std::fs::read_to_string(file).expect("a migration");
        sqlx::raw_sql(&sql).execute(pool).await.expect("a schema");
    }
}

async fn send(executor: impl Executor<'_, Database = Postgres>, number: u64) {
    let payload = json!({ "n": number });
    let mut job = work.builder();
    job.set_json(&payload).expect("JSON");
    job.spawn(executor).await.expect("a sent job");
}

async fn start(case: Case, pool: &PgPool) -> JobRunnerHandle {
    let mut registry = JobRegistry::new(&[work]);
    registry.set_context(case);
    let mut runner = registry.runner(pool);
    runner.set_channel_names(&["work"]);
    match case {
        Case::Drain => {
            runner.set_concurrency(MANY.0, MANY.1);
        }
        Case::Crud => {
            runner.set_concurrency(WORKERS / 2, WORKERS);
        }
        _ => {}
    }
    runner.run().await.expect("a runner")
}
