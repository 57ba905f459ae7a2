//! Where nobody traces, a trace that a message has is carried on as it is.

use crate::{messaging, span};
use opentelemetry::Context;
use opentelemetry::trace::{SpanContext, TraceContextExt, TraceFlags, TraceState};
use outtray::{Message, MessagingSession, NewMessage};
use tracing::subscriber::{NoSubscriber, with_default};

const TRACE: &str = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01";

#[test]
fn without_a_subscriber_the_trace_of_a_message_is_passed_on() {
    with_default(NoSubscriber::new(), || {
        let message = NewMessage::json("untraced", &1).unwrap().traceparent(TRACE);
        messaging().send(message).unwrap();
        let handler = |session: &mut MessagingSession<'_>, _: Message<i64>| {
            session.send_message("untraced-next", &1)?;
            Ok(())
        };
        messaging().drain("untraced", handler).unwrap();
    });

    let next = crate::drained("untraced-next").remove(0);

    assert_eq!(next.headers["traceparent"], TRACE);
    let handled = span("handle untraced-next");
    assert_eq!(handled.parent_span_id.to_string(), "00f067aa0ba902b7");
}

#[test]
fn a_span_of_opentelemetry_alone_is_carried_too() {
    let current = SpanContext::new(
        7_u128.into(),
        8_u64.into(),
        TraceFlags::default(),
        false,
        TraceState::NONE,
    );
    with_default(NoSubscriber::new(), || {
        let _current = Context::new().with_remote_span_context(current).attach();
        messaging()
            .send(NewMessage::json("attached", &1).unwrap())
            .unwrap();
    });

    let message = with_default(NoSubscriber::new(), || crate::drained("attached")).remove(0);

    let expected = format!("00-{:032x}-{:016x}-00", 7, 8);
    assert_eq!(message.headers["traceparent"], expected);
}
