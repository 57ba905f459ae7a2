//! What `--json` prints is what the types of the library serialise to, in a form that is promised.

use super::Desk;
use outtray::{HandlerError, Message, NewMessage, Recurrence, TopicConfig};
use serde::Serialize;
use serde_json::json;
use std::time::Duration;

const HOUR: Duration = Duration::from_secs(3600);

/// Returns the JSON of several, one a line.
fn lines(objects: &[impl Serialize]) -> String {
    let line = |object| serde_json::to_string(object).unwrap() + "\n";
    objects.iter().map(line).collect()
}

/// Puts `_` in place of what is another id or time in each run.
fn form(json: &str) -> String {
    let mut form = json.to_owned();
    for name in [
        "id",
        "sent_at",
        "due_at",
        "died_at",
        "next_at",
        "due_in_ms",
        "failed_at",
        "took_ms",
        "process",
    ] {
        let start = format!("\"{name}\":");
        let mut parts = form.split(&start);
        let mut without = parts.next().unwrap_or_default().to_owned();
        for part in parts {
            let (_, rest) = part.split_once(',').unwrap();
            without.push_str(&format!("{start}_,{rest}"));
        }
        form = without;
    }
    form
}

#[track_caller]
fn check(printed: &str, serialised: &str, expected: &str) {
    assert_eq!(form(printed), form(expected));
    assert_eq!(form(printed), form(serialised));
}

#[test]
fn messages_are_printed_as_the_library_serialises_them() {
    let desk = Desk::new();
    let topic = desk.messaging.topic("t");
    let json = NewMessage::json_text("t", r#" {"b": 1.50, "a": [] } "#).unwrap();
    let send = |message| desk.messaging.send(message).unwrap();
    send(json.header("from", "test").key("k").priority(3));
    send(NewMessage::bytes("t", [0, 255]).delay(HOUR));

    check(
        &desk.done(&["peek", "t", "--json"]),
        &lines(&topic.peek(9).unwrap()),
        concat!(
            r#"{"id":_,"state":"ready","key":"k","priority":3,"attempts":0,"failures":[],"#,
            r#""sent_at":_,"#,
            r#""headers":{"from":"test"},"payload":{"b": 1.50, "a": [] }}"#,
            "\n"
        ),
    );
    check(
        &desk.done(&["peek", "t", "--scheduled", "--json"]),
        &lines(&topic.scheduled(9).unwrap()),
        concat!(
            r#"{"id":_,"reason":"delayed","due_at":_,"due_in_ms":_,"after":[],"key":null,"#,
            r#""priority":0,"attempts":0,"error":null,"failures":[],"sent_at":_,"headers":{},"#,
            r#""bytes_hex":"00ff"}"#,
            "\n"
        ),
    );
}

#[test]
fn dead_letters_are_printed_as_the_library_serialises_them() {
    let desk = Desk::new();
    let message = NewMessage::json_text("t", "7").unwrap();
    desk.messaging.send(message.dedupe_until_end("u")).unwrap();
    desk.messaging
        .drain("t", |_, _: Message| Err(HandlerError::reject("no")))
        .unwrap();

    let letters = desk.messaging.topic("t").dead_letters(9).unwrap();
    let expected = concat!(
        r#"{"topic":"t","id":_,"key":null,"dedupe_key":"u","reason":"rejected","error":"no","#,
        r#""attempts":1,"failures":[{"attempt":1,"failed_at":_,"took_ms":_,"process":_,"error":"no"}],"#,
        r#""priority":0,"sent_at":_,"died_at":_,"headers":{},"payload":7}"#,
        "\n"
    );
    let printed = desk.done(&["dead", "list", "--json"]);
    check(&printed, &lines(&letters), expected);
    let id = letters[0].id.to_string();
    assert_eq!(desk.done(&["dead", "show", "t", &id, "--json"]), printed);
}

#[test]
fn recurring_messages_are_printed_as_the_library_serialises_them() {
    let desk = Desk::new();
    let nightly = Recurrence::cron("0 3 * * *").unwrap();
    let message = NewMessage::json_text("t", "1.0").unwrap();
    let message = message.key("k").expires_in(HOUR);
    desk.messaging.repeat("n", &nightly, message).unwrap();

    check(
        &desk.done(&["recurring", "list", "--json"]),
        &lines(&desk.messaging.recurring().unwrap()),
        concat!(
            r#"{"cron":"0 3 * * *","dedupe_key":null,"expires_in_ms":3600000,"headers":{},"key":"k","#,
            r#""last_at":null,"missed":"once","name":"n","paused":false,"next_at":_,"priority":0,"#,
            r#""time_zone":"UTC","topic":"t","payload":1.0}"#,
            "\n"
        ),
    );
}

#[test]
fn numbers_and_settings_are_printed_as_the_library_serialises_them() {
    let desk = Desk::new();
    let topic = desk.messaging.topic("t");
    let config = TopicConfig {
        dead_letter_retention: Some(HOUR),
        max_attempts: Some(5),
        ..TopicConfig::default()
    };
    topic.configure(config).unwrap();
    topic.pause().unwrap();

    let numbers = concat!(
        r#"{"behind":0,"dead":0,"dead_letter_retention_ms":3600000,"estimated":[],"leased":0,"#,
        r#""oldest_ready_ms":null,"paused":true,"ready":0,"receivers":0,"scheduled":0,"#,
        r#""suspect":false,"topic":"t"}"#,
        "\n"
    );
    let stats = json!(topic.stats().unwrap());
    check(
        &desk.done(&["stats", "t", "--json"]),
        &lines(&[stats]),
        numbers,
    );
    assert_eq!(desk.done(&["topics", "--json"]), numbers);
    assert_eq!(
        desk.done(&["config", "t", "--json"]),
        concat!(
            r#"{"paused":true,"settings":{"dead_letter_retention_ms":3600000,"max_attempts":5},"#,
            r#""topic":"t"}"#,
            "\n"
        )
    );
}

#[test]
fn the_end_of_a_message_is_printed_as_the_library_serialises_it() {
    let desk = Desk::new();
    let message = NewMessage::json_text("t", "7").unwrap().tracked();
    let id = desk.messaging.send(message).unwrap().id();
    let done = |session: &mut outtray::MessagingSession<'_>, _: Message| {
        session.record_result(&json!({"paid": true}))?;
        Ok(())
    };
    desk.messaging.drain("t", done).unwrap();

    let printed = desk.done(&["wait", &id.to_string(), "--json"]);
    let end = desk.messaging.wait_for_completion(id, HOUR).unwrap();

    let ended_at = &json!(end)["ended_at"];
    let expected =
        format!(r#"{{"ended_at":{ended_at},"how":"done","id":"{id}","result":{{"paid":true}}}}"#);
    assert_eq!(printed, expected + "\n");
}
