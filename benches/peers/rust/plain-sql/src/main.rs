//! A table and `SKIP LOCKED`, as people write it by hand: what a queue costs without one. Called
//! from pgbench where it can, which has the least overhead there is; in bulk and for latency from
//! Rust.

mod pgbench;

use peer_protocol::{BULK, Case, FIRST_PINGS, Order, REST, WORKERS};
use postgres::fallible_iterator::FallibleIterator;
use postgres::{Client, NoTls};
use std::time::{Duration, Instant};

const SCHEMA: &str = "CREATE TABLE job (
    id bigint GENERATED ALWAYS AS IDENTITY,
    queue text NOT NULL,
    payload jsonb NOT NULL,
    PRIMARY KEY (queue, id))";
const SEND: &str = r#"INSERT INTO job (queue, payload) VALUES ('work', '{"n": 1}');
"#;
/// Jobs that one statement of [`DRAIN`] takes.
const BATCH: u64 = 64;
/// Claims and deletes at once: the least that a queue can do, when nothing is done with a job.
const DRAIN: &str = "WITH ready AS MATERIALIZED (
    SELECT id FROM job WHERE queue = 'work' ORDER BY id LIMIT 64 FOR UPDATE SKIP LOCKED)
DELETE FROM job USING ready WHERE queue = 'work' AND job.id = ready.id
RETURNING job.id, job.payload;
";
const DRAIN_SINGLE: &str = "WITH ready AS MATERIALIZED (
    SELECT id FROM job WHERE queue = 'work' ORDER BY id LIMIT 1 FOR UPDATE SKIP LOCKED)
DELETE FROM job USING ready WHERE queue = 'work' AND job.id = ready.id
RETURNING job.id, job.payload;
";
const CRUD: &str = r"BEGIN;
SELECT id, payload FROM job WHERE queue = 'work' ORDER BY id LIMIT 1 FOR UPDATE SKIP LOCKED \gset
INSERT INTO thing (n) VALUES (:id);
INSERT INTO job (queue, payload) VALUES ('next', :payload::jsonb);
DELETE FROM job WHERE queue = 'work' AND id = :id;
COMMIT;
";

fn main() {
    let order = Order::from_arguments();
    let messages = order.messages;
    match order.case {
        Case::Setup => {
            connect(&order).batch_execute(SCHEMA).expect("a schema");
            peer_protocol::print_nothing();
        }
        Case::SendOne => peer_protocol::print_time(pgbench::run(SEND, 1, messages)),
        Case::SendBulk => peer_protocol::print_time(send_bulk(&order)),
        Case::Drain => {
            // Some statements more: the last ones may find the rest locked.
            let statements = messages.div_ceil(BATCH) + 2 * WORKERS as u64;
            peer_protocol::print_time(pgbench::run(DRAIN, WORKERS, statements));
            assert_nothing_left(&order);
        }
        Case::DrainDefault => peer_protocol::print_time(one_by_one(&order, DRAIN_SINGLE)),
        Case::Crud => peer_protocol::print_time(one_by_one(&order, CRUD)),
        Case::Latency => time_pings(&order),
    }
}

fn connect(order: &Order) -> Client {
    Client::connect(&order.url, NoTls).expect("a connection")
}

/// Runs a script for each message; a few that do not divide by the connections are extrapolated, as
/// a script that finds nothing fails.
fn one_by_one(order: &Order, script: &str) -> Duration {
    let workers = WORKERS as u64;
    let handled = order.messages / workers * workers;
    let took = pgbench::run(script, WORKERS, handled);
    took.mul_f64(order.messages as f64 / handled as f64)
}

fn assert_nothing_left(order: &Order) {
    let row = connect(order).query_one("SELECT count(*) FROM job WHERE queue = 'work'", &[]);
    assert_eq!(row.expect("a count").get::<_, i64>(0), 0, "jobs are left");
}

fn send_bulk(order: &Order) -> Duration {
    let mut client = connect(order);
    let send = "INSERT INTO job (queue, payload)
                SELECT 'work', payload::jsonb FROM unnest($1::text[]) AS payload";
    let send = client.prepare(send).expect("a statement");
    let started = Instant::now();
    for first in (0..order.messages).step_by(BULK as usize) {
        let some = first..order.messages.min(first + BULK);
        let payloads: Vec<String> = some.map(|number| format!(r#"{{"n": {number}}}"#)).collect();
        client.execute(&send, &[&payloads]).expect("sent jobs");
    }
    started.elapsed()
}

/// Notifies with each job; a thread that listens takes it. Ends the program, since nothing ends
/// that thread.
fn time_pings(order: &Order) {
    let mut listener = connect(order);
    listener.batch_execute("LISTEN job").expect("listening");
    let mut sender = connect(order);
    let send = "WITH sent AS (INSERT INTO job (queue, payload) VALUES ('work', '{}'))
                SELECT pg_notify('job', '')";
    let send = sender.prepare(send).expect("a statement");
    std::thread::scope(|threads| {
        threads.spawn(|| take_forever(listener));
        let mut waits = Vec::new();
        for number in 0..order.messages + FIRST_PINGS {
            let _ = crossbeam_channel::after(REST).recv();
            peer_protocol::expect(1);
            sender.execute(&send, &[]).expect("a sent job");
            let committed = Instant::now();
            let begun = peer_protocol::wait();
            if number >= FIRST_PINGS {
                waits.push(begun.saturating_duration_since(committed));
            }
        }
        peer_protocol::print_waits(&waits);
        std::process::exit(0);
    })
}

fn take_forever(mut client: Client) {
    let claim =
        "SELECT id FROM job WHERE queue = 'work' ORDER BY id LIMIT 1 FOR UPDATE SKIP LOCKED";
    let claim = client.prepare(claim).expect("a statement");
    let delete = client.prepare("DELETE FROM job WHERE queue = 'work' AND id = $1");
    let delete = delete.expect("a statement");
    loop {
        client
            .notifications()
            .blocking_iter()
            .next()
            .expect("a notification");
        let mut transaction = client.transaction().expect("a transaction");
        let job = transaction.query_one(&claim, &[]).expect("a job");
        peer_protocol::handled();
        transaction
            .execute(&delete, &[&job.get::<_, i64>(0)])
            .expect("an ack");
        transaction.commit().expect("a commit");
    }
}
