//! A log: what was booked stays, each reader follows it from a place of its own, and what a reader
//! does with an entry happens once.
//!
//! `cargo run --example log` needs nothing running, only PostgreSQL's programs installed.

use outtray::testing::Server;
use outtray::{Backoff, Message, Messaging, NewMessage, Position, TopicConfig, TopicKind};
use std::time::{Duration, Instant};

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let server = Server::start()?;
    let messaging = Messaging::connect(&server.database()?)?;
    messaging.topic("ledger").configure(TopicConfig {
        kind: TopicKind::Log,
        ..TopicConfig::default()
    })?;
    messaging.session(|session| {
        session.batch_execute("CREATE TABLE balance (account text PRIMARY KEY, cents bigint)")?;
        for (account, cents) in [("ann", 500), ("bob", 300), ("ann", -200), ("eve", 0)] {
            session.send(NewMessage::json("ledger", &cents)?.key(account))?;
        }
        Ok(())
    })?;

    // A batch is one transaction: the writes of the handler, and the reader's place in the log.
    let balances = messaging
        .reader("ledger", "balances")
        .max_attempts(2)
        .backoff(Backoff::fixed(Duration::from_millis(10)))
        .start(|session, entries: &[Message<i64>]| {
            for entry in entries {
                if entry.payload == 0 {
                    Err("nothing was booked")?;
                }
                session.execute(
                    "INSERT INTO balance VALUES ($1, $2)
                        ON CONFLICT (account) DO UPDATE SET cents = balance.cents + excluded.cents",
                    &[&entry.key, &entry.payload],
                )?;
            }
            Ok(())
        })?;
    // The entry that fails is found, put aside and tried again; the others were booked meanwhile.
    let aside = messaging.topic("ledger@balances");
    let started = Instant::now();
    while aside.dead_letters(1)?.is_empty() && started.elapsed() < Duration::from_secs(30) {
        std::thread::park_timeout(Duration::from_millis(20));
    }
    balances.stop(Duration::from_secs(5));
    messaging.session(|session| {
        for row in session.query("SELECT account, cents FROM balance ORDER BY account", &[])? {
            println!(
                "{:<9}{} cents",
                row.get::<_, String>(0),
                row.get::<_, i64>(1)
            );
        }
        Ok(())
    })?;
    for letter in aside.dead_letters(10)? {
        println!(
            "{:<9}{}, attempt {}",
            letter.key.unwrap_or_default(),
            letter.error,
            letter.attempts
        );
    }

    // All of it is still there, for whoever comes later.
    let mut audit = messaging.tail("ledger", Position::Start)?;
    let booked = audit.next_batch::<i64>(10, Duration::from_secs(5))?;
    let total: i64 = booked.iter().map(|entry| entry.payload).sum();
    println!("audited  {} entries, {total} cents", booked.len());
    Ok(())
}
