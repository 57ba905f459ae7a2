//! How a line of JSON becomes a message: what of it is the payload, and what goes into the headers.

use crate::failure::chain;
use clap::Args;
use outtray::{MessageId, NewMessage};
use serde_json::value::RawValue;
use std::collections::HashMap;
use std::time::{Duration, SystemTime};

/// Options of what is sent.
#[derive(Debug, Args)]
pub(crate) struct Shape {
    /// Copies this field of each object to the header "message-type"
    #[arg(long, value_name = "NAME")]
    type_field: Option<String>,

    /// Sends only this field of each object as the payload
    #[arg(long, value_name = "NAME")]
    payload_field: Option<String>,

    /// Handles messages with the same key one at a time, in the order of sending
    #[arg(long, value_name = "KEY")]
    key: Option<String>,

    /// Takes the key from this field of each object
    #[arg(long, value_name = "NAME", conflicts_with = "key")]
    key_field: Option<String>,

    /// Higher ones are claimed first
    #[arg(
        long,
        value_name = "N",
        default_value_t = 0,
        allow_negative_numbers = true
    )]
    priority: i16,

    /// Keeps the messages back for this long: 500ms, 5s, 2m, 1h 30m
    #[arg(long, value_name = "DURATION", value_parser = humantime::parse_duration)]
    delay: Option<Duration>,

    /// Keeps the messages back until then: 2030-01-31T18:00:00Z, or with an offset
    /// 2030-01-31T18:00:00+05:30
    #[arg(long, value_name = "TIME", conflicts_with = "delay", value_parser = moment)]
    at: Option<SystemTime>,

    /// For how long the messages are worth handling
    #[arg(long, value_name = "DURATION", value_parser = humantime::parse_duration)]
    expires_in: Option<Duration>,

    /// Sends nothing if the topic remembers this dedupe key from a message before
    #[arg(long, value_name = "KEY", requires = "payload")]
    #[arg(conflicts_with = "dedupe_field", group = "dedupe_key")]
    dedupe: Option<String>,

    /// The same with this field of each object as the dedupe key
    #[arg(long, value_name = "NAME", group = "dedupe_key")]
    dedupe_field: Option<String>,

    /// How long a dedupe key is remembered once its message is sent
    #[arg(long, value_name = "DURATION", default_value = "1h", value_parser = humantime::parse_duration)]
    #[arg(requires = "dedupe_key")]
    dedupe_window: Duration,

    /// Remembers a dedupe key no longer than until its message has ended: done, cancelled, expired,
    /// purged or a dead letter
    #[arg(long, requires = "dedupe_key", conflicts_with = "dedupe_window")]
    dedupe_until_end: bool,

    /// Adds a header; may be given several times
    #[arg(long = "header", value_name = "NAME=VALUE", value_parser = header)]
    headers: Vec<(String, String)>,

    /// Records how the messages end, for `outtray wait`; kept for an hour after the end
    #[arg(long)]
    tracked: bool,

    /// The same, kept for this long after the end
    #[arg(long, value_name = "DURATION", value_parser = humantime::parse_duration)]
    tracked_for: Option<Duration>,

    /// Keeps the messages back until this one, which is tracked, is done; may be given several
    /// times
    #[arg(long, value_name = "ID")]
    after: Vec<MessageId>,

    /// Waits up to this long for room in a topic that is full. The messages of one transaction need
    /// room together: no larger --batch than the topic's max_length
    #[arg(long, value_name = "DURATION", value_parser = humantime::parse_duration)]
    wait_for_room: Option<Duration>,
}

impl Shape {
    /// Makes a message of JSON text.
    ///
    /// # Errors
    /// What is wrong with the text, to follow its name or number.
    pub(crate) fn message(&self, topic: &str, json: &str) -> Result<NewMessage, String> {
        let fields = self.fields(json)?;
        let payload = match &self.payload_field {
            Some(name) => field(&fields, name, "--payload-field")?.get(),
            None => json,
        };
        let message = NewMessage::json_text(topic, payload).map_err(|error| not_json(&error))?;
        let mut message = self.with_options(message);
        if let Some(name) = &self.type_field {
            message = message.message_type(word(&fields, name, "--type-field")?);
        }
        if let Some(key) = &self.dedupe {
            message = self.deduped(message, key);
        }
        if let Some(name) = &self.dedupe_field {
            let key = word(&fields, name, "--dedupe-field")?;
            message = self.deduped(message, &key);
        }
        if let Some(key) = &self.key {
            message = message.key(key);
        }
        if let Some(name) = &self.key_field {
            message = message.key(word(&fields, name, "--key-field")?);
        }
        Ok(message)
    }

    fn deduped(&self, message: NewMessage, key: &str) -> NewMessage {
        match self.dedupe_until_end {
            true => message.dedupe_until_end(key),
            false => message.dedupe(key, self.dedupe_window),
        }
    }

