//! Dead letters: a message fails for good, is looked at, the handler is mended, the message comes
//! back.
//!
//! `cargo run --example dead_letters` needs nothing running, only PostgreSQL's programs installed.

use outtray::testing::Server;
use outtray::{Backoff, HandlerError, Message, Messaging};
use serde_json::json;
use std::error::Error;
use std::sync::mpsc;
use std::time::Duration;

#[derive(serde::Deserialize)]
struct Price {
    amount: String,
}

fn main() -> Result<(), Box<dyn Error>> {
    let server = Server::start()?;
    let messaging = Messaging::connect(&server.database()?)?;
    let prices = messaging.topic("prices");
    messaging.session(|session| {
        session.send_message("prices", &json!({"amount": "12,50"}))?;
        // No handler for `Price` can read this one: it is a dead letter at once.
        session.send_message("prices", &json!({"amount": 7}))?;
        Ok(())
    })?;

    let (failed_for_good, wait) = mpsc::channel();
    let receiver = messaging
        .receiver("prices")
        .max_attempts(3)
        .backoff(Backoff::fixed(Duration::from_millis(50)))
        .start(move |_, message: Message<Price>| {
            let amount = &message.payload.amount;
            let Err(error) = amount.parse::<f64>() else {
                return Ok(());
            };
            if message.attempt == message.max_attempts {
                failed_for_good.send(())?;
            }
            Err(HandlerError::failed(format!("cannot read the price {amount}")).because(error))
        })?;
    wait.recv_timeout(Duration::from_secs(30))?;
    receiver.stop(Duration::from_secs(5));

    // Each keeps its payload, the reason, how often it was tried, and the error with its causes.
    for letter in prices.dead_letters(10)? {
        println!("{}, attempt {}", letter.reason, letter.attempts);
        println!("    payload  {}", letter.payload);
        println!("    error    {}", letter.error);
    }

    // The sender was wrong about the second one: it goes. The first one comes back, attempts at
    // zero.
    for letter in prices.dead_letters(10)? {
        match letter.reason {
            outtray::DeadReason::Undecodable => prices.purge_dead_letters(letter.id)?,
            _ => prices.redrive(letter.id)?,
        };
    }

    // The mended handler. `drain` runs it on this thread until nothing is ready.
    let report = messaging.drain("prices", |_, message: Message<Price>| {
        let amount: f64 = message.payload.amount.replace(',', ".").parse()?;
        println!("read {amount:.2} at attempt {}", message.attempt);
        Ok(())
    })?;
    let dead = prices.stats()?.dead;
    println!("{} handled, {dead} dead letters left", report.handled);
    Ok(())
}
