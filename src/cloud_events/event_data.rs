//! What an event carries.

use crate::words::error::{Error, ErrorKind, Result};
use crate::words::finite::to_json;
use crate::words::payload::{JsonText, Payload};
use serde::Serialize;

/// What a [`CloudEvent`](crate::CloudEvent) carries.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum EventData {
    /// JSON, digit for digit.
    Json(JsonText),
    /// Text that is not JSON, such as XML. In binary mode it is sent as its bytes in UTF-8, and
    /// read as such.
    Text(String),
    /// Bytes.
    Bytes(Vec<u8>),
}

impl EventData {
    /// Makes it of a value that serde writes as JSON.
    ///
    /// # Errors
    /// `Payload` when the value cannot become JSON.
    pub fn json<T: Serialize + ?Sized>(value: &T) -> Result<Self> {
        let text = to_json(value).map_err(|error| {
            let text = format!("the data of a CloudEvent cannot become JSON: {error}");
            Error::new(ErrorKind::Payload, text).because(error)
        })?;
        Ok(EventData::Json(JsonText(text)))
    }

    /// Returns its bytes: those of the text of JSON, of the text, or themselves.
    pub fn as_bytes(&self) -> &[u8] {
        match self {
            EventData::Json(text) => text.get().as_bytes(),
            EventData::Text(text) => text.as_bytes(),
            EventData::Bytes(bytes) => bytes,
        }
    }

    /// Returns it as the payload of a message.
    pub(super) fn payload(&self) -> Payload {
        match self {
            EventData::Json(text) => Payload::Json(text.clone()),
            other => Payload::Bytes(other.as_bytes().to_vec()),
        }
    }
}
