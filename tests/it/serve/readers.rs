//! Each connection is a reader from the time when it connected, in one order for all, however slow.

use super::{GENERATIONS, Generation, Serving};
use crate::support::eventually;
use outtray::{Messaging, NewMessage};
use serde_json::{Value, json};

fn numbers(range: std::ops::Range<i32>) -> Vec<Value> {
    range.map(Value::from).collect()
}

#[test]
fn a_new_reader_sees_nothing_from_before() {
    let serving = Serving::new();
    let messaging = Messaging::connect(&serving.url).unwrap();
    let mut writer = serving.call(Generation::WebSocket);
    for generation in GENERATIONS {
        writer.put("q", "before");
        let stored = NewMessage::json("dsmq", "before, too").unwrap().key("q");
        messaging.send(stored).unwrap();
        writer.get_all("q", 2);

        let mut reader = serving.call(generation);
        assert_eq!(reader.get("q"), "", "{generation:?}");
        writer.put("q", "after");

        assert_eq!(reader.get_all("q", 1), ["after"]);
        assert_eq!(writer.get_all("q", 1), ["after"]);
    }
}

#[test]
fn what_was_put_before_a_reader_connected_is_before_it_also_if_the_server_slept() {
    for generation in [Generation::Bare, Generation::Framed] {
        let serving = Serving::new();
        let mut writer = serving.call(generation);
        writer.put("q", 0);
        eventually("the writer is served", || writer.get("q") == 0);

        serving.signal("STOP");
        writer.put("q", 1);
        let mut reader = serving.call(generation);
        serving.signal("CONT");

        assert_eq!(reader.get("q"), "");
        assert_eq!(writer.get_all("q", 1), [1]);
    }
}

#[test]
fn a_reader_has_a_place_in_queues_that_it_has_not_asked_for() {
    let serving = Serving::new();
    let mut reader = serving.call(Generation::WebSocket);
    let mut writer = serving.call(Generation::Bare);
    writer.put("never asked for", 1);
    writer.put("never asked for", 2);
    writer.get_all("never asked for", 2);

    assert_eq!(reader.get_all("never asked for", 2), numbers(1..3));
}

#[test]
fn all_readers_get_each_message_in_the_same_order() {
    let serving = Serving::new();
    let mut readers = GENERATIONS.map(|generation| serving.call(generation));
    let mut writers = GENERATIONS.map(|generation| serving.call(generation));
    for number in 0..100 {
        for (at, writer) in writers.iter_mut().enumerate() {
            writer.put("q", json!([at, number]));
        }
    }

    let [first, second, third] = readers.each_mut().map(|reader| reader.get_all("q", 300));

    assert_eq!(first, second);
    assert_eq!(first, third);
    for at in 0..3 {
        let of_one = first.iter().filter(|message| message[0] == at);
        let numbers: Vec<&Value> = of_one.map(|message| &message[1]).collect();
        assert_eq!(
            numbers,
            (0..100)
                .map(Value::from)
                .collect::<Vec<_>>()
                .iter()
                .collect::<Vec<_>>()
        );
    }
}

#[test]
fn a_get_finds_what_any_connection_had_put_before() {
    let serving = Serving::new();
    let mut writer = serving.call(Generation::WebSocket);
    let mut reader = serving.call(Generation::WebSocket);
    reader.get("q");
    for number in 0..50 {
        writer.put("q", number);
        // It has been taken when the reply to this is there.
        writer.get("another");

        assert_eq!(reader.get("q"), number);
    }
}

#[test]
fn the_latest_passes_over_those_before_it() {
    let serving = Serving::new();
    for generation in GENERATIONS {
        let mut caller = serving.call(generation);
        for number in 0..5 {
            caller.put("q", number);
        }

        assert_eq!(caller.get_latest("q"), 4);
        assert_eq!(caller.get_latest("q"), "");
        assert_eq!(caller.get("q"), "");
        caller.put("q", 5);
        assert_eq!(caller.get("q"), 5);
    }
}

#[test]
fn a_slow_reader_loses_nothing_when_memory_is_full() {
    // Room for some ninety of these.
    let serving = Serving::with(&["--buffer", "1"]);
    let filling = "x".repeat(10_000);
    let mut slow = serving.call(Generation::WebSocket);
    let mut hasty = serving.call(Generation::Framed);
    let mut writer = serving.call(Generation::WebSocket);
    for number in 0..300 {
        writer.put("q", json!([number, filling]));
        if number % 10 == 0 {
            writer.put("rare", number);
        }
    }
    writer.get_all("q", 300);

    assert_eq!(hasty.get_latest("q")[0], 299);
    assert_eq!(hasty.get("q"), "");
    let got = slow.get_all("q", 300);
    let got: Vec<&Value> = got.iter().map(|message| &message[0]).collect();
    assert_eq!(got, numbers(0..300).iter().collect::<Vec<_>>());
    let rare: Vec<Value> = (0..30).map(|number| Value::from(number * 10)).collect();
    assert_eq!(slow.get_all("rare", 30), rare);
    assert_eq!(hasty.get_latest("rare"), 290);
    assert_eq!(slow.get("unknown"), "");
}

#[test]
fn what_a_program_writes_into_the_log_is_in_the_queue_of_its_key() {
    let serving = Serving::new();
    let messaging = Messaging::connect(&serving.url).unwrap();
    let mut reader = serving.call(Generation::WebSocket);

    messaging
        .session(|session| {
            session.send(NewMessage::json("dsmq", &json!({"a": 1}))?.key("q"))?;
            session.send(NewMessage::json("dsmq", "of no queue")?)?;
            session.send(NewMessage::bytes("dsmq", "größe").key("q"))?;
            session.send(NewMessage::bytes("dsmq", [0xff, 0xfe]).key("q"))?;
            session.send(NewMessage::json("dsmq", "last")?.key("q"))?;
            Ok(())
        })
        .unwrap();

    assert_eq!(
        reader.get_all("q", 3),
        [json!({"a": 1}), json!("größe"), json!("last")]
    );
}
