//! An event, and the rules that it keeps.

use crate::cloud_events::attribute::{string_flaw, time_flaw, uri_flaw, uri_reference_flaw};
use crate::cloud_events::event_data::EventData;
use crate::words::decode::{bytes_as, json_as};
use crate::words::error::{Error, ErrorKind, Result};
use crate::words::media_type::{essence, media_type_flaw};
use serde::de::DeserializeOwned;
use std::collections::BTreeMap;

/// The version of the specification.
pub(super) const VERSION: &str = "1.0";
/// The attributes that are no extensions, and names that no attribute may have.
const RESERVED: [&str; 9] = [
    "data",
    "datacontenttype",
    "dataschema",
    "id",
    "source",
    "specversion",
    "subject",
    "time",
    "type",
];

/// An event as [CloudEvents 1.0](https://cloudevents.io) describes it, to be sent as a message or
/// read from one.
///
/// The event's id is its producer's. It is not the message's id, which outtray makes, and a
/// duplicate of an event is not dropped by itself: the specification says that `source` and `id`
/// together are unique, so they make a [dedupe key](crate::NewMessage::dedupe).
///
/// ```
/// # fn main() -> Result<(), Box<dyn std::error::Error>> {
/// use outtray::{CloudEvent, ContentMode, EventData, Message, Messaging, Payload, testing::Server};
///
/// # let server = Server::start()?;
/// # let messaging = Messaging::connect(&server.database()?)?;
/// # messaging.migrate()?;
/// let mut event = CloudEvent::new("A234-1234", "/shop", "com.example.order.created");
/// event.subject = Some("order-42".to_owned());
/// event.data = Some(EventData::json(&serde_json::json!({"amount": 30}))?);
/// messaging.send(event.to_message("orders", ContentMode::Binary)?)?;
///
/// messaging.drain("orders", |_, message: Message<Payload>| {
///     let event = CloudEvent::from_message(&message)?.ok_or("this is no event")?;
///     assert_eq!(event.subject.as_deref(), Some("order-42"));
///     let data: serde_json::Value = event.decode()?;
///     assert_eq!(data["amount"], 30);
///     Ok(())
/// })?;
/// # Ok(()) }
/// ```
#[derive(Debug, Clone, PartialEq)]
#[non_exhaustive]
pub struct CloudEvent {
    /// Identifies the event among those of its source. Not empty.
    pub id: String,
    /// Where the event happened: a URI reference. Not empty.
    pub source: String,
    /// What happened, for example `com.example.order.created`. Not empty.
    pub event_type: String,
    /// The media type of the data. `None` means JSON, unless the data is bytes.
    pub datacontenttype: Option<String>,
    /// The URI of the schema of the data.
    pub dataschema: Option<String>,
    /// What the event is about, within its source. Not empty.
    pub subject: Option<String>,
    /// When it happened, by RFC 3339: `2018-04-05T17:31:00Z`.
    pub time: Option<String>,
    /// Other attributes. Names have lower-case letters of ASCII and digits.
    pub extensions: BTreeMap<String, ExtensionValue>,
    /// What the event carries. `None` is nothing, which is not the same as `null` in JSON.
    pub data: Option<EventData>,
}

/// The value of an extension attribute. Binary values, URIs and times are texts.
///
/// In binary mode all become texts, and are read as such.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ExtensionValue {
    /// A text without control characters.
    Text(String),
    /// A whole number.
    Integer(i32),
    /// `true` or `false`.
    Boolean(bool),
}

impl CloudEvent {
    /// Makes an event of the attributes that each has to have. Nothing is checked yet.
    pub fn new(
        id: impl Into<String>,
        source: impl Into<String>,
        event_type: impl Into<String>,
    ) -> Self {
        CloudEvent {
            id: id.into(),
            source: source.into(),
            event_type: event_type.into(),
            datacontenttype: None,
            dataschema: None,
            subject: None,
            time: None,
            extensions: BTreeMap::new(),
            data: None,
        }
    }

