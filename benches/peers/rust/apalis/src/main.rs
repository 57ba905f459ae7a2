//! apalis on PostgreSQL. Tuned is a larger batch, no second write that locks a task, handlers run
//! in parallel, and notifications.

use apalis::prelude::*;
use apalis_postgres::{Config, PgPool, PgTask, PostgresStorage};
use peer_protocol::{BULK, Case, Order};
use serde::{Deserialize, Serialize};
use sqlx::postgres::PgPoolOptions;
use std::pin::Pin;
use std::time::Instant;

const IS_ACKED: &str = "SELECT NOT EXISTS (
    SELECT FROM apalis.jobs WHERE job_type = 'work' AND status IN ('Pending', 'Queued', 'Running'))";
/// Tasks fetched at once in the tuned cases.
const BATCH: usize = 500;

/// A worker that runs until it is dropped.
type Running = Pin<Box<dyn Future<Output = ()>>>;

#[derive(Serialize, Deserialize)]
struct Work {
    n: i64,
}

async fn work(work: Work, case: Data<Case>, pool: Data<PgPool>) -> Result<(), BoxDynError> {
    if *case == Case::Crud {
        insert_and_send(&work, &pool).await?;
    }
    peer_protocol::handled();
    Ok(())
}

async fn insert_and_send(work: &Work, pool: &PgPool) -> Result<(), BoxDynError> {
    let mut transaction = pool.begin().await?;
    sqlx::query("INSERT INTO thing (n) VALUES ($1)")
        .bind(work.n)
        .execute(&mut *transaction)
        .await?;
    apalis_postgres::queries::push_tasks(&mut *transaction, "next", vec![task(work.n)]).await?;
    transaction.commit().await?;
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
            PostgresStorage::setup(&pool).await.expect("a schema");
            peer_protocol::print_nothing();
        }
        Case::SendOne => peer_protocol::print_time(send(&pool, messages, 1).await),
        Case::SendBulk => peer_protocol::print_time(send(&pool, messages, BULK).await),
        Case::Drain | Case::DrainDefault | Case::Crud => {
            peer_protocol::expect(messages);
            let started = Instant::now();
            let acked = peer_protocol::time_to_acks(&order.url, IS_ACKED, started);
            peer_protocol::print_time(beside(worker(order.case, &pool), acked).await);
        }
        Case::Latency => {
            let send = async |_| {
                send(&pool, 1, 1).await;
            };
            let pings = peer_protocol::time_pings(messages, send);
            peer_protocol::print_waits(&beside(worker(order.case, &pool), pings).await);
        }
    }
    // Its worker stops in its own time, which nothing here waits for.
    std::process::exit(0);
}

fn task(number: i64) -> PgTask {
    TaskBuilder::new(serde_json::to_vec(&Work { n: number }).expect("JSON")).build()
}

async fn send(pool: &PgPool, messages: u64, at_a_time: u64) -> std::time::Duration {
    let mut connection = pool.acquire().await.expect("a connection");
    let started = Instant::now();
    for first in (0..messages).step_by(at_a_time as usize) {
        let some = first..messages.min(first + at_a_time);
        let tasks = some.map(|number| task(number as i64)).collect();
        let sent = apalis_postgres::queries::push_tasks(&mut *connection, "work", tasks);
        sent.await.expect("sent tasks");
    }
    started.elapsed()
}

/// Returns what `measured` does, while the worker runs. It runs in the main task, since its type is
/// more than `tokio::spawn` can check.
async fn beside<T>(worker: Running, measured: impl Future<Output = T>) -> T {
    tokio::select! {
        () = worker => panic!("the worker has stopped"),
        measured = measured => measured,
    }
}

fn worker(case: Case, pool: &PgPool) -> Running {
    let config = Config::default().queue("work");
    let pool = pool.clone();
    let builder = WorkerBuilder::new("peer");
    if case == Case::DrainDefault {
        let backend = PostgresStorage::new(&pool).with_config(config);
        let builder = builder.backend(backend).data(case).data(pool);
        let worker = builder.build(work);
        return Box::pin(async move { worker.run().await.expect("a worker that runs") });
    }
    let config = config.batch_size(BATCH).lock_tasks(false);
    let backend = PostgresStorage::new(&pool)
        .with_config(config)
        .with_pubsub();
    let builder = builder.backend(backend).data(case).data(pool);
    let worker = builder.parallelize(tokio::spawn).build(work);
    Box::pin(async move { worker.run().await.expect("a worker that runs") })
}
