//! Slow, silent and hostile clients are limited, and closed with a reason.

use super::caller::Caller;
use super::{GENERATIONS, Generation, Serving};
use crate::support::eventually;

#[test]
fn a_request_that_does_not_end_is_given_up() {
    let serving = Serving::with(&["--client-timeout", "1s"]);
    let mut idle = serving.call(Generation::WebSocket);
    let mut callers = GENERATIONS.map(|generation| serving.call(generation));
    for caller in &mut callers {
        let bytes = caller.said(r#"{"action": "get", "topic": "q"}"#);
        caller.send_bytes(&bytes[..bytes.len() - 1]);
    }

    let codes = callers.map(|mut caller| caller.goodbye().code);

    assert_eq!(codes, [None, None, Some(1008)]);
    let mut knocking = Caller::connect(serving.address, Generation::WebSocket);
    knocking.send_bytes(b"GET / HTTP/1.1\r\nHost: ");
    assert!(knocking.rest().starts_with("HTTP/1.1 403"));

    // Who is silent between requests is not slow.
    assert_eq!(idle.get("q"), "");
}

#[test]
fn one_who_does_not_read_replies_is_closed_and_others_are_served() {
    let serving = Serving::with(&["--client-timeout", "1s"]);
    let mut deaf = serving.call(Generation::Bare);
    let mut writer = serving.call(Generation::WebSocket);
    let large = "x".repeat(900_000);
    for _ in 0..20 {
        writer.put("q", large.as_str());
        deaf.ask("get", "q");
    }
    let mut number = 0;

    eventually("the deaf one is closed", || {
        number += 1;
        writer.put("other", number);
        assert_eq!(writer.get("other"), number);
        deaf.is_closed_by_server()
    });

    let (_, log) = serving.stop();
    assert!(log.contains("it does not read its replies"), "{log}");
}

#[test]
fn one_who_is_silent_may_be_closed_after_a_time() {
    let serving = Serving::with(&["--idle-timeout", "1s"]);
    let mut caller = serving.call(Generation::WebSocket);

    let goodbye = caller.goodbye();

    assert_eq!(goodbye.code, Some(1008));
    assert_eq!(goodbye.reason, "it was silent for too long");
}

#[test]
fn there_are_only_so_many_connections() {
    let serving = Serving::with(&["--most-connections", "2"]);
    let mut first = serving.call(Generation::Bare);
    first.get("q");
    let mut second = serving.call(Generation::Bare);
    second.get("q");

    let mut third = Caller::connect(serving.address, Generation::Bare);
    assert_eq!(third.next_reply(), None);

    drop(second);
    eventually("there is room again", || {
        let mut next = Caller::connect(serving.address, Generation::Bare);
        next.ask("get", "q");
        next.next_reply().is_some()
    });
    assert_eq!(first.get("q"), "");
}
