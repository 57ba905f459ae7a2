//! What a client says wrong closes its connection, with a reason, and hangs nobody.

use super::caller::{Caller, Goodbye, frame};
use super::{GENERATIONS, Generation, Serving};

/// Checks that a request is refused in each generation, and with which code of a WebSocket.
#[track_caller]
fn check_closed(serving: &Serving, request: &str, code: u16, reason: &str) {
    for generation in GENERATIONS {
        let mut caller = serving.call(generation);
        caller.say(request);
        let goodbye = caller.goodbye();

        if generation == Generation::WebSocket {
            assert_eq!(goodbye.code, Some(code), "{request} {goodbye:?}");
            assert!(goodbye.reason.contains(reason), "{request} {goodbye:?}");
        }
    }
}

#[test]
fn a_bad_request_closes_its_connection_with_the_reason() {
    let serving = Serving::new();

    check_closed(&serving, "{\"action\": \"get\", }", 1011, "no good");
    check_closed(
        &serving,
        r#"{"action": "eat", "topic": "q"}"#,
        1011,
        "none of put, get",
    );
    check_closed(&serving, r#"{"action": "get"}"#, 1011, "topic is missing");
    check_closed(
        &serving,
        r#"{"action": "put", "topic": "q"}"#,
        1011,
        "needs a message",
    );
    check_closed(&serving, r#"{"topic": "q"}"#, 1011, "action");
    let deep = "[".repeat(200);
    check_closed(
        &serving,
        &format!("{{\"message\": {deep}"),
        1009,
        "nested deeper",
    );
    let large = format!(
        r#"{{"action": "put", "topic": "q", "message": "{}"}}"#,
        "x".repeat(1 << 20)
    );
    check_closed(&serving, &large, 1009, "");

    let (code, log) = serving.stop();
    assert_eq!(code, Some(0));
    assert!(log.contains("a request of "), "{log}");
}

#[test]
fn what_came_before_a_bad_request_is_served() {
    let serving = Serving::new();
    for generation in GENERATIONS {
        let mut reader = serving.call(generation);
        let mut caller = serving.call(generation);
        let put = caller.said(r#"{"action": "put", "topic": "q", "message": "before"}"#);
        let bad = caller.said(r#"{"action": "nothing"}"#);
        caller.send_bytes(&[put, bad].concat());
        caller.goodbye();

        assert_eq!(reader.get_all("q", 1), ["before"]);
    }
}

#[test]
fn what_is_no_wire_at_all_is_closed_at_once() {
    let serving = Serving::new();
    let hello = b"hello".as_slice();
    for noise in [
        hello,
        b"[1]",
        b"POST / HTTP/1.1\r\n",
        b"{\"msg_length\": 3}",
        b"\x16\x03\x01\x02\0",
    ] {
        let mut caller = Caller::connect(serving.address, Generation::Bare);
        caller.send_bytes(noise);
        assert_eq!(caller.next_reply(), None, "{noise:?}");
    }
    let mut caller = Caller::connect(serving.address, Generation::Framed);
    caller.send_bytes(b"{\"msg_length\": 1000010}{\"a\": 1.5]]");
    assert_eq!(caller.next_reply(), None);
}

#[test]
fn http_that_asks_for_no_websocket_is_told_so() {
    let serving = Serving::new();
    let mut caller = Caller::connect(serving.address, Generation::WebSocket);
    caller.send_bytes(b"GET / HTTP/1.1\r\nHost: x\r\n\r\n");

    let answer = caller.rest();

    assert!(answer.starts_with("HTTP/1.1 400"), "{answer}");
}

#[test]
fn frames_that_break_the_protocol_close_the_connection() {
    let serving = Serving::new();
    let get = br#"{"action": "get", "topic": "q"}"#;
    let unmasked = [&[0x81, 0x1f], get.as_slice()].concat();
    for (bytes, code) in [
        (unmasked, 1002),
        (frame(0xc1, get), 1002),
        (frame(0x80, get), 1002),
        (frame(0x81, b"\xff\xfe"), 1007),
    ] {
        let mut caller = serving.call(Generation::WebSocket);
        caller.send_bytes(&bytes);
        let goodbye = caller.goodbye();
        assert_eq!(goodbye.code, Some(code), "{goodbye:?}");
    }
}

#[test]
fn a_client_that_says_goodbye_gets_one() {
    let serving = Serving::new();
    let mut caller = serving.call(Generation::WebSocket);
    caller.send_bytes(&frame(
        0x88,
        &[&1000_u16.to_be_bytes()[..], b"bye"].concat(),
    ));

    let goodbye = Goodbye {
        code: Some(1000),
        reason: "bye".to_owned(),
    };
    assert_eq!(caller.goodbye(), goodbye);
}
