//! Messages that cannot be stored, or could not be read back.

use super::{Ground, Row, check_all, row};
use outtray::ErrorKind::{Invalid, Payload, TooLarge};
use outtray::{ErrorKind, MessageId, Messaging, MessagingSession, NewMessage, Result};
use std::collections::{BTreeMap, HashMap};
use std::time::Duration;

const MIB: usize = 1 << 20;
const TEN_YEARS: Duration = Duration::from_secs(10 * 365 * 86_400);

/// Sends in a session that goes on and commits whatever sending says; returns what it said.
fn send<R>(
    messaging: &Messaging,
    attempt: impl FnOnce(&mut MessagingSession<'_>) -> Result<R>,
) -> Result<()> {
    let mut told = Ok(());
    messaging.session(|session| {
        told = attempt(session).map(drop);
        session.query("SELECT 'the transaction is in order'", &[])?;
        Ok(())
    })?;
    told
}

fn sent<R>(
    tried: &str,
    kind: ErrorKind,
    says: &'static str,
    attempt: impl FnOnce(&mut MessagingSession<'_>) -> Result<R> + Send + 'static,
) -> Row {
    row(tried, kind, says, move |ground: &Ground| {
        send(&ground.messaging, attempt)
    })
}

fn one() -> NewMessage {
    NewMessage::json("t", &1).unwrap()
}

#[test]
fn a_payload_that_cannot_be_stored_or_read_back_is_refused() {
    let mut deep = serde_json::json!(1);
    for _ in 0..200 {
        deep = serde_json::json!([deep]);
    }

    check_all(vec![
        sent(
            "a text over the limit",
            TooLarge,
            "1048577 bytes for topic t is over the limit of 1048576",
            |session| session.send_message("t", &"x".repeat(MIB - 1)),
        ),
        sent(
            "bytes over the limit",
            TooLarge,
            "over the limit of 1048576 bytes",
            |session| session.send(NewMessage::bytes("t", vec![0; MIB + 1])),
        ),
        row(
            "over a limit of its own",
            TooLarge,
            "12 bytes for topic t is over the limit of 10",
            |ground| {
                let strict = Messaging::builder()
                    .url(&ground.url)
                    .max_payload_bytes(10)
                    .connect()?;
                send(&strict, |session| {
                    session.send_message("t", "x".repeat(10).as_str())
                })
            },
        ),
        sent(
            "a NUL",
            Payload,
            "NUL character (\\u0000): send it as bytes",
            |session| session.send_message("t", "a\0b"),
        ),
        sent("a NUL in a name", Payload, "NUL character", |session| {
            session.send_message("t", &HashMap::from([("a\0", 1)]))
        }),
        sent(
            "a map whose names are no texts",
            Payload,
            "topic t cannot become JSON",
            |session| session.send_message("t", &BTreeMap::from([((1, 2), 3)])),
        ),
        sent(
            "a value nested 200 deep",
            Payload,
            "nested deeper than 127 levels",
            move |session| session.send_message("t", &deep),
        ),
    ]);
}

#[test]
fn a_text_that_is_not_json_is_refused() {
    let nested = format!("{}1{}", "[".repeat(200), "]".repeat(200));
    let texts = [
        ("a text nested 200 deep", nested.as_str()),
        ("half a surrogate pair", r#""\ud83e""#),
        ("the other half", r#"["\udd80"]"#),
        ("an escaped NUL", r#"{"a":"\u0000"}"#),
        ("a NUL as it is", "\"\0\""),
        ("nothing", ""),
        ("two values", "1 2"),
        ("a value that ends too early", r#"{"a":"#),
        ("what JavaScript would take", "{a: 'b', c: NaN}"),
    ];

    check_all(
        texts
            .into_iter()
            .map(|(tried, text)| {
                let text = text.to_owned();
                sent(tried, Payload, "topic t is not JSON", |session| {
                    session.send(NewMessage::json_text("t", text)?)
                })
            })
            .collect(),
    );
}

#[test]
fn headers_that_cannot_be_stored_are_refused() {
    let header = |tried: &str, says, name: String, value: String| {
        sent(tried, Invalid, says, move |session| {
            session.send(one().header(name, value))
        })
    };

    check_all(vec![
        header(
            "a header without a name",
            "use 1 to 128",
            String::new(),
            "x".into(),
        ),
        header(
            "a header with a long name",
            "129 bytes for topic t, use 1 to 128",
            "n".repeat(129),
            "x".into(),
        ),
        header(
            "a header with a NUL in its name",
            "control character '\\0'",
            "a\0b".into(),
            "x".into(),
        ),
        header(
            "a header with a line break in its name",
            "control character '\\n'",
            "a\nb".into(),
            "x".into(),
        ),
        header(
            "a header with a NUL",
            "which PostgreSQL cannot store",
            "a".into(),
            "\0".into(),
        ),
        header(
            "a large header",
            "put data into the payload",
            "a".into(),
            "x".repeat(16 * 1024),
        ),
        sent("many headers", Invalid, "the limit is 16384", |session| {
            session.send((0..2000).fold(one(), |message, n| {
                message.header(format!("name {n}"), "value")
            }))
        }),
    ]);
}

#[test]
fn options_of_a_message_that_are_out_of_range_are_refused() {
    check_all(vec![
        sent(
            "the least priority",
            Invalid,
            "the least is -32767",
            |session| session.send(one().priority(i16::MIN)),
        ),
        sent(
            "a delay over ten years",
            Invalid,
            "longer than ten years",
            |session| session.send(one().delay(TEN_YEARS + Duration::from_secs(1))),
        ),
        sent(
            "a delay without an end",
            Invalid,
            "longer than ten years",
            |session| session.send(one().delay(Duration::MAX)),
        ),
    ]);
}

#[test]
fn an_id_that_is_none_is_refused() {
    check_all(vec![
        row("a word", Invalid, "\"me\" is not a message id", |_| {
            "me".parse::<MessageId>()
        }),
        row("nothing", Invalid, "is not a message id", |_| {
            "".parse::<MessageId>()
        }),
        row(
            "a long text with line breaks",
            Invalid,
            "is not a message id",
            |_| "a\n".repeat(10_000).parse::<MessageId>(),
        ),
    ]);
}

#[test]
fn what_is_just_within_the_limits_is_stored() {
    let ground = Ground::new();

    ground
        .messaging
        .session(|session| {
            session.send(one().delay(TEN_YEARS))?;
            session.send(one().priority(i16::MAX).header("n".repeat(128), ""))?;
            session.send(
                one()
                    .priority(i16::MIN + 1)
                    .header("a", "x".repeat(16 * 1024 - 1)),
            )?;
            let deep = format!("{}{}", "[".repeat(127), "]".repeat(127));
            session.send(NewMessage::json_text("t", deep)?)?;
            Ok(session.send(NewMessage::json_text("t", r#""\ud83e\udd80 \\u0000""#)?)?)
        })
        .unwrap();

    let stats = ground.messaging.topic("t").stats().unwrap();
    assert_eq!((stats.ready, stats.scheduled), (4, 1));
}