    /// Checks the rules of the specification.
    ///
    /// # Errors
    /// `Invalid`, naming the attribute and the rule.
    pub fn check(&self) -> Result<()> {
        for (name, value) in [
            ("id", Some(&self.id)),
            ("source", Some(&self.source)),
            ("type", Some(&self.event_type)),
            ("datacontenttype", self.datacontenttype.as_ref()),
            ("dataschema", self.dataschema.as_ref()),
            ("subject", self.subject.as_ref()),
            ("time", self.time.as_ref()),
        ] {
            let Some(value) = value else { continue };
            if value.is_empty() {
                return Err(flawed(name, "is empty"));
            }
            let flaw = string_flaw(value).or_else(|| match name {
                "source" => uri_reference_flaw(value),
                "dataschema" => uri_flaw(value),
                "time" => time_flaw(value),
                "datacontenttype" => media_type_flaw(value),
                _ => None,
            });
            refuse(name, flaw)?;
        }
        for (name, value) in &self.extensions {
            let flaw = extension_name_flaw(name).or_else(|| match value {
                ExtensionValue::Text(text) => string_flaw(text),
                ExtensionValue::Integer(_) | ExtensionValue::Boolean(_) => None,
            });
            if let Some(flaw) = flaw {
                return Err(Error::invalid(format!(
                    "an extension of a CloudEvent {flaw}"
                )));
            }
        }
        self.check_data()
    }

    /// Checks that the data is of the kind that its media type says.
    fn check_data(&self) -> Result<()> {
        let flaw = match (&self.data, self.is_json()) {
            (Some(EventData::Json(_)), false) => {
                "says that the data is not JSON, but it is: give it as text or bytes"
            }
            (Some(EventData::Text(_)), true) => {
                "says that the data is JSON, or is missing, which means the same, but it is text"
            }
            _ => return Ok(()),
        };
        Err(flawed("datacontenttype", flaw))
    }

    /// Returns whether the data is JSON, by its media type.
    pub(super) fn is_json(&self) -> bool {
        self.datacontenttype.as_deref().is_none_or(is_json)
    }

    /// Decodes the data, as the payload of a message is decoded. Without data that is `null`.
    ///
    /// # Errors
    /// `Payload`, with the path of what does not fit.
    pub fn decode<T: DeserializeOwned>(&self) -> Result<T> {
        let decoded = match &self.data {
            None => json_as("null"),
            Some(EventData::Json(text)) => json_as(text.get()),
            Some(data) => bytes_as(data.as_bytes()),
        };
        decoded.map_err(|why| {
            let text = format!("the data of a CloudEvent does not fit: {why}");
            Error::new(ErrorKind::Payload, text)
        })
    }
}

impl ExtensionValue {
    /// Returns it as text, as in a header.
    pub(super) fn text(&self) -> String {
        match self {
            ExtensionValue::Text(text) => text.clone(),
            ExtensionValue::Integer(number) => number.to_string(),
            ExtensionValue::Boolean(truth) => truth.to_string(),
        }
    }
}

/// Returns whether a media type is of JSON.
pub(super) fn is_json(media_type: &str) -> bool {
    let essence = essence(media_type);
    essence.ends_with("/json") || essence.ends_with("+json")
}

/// Returns what is wrong with the name of an extension.
fn extension_name_flaw(name: &str) -> Option<&'static str> {
    let is_allowed = |c: u8| c.is_ascii_lowercase() || c.is_ascii_digit();
    if name.is_empty() || !name.bytes().all(is_allowed) {
        return Some("has a name with other characters than a to z and 0 to 9, or none");
    }
    let is_reserved = RESERVED.contains(&name);
    is_reserved.then_some("has a name that no extension may have")
}

fn refuse(name: &str, flaw: Option<&'static str>) -> Result<()> {
    flaw.map_or(Ok(()), |flaw| Err(flawed(name, flaw)))
}

/// Returns the error about an attribute. Its value stays out of it, and so do names that are the
/// event's own: nothing of a message is in an error's text.
pub(super) fn flawed(name: &str, flaw: &str) -> Error {
    Error::invalid(format!("the attribute \"{name}\" of a CloudEvent {flaw}"))
}
