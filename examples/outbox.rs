//! The outbox: an order and the message about it commit together, or neither is there.
//!
//! `cargo run --example outbox` needs nothing running, only PostgreSQL's programs installed.

use outtray::testing::Server;
use outtray::{HandlerError, Messaging, MessagingSession, Result};
use serde_json::json;

fn main() -> std::result::Result<(), Box<dyn std::error::Error>> {
    let server = Server::start()?;
    let url = server.database()?;
    let messaging = Messaging::connect(&url)?;
    messaging.session(|session| {
        session.batch_execute("CREATE TABLE orders (id integer PRIMARY KEY)")?;
        Ok(())
    })?;

    place(&messaging, 1, true)?;
    show(&messaging, "paid, committed          ")?;

    // The closure fails after both were written: both are undone.
    if let Err(error) = place(&messaging, 2, false) {
        println!("{:?}: {error}", error.kind());
    }
    show(&messaging, "declined, rolled back    ")?;

    // A transaction of your own, on a connection of your own: the message joins it.
    let mut client = postgres::Client::connect(&url, postgres::NoTls)?;
    let mut transaction = client.transaction()?;
    transaction.execute("INSERT INTO orders VALUES (3)", &[])?;
    MessagingSession::join(&messaging, &mut transaction)?
        .send_message("orders", &json!({"id": 3}))?;
    show(&messaging, "joined, not yet committed")?;
    transaction.commit()?;
    // Only you know that it has committed: this saves receivers the wait for their next poll.
    messaging.wake("orders");
    show(&messaging, "joined, committed        ")?;

    // The same, rolled back.
    let mut transaction = client.transaction()?;
    transaction.execute("INSERT INTO orders VALUES (4)", &[])?;
    MessagingSession::join(&messaging, &mut transaction)?
        .send_message("orders", &json!({"id": 4}))?;
    transaction.rollback()?;
    show(&messaging, "joined, rolled back      ")?;
    Ok(())
}

/// Stores an order and sends a message about it, in one transaction.
fn place(messaging: &Messaging, id: i32, is_paid: bool) -> Result<()> {
    messaging.session(|session| {
        session.execute("INSERT INTO orders VALUES ($1)", &[&id])?;
        session.send_message("orders", &json!({ "id": id }))?;
        if !is_paid {
            return Err(HandlerError::failed("the card was declined"));
        }
        Ok(())
    })
}

fn show(messaging: &Messaging, what: &str) -> Result<()> {
    let orders = messaging.session(|session| Ok(session.query("TABLE orders", &[])?.len()))?;
    let messages = messaging.topic("orders").stats()?.ready;
    println!("{what}  {orders} orders, {messages} messages");
    Ok(())
}
