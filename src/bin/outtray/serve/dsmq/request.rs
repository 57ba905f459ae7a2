//! What a client asks for: one JSON object, the same in all generations of the wire.

use serde::{Deserialize, Deserializer};
use serde_json::value::RawValue;
use std::borrow::Cow;

/// Longest name of a queue: it becomes a key, and those have at most so many bytes.
const LONGEST_NAME: usize = 512;

#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Request {
    /// Put a message, JSON text, into a queue. It has no reply.
    Put { queue: String, message: String },
    /// Reply with the oldest message that this connection has not got.
    Get { queue: String },
    /// Reply with the newest one, and pass over those before it.
    GetLatest { queue: String },
    /// Stop the server.
    Shutdown,
    /// Here is the token. It has no reply.
    Token(String),
}

/// The fields that mean something; others are passed over, as the first server did.
#[derive(Deserialize)]
struct Fields<'r> {
    #[serde(borrow)]
    action: Cow<'r, str>,
    #[serde(borrow)]
    topic: Option<Cow<'r, str>>,
    #[serde(borrow, default, deserialize_with = "present")]
    message: Option<&'r RawValue>,
    token: Option<String>,
}

/// Reads a field that is there, be it null.
fn present<'de, D: Deserializer<'de>>(from: D) -> Result<Option<&'de RawValue>, D::Error> {
    <&RawValue>::deserialize(from).map(Some)
}

impl Request {
    /// Reads a request.
    ///
    /// # Errors
    /// What is wrong with it, in a few words for the client.
    pub(crate) fn parse(bytes: &[u8]) -> Result<Request, String> {
        let text = std::str::from_utf8(bytes).map_err(|_| "the request is not UTF-8".to_owned())?;
        let fields: Fields<'_> = serde_json::from_str(text)
            .map_err(|error| format!("the request is no good: {error}"))?;
        let Fields {
            action,
            topic,
            message,
            token,
        } = fields;
        match &*action {
            "put" => Ok(Request::Put {
                queue: named(topic)?,
                message: message.ok_or("a put needs a message")?.get().to_owned(),
            }),
            "get" => Ok(Request::Get {
                queue: named(topic)?,
            }),
            "get_latest" => Ok(Request::GetLatest {
                queue: named(topic)?,
            }),
            "shutdown" => Ok(Request::Shutdown),
            "token" => Ok(Request::Token(token.ok_or("where is the token?")?)),
            _ => Err("the action is none of put, get, get_latest and shutdown".to_owned()),
        }
    }
}

fn named(topic: Option<Cow<'_, str>>) -> Result<String, String> {
    let name = topic.ok_or("the topic is missing")?;
    if name.is_empty() || name.len() > LONGEST_NAME || name.contains('\0') {
        return Err(format!(
            "the name of a topic has 1 to {LONGEST_NAME} bytes and no NUL"
        ));
    }
    Ok(name.into_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check_refused(text: &[u8], expected: &str) {
        let flaw = Request::parse(text).unwrap_err();
        assert!(flaw.contains(expected), "{flaw}");
    }

    #[test]
    fn a_message_is_passed_on_as_it_was_written() {
        for message in [
            r#""Hello!""#,
            r#""\ud83d \u0000 é""#,
            "{\"a\":  [1.50]}",
            "null",
            "1e400",
        ] {
            let text = format!(
                r#"{{"action": "put", "more": 1, "topic": "\u0061 b", "message": {message}}}"#
            );
            let queue = "a b".to_owned();
            let expected = Request::Put {
                queue,
                message: message.to_owned(),
            };
            assert_eq!(Request::parse(text.as_bytes()), Ok(expected));
        }
    }

    #[test]
    fn each_action_is_known() {
        let parse = |text: &str| Request::parse(text.as_bytes()).unwrap();
        let queue = || "q".to_owned();
        assert_eq!(
            parse(r#"{"action":"get","topic":"q"}"#),
            Request::Get { queue: queue() }
        );
        let latest = Request::GetLatest { queue: queue() };
        assert_eq!(parse(r#"{"action":"get_latest","topic":"q"}"#), latest);
        assert_eq!(
            parse(r#"{"action": "shutdown", "topic": ""}"#),
            Request::Shutdown
        );
        let token = Request::Token("t".to_owned());
        assert_eq!(parse(r#"{"action": "token", "token": "t"}"#), token);
    }

    #[test]
    fn what_cannot_be_meant_is_refused_with_a_reason() {
        check_refused(b"{\"action\": \"put\xff\"}", "UTF-8");
        check_refused(b"{]", "no good");
        check_refused(
            br#"{"action": "eat", "topic": "q"}"#,
            "the action is none of",
        );
        check_refused(br#"{"topic": "q"}"#, "action");
        check_refused(br#"{"action": "get"}"#, "topic is missing");
        check_refused(br#"{"action": "get", "topic": 7}"#, "no good");
        check_refused(br#"{"action": "get", "topic": ""}"#, "1 to 512 bytes");
        check_refused(br#"{"action": "get", "topic": "a\u0000"}"#, "no NUL");
        check_refused(br#"{"action": "put", "topic": "q"}"#, "needs a message");
        check_refused(
            br#"{"action": "put", "topic": "q", "message": NaN}"#,
            "no good",
        );
    }
}
