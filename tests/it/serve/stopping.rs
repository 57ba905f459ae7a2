//! A server that is told to stop stores what was put, says goodbye and ends.

use super::{GENERATIONS, Generation, Serving};
use outtray::{Messaging, Position};
use serde_json::Value;
use std::time::Duration;

/// Returns everything in the log, in order.
fn stored(url: &str) -> Vec<Value> {
    let messaging = Messaging::connect(url).unwrap();
    let mut tail = messaging.tail("dsmq", Position::Start).unwrap();
    let mut all = Vec::new();
    loop {
        let batch = tail.next_batch::<Value>(1000, Duration::ZERO).unwrap();
        if batch.is_empty() {
            return all;
        }
        all.extend(batch.into_iter().map(|message| message.payload));
    }
}

#[test]
fn a_stop_stores_what_was_put_and_says_goodbye() {
    let serving = Serving::new();
    let url = serving.url.clone();
    let mut callers = GENERATIONS.map(|generation| serving.call(generation));
    // They are connected, and not only waiting to be.
    callers.iter_mut().for_each(|caller| drop(caller.get("q")));
    for number in 0..300 {
        callers[number % 3].put("q", number);
    }

    serving.signal("INT");

    let goodbyes = callers.map(|mut caller| caller.goodbye());
    assert_eq!(goodbyes[2].code, Some(1001));
    assert_eq!(goodbyes[2].reason, "the server stops");
    let (code, log) = serving.end();
    assert_eq!(code, Some(0), "{log}");
    let mut numbers: Vec<i64> = stored(&url).iter().filter_map(Value::as_i64).collect();
    numbers.sort_unstable();
    assert_eq!(numbers, (0..300).collect::<Vec<_>>());
}

#[test]
fn a_client_may_stop_the_server_unless_it_is_told_not_to() {
    let serving = Serving::new();
    let url = serving.url.clone();
    let mut caller = serving.call(Generation::WebSocket);
    caller.put("q", "before");
    caller.say(r#"{"action": "shutdown", "topic": ""}"#);
    assert_eq!(caller.goodbye().code, Some(1001));
    assert_eq!(serving.end().0, Some(0));
    assert_eq!(stored(&url), ["before"]);

    let serving = Serving::with(&["--no-shutdown"]);
    let mut caller = serving.call(Generation::WebSocket);
    caller.say(r#"{"action": "shutdown", "topic": ""}"#);
    assert_eq!(caller.goodbye().code, Some(1008));
    assert_eq!(serving.call(Generation::WebSocket).get("q"), "");
}

#[test]
fn a_server_that_is_started_again_goes_on_where_it_was() {
    let first = Serving::new();
    let (url, address) = (first.url.clone(), first.address.to_string());
    let mut caller = first.call(Generation::WebSocket);
    for number in 0..10 {
        caller.put("q", number);
    }
    assert_eq!(first.stop().0, Some(0));
    assert_eq!(caller.goodbye().code, Some(1001));

    let second = Serving::over(&url, &address, &[]);
    let mut caller = second.call(Generation::WebSocket);
    assert_eq!(caller.get("q"), "");
    for number in 10..20 {
        caller.put("q", number);
    }

    assert_eq!(
        caller.get_all("q", 10),
        (10..20).map(Value::from).collect::<Vec<_>>()
    );
    assert_eq!(stored(&url), (0..20).map(Value::from).collect::<Vec<_>>());
}

#[test]
fn a_server_that_is_killed_loses_nothing_that_was_got() {
    let serving = Serving::new();
    let url = serving.url.clone();
    let mut caller = serving.call(Generation::WebSocket);
    for number in 0..100 {
        caller.put("q", number);
    }
    let got = caller.get_all("q", 50);

    serving.signal("KILL");
    drop(serving.end());

    let stored = stored(&url);
    assert!(stored.len() >= got.len());
    assert_eq!(stored[..got.len()], got);
}
