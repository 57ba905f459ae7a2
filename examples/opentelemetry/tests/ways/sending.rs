//! All ways to send: the span of the call is the child of the caller's, and the handler's is the
//! child of that.

use crate::{
    HOUR, check_child, drained, eventually, messaging, span, spans, within, world, written,
};
use opentelemetry::trace::{SpanContext, TraceContextExt, TraceFlags, TraceState};
use outtray::postgres::{Client, NoTls};
use outtray::{Message, Messaging, MessagingSession, NewMessage, Recurrence};
use std::time::Duration;

fn message(topic: &str) -> NewMessage {
    NewMessage::json(topic, &1).unwrap()
}

/// Checks one way to send to a topic: `sent` is the name of the span.
#[track_caller]
fn check(topic: &str, sent: &str, send: impl FnOnce(&Messaging)) {
    let (caller, ()) = within(|| send(messaging()));

    let messages = drained(topic);

    let sent = span(sent);
    check_child(&sent, &caller);
    assert!(!messages.is_empty(), "{topic}");
    for message in &messages {
        assert_eq!(message.headers["traceparent"], written(&sent.span_context));
    }
    let handled = spans(&format!("handle {topic}"));
    assert_eq!(handled.len(), messages.len());
    for handled in &handled {
        check_child(handled, &sent.span_context);
        assert!(handled.parent_span_is_remote);
    }
}

