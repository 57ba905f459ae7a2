//! Binary mode: the payload is the data, headers are the attributes.

use crate::cloud_events::event::{CloudEvent, ExtensionValue, VERSION, flawed, is_json};
use crate::cloud_events::event_data::EventData;
use crate::words::envelope::{CONTENT_TYPE, MESSAGE_TYPE};
use crate::words::error::{Error, ErrorKind, Result};
use crate::words::headers::Headers;
use crate::words::new_message::NewMessage;
use crate::words::payload::{JsonText, Payload};

/// The header that tells an event.
pub(super) const SPECVERSION: &str = "ce-specversion";
/// What comes before an attribute's name.
const PREFIX: &str = "ce-";

/// Makes a message of an event.
pub(super) fn message(event: &CloudEvent, topic: &str) -> Result<NewMessage> {
    event.check()?;
    let nothing = || Payload::Bytes(Vec::new());
    let payload = event.data.as_ref().map_or_else(nothing, EventData::payload);
    let mut message = NewMessage::with(topic, payload)
        .header(MESSAGE_TYPE, &event.event_type)
        .header(SPECVERSION, VERSION);
    for (name, value) in [
        ("id", Some(&event.id)),
        ("source", Some(&event.source)),
        ("type", Some(&event.event_type)),
        ("dataschema", event.dataschema.as_ref()),
        ("subject", event.subject.as_ref()),
        ("time", event.time.as_ref()),
    ] {
        if let Some(value) = value {
            message = message.header(format!("{PREFIX}{name}"), value);
        }
    }
    for (name, value) in &event.extensions {
        message = message.header(format!("{PREFIX}{name}"), value.text());
    }
    // JSON need not say so in the JSON format, but elsewhere.
    let implied = matches!(event.data, Some(EventData::Json(_))).then_some("application/json");
    match event.datacontenttype.as_deref().or(implied) {
        Some(media_type) => Ok(message.header(CONTENT_TYPE, media_type)),
        None => Ok(message),
    }
}

/// Reads the event that headers tell of.
pub(super) fn read(headers: &Headers, payload: &Payload) -> Result<CloudEvent> {
    let mut event = CloudEvent::new("", "", "");
    let attributes = headers
        .iter()
        .filter_map(|(name, value)| Some((name.strip_prefix(PREFIX)?, value)));
    for (name, value) in attributes {
        let value = value.clone();
        match name {
            "specversion" if value == VERSION => {}
            "specversion" => return Err(flawed(name, "is not 1.0, the only version that is read")),
            "id" => event.id = value,
            "source" => event.source = value,
            "type" => event.event_type = value,
            "dataschema" => event.dataschema = Some(value),
            "subject" => event.subject = Some(value),
            "time" => event.time = Some(value),
            "datacontenttype" => {
                return Err(flawed(
                    name,
                    "is a header ce-…, but it is that of content-type",
                ));
            }
            extension => {
                let value = ExtensionValue::Text(value);
                event.extensions.insert(extension.to_owned(), value);
            }
        }
    }
    for required in ["id", "source", "type"] {
        if !headers.contains_key(&format!("{PREFIX}{required}")) {
            return Err(flawed(required, "is missing"));
        }
    }
    event.datacontenttype = headers.get(CONTENT_TYPE).cloned();
    event.data = data(payload, event.datacontenttype.as_deref())?;
    event.check()?;
    Ok(event)
}

/// Returns the data that a payload is, by its media type.
fn data(payload: &Payload, media_type: Option<&str>) -> Result<Option<EventData>> {
    let is_json = media_type.is_some_and(is_json);
    Ok(Some(match payload {
        Payload::Bytes(bytes) if bytes.is_empty() => return Ok(None),
        Payload::Bytes(bytes) if is_json => EventData::Json(json(bytes)?),
        Payload::Bytes(bytes) => EventData::Bytes(bytes.clone()),
        Payload::Json(text) if is_json || media_type.is_none() => EventData::Json(text.clone()),
        // Not JSON by its word: what it is, is for the reader to say.
        Payload::Json(text) => EventData::Bytes(text.get().as_bytes().to_vec()),
    }))
}

fn json(bytes: &[u8]) -> Result<JsonText> {
    let odd = |error: Box<dyn std::error::Error + Send + Sync>| {
        let text = "the data of a CloudEvent is not the JSON that its content-type says it is";
        Error::new(ErrorKind::Payload, text).because(error)
    };
    let text = std::str::from_utf8(bytes).map_err(|error| odd(error.into()))?;
    serde_json::from_str::<serde::de::IgnoredAny>(text).map_err(|error| odd(error.into()))?;
    Ok(JsonText(text.to_owned()))
}
