//! All ways to handle: the handler's span is the child of the one that sent its message, or is
//! linked with those that sent its messages; what the handler sends belongs to the handler's.

use crate::{HOUR, PATIENCE, check_child, drained, eventually, messaging, span, spans, within};
use opentelemetry::trace::{SpanContext, SpanKind, Status};
use outtray::{
    BatchMessage, HandlerError, Message, MessagingSession, NewMessage, Position, Receiver, Router,
    TopicConfig, TopicKind,
};

fn sent(topic: &str) -> SpanContext {
    let send = || {
        messaging()
            .send(NewMessage::json(topic, &1).unwrap())
            .unwrap()
    };
    within(send);
    span(&format!("send {topic}")).span_context
}

fn next(topic: &str) -> String {
    format!("{topic}-next")
}

/// Checks one way to handle one message and to send another meanwhile.
#[track_caller]
fn check(topic: &'static str, handle: impl FnOnce(&'static str) -> Option<Receiver>) {
    let sent = sent(topic);

    let receiver = handle(topic);

    let name = format!("handle {topic}");
    eventually(&name, || !spans(&name).is_empty());
    receiver.map(|receiver| receiver.stop(PATIENCE));
    let handled = span(&name);
    check_child(&handled, &sent);
    assert_eq!(handled.span_kind, SpanKind::Consumer);
    let next = next(topic);
    let sent = span(&format!("send {next}"));
    check_child(&sent, &handled.span_context);
    drained(&next);
    check_child(&span(&format!("handle {next}")), &sent.span_context);
}

fn send_next(session: &mut MessagingSession<'_>, topic: &str) -> Result<(), HandlerError> {
    session.send_message(&next(topic), &1)?;
    Ok(())
}

#[test]
fn the_span_of_a_handler_is_the_child_of_the_senders_however_it_is_run() {
    let one = |session: &mut MessagingSession<'_>, message: Message<i64>| {
        send_next(session, &message.topic)
    };
    let batch = |session: &mut MessagingSession<'_>, messages: &[BatchMessage<i64>]| {
        send_next(session, &messages[0].topic)
    };
    let receiver = |topic: &str| messaging().receiver(topic).workers(1);
    check("drained", |topic| {
        messaging().drain(topic, one).unwrap();
        None
    });
    check("received", |topic| {
        Some(receiver(topic).start(one).unwrap())
    });
    check("leased", |topic| {
        Some(receiver(topic).lease(HOUR).start(one).unwrap())
    });
    check("batch-of-one", |topic| {
        Some(receiver(topic).start_batches(9, batch).unwrap())
    });
    check("routed", |topic| {
        let router = Router::new().on("#", one);
        Some(receiver(topic).start_router(router).unwrap())
    });
    check("by-hand", |topic| {
        let delivery = messaging()
            .topic(topic)
            .receive::<i64>(HOUR)
            .unwrap()
            .unwrap();
        let _in = delivery.span().entered();
        delivery
            .settle_in(|session| send_next(session, topic))
            .unwrap();
        None
    });
}

#[test]
fn the_span_of_a_batch_is_linked_with_those_that_sent_its_messages() {
    let senders: Vec<SpanContext> = (0..3)
        .map(|_| {
            within(|| {
                messaging()
                    .send(NewMessage::json("batch", &1).unwrap())
                    .unwrap()
            });
            spans("send batch").pop().unwrap().span_context
        })
        .collect();

    let receiver = messaging().receiver("batch").workers(1);
    let receiver = receiver.start_batches(9, |session, _: &[BatchMessage<i64>]| {
        send_next(session, "batch")
    });

    eventually("handled", || !spans("handle batch").is_empty());
    receiver.unwrap().stop(PATIENCE);
    let handled = span("handle batch");
    let mut links: Vec<SpanContext> = handled
        .links
        .iter()
        .map(|link| link.span_context.clone())
        .collect();
    links.sort_by_key(|link| {
        senders
            .iter()
            .position(|sender| sender.span_id() == link.span_id())
    });
    assert_eq!(links.len(), 3);
    for (link, sender) in links.iter().zip(&senders) {
        assert_eq!(
            (link.trace_id(), link.span_id()),
            (sender.trace_id(), sender.span_id())
        );
    }
    check_child(&span("send batch-next"), &handled.span_context);
}

#[test]
fn the_span_of_a_reader_of_a_log_knows_who_sent_the_entries() {
    let config = TopicConfig {
        kind: TopicKind::Log,
        ..TopicConfig::default()
    };
    for (log, batch_size) in [("log", 1), ("log-in-batches", 9)] {
        messaging().topic(log).configure(config.clone()).unwrap();
        within(|| {
            messaging()
                .session(|session| Ok(session.send_messages(log, [1, 2])?))
                .unwrap()
        });
        let sent = span(&format!("send {log}")).span_context;

        let reader = messaging().reader(log, "one").from(Position::Start);
        let reader = reader
            .batch_size(batch_size)
            .start(move |session, _: &[Message<i64>]| send_next(session, log));

        let (name, next) = (format!("handle {log}"), format!("send {}", next(log)));
        eventually(&name, || spans(&next).len() == 2 / batch_size.min(2));
        reader.unwrap().stop(PATIENCE);
        for (handled, next) in spans(&name).iter().zip(&spans(&next)) {
            match batch_size {
                1 => check_child(handled, &sent),
                _ => {
                    let links = handled.links.iter().map(|link| link.span_context.span_id());
                    assert_eq!(links.collect::<Vec<_>>(), [sent.span_id(); 2]);
                }
            }
            check_child(next, &handled.span_context);
        }
    }
}

#[test]
fn what_is_committed_is_told_in_the_trace_of_its_message() {
    let sent = sent("committed");

    drained("committed");

    let commit = span("commit committed");
    check_child(&commit, &sent);
    assert_eq!(commit.span_kind, SpanKind::Client);
}

#[test]
fn the_span_of_a_handler_that_failed_has_its_error() {
    sent("failing");

    let receiver = messaging().receiver("failing").max_attempts(1);
    let handler = |_: &mut MessagingSession<'_>, _: Message<i64>| {
        Err(HandlerError::failed("the mill stands still"))
    };
    receiver.drain(handler).unwrap();

    let status = span("handle failing").status;
    assert_eq!(status, Status::error("the mill stands still"));
}
