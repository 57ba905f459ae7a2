//! Structured mode: the payload is the event, in the JSON format.

use crate::cloud_events::event::{CloudEvent, ExtensionValue, VERSION, flawed};
use crate::cloud_events::event_data::EventData;
use crate::words::envelope::{CONTENT_TYPE, MESSAGE_TYPE};
use crate::words::error::{Error, ErrorKind, Result};
use crate::words::new_message::NewMessage;
use crate::words::payload::{JsonText, Payload};
use base64::Engine;
use base64::prelude::BASE64_STANDARD;
use serde::Serialize;
use serde_json::Value;
use serde_json::value::{RawValue, to_raw_value};
use std::collections::BTreeMap;

/// The media type of the format.
pub(super) const MEDIA_TYPE: &str = "application/cloudevents+json";
/// What the media types of all formats begin with.
pub(super) const ANY_FORMAT: &str = "application/cloudevents";

/// The members of an event. Their values stay as they are written: numbers of data lose no digit.
type Members<'m> = BTreeMap<String, &'m RawValue>;

/// Makes a message of an event.
pub(super) fn message(event: &CloudEvent, topic: &str) -> Result<NewMessage> {
    let message = NewMessage::json_text(topic, written(event)?)?;
    Ok(message
        .header(MESSAGE_TYPE, &event.event_type)
        .header(CONTENT_TYPE, MEDIA_TYPE))
}

/// Reads the event that a payload is.
pub(super) fn read(payload: &Payload) -> Result<CloudEvent> {
    match std::str::from_utf8(payload.as_bytes()) {
        Ok(text) => parsed(text),
        Err(error) => Err(odd().because(error)),
    }
}

/// Writes an event.
pub(super) fn written(event: &CloudEvent) -> Result<String> {
    event.check()?;
    let mut members: BTreeMap<&str, Box<RawValue>> = BTreeMap::from([
        ("specversion", raw(VERSION)),
        ("id", raw(&event.id)),
        ("source", raw(&event.source)),
        ("type", raw(&event.event_type)),
    ]);
    for (name, value) in [
        ("datacontenttype", &event.datacontenttype),
        ("dataschema", &event.dataschema),
        ("subject", &event.subject),
        ("time", &event.time),
    ] {
        members.extend(value.as_ref().map(|value| (name, raw(value))));
    }
    for (name, value) in &event.extensions {
        let value = match value {
            ExtensionValue::Text(text) => raw(text),
            ExtensionValue::Integer(number) => raw(number),
            ExtensionValue::Boolean(truth) => raw(truth),
        };
        members.insert(name, value);
    }
    let data = event.data.as_ref().map(|data| match data {
        EventData::Json(text) => match serde_json::from_str::<&RawValue>(text.get()) {
            Ok(json) => Ok(("data", json.to_owned())),
            Err(error) => Err(odd().because(error)),
        },
        EventData::Text(text) => Ok(("data", raw(text))),
        EventData::Bytes(bytes) => Ok(("data_base64", raw(&BASE64_STANDARD.encode(bytes)))),
    });
    members.extend(data.transpose()?);
    Ok(serde_json::to_string(&members).expect("a map of JSON is JSON"))
}

fn raw<T: Serialize + ?Sized>(value: &T) -> Box<RawValue> {
    to_raw_value(value).expect("a text, a number or a truth is JSON")
}

/// Reads an event.
pub(super) fn parsed(text: &str) -> Result<CloudEvent> {
    let members: Members<'_> = serde_json::from_str(text).map_err(|error| odd().because(error))?;
    let mut event = CloudEvent::new("", "", "");
    let mut version = None;
    for (name, value) in &members {
        let value = attribute(name, value)?;
        match (name.as_str(), value) {
            // A member that is null is as good as missing.
            ("data" | "data_base64", _) | (_, None) => {}
            ("specversion", Some(value)) => version = Some(text_of(name, value)?),
            ("id", Some(value)) => event.id = text_of(name, value)?,
            ("source", Some(value)) => event.source = text_of(name, value)?,
            ("type", Some(value)) => event.event_type = text_of(name, value)?,
            ("datacontenttype", Some(value)) => event.datacontenttype = Some(text_of(name, value)?),
            ("dataschema", Some(value)) => event.dataschema = Some(text_of(name, value)?),
            ("subject", Some(value)) => event.subject = Some(text_of(name, value)?),
            ("time", Some(value)) => event.time = Some(text_of(name, value)?),
            (_, Some(value)) => {
                event.extensions.insert(name.clone(), value);
            }
        }
    }
    match version.as_deref() {
        Some(VERSION) => {}
        Some(_) => {
            return Err(flawed(
                "specversion",
                "is not 1.0, the only version that is read",
            ));
        }
        None => return Err(flawed("specversion", "is missing")),
    }
    for required in ["id", "source", "type"] {
        if members
            .get(required)
            .is_none_or(|value| value.get() == "null")
        {
            return Err(flawed(required, "is missing"));
        }
    }
    event.data = data(&members, &event)?;
    event.check()?;
    Ok(event)
}

/// Reads the value of an attribute; `None` for one that is not set.
fn attribute(name: &str, value: &RawValue) -> Result<Option<ExtensionValue>> {
    if name == "data" || name == "data_base64" {
        return Ok(None);
    }
    let value: Value = serde_json::from_str(value.get()).map_err(|error| odd().because(error))?;
    let whole = |number: i64| i32::try_from(number).ok();
    Ok(Some(match value {
        Value::Null => return Ok(None),
        Value::String(text) => ExtensionValue::Text(text),
        Value::Bool(truth) => ExtensionValue::Boolean(truth),
        Value::Number(number) => match number.as_i64().and_then(whole) {
            Some(number) => ExtensionValue::Integer(number),
            None => return Err(flawed(name, "is no whole number of 32 bits")),
        },
        Value::Array(_) | Value::Object(_) => {
            return Err(flawed(name, "is neither a text, a number nor a truth"));
        }
    }))
}

fn text_of(name: &str, value: ExtensionValue) -> Result<String> {
    match value {
        ExtensionValue::Text(text) => Ok(text),
        _ => Err(flawed(name, "is no text")),
    }
}

/// Reads the data, which is JSON unless the media type says otherwise.
fn data(members: &Members<'_>, event: &CloudEvent) -> Result<Option<EventData>> {
    let encoded = members.get("data_base64");
    let encoded = encoded.filter(|value| value.get() != "null");
    match (members.get("data"), encoded) {
        (None, None) => Ok(None),
        (Some(_), Some(_)) => Err(flawed("data", "is there twice, also as data_base64")),
        (None, Some(encoded)) => {
            let bytes = serde_json::from_str::<String>(encoded.get())
                .ok()
                .and_then(|text| BASE64_STANDARD.decode(text).ok());
            match bytes {
                Some(bytes) => Ok(Some(EventData::Bytes(bytes))),
                None => Err(flawed("data_base64", "is no text in Base64")),
            }
        }
        (Some(json), None) if event.is_json() => {
            let text = json.get().to_owned();
            Ok(Some(EventData::Json(JsonText(text))))
        }
        (Some(text), None) => match serde_json::from_str(text.get()) {
            Ok(text) => Ok(Some(EventData::Text(text))),
            Err(_) => Err(flawed(
                "data",
                "is no text, and datacontenttype says it is not JSON",
            )),
        },
    }
}

fn odd() -> Error {
    let text = "a CloudEvent in the JSON format is not a JSON object that can be read";
    Error::new(ErrorKind::Payload, text)
}
