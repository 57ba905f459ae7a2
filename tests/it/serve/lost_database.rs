//! PostgreSQL goes away under the server: what clients put meanwhile is stored afterwards.

use super::caller::frame;
use super::{Generation, Serving};
use crate::support::{Frozen, aside, next, pass_time};
use outtray::testing::Server;
use serde_json::{Value, json};
use std::time::Duration;

#[test]
fn puts_go_on_through_restarts_of_the_database_and_come_out_once_in_order() {
    let server = Server::start().unwrap();
    let url = server.database().unwrap();
    let serving = Serving::over(&url, "127.0.0.1:0", &[]);
    let mut reader = serving.call(Generation::WebSocket);
    let mut writer = serving.call(Generation::WebSocket);
    writer.get("q");
    let count = 3_000;
    let put = aside(move || {
        for number in 0..count {
            writer.put("q", number);
            if number % 10 == 0 {
                pass_time(Duration::from_millis(3));
            }
        }
        writer
    });

    for _ in 0..2 {
        pass_time(Duration::from_millis(150));
        server.restart_immediately().unwrap();
    }

    let mut writer = next(&put, 1).remove(0);
    let expected: Vec<Value> = (0..count).map(Value::from).collect();
    assert_eq!(reader.get_all("q", expected.len()), expected);
    assert_eq!(reader.get("q"), "");
    assert_eq!(writer.get_latest("q"), count - 1);
}

#[test]
fn puts_for_which_there_is_no_room_wait_until_the_database_answers() {
    let server = Server::start().unwrap();
    let url = server.database().unwrap();
    let serving = Serving::over(&url, "127.0.0.1:0", &["--buffer", "1"]);
    let mut reader = serving.call(Generation::Bare);
    let mut other = serving.call(Generation::Bare);
    let mut writer = serving.call(Generation::WebSocket);
    for caller in [&mut reader, &mut other, &mut writer] {
        caller.get("q");
    }

    let frozen = Frozen::server(&server);
    let filling = "x".repeat(100_000);
    let put = aside(move || {
        for number in 0..100 {
            writer.put("q", json!([number, filling]));
        }
        writer
    });
    pass_time(Duration::from_millis(300));
    assert!(
        put.is_empty(),
        "the server takes more than there is room for"
    );
    // Who wants nothing of the database is served.
    assert_eq!(other.get("another"), "");
    drop(frozen);

    next(&put, 1);
    let got: Vec<Value> = reader
        .get_all("q", 100)
        .into_iter()
        .map(|mut got| got[0].take())
        .collect();
    assert_eq!(got, (0..100).map(Value::from).collect::<Vec<_>>());
}

#[test]
fn a_stop_without_a_database_ends_in_time_and_says_what_was_lost() {
    let server = Server::start().unwrap();
    let url = server.database().unwrap();
    let serving = Serving::over(&url, "127.0.0.1:0", &["--stop-timeout", "500ms"]);
    let mut caller = serving.call(Generation::WebSocket);
    caller.get("q");
    let frozen = Frozen::server(&server);
    caller.put("q", "lost");
    // Until the put has been read.
    caller.send_bytes(&frame(0x89, b""));
    assert_eq!(caller.any_frame(), Some((0x8a, String::new())));

    serving.signal("TERM");

    let goodbye = caller.goodbye();
    assert_eq!(goodbye.code, Some(1011));
    assert_eq!(
        goodbye.reason,
        "the server stops, and some puts could not be stored"
    );
    let (code, log) = serving.end();
    assert_eq!(code, Some(1));
    assert!(log.contains("were not stored"), "{log}");
    drop(frozen);
}
