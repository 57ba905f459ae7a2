//! The spans: what a program that traces sees of messages. All of them are made here.
//!
//! Names and attributes are those of OpenTelemetry's conventions for messaging. They have the
//! topic, the message's id and numbers, and nothing that a sender wrote: no payload, no header, no
//! key.
//!
//! | span | level | around |
//! |---|---|---|
//! | `send`, `publish` | info | a call that sends |
//! | `handle` | info | a call of a handler, with what decodes its payload and what runs around it |
//! | `claim` | debug | a look for messages |
//! | `commit` | debug | the flight that settles messages, or stores what a session sent |
//! | `upkeep` | debug | a round of upkeep |
//!
//! A span at whose level nobody looks costs one comparison: no field is evaluated. That is asked
//! here and not left to `tracing`, which would write spans to the crate `log` for want of a
//! subscriber, one line for each message.

use crate::observe::trace;
use crate::words::{Error, Headers, MessageId, Result};
use std::fmt;
use tracing::field::{Empty, display};
use tracing::level_filters::LevelFilter;
use tracing::{Level, Span};

/// Makes a span, if anybody looks at its level. Fields of OpenTelemetry's own are there with its
/// feature alone: the span's name there and its kind.
macro_rules! span {
    (
        $level:expr, $target:literal, $name:literal, $kind:literal, $operation:literal, $topic:expr,
        $($field:tt)*
    ) => {
        match is_wanted($level) {
            false => Span::none(),
            true => {
                let topic: Option<&str> = $topic;
                tracing::span!(
                    target: $target,
                    $level,
                    $name,
                    otel.name = opentelemetry(display(SpanName($name, topic))),
                    otel.kind = opentelemetry($kind),
                    otel.status_code = Empty,
                    otel.status_description = Empty,
                    messaging.system = "outtray",
                    messaging.operation.name = $name,
                    "messaging.operation.type" = $operation,
                    messaging.destination.name = topic,
                    "error.type" = Empty,
                    $($field)*
                )
            }
        }
    };
}

/// Returns whether somebody looks at spans of a level.
fn is_wanted(level: Level) -> bool {
    level <= LevelFilter::current()
}

/// Returns what only OpenTelemetry reads.
fn opentelemetry<T>(value: T) -> Option<T> {
    cfg!(feature = "opentelemetry").then_some(value)
}

/// A span's name, as OpenTelemetry wants it.
struct SpanName<'a>(&'a str, Option<&'a str>);

impl fmt::Display for SpanName<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.0)?;
        self.1.map_or(Ok(()), |topic| write!(f, " {topic}"))
    }
}

/// Makes the span of sending one message. Its id is [noted](note_id) once it is known.
pub(crate) fn send(topic: &str) -> Span {
    span!(
        Level::INFO,
        "outtray::send",
        "send",
        "producer",
        "send",
        Some(topic),
        messaging.message.id = Empty
    )
}

/// Makes the span of sending several messages to these topics.
pub(crate) fn send_many<'m>(mut topics: impl Iterator<Item = &'m str>, count: usize) -> Span {
    let mut common = || {
        let first = topics.next()?;
        topics.all(|topic| topic == first).then_some(first)
    };
    span!(
        Level::INFO,
        "outtray::send",
        "send",
        "producer",
        "send",
        common(),
        messaging.batch.message_count = count
    )
}

/// Makes the span of publishing a message, which has the routing key as its destination.
pub(crate) fn publish(key: &str) -> Span {
    span!(
        Level::INFO,
        "outtray::send",
        "publish",
        "producer",
        "send",
        Some(key),
        messaging.batch.message_count = Empty
    )
}

/// Makes the span of a handler's call with one message: a child of the span that sent it.
pub(crate) fn handle(topic: &str, id: MessageId, attempt: u32, headers: &Headers) -> Span {
    let span = span!(
        Level::INFO,
        "outtray::handle",
        "handle",
        "consumer",
        "process",
        Some(topic),
        messaging.message.id = display(id),
        messaging.consumer.group.name = Empty,
        outtray.message.attempt = attempt
    );
    trace::continue_from(&span, headers);
    span
}

/// Makes the span of a handler's call with several messages, [linked](trace::link) by the caller
/// with the spans that sent them.
pub(crate) fn handle_many(topic: &str, count: usize) -> Span {
    span!(
        Level::INFO,
        "outtray::handle",
        "handle",
        "consumer",
        "process",
        Some(topic),
        messaging.consumer.group.name = Empty,
        messaging.batch.message_count = count
    )
}

/// Makes the span of looking for messages. How many there were is [noted](note_count).
pub(crate) fn claim(topic: &str) -> Span {
    span!(
        Level::DEBUG,
        "outtray::claim",
        "claim",
        "client",
        "receive",
        Some(topic),
        messaging.batch.message_count = Empty
    )
}

/// Makes the span of settling messages of a topic: a child of the span that sent the one, linked
/// with those that sent several.
pub(crate) fn settle<'h>(
    topic: &str,
    count: usize,
    headers: impl Iterator<Item = &'h Headers>,
) -> Span {
    let span = span!(
        Level::DEBUG,
        "outtray::commit",
        "commit",
        "client",
        "settle",
        Some(topic),
        messaging.batch.message_count = count
    );
    if span.is_disabled() {
        return span;
    }
    match count {
        1 => headers.for_each(|headers| trace::continue_from(&span, headers)),
        _ => headers.for_each(|headers| trace::link(&span, headers)),
    }
    span
}

/// Makes the span of a session's commit, with so many messages to store.
pub(crate) fn commit(count: usize) -> Span {
    span!(
        Level::DEBUG,
        "outtray::commit",
        "commit",
        "client",
        "send",
        None,
        messaging.batch.message_count = count
    )
}

/// Makes the span of a round of upkeep.
pub(crate) fn upkeep(round: &'static str) -> Span {
    match is_wanted(Level::DEBUG) {
        false => Span::none(),
        true => tracing::debug_span!(
            target: "outtray::upkeep",
            "upkeep",
            otel.name = opentelemetry(format_args!("upkeep {round}")),
            otel.status_code = Empty,
            otel.status_description = Empty,
            outtray.round = round,
            "error.type" = Empty
        ),
    }
}

/// Runs `work` within a span, and notes its error there.
pub(crate) fn within<T>(span: Span, work: impl FnOnce(&Span) -> Result<T>) -> Result<T> {
    if span.is_disabled() {
        return work(&span);
    }
    let done = span.in_scope(|| work(&span));
    if let Err(error) = &done {
        note_error(&span, error);
    }
    done
}

/// Notes the id of the message.
pub(crate) fn note_id(span: &Span, id: MessageId) {
    if !span.is_disabled() {
        span.record("messaging.message.id", display(id));
    }
}

/// Notes how many messages there were.
pub(crate) fn note_count(span: &Span, count: usize) {
    span.record("messaging.batch.message_count", count);
}

/// Notes the reader of a log whose handler it is.
pub(crate) fn note_reader(span: &Span, reader: &str) {
    span.record("messaging.consumer.group.name", reader);
}

/// Notes why it failed.
pub(crate) fn note_error(span: &Span, error: &Error) {
    note_failure(span, &format_args!("{:?}", error.kind()), error);
}

/// Notes that what a span is about failed: how, by a word, and why.
pub(crate) fn note_failure(span: &Span, how: &dyn fmt::Display, why: &dyn fmt::Display) {
    if span.is_disabled() {
        return;
    }
    span.record("error.type", display(how));
    if cfg!(feature = "opentelemetry") {
        span.record("otel.status_code", "ERROR");
        span.record("otel.status_description", display(why));
    }
}
