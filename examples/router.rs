//! A table of handlers by message type, and middleware around all of them.
//!
//! `cargo run --example router` needs nothing running, only PostgreSQL's programs installed.

use outtray::testing::Server;
use outtray::{HandlerError, Message, Messaging, MessagingSession, NewMessage, Payload, Router};
use serde::Deserialize;
use serde_json::json;

#[derive(Deserialize)]
struct Order {
    id: i64,
    cents: i64,
}

fn book(session: &mut MessagingSession, order: Message<Order>) -> Result<(), HandlerError> {
    let Order { id, cents } = order.payload;
    session.execute("INSERT INTO booking VALUES ($1, $2)", &[&id, &cents])?;
    println!("booked   order {id}, {cents} cents");
    Ok(())
}

fn book_old(session: &mut MessagingSession, order: Message<i64>) -> Result<(), HandlerError> {
    session.execute("INSERT INTO booking VALUES ($1, 0)", &[&order.payload])?;
    println!("booked   order {}, which said no price", order.payload);
    Ok(())
}

fn audit(session: &mut MessagingSession, message: Message<Payload>) -> Result<(), HandlerError> {
    let json = message.payload.to_string();
    session.execute("INSERT INTO audit VALUES ($1)", &[&json])?;
    match json.contains("-1") {
        true => Err(HandlerError::reject("a negative price")),
        false => Ok(()),
    }
}

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let server = Server::start()?;
    let messaging = Messaging::connect(&server.database()?)?;
    messaging.session(|session| {
        session.batch_execute("CREATE TABLE booking (id bigint, cents bigint)")?;
        session.batch_execute("CREATE TABLE audit (event text)")?;
        for (kind, version, payload) in [
            ("order.created", 1, json!(1)),
            ("order.created", 2, json!({ "id": 2, "cents": 500 })),
            ("order.created", 2, json!({ "id": 3, "cents": -1 })),
            ("order.item.packed", 1, json!({ "order": 2 })),
            ("weather.changed", 1, json!("rain")),
        ] {
            let event = NewMessage::json("events", &payload)?.message_type(kind);
            session.send(event.schema_version(version))?;
        }
        Ok(())
    })?;

    // All handlers that match run, in this order, in the one transaction of their message.
    let router = Router::new()
        .on_versions("order.created", ..2, book_old)
        .on_versions("order.created", 2.., book)
        .on(["order.#", "payment.*.failed"], audit);
    // What is the same for all of them is said once, around them.
    let receiver = messaging
        .receiver("events")
        .middleware(|session, message, next| {
            let result = next.run(session);
            let how = if result.is_ok() { "done" } else { "undone" };
            println!("{how:8} {}", message.message_type().unwrap_or_default());
            result
        });
    receiver.drain_router(&router)?;

    for dead in messaging.topic("events").dead_letters(10)? {
        println!("dead     {}", dead.error);
    }
    Ok(())
}
