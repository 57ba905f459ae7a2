//! Own code around everything: a hook before each send, a middleware around each handler, and an
//! observer of what happens, which counts.
//!
//! ```text
//! cargo run --example observing
//! ```

use outtray::testing::Server;
use outtray::{Event, HandlerError, Message, Messaging};
use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};
use std::time::Instant;

type Counts = Arc<Mutex<BTreeMap<String, u64>>>;

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let server = Server::start()?;
    let counts = Counts::default();
    let counted = Arc::clone(&counts);
    let messaging = Messaging::builder()
        .url(server.database()?)
        // Every message says who sent it, whoever sends it.
        .before_send(|message| Ok(message.header("service", "shop")))
        // Every handler is timed.
        .middleware(|session, messages, next| {
            let started = Instant::now();
            let result = next.run(session);
            eprintln!("{}: {:?}", messages[0].topic, started.elapsed());
            result
        })
        // Whatever is true by now is counted.
        .on_event(move |event: &Event<'_>| count(&counted, event))
        .connect()?;
    messaging.migrate()?;

    messaging.session(|session| Ok(session.send_messages("orders", 1..=3)?))?;
    messaging
        .receiver("orders")
        .max_attempts(2)
        .drain_all(|session, order: Message<i32>| {
            if order.payload == 2 {
                return Err(HandlerError::failed("out of stock"));
            }
            session.send_message("mails", &format!("order {} is packed", order.payload))?;
            Ok(())
        })?;

    for (what, number) in counts.lock().unwrap().iter() {
        println!("{what}: {number}");
    }
    let mail = &messaging.topic("mails").peek(1)?[0];
    println!(
        "the first mail is from the service {}",
        mail.headers["service"]
    );
    Ok(())
}

/// Counts an event. What takes longer belongs on a thread of its own.
fn count(counts: &Counts, event: &Event<'_>) {
    let (what, number) = match event {
        Event::Sent { topic, ids, .. } => (format!("sent to {topic}"), ids.len() as u64),
        Event::Done { topic, .. } => (format!("{topic} done"), 1),
        Event::Failed { topic, .. } => (format!("{topic} failed attempts"), 1),
        Event::Dead { topic, reason, .. } => (format!("{topic} dead, {reason}"), 1),
        _ => return,
    };
    *counts.lock().unwrap().entry(what).or_default() += number;
}
