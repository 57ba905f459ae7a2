//! Publish and subscribe: one message for everybody who wants it, in the transaction of its cause.
//!
//! `cargo run --example publish` needs nothing running, only PostgreSQL's programs installed.

use outtray::testing::Server;
use outtray::{Filter, HandlerError, Message, Messaging, NewMessage};
use serde_json::{Value, json};

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let server = Server::start()?;
    let messaging = Messaging::connect(&server.database()?)?;

    // Topics need no declaration. Each subscriber names the topic of its own, and what it wants.
    messaging.subscribe("orders.*", "billing")?;
    messaging.subscribe("#", "audit")?;
    let large = Filter::new().at_least("amount", 1000);
    messaging.subscribe_matching("orders.created", "reviews", &large)?;

    // The order and all copies of the message about it commit together.
    messaging.session(|session| {
        session.batch_execute("CREATE TABLE orders (id integer PRIMARY KEY)")?;
        session.execute("INSERT INTO orders VALUES (1)", &[])?;
        let published = session.publish("orders.created", &json!({ "order": 1 }))?;
        println!("order 1: {} copies", published.copies);

        session.execute("INSERT INTO orders VALUES (2)", &[])?;
        let message = NewMessage::json("", &json!({ "order": 2 }))?.header("amount", "5000");
        let published = session.publish_message("orders.created", message)?;
        println!("order 2: {} copies", published.copies);
        Ok(())
    })?;

    // What is rolled back was never published.
    let failed = messaging.session(|session| {
        session.publish("orders.created", &json!({ "order": 3 }))?;
        Err::<(), _>(HandlerError::failed("the card was declined"))
    });
    println!("order 3: {}", failed.is_err());

    // Nobody is not an error, unless it is to be one.
    let published = messaging.publish("orders.item.added", &json!({ "order": 2 }))?;
    println!("an item: {} copy", published.copies);
    messaging.unsubscribe("#", "audit")?;
    let important = NewMessage::json("", &json!({ "disk": 98 }))?.mandatory();
    if let Err(error) = messaging.publish_message("alerts.disk", important) {
        println!("{:?}: {error}", error.kind());
    }

    // Copies are ordinary messages: each topic has its own receivers, retries and dead letters.
    for topic in ["billing", "audit", "reviews"] {
        messaging.drain(topic, |_, message: Message<Value>| {
            let key = &message.headers["outtray-routing-key"];
            println!("{topic}: {key} {}", message.payload);
            Ok(())
        })?;
    }
    Ok(())
}
