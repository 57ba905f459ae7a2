//! Request and reply: questions to a topic, and answers that commit with what the replier did.
//!
//! `cargo run --example request_reply` needs nothing running, only PostgreSQL's programs installed.

use outtray::testing::Server;
use outtray::{ErrorKind, Message, Messaging, NewMessage};
use serde::{Deserialize, Serialize};
use std::time::Duration;

#[derive(Serialize, Deserialize)]
struct Order {
    item: String,
    pieces: i32,
}

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let server = Server::start()?;
    let messaging = Messaging::connect(&server.database()?)?;
    messaging.session(|session| {
        session.batch_execute("CREATE TABLE stock (item text PRIMARY KEY, pieces integer)")?;
        session.batch_execute("INSERT INTO stock VALUES ('apple', 10), ('pear', 2)")?;
        Ok(())
    })?;

    // The replier: in this process or in another one. What it takes from the stock and what it
    // answers commit together, so nobody is told of pieces that were not taken.
    let replier = messaging.start_receiving_messages("orders", |session, ask: Message<Order>| {
        let taken = session.query_opt(
            "UPDATE stock SET pieces = pieces - $2 WHERE item = $1 AND pieces >= $2 RETURNING pieces",
            &[&ask.payload.item, &ask.payload.pieces],
        )?;
        match taken {
            Some(left) => session.reply(&ask, &left.try_get::<_, i32>(0)?)?,
            None => session.reply_error(&ask, format!("not enough of {}", ask.payload.item))?,
        };
        Ok(())
    })?;

    // One question, and the answer to it.
    let timeout = Duration::from_secs(30);
    let order = |item: &str, pieces| Order {
        item: item.to_owned(),
        pieces,
    };
    let left: i32 = messaging.request("orders", &order("apple", 3), timeout)?;
    println!("3 apples taken, {left} left");

    // An answer that is an error.
    if let Err(error) = messaging.request::<i32>("orders", &order("pear", 5), timeout) {
        let text = error.to_string();
        let why = text.rsplit(": ").next().unwrap_or_default();
        println!("{:?}: {why}", error.kind());
    }

    // Several questions at a time, from one thread.
    let ask = |pieces| {
        let question = NewMessage::json("orders", &order("apple", pieces))?;
        messaging.begin_request(question, timeout)
    };
    let mut asked = [ask(1)?, ask(2)?];
    for pending in &mut asked {
        pending.wait::<i32>(timeout)?;
    }
    let left: i32 = messaging.request("orders", &order("apple", 0), timeout)?;
    println!("6 apples taken, {left} left");

    // Nobody there. The question is dropped, so that nobody answers it in vain.
    let short = Duration::from_millis(100);
    let silence = messaging.request::<i32>("nobody", &order("apple", 1), short);
    println!(
        "nobody: {}",
        matches!(silence, Err(error) if error.kind() == ErrorKind::Timeout)
    );

    replier.stop(timeout);
    Ok(())
}