fn in_session(send: impl FnOnce(&mut MessagingSession<'_>) -> outtray::Result<()>) {
    let sent = messaging().session(|session| Ok(send(session)?));
    sent.unwrap();
}

#[test]
fn the_senders_span_is_the_parent_of_the_handlers_however_it_was_sent() {
    check("alone", "send alone", |messaging| {
        messaging.send(message("alone")).unwrap();
    });
    check("deduped", "send deduped", |messaging| {
        let message = message("deduped").dedupe("once", HOUR);
        messaging.send(message).unwrap();
    });
    check("in-session", "send in-session", |_| {
        in_session(|session| session.send_message("in-session", &1).map(drop));
    });
    check("with-headers", "send with-headers", |_| {
        in_session(|session| {
            session
                .send(message("with-headers").header("a", "b"))
                .map(drop)
        });
    });
    check("keyed", "send keyed", |_| {
        in_session(|session| session.send(message("keyed").key("k")).map(drop));
    });
    check("many", "send many", |_| {
        in_session(|session| session.send_messages("many", 0..100).map(drop));
    });
    check("bulk", "send bulk", |_| {
        in_session(|session| session.send_messages("bulk", 0..6_000).map(drop));
    });
    check("all", "send all", |_| {
        in_session(|session| session.send_all([(); 3].map(|()| message("all"))).map(drop));
    });
    check("group", "send group", |_| {
        in_session(|session| {
            session.send_group([message("group")], message("group"))?;
            Ok(())
        });
    });
    check("joined", "send joined", |messaging| {
        let mut client = Client::connect(&world().url, NoTls).unwrap();
        let mut transaction = client.transaction().unwrap();
        MessagingSession::join(messaging, &mut transaction)
            .unwrap()
            .send_message("joined", &1)
            .unwrap();
        transaction.commit().unwrap();
    });
}

#[test]
fn the_publishers_span_is_the_parent_of_the_handlers() {
    messaging().subscribe("published.*", "subscriber").unwrap();
    check("subscriber", "publish published.alone", |messaging| {
        messaging.publish("published.alone", &1).unwrap();
    });
    messaging().subscribe("also-published.*", "other").unwrap();
    check("other", "publish also-published.new", |_| {
        in_session(|session| session.publish("also-published.new", &1).map(drop));
    });
}

#[test]
fn a_request_and_its_reply_are_one_trace() {
    let receiver = messaging().start_receiving_messages("asked", |session, ask: Message<i64>| {
        session.reply(&ask, &(ask.payload + 1))?;
        Ok(())
    });

    let question = NewMessage::json("asked", &1).unwrap();
    let (caller, reply) = within(|| messaging().request_message::<i64>(question, crate::PATIENCE));

    let reply = reply.unwrap();
    receiver.unwrap().stop(crate::PATIENCE);
    assert_eq!(reply.payload, 2);
    let sent = span("send asked");
    check_child(&sent, &caller);
    let handled = span("handle asked");
    check_child(&handled, &sent.span_context);
    let inbox = spans(&format!("send {}", reply.topic));
    assert_eq!(inbox.len(), 1, "{}", reply.topic);
    check_child(&inbox[0], &handled.span_context);
    assert_eq!(
        reply.headers["traceparent"],
        written(&inbox[0].span_context)
    );
}

#[test]
fn each_run_of_a_recurring_message_is_a_trace_of_its_own() {
    let every_second = Recurrence::cron("* * * * * *").unwrap();
    let defined = within(|| messaging().repeat("pulse", &every_second, message("pulses")));
    defined.1.unwrap();

    let receiver = messaging().start_receiving_messages("pulses", |_, _: Message<i64>| Ok(()));

    eventually("two runs", || spans("handle pulses").len() >= 2);
    messaging().topic("pulses").unrepeat("pulse").unwrap();
    receiver.unwrap().stop(crate::PATIENCE);
    let sent = spans("send pulses");
    let handled = spans("handle pulses");
    check_child(&handled[0], &sent[0].span_context);
    check_child(&handled[1], &sent[1].span_context);
    assert_ne!(sent[0].span_context.trace_id(), defined.0.trace_id());
}

#[test]
fn a_header_of_the_callers_own_wins() {
    const OWN: &str = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01";
    in_session(|session| {
        session.send(message("own").traceparent(OWN).tracestate("a=1"))?;
        session.send(message("none").null_header("traceparent"))?;
        Ok(())
    });

    let own = drained("own").remove(0);
    let none = drained("none").remove(0);

    assert_eq!(own.headers["traceparent"], OWN);
    assert_eq!(own.headers["tracestate"], "a=1");
    let handled = span("handle own");
    assert_eq!(written(&handled.span_context)[..35], OWN[..35]);
    assert_eq!(handled.parent_span_id.to_string(), "00f067aa0ba902b7");
    assert_eq!(handled.span_context.trace_state().header(), "a=1");
    assert!(!none.headers.contains_key("traceparent"));
}

#[test]
fn the_state_of_a_trace_goes_on() {
    let remote = SpanContext::new(
        0x4bf9_2f35_77b3_4da6_a3ce_929d_0e0e_4737_u128.into(),
        0x00f0_67aa_0ba9_02b7_u64.into(),
        TraceFlags::SAMPLED,
        true,
        "vendor=opaque".parse::<TraceState>().unwrap(),
    );
    let context = opentelemetry::Context::new().with_remote_span_context(remote.clone());
    let span = tracing::info_span!("callee");
    let _ = tracing_opentelemetry::OpenTelemetrySpanExt::set_parent(&span, context);
    span.in_scope(|| in_session(|session| session.send_message("stateful", &1).map(drop)));

    let message = drained("stateful").remove(0);

    assert_eq!(message.headers["tracestate"], "vendor=opaque");
    let handled = crate::span("handle stateful");
    assert_eq!(handled.span_context.trace_id(), remote.trace_id());
    assert_eq!(handled.span_context.trace_state().header(), "vendor=opaque");
}

#[test]
fn headers_never_become_too_large_by_a_trace() {
    let long = "v".repeat(16 * 1024 - 10);
    within(|| in_session(|session| session.send(message("large").header("h", long)).map(drop)));

    let message = drained("large").remove(0);

    assert_eq!(message.headers.len(), 1);
}

#[test]
fn a_message_that_waits_or_fails_stays_in_its_trace() {
    let (caller, ()) = within(|| {
        in_session(|session| {
            session
                .send(message("late").delay(Duration::from_millis(1)))
                .map(drop)
        });
    });

    let receiver = messaging()
        .receiver("late")
        .backoff(outtray::Backoff::fixed(Duration::from_millis(1)))
        .start(|_, message: Message<i64>| match message.attempt {
            1 => Err("not yet".into()),
            _ => Ok(()),
        });

    eventually("two attempts", || spans("handle late").len() == 2);
    receiver.unwrap().stop(crate::PATIENCE);
    let sent = span("send late");
    check_child(&sent, &caller);
    for handled in spans("handle late") {
        check_child(&handled, &sent.span_context);
    }
}
