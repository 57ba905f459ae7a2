//! A batch job: many messages are sent in bulk, four threads empty the topic, and the program ends.
//!
//! `cargo run --release --example batch_job` needs nothing running, only PostgreSQL's programs
//! installed. Its server does not write to disk as one in production does: the rates show the shape
//! of the thing, not what a real server does.

use outtray::testing::Server;
use outtray::{Message, Messaging};
use std::error::Error;
use std::thread;
use std::time::{Duration, Instant};

const MESSAGES: u32 = 20_000;
const THREADS: usize = 4;

fn main() -> Result<(), Box<dyn Error>> {
    let server = Server::start()?;
    let messaging = Messaging::connect(&server.database()?)?;
    messaging.session(|session| {
        session.batch_execute("CREATE TABLE square (root bigint, square bigint)")?;
        Ok(())
    })?;

    // One transaction; 5,000 messages travel together.
    let started = Instant::now();
    messaging.session(|session| {
        session.send_messages("roots", 0..i64::from(MESSAGES))?;
        Ok(())
    })?;
    show("sent", MESSAGES.into(), started.elapsed());

    // `drain` returns when nothing is ready. Messages in the hands of other threads are left to
    // them.
    let started = Instant::now();
    let handled = thread::scope(|scope| {
        let workers: Vec<_> = (0..THREADS)
            .map(|_| scope.spawn(|| work(&messaging)))
            .collect();
        workers
            .into_iter()
            .map(|worker| worker.join().expect("a worker does not panic"))
            .sum::<outtray::Result<u64>>()
    })?;
    show("handled", handled, started.elapsed());

    // Each message had its effect once, whatever became of threads and connections.
    let (rows, roots): (i64, i64) = messaging.session(|session| {
        let row = session.query_one("SELECT count(*), count(DISTINCT root) FROM square", &[])?;
        Ok((row.try_get(0)?, row.try_get(1)?))
    })?;
    println!("stored   {rows} rows, {roots} different ones");
    Ok(())
}

fn work(messaging: &Messaging) -> outtray::Result<u64> {
    let report = messaging.drain("roots", |session, message: Message<i64>| {
        let root = message.payload;
        session.execute(
            "INSERT INTO square VALUES ($1, $2)",
            &[&root, &(root * root)],
        )?;
        Ok(())
    })?;
    Ok(report.handled)
}

fn show(what: &str, messages: u64, took: Duration) {
    let rate = messages as f64 / took.as_secs_f64();
    println!("{what:8} {messages} messages in {took:.1?}, {rate:.0} a second");
}
