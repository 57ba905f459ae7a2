//! What a message carries: JSON text or bytes.

use serde::de::{self, Deserialize, Deserializer, Visitor};
use serde::ser::{Error as _, SerializeMap, Serializer};
use serde_json::value::RawValue;
use std::fmt;

/// The name under which [`Payload`] asks the decoder for the payload as it is.
pub(crate) const AS_IT_IS: &str = "$outtray::Payload";

/// A payload as it was sent, undecoded: for handlers that store, forward or relay it.
///
/// Any receiver can ask for `Message<Payload>`; it never fails to decode.
#[derive(Debug, Clone)]
pub enum Payload {
    /// JSON text, exactly as the sender or its serializer wrote it.
    Json(JsonText),
    /// Bytes.
    Bytes(Vec<u8>),
}

/// JSON text, character by character, including the white space around it, which `serde_json`'s
/// `RawValue` drops.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct JsonText(pub(crate) String);

impl JsonText {
    /// Returns the text.
    pub fn get(&self) -> &str {
        &self.0
    }
}

impl AsRef<str> for JsonText {
    fn as_ref(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for JsonText {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl From<Box<RawValue>> for JsonText {
    fn from(value: Box<RawValue>) -> Self {
        JsonText(value.get().to_owned())
    }
}

impl Payload {
    /// Makes one of text that is JSON, or was when it was stored.
    pub(crate) fn json(text: String) -> Self {
        Payload::Json(JsonText(text))
    }

    /// Returns how many bytes it has.
    pub(crate) fn len(&self) -> usize {
        self.as_bytes().len()
    }

    /// Returns the bytes of either form: the JSON text, or the bytes themselves.
    pub fn as_bytes(&self) -> &[u8] {
        match self {
            Payload::Json(text) => text.get().as_bytes(),
            Payload::Bytes(bytes) => bytes,
        }
    }
}

impl fmt::Display for Payload {
    /// Prints JSON as it is and bytes as their number.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Payload::Json(text) => f.write_str(text.get()),
            Payload::Bytes(bytes) => write!(f, "({} bytes)", bytes.len()),
        }
    }
}

impl PartialEq for Payload {
    fn eq(&self, other: &Self) -> bool {
        match (self, other) {
            (Payload::Json(one), Payload::Json(two)) => one.get() == two.get(),
            (Payload::Bytes(one), Payload::Bytes(two)) => one == two,
            _ => false,
        }
    }
}

/// Writes a payload into the object around it: JSON as `payload`, or bytes as hexadecimal digits
/// under `bytes_hex`. The white space around JSON means nothing there.
pub(crate) fn serialize_flat<S: Serializer>(payload: &Payload, to: S) -> Result<S::Ok, S::Error> {
    let mut object = to.serialize_map(Some(1))?;
    match payload {
        Payload::Json(text) => {
            let json: &RawValue = serde_json::from_str(text.get()).map_err(S::Error::custom)?;
            object.serialize_entry("payload", json)?;
        }
        Payload::Bytes(bytes) => {
            let hex: String = bytes.iter().map(|byte| format!("{byte:02x}")).collect();
            object.serialize_entry("bytes_hex", &hex)?;
        }
    }
    object.end()
}

impl<'de> Deserialize<'de> for Payload {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_newtype_struct(AS_IT_IS, AsItIs)
    }
}

struct AsItIs;

impl<'de> Visitor<'de> for AsItIs {
    type Value = Payload;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a payload")
    }

    /// The decoder of JSON answers the name with the text.
    fn visit_str<E: de::Error>(self, text: &str) -> Result<Payload, E> {
        Ok(Payload::Json(JsonText(text.to_owned())))
    }

    /// Inside of something else, JSON decoders pass a newtype through to its content.
    fn visit_newtype_struct<D: Deserializer<'de>>(
        self,
        deserializer: D,
    ) -> Result<Payload, D::Error> {
        let value = Box::<RawValue>::deserialize(deserializer)?;
        Ok(Payload::Json(value.into()))
    }

    /// The decoder of bytes answers the name with the bytes.
    fn visit_byte_buf<E: de::Error>(self, bytes: Vec<u8>) -> Result<Payload, E> {
        Ok(Payload::Bytes(bytes))
    }
}
