//! fang with its blocking workers, the one other queue here that needs no async runtime. Tuned are
//! connections that the pool does not test before each use; there is no bulk API, so its own insert
//! runs many times in one transaction.

use crossbeam_channel::after;
use diesel::prelude::*;
use diesel::r2d2::{ConnectionManager, Pool};
use diesel::sql_types::BigInt;
use fang::{
    FangError, Queue, QueueError, Queueable, Runnable, SleepParams, Utc, WorkerPool, typetag,
};
use peer_protocol::{BULK, Case, FIRST_PINGS, Order, REST, WORKERS};
use serde::{Deserialize, Serialize};
use std::sync::OnceLock;
use std::time::{Duration, Instant};

type Connections = Pool<ConnectionManager<PgConnection>>;

const IS_ACKED: &str = "SELECT NOT EXISTS (SELECT FROM fang_tasks WHERE task_type = 'work')";
/// Between two looks at an empty queue; nothing wakes a worker.
const SHORT_SLEEP: Duration = Duration::from_millis(1);

/// For handlers that do more than nothing: fang hands them a queue, but no connection and no state.
static CONNECTIONS: OnceLock<Connections> = OnceLock::new();

#[derive(Serialize, Deserialize)]
struct Work {
    n: i64,
}

#[typetag::serde]
impl Runnable for Work {
    fn run(&self, _: &dyn Queueable) -> Result<(), FangError> {
        let done = CONNECTIONS
            .get()
            .map(|connections| insert_and_send(connections, self.n));
        peer_protocol::handled();
        match done {
            Some(Err(error)) => Err(FangError {
                description: error.to_string(),
            }),
            _ => Ok(()),
        }
    }

    fn task_type(&self) -> String {
        "work".to_owned()
    }
}

/// What a handler of [`Work`] sends.
#[derive(Serialize, Deserialize)]
struct Next {
    n: i64,
}

#[typetag::serde]
impl Runnable for Next {
    fn run(&self, _: &dyn Queueable) -> Result<(), FangError> {
        Ok(())
    }

    fn task_type(&self) -> String {
        "next".to_owned()
    }
}

fn insert_and_send(
    connections: &Connections,
    number: i64,
) -> Result<(), Box<dyn std::error::Error>> {
    connections.get()?.transaction(|connection| {
        diesel::sql_query("INSERT INTO thing (n) VALUES ($1)")
            .bind::<BigInt, _>(number)
            .execute(connection)?;
        Queue::insert_query(connection, &Next { n: number }, Utc::now())?;
        Ok(())
    })
}

fn main() {
    let order = Order::from_arguments();
    let tested = order.case == Case::DrainDefault;
    let connections = Pool::builder().max_size(20).test_on_check_out(tested);
    let connections = connections
        .build(ConnectionManager::new(&order.url))
        .expect("a pool");
    if order.case == Case::Crud {
        let _ = CONNECTIONS.set(connections.clone());
    }
    let messages = order.messages;
    match order.case {
        Case::Setup => {
            let mut connection = connections.get().expect("a connection");
            fang::run_migrations_postgres(&mut connection).expect("a schema");
            peer_protocol::print_nothing();
        }
        Case::SendOne => peer_protocol::print_time(send(&connections, messages, 1)),
        Case::SendBulk => peer_protocol::print_time(send(&connections, messages, BULK)),
        Case::Drain | Case::DrainDefault | Case::Crud => {
            peer_protocol::expect(messages);
            let started = Instant::now();
            start(&order, connections);
            let took = peer_protocol::wait_for_acks(&order.url, IS_ACKED, started);
            peer_protocol::print_time(took);
        }
        Case::Latency => {
            start(&order, connections.clone());
            peer_protocol::print_waits(&time_pings(&connections, messages));
        }
    }
    // Its workers cannot be stopped.
    std::process::exit(0);
}

fn send(connections: &Connections, messages: u64, at_a_time: u64) -> Duration {
    let mut connection = connections.get().expect("a connection");
    let started = Instant::now();
    for first in (0..messages).step_by(at_a_time as usize) {
        if at_a_time == 1 {
            insert(&mut connection, first).expect("a sent task");
            continue;
        }
        let sent = connection.transaction(|connection| {
            let mut some = first..messages.min(first + at_a_time);
            some.try_for_each(|number| insert(connection, number))
        });
        sent.expect("sent tasks");
    }
    started.elapsed()
}

fn insert(connection: &mut PgConnection, number: u64) -> Result<(), QueueError> {
    Queue::insert_query(connection, &Work { n: number as i64 }, Utc::now())?;
    Ok(())
}

fn start(order: &Order, connections: Connections) {
    let sleep = match order.case {
        Case::DrainDefault => SleepParams::default(),
        _ => SleepParams {
            sleep_period: SHORT_SLEEP,
            max_sleep_period: SHORT_SLEEP,
            min_sleep_period: SHORT_SLEEP,
            sleep_step: Duration::ZERO,
        },
    };
    let queue = Queue::builder().connection_pool(connections).build();
    let mut workers = WorkerPool::<Queue>::builder()
        .queue(queue)
        .sleep_params(sleep)
        .number_of_workers(WORKERS as u32)
        .task_type("work")
        .build();
    workers.start().expect("workers");
}

fn time_pings(connections: &Connections, messages: u64) -> Vec<Duration> {
    let mut waits = Vec::new();
    for number in 0..messages + FIRST_PINGS {
        // A worker must have slept at least once in the meantime.
        let _ = after(REST).recv();
        peer_protocol::expect(1);
        send(connections, 1, 1);
        let committed = Instant::now();
        let begun = peer_protocol::wait();
        if number >= FIRST_PINGS {
            waits.push(begun.saturating_duration_since(committed));
        }
    }
    waits
}
