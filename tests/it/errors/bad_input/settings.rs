//! Settings out of their range.

use super::{check_all, row};
use outtray::ErrorKind::Invalid;
use outtray::{Builder, Expired, Filter, Message, Messaging, ReceiverBuilder, Result, TopicConfig};
use serde_json::Value;
use std::time::Duration;

fn connect(url: &str, set: impl FnOnce(Builder) -> Builder) -> Result<Messaging> {
    set(Messaging::builder().url(url)).connect()
}

fn receive<'m>(
    messaging: &'m Messaging,
    set: impl FnOnce(ReceiverBuilder<'m>) -> ReceiverBuilder<'m>,
) -> Result<()> {
    set(messaging.receiver("t"))
        .start(|_, _: Message<Value>| Ok(()))
        .map(drop)
}

#[test]
fn a_setting_of_a_connection_that_is_out_of_range_is_refused() {
    check_all(vec![
        row("pool_size 0", Invalid, "pool_size", |it| {
            connect(&it.url, |b| b.pool_size(0))
        }),
        row("a pool without a bound", Invalid, "pool_size", |it| {
            connect(&it.url, |b| b.pool_size(u32::MAX))
        }),
        row(
            "checkout_timeout 0",
            Invalid,
            "checkout_timeout must be longer than zero",
            |it| connect(&it.url, |b| b.checkout_timeout(Duration::ZERO)),
        ),
        row("poll_interval 0", Invalid, "the least is 10 ms", |it| {
            connect(&it.url, |b| b.poll_interval(Duration::ZERO))
        }),
        row(
            "max_payload_bytes 0",
            Invalid,
            "it must be 1 to 268435456",
            |it| connect(&it.url, |b| b.max_payload_bytes(0)),
        ),
        row(
            "payloads without a limit",
            Invalid,
            "it must be 1 to 268435456",
            |it| connect(&it.url, |b| b.max_payload_bytes(usize::MAX)),
        ),
    ]);
}

#[test]
fn a_setting_of_a_receiver_that_is_out_of_range_is_refused() {
    check_all(vec![
        row(
            "no workers",
            Invalid,
            "workers is 0, it must be 1 to 1024",
            |it| receive(&it.messaging, |b| b.workers(0)),
        ),
        row("100,000 workers", Invalid, "it must be 1 to 1024", |it| {
            receive(&it.messaging, |b| b.workers(100_000))
        }),
        row(
            "no attempts",
            Invalid,
            "max_attempts is 0, it must be 1 to 32767",
            |it| receive(&it.messaging, |b| b.max_attempts(0)),
        ),
        row(
            "attempts without a limit",
            Invalid,
            "it must be 1 to 32767",
            |it| receive(&it.messaging, |b| b.max_attempts(u32::MAX)),
        ),
        row(
            "no messages per transaction",
            Invalid,
            "messages_per_transaction is 0, it must be 1 to 64",
            |it| receive(&it.messaging, |b| b.messages_per_transaction(0)),
        ),
        row(
            "65 messages per transaction",
            Invalid,
            "it must be 1 to 64",
            |it| receive(&it.messaging, |b| b.messages_per_transaction(65)),
        ),
    ]);
}

#[test]
fn a_filter_of_a_receiver_that_no_header_can_match_is_refused() {
    check_all(vec![
        row("no condition", Invalid, "has no condition", |it| {
            receive(&it.messaging, |b| b.filter(Filter::new()))
        }),
        row("no name", Invalid, "0 bytes", |it| {
            receive(&it.messaging, |b| b.filter(Filter::new().equals("", "x")))
        }),
        row("a NUL", Invalid, "NUL", |it| {
            receive(&it.messaging, |b| b.filter(Filter::new().equals("a", "\0")))
        }),
        row("strict order", Invalid, "strict order", |it| {
            let filter = Filter::new().equals("a", "b");
            receive(&it.messaging, |b| b.filter(filter).strict_order())
        }),
    ]);
}

#[test]
fn a_setting_of_a_topic_that_is_out_of_range_is_refused() {
    let configure = |messaging: &Messaging, config| messaging.topic("t").configure(config);
    check_all(vec![
        row(
            "no attempts",
            Invalid,
            "max_attempts of topic t is 0",
            move |it| {
                let config = TopicConfig {
                    max_attempts: Some(0),
                    ..TopicConfig::default()
                };
                configure(&it.messaging, config)
            },
        ),
        row(
            "expired at once",
            Invalid,
            "expires_in of topic t is 0ns",
            move |it| {
                let config = TopicConfig {
                    expires_in: Some(Duration::ZERO),
                    expired: Some(Expired::Drop),
                    ..TopicConfig::default()
                };
                configure(&it.messaging, config)
            },
        ),
        row(
            "eleven years of delay",
            Invalid,
            "delay of topic t",
            move |it| {
                let config = TopicConfig {
                    delay: Some(Duration::from_secs(11 * 365 * 86_400)),
                    ..TopicConfig::default()
                };
                configure(&it.messaging, config)
            },
        ),
    ]);
}
