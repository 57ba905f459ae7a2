//! awa. Tuned is more workers, several claimers and larger claims; its acks are always collected.

use awa::{
    Client, InsertOpts, InsertParams, JobArgs, JobContext, JobError, JobResult, QueueConfig,
};
use peer_protocol::{BULK, Case, Order, WORKERS};
use serde::{Deserialize, Serialize};
use sqlx::PgPool;
use sqlx::postgres::PgPoolOptions;
use std::time::{Duration, Instant};

const IS_ACKED: &str = "SELECT NOT EXISTS (
    SELECT FROM awa.jobs WHERE queue = 'work' AND state IN ('available', 'running'))";

#[derive(Serialize, Deserialize, JobArgs)]
struct Work {
    n: i64,
}

#[derive(Serialize, Deserialize, JobArgs)]
struct Next {
    n: i64,
}

type Done = Result<(), Box<dyn std::error::Error + Send + Sync>>;

async fn insert_and_send(pool: &PgPool, number: i64) -> Done {
    let mut transaction = pool.begin().await?;
    sqlx::query("INSERT INTO thing (n) VALUES ($1)")
        .bind(number)
        .execute(&mut *transaction)
        .await?;
    awa::insert_with(&mut *transaction, &Next { n: number }, to("next")).await?;
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
            awa::migrations::run(&pool).await.expect("a schema");
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
                let jobs: Vec<InsertParams> =
                    (first..messages.min(first + BULK)).map(job).collect();
                awa::insert_many_copy_from_pool(&pool, &jobs)
                    .await
                    .expect("sent jobs");
            }
            peer_protocol::print_time(started.elapsed());
        }
        Case::Drain | Case::DrainDefault | Case::Crud => {
            peer_protocol::expect(messages);
            let started = Instant::now();
            let _client = start(order.case, &pool).await;
            let took = peer_protocol::time_to_acks(&order.url, IS_ACKED, started).await;
            peer_protocol::print_time(took);
        }
        Case::Latency => {
            let _client = start(order.case, &pool).await;
            let waits = peer_protocol::time_pings(messages, async |n| send(&pool, n).await).await;
            peer_protocol::print_waits(&waits);
        }
    }
    // Its services stop in their own time, which nothing here waits for.
    std::process::exit(0);
}

fn to(queue: &str) -> InsertOpts {
    InsertOpts {
        queue: queue.to_owned(),
        ..InsertOpts::default()
    }
}

fn job(number: u64) -> InsertParams {
    let work = Work { n: number as i64 };
    awa::insert::params_with(&work, to("work")).expect("JSON")
}

async fn send(pool: &PgPool, number: u64) {
    let work = Work { n: number as i64 };
    awa::insert_with(pool, &work, to("work"))
        .await
        .expect("a sent job");
}

async fn start(case: Case, pool: &PgPool) -> Client {
    let queue = match case {
        Case::Drain => QueueConfig {
            max_workers: 500,
            claimers: 4,
            claim_batch_size: 500,
            poll_interval: Duration::from_millis(10),
            ..QueueConfig::default()
        },
        Case::DrainDefault => QueueConfig::default(),
        _ => QueueConfig {
            max_workers: WORKERS as u32,
            poll_interval: Duration::from_millis(10),
            ..QueueConfig::default()
        },
    };
    let handlers = pool.clone();
    let client = Client::builder(pool.clone())
        .queue("work", queue)
        .register::<Work, _, _>(move |work, _: &JobContext| {
            let pool = handlers.clone();
            async move {
                if case == Case::Crud {
                    let done = insert_and_send(&pool, work.n).await;
                    done.map_err(|error| JobError::terminal(error.to_string()))?;
                }
                peer_protocol::handled();
                Ok(JobResult::Completed)
            }
        })
        .build()
        .expect("a client");
    client.start().await.expect("a running client");
    client
}
