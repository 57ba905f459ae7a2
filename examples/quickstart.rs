//! The first steps: a message is sent, handled and sent on; another one fails, is retried, and is
//! kept.
//!
//! `cargo run --example quickstart` needs nothing running, only PostgreSQL's programs installed.

use outtray::testing::Server;
use outtray::{Backoff, HandlerError, Message, Messaging};
use serde::{Deserialize, Serialize};
use std::error::Error;
use std::sync::mpsc;
use std::time::Duration;

#[derive(Serialize, Deserialize)]
struct Order {
    id: i32,
    address: Option<String>,
}

fn main() -> Result<(), Box<dyn Error>> {
    // A throwaway PostgreSQL, gone when this program ends. Yours: `Messaging::connect(&url)`.
    let server = Server::start()?;
    let messaging = Messaging::connect(&server.database()?)?;
    // Idempotent: run it at every start. A test database comes with the schema.
    messaging.migrate()?;

    // One transaction: the table, and two messages that exist once it has committed.
    messaging.session(|session| {
        session.batch_execute("CREATE TABLE shipment (order_id integer PRIMARY KEY)")?;
        let address = Some("Harbour Road 1".to_owned());
        session.send_message("orders", &Order { id: 1, address })?;
        let address = None;
        Ok(session.send_message("orders", &Order { id: 2, address })?)
    })?;
    println!("sent     orders 1 and 2");

    // What this handler writes and sends, and the end of its message, commit together.
    let (done, results) = mpsc::channel();
    let mails_done = done.clone();
    let orders = messaging
        .receiver("orders")
        .max_attempts(3)
        .backoff(Backoff::fixed(Duration::from_millis(200)))
        .start(move |session, message: Message<Order>| {
            let Order { id, address } = message.payload;
            session.execute("INSERT INTO shipment VALUES ($1)", &[&id])?;
            let Some(address) = address else {
                println!("failed   order {id}, attempt {} of 3", message.attempt);
                if message.attempt == message.max_attempts {
                    done.send(())?;
                }
                // The shipment is undone, and the message comes again after the backoff.
                return Err(HandlerError::failed("there is no address"));
            };
            session.send_message("mails", &format!("order {id} goes to {address}"))?;
            println!("handled  order {id}, a shipment stored and a mail sent on");
            Ok(())
        })?;
    let mails = messaging.start_receiving_messages("mails", move |_, mail: Message<String>| {
        println!("mailed   \"{}\"", mail.payload);
        Ok(mails_done.send(())?)
    })?;

    // One mail, and the last attempt of the order without an address.
    for _ in 0..2 {
        results.recv_timeout(Duration::from_secs(30))?;
    }
    // Stopping lets the handlers in hand finish and commit.
    orders.stop(Duration::from_secs(5));
    mails.stop(Duration::from_secs(5));

    let shipments = messaging.session(|session| Ok(session.query("TABLE shipment", &[])?.len()))?;
    println!("stored   {shipments} shipment: what the failed attempts wrote is gone");
    for letter in messaging.topic("orders").dead_letters(10)? {
        let (attempts, error) = (letter.attempts, letter.error);
        println!("kept     a dead letter after {attempts} attempts: {error}");
    }
    Ok(())
}
