//! outtray itself, as a user would write it: its public API and nothing else.

use crossbeam_channel::after;
use outtray::{
    HandlerError, Message, Messaging, MessagingSession, NewMessage, Receiver, ReceiverBuilder,
    TopicConfig, TopicKind,
};
use peer_protocol::{BULK, Case, FIRST_PINGS, Order, REST, WORKERS};
use serde_json::{Value, json};
use std::time::{Duration, Instant};

/// Given after the order: one message to a transaction.
const SINGLE: &str = "--single";
/// Given after the order: the queue is a log, with a named reader.
const LOG: &str = "--log";
/// A receiver that is stopped at the end has nothing left to do.
const STOP: Duration = Duration::from_secs(10);

type Handler =
    fn(&mut MessagingSession<'_>, Message<Value>) -> std::result::Result<(), HandlerError>;

fn main() {
    let order = Order::from_arguments();
    let messaging = Messaging::connect(&order.url).expect("a connection");
    let messages = order.messages;
    if has(LOG) {
        return with_log(&messaging, &order);
    }
    let mut receiver = messaging.receiver("work");
    if order.case != Case::DrainDefault {
        receiver = receiver.workers(WORKERS);
    }
    if has(SINGLE) {
        receiver = receiver.messages_per_transaction(1);
    }
    match order.case {
        Case::Setup => {
            messaging.migrate().expect("a schema");
            peer_protocol::print_nothing();
        }
        Case::SendOne => peer_protocol::print_time(send(&messaging, messages, 1)),
        Case::SendBulk => peer_protocol::print_time(send(&messaging, messages, BULK)),
        Case::Drain | Case::DrainDefault => {
            peer_protocol::print_time(receive(receiver, messages, nothing));
        }
        Case::Crud => peer_protocol::print_time(receive(receiver, messages, insert_and_send)),
        Case::Latency => {
            let start = || {
                let started = receiver.start(|_, _: Message<Value>| {
                    peer_protocol::handled();
                    Ok(())
                });
                started.expect("a receiver")
            };
            peer_protocol::print_waits(&time_pings(&messaging, start, messages));
        }
    }
}

fn has(argument: &str) -> bool {
    std::env::args().any(|given| given == argument)
}

/// Does the same with a log, which a named reader reads in batches.
fn with_log(messaging: &Messaging, order: &Order) {
    let messages = order.messages;
    match order.case {
        Case::Setup => {
            messaging.migrate().expect("a schema");
            let log = TopicConfig {
                kind: TopicKind::Log,
                ..TopicConfig::default()
            };
            messaging.topic("work").configure(log).expect("a log");
            peer_protocol::print_nothing();
        }
        Case::SendOne => peer_protocol::print_time(send(messaging, messages, 1)),
        Case::SendBulk => peer_protocol::print_time(send(messaging, messages, BULK)),
        Case::Drain | Case::DrainDefault => {
            peer_protocol::print_time(read(messaging, messages, |_, _| Ok(())));
        }
        Case::Crud => {
            peer_protocol::print_time(read(messaging, messages, insert_and_send_all));
        }
        Case::Latency => {
            let start = || start_reader(messaging, |_, _| Ok(()));
            peer_protocol::print_waits(&time_pings(messaging, start, messages));
        }
    }
}

type BatchHandler =
    fn(&mut MessagingSession<'_>, &[Message<Value>]) -> std::result::Result<(), HandlerError>;

fn start_reader(messaging: &Messaging, handler: BatchHandler) -> Receiver {
    let reader = messaging.reader("work", "peer").batch_size(1000);
    let started = reader.start(move |session, entries: &[Message<Value>]| {
        handler(session, entries)?;
        entries.iter().for_each(|_| peer_protocol::handled());
        Ok(())
    });
    started.expect("a reader")
}

fn read(messaging: &Messaging, messages: u64, handler: BatchHandler) -> Duration {
    peer_protocol::expect(messages);
    let started = Instant::now();
    let receiver = start_reader(messaging, handler);
    peer_protocol::wait();
    receiver.stop(STOP);
    started.elapsed()
}

fn insert_and_send_all(
    session: &mut MessagingSession<'_>,
    entries: &[Message<Value>],
) -> std::result::Result<(), HandlerError> {
    let number = |entry: &Message<Value>| entry.payload["n"].as_i64().unwrap_or_default();
    let numbers: Vec<i64> = entries.iter().map(number).collect();
    session.execute(
        "INSERT INTO thing (n) SELECT unnest($1::bigint[])",
        &[&numbers],
    )?;
    session.send_messages("next", entries.iter().map(|entry| &entry.payload))?;
    Ok(())
}

fn send(messaging: &Messaging, messages: u64, at_a_time: u64) -> Duration {
    let started = Instant::now();
    let mut sent = 0;
    while sent < messages {
        let some = at_a_time.min(messages - sent);
        messaging
            .session(|session| {
                if at_a_time == 1 {
                    session.send_message("work", &json!({ "n": sent }))?;
                } else {
                    let payloads = (sent..sent + some).map(|number| json!({ "n": number }));
                    session.send_messages("work", payloads)?;
                }
                Ok(())
            })
            .expect("sent messages");
        sent += some;
    }
    started.elapsed()
}

fn receive(receiver: ReceiverBuilder<'_>, messages: u64, handler: Handler) -> Duration {
    peer_protocol::expect(messages);
    let started = Instant::now();
    let receiver = receiver
        .start(move |session, message| {
            handler(session, message)?;
            peer_protocol::handled();
            Ok(())
        })
        .expect("a receiver");
    peer_protocol::wait();
    // Stopping commits what handlers have finished.
    receiver.stop(STOP);
    started.elapsed()
}

fn nothing(
    _: &mut MessagingSession<'_>,
    _: Message<Value>,
) -> std::result::Result<(), HandlerError> {
    Ok(())
}

fn insert_and_send(
    session: &mut MessagingSession<'_>,
    message: Message<Value>,
) -> std::result::Result<(), HandlerError> {
    let number = message.payload["n"].as_i64().unwrap_or_default();
    session.execute("INSERT INTO thing (n) VALUES ($1)", &[&number])?;
    session.send(NewMessage::json("next", &message.payload)?)?;
    Ok(())
}

fn time_pings(
    messaging: &Messaging,
    start: impl FnOnce() -> Receiver,
    messages: u64,
) -> Vec<Duration> {
    let receiver = start();
    let mut waits = Vec::new();
    for number in 0..messages + FIRST_PINGS {
        let _ = after(REST).recv();
        peer_protocol::expect(1);
        send(messaging, 1, 1);
        let committed = Instant::now();
        let begun = peer_protocol::wait();
        if number >= FIRST_PINGS {
            waits.push(begun.saturating_duration_since(committed));
        }
    }
    receiver.stop(STOP);
    waits
}
