//! One port speaks all three generations, however their bytes are joined or split.

use super::caller::frame;
use super::{GENERATIONS, Generation, Serving};
use serde_json::{Value, json};
use std::net::Shutdown;
use std::time::Duration;

#[test]
fn all_generations_put_and_get_on_one_port_and_in_each_others_queues() {
    let serving = Serving::new();
    let mut callers = GENERATIONS.map(|generation| serving.call(generation));

    for (number, message) in ["Hello!", "é🦀", "\"\\\n"].into_iter().enumerate() {
        callers[number].put("greetings", message);
        // Its own put is stored by then, and so the next one is later.
        assert_eq!(callers[number].get_latest("greetings"), message);
    }

    let mut getter = serving.call(Generation::Bare);
    assert_eq!(getter.get("greetings"), "");
    assert_eq!(callers[0].get_all("greetings", 2), ["é🦀", "\"\\\n"]);
    assert_eq!(callers[1].get_all("greetings", 1), ["\"\\\n"]);
    assert_eq!(callers[2].get("greetings"), "");
}

#[test]
fn requests_that_are_joined_or_split_are_served_one_by_one() {
    let serving = Serving::new();
    for generation in GENERATIONS {
        let mut caller = serving.call(generation);
        let put = |n: i32| json!({"action": "put", "topic": "q", "message": n}).to_string();
        let get = json!({"action": "get", "topic": "q"}).to_string();
        let requests = [
            put(1),
            put(2),
            get.clone(),
            put(3),
            get.clone(),
            get.clone(),
            get,
        ];
        let bytes: Vec<u8> = requests.iter().flat_map(|text| caller.said(text)).collect();

        caller.send_bytes(&bytes);
        let replies = [(); 4].map(|()| caller.reply());
        assert_eq!(
            replies,
            [json!(1), json!(2), json!(3), json!("")],
            "joined, {generation:?}"
        );

        for byte in &bytes {
            caller.send_bytes(&[*byte]);
        }
        let replies = [(); 4].map(|()| caller.reply());
        assert_eq!(
            replies,
            [json!(1), json!(2), json!(3), json!("")],
            "split, {generation:?}"
        );
    }
}

#[test]
fn large_messages_and_odd_ones_come_out_as_they_went_in() {
    let serving = Serving::new();
    for generation in GENERATIONS {
        let mut caller = serving.call(generation);
        for message in [
            "\"".to_owned() + &"x".repeat(900_000) + "\"",
            r#""\ud83d lone, \u0000 nul""#.to_owned(),
            r#"{"a":  [1.50, 1e400, -0]}"#.to_owned(),
            "null".to_owned(),
            "[\"\u{7f}\u{2028}\", \"{\", \"}\"]".to_owned(),
            "[".repeat(126) + &"]".repeat(126),
        ] {
            caller.say(&format!(
                r#"{{"topic": "q", "message": {message}, "action": "put"}}"#
            ));
            caller.ask("get", "q");
            let reply = caller.next_reply().unwrap();
            assert!(
                reply == format!("{{\"message\": {message}}}"),
                "{generation:?} {}",
                &message[..9]
            );
        }
    }
}

#[test]
fn names_of_queues_are_data() {
    let serving = Serving::new();
    let mut caller = serving.call(Generation::Bare);
    let long = "n".repeat(512);
    let names = [
        "a b",
        "'; DROP TABLE outtray.message; --",
        "*",
        "#",
        "\u{1b}[2J",
        "é\n",
        &long,
    ];

    for name in names {
        caller.put(name, name);
    }

    for name in names {
        assert_eq!(caller.get(name), name);
        assert_eq!(caller.get(name), "");
    }
}

#[test]
fn twenty_quick_puts_all_arrive_also_of_one_who_leaves_at_once() {
    let serving = Serving::new();
    for generation in GENERATIONS {
        let mut reader = serving.call(Generation::WebSocket);
        let mut writer = serving.call(generation);
        for number in 0..20 {
            writer.put("quick", number);
        }
        writer.socket.shutdown(Shutdown::Both).unwrap();
        drop(writer);

        let expected: Vec<Value> = (0..20).map(Value::from).collect();
        assert_eq!(reader.get_all("quick", 20), expected, "{generation:?}");
    }
}

#[test]
fn one_who_has_nothing_more_to_say_still_gets_the_replies() {
    let serving = Serving::new();
    let mut caller = serving.call(Generation::Bare);
    caller.put("q", "last words");
    caller.ask("get", "q");
    caller.finish();

    assert_eq!(caller.reply(), "last words");
    assert_eq!(caller.next_reply(), None);
}

#[test]
fn a_websocket_may_ping_and_send_its_messages_in_parts_or_as_bytes() {
    let serving = Serving::new();
    let mut caller = serving.call(Generation::WebSocket);
    let put = br#"{"action": "put", "topic": "q", "message": "in parts"}"#;
    caller.send_bytes(&frame(0x01, &put[..10]));
    caller.send_bytes(&frame(0x89, b""));
    caller.send_bytes(&frame(0x80, &put[10..]));
    caller.send_bytes(&frame(0x82, br#"{"action": "get", "topic": "q"}"#));

    caller
        .socket
        .set_read_timeout(Some(Duration::from_secs(10)))
        .unwrap();
    let replies = std::iter::from_fn(|| caller.any_frame()).take(2);
    let replies: Vec<(u8, String)> = replies.collect();

    let text = r#"{"message": "in parts"}"#.to_owned();
    assert_eq!(replies, [(0x8a, String::new()), (0x81, text)]);
}