    /// Gives a message what is the same for all.
    fn with_options(&self, mut message: NewMessage) -> NewMessage {
        message = message.priority(self.priority);
        for (name, value) in &self.headers {
            message = message.header(name, value);
        }
        if let Some(delay) = self.delay {
            message = message.delay(delay);
        }
        if let Some(time) = self.at {
            message = message.at(time);
        }
        if let Some(duration) = self.expires_in {
            message = message.expires_in(duration);
        }
        if self.tracked {
            message = message.tracked();
        }
        if let Some(kept) = self.tracked_for {
            message = message.tracked_for(kept);
        }
        if let Some(timeout) = self.wait_for_room {
            message = message.wait_for_room(timeout);
        }
        if !self.after.is_empty() {
            message = message.after(&self.after);
        }
        message
    }

    /// Returns whether messages have dedupe keys, so that there may be duplicates.
    pub(crate) fn is_deduping(&self) -> bool {
        self.dedupe.is_some() || self.dedupe_field.is_some()
    }

    /// Reads the fields of an object, if any of them is wanted.
    fn fields<'j>(&self, json: &'j str) -> Result<HashMap<String, &'j RawValue>, String> {
        let wanted = [
            &self.type_field,
            &self.payload_field,
            &self.key_field,
            &self.dedupe_field,
        ];
        if wanted.iter().all(|name| name.is_none()) {
            return Ok(HashMap::new());
        }
        serde_json::from_str::<&RawValue>(json).map_err(|error| not_json(&error))?;
        serde_json::from_str(json)
            .map_err(|_| "is not a JSON object, so it has no fields".to_owned())
    }
}

fn field<'j>(
    fields: &HashMap<String, &'j RawValue>,
    name: &str,
    option: &str,
) -> Result<&'j RawValue, String> {
    let found = fields.get(name).copied();
    found.ok_or_else(|| format!("has no field \"{name}\", which {option} asks for"))
}

/// Returns a field as a word: a text without its quotes, a number or truth as it is.
fn word(fields: &HashMap<String, &RawValue>, name: &str, option: &str) -> Result<String, String> {
    let json = field(fields, name, option)?.get();
    match json.as_bytes().first() {
        Some(b'"') => serde_json::from_str(json).map_err(|error| not_json(&error)),
        Some(b'{' | b'[' | b'n') | None => Err(format!(
            "has no text in its field \"{name}\", which {option} asks for"
        )),
        Some(_) => Ok(json.to_owned()),
    }
}

/// A line of ours is one line to the JSON parser too, so that its line number says nothing.
fn not_json(error: &(dyn std::error::Error + 'static)) -> String {
    let cause = chain(error.source().unwrap_or(error));
    format!(
        "is not JSON: {}",
        cause.replace(" at line 1 column ", " at column ")
    )
}

pub(crate) fn header(text: &str) -> Result<(String, String), String> {
    match text.split_once('=') {
        Some((name, value)) if !name.is_empty() => Ok((name.to_owned(), value.to_owned())),
        _ => Err("write it as NAME=VALUE".to_owned()),
    }
}

/// Reads a time as in RFC 3339; one that names no offset is of UTC.
pub(crate) fn moment(text: &str) -> Result<SystemTime, String> {
    match text.parse::<jiff::Timestamp>() {
        Ok(time) => Ok(time.into()),
        Err(error) => humantime::parse_rfc3339_weak(text).map_err(|_| error.to_string()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shape(type_field: Option<&str>, payload_field: Option<&str>) -> Shape {
        Shape {
            tracked: false,
            tracked_for: None,
            after: Vec::new(),
            wait_for_room: None,
            type_field: type_field.map(str::to_owned),
            payload_field: payload_field.map(str::to_owned),
            key: None,
            key_field: None,
            priority: 0,
            delay: None,
            at: None,
            expires_in: None,
            dedupe: None,
            dedupe_field: None,
            dedupe_window: Duration::from_secs(3600),
            dedupe_until_end: false,
            headers: Vec::new(),
        }
    }

    #[track_caller]
    fn check_refused(shape: &Shape, json: &str, expected: &str) {
        assert_eq!(shape.message("t", json).unwrap_err(), expected);
    }

    #[test]
    fn a_text_that_does_not_fit_is_refused_with_the_reason() {
        check_refused(
            &shape(None, None),
            "{\"a\":",
            "is not JSON: EOF while parsing a value at column 5",
        );
        let typed = shape(Some("kind"), None);
        check_refused(&typed, "[1]", "is not a JSON object, so it has no fields");
        check_refused(
            &typed,
            "{]",
            "is not JSON: key must be a string at column 2",
        );
        check_refused(
            &typed,
            "{}",
            "has no field \"kind\", which --type-field asks for",
        );
        check_refused(
            &typed,
            "{\"kind\":null}",
            "has no text in its field \"kind\", which --type-field asks for",
        );
        check_refused(
            &shape(None, Some("body")),
            "{\"kind\":1}",
            "has no field \"body\", which --payload-field asks for",
        );
    }

    #[test]
    fn a_header_is_a_name_and_a_value() {
        assert_eq!(header("a=b=c"), Ok(("a".to_owned(), "b=c".to_owned())));
        assert!(header("a").is_err());
        assert!(header("=b").is_err());
    }
}
