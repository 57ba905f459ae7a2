//! Turns a stored payload into the type that a handler asks for.

use crate::words::error::{Error, ErrorKind, Result};
use crate::words::payload::{AS_IT_IS, JsonText, Payload};
use crate::words::redacted::unquoted;
use serde::de::value::SeqDeserializer;
use serde::de::{
    Deserialize, DeserializeOwned, Deserializer, IgnoredAny, IntoDeserializer, Visitor,
};
use serde::forward_to_deserialize_any;
use serde_json::Deserializer as JsonDeserializer;
use serde_json::de::StrRead;
use serde_path_to_error::{Path, Segment};

impl Payload {
    /// Decodes the payload. JSON goes through serde; bytes become `Vec<u8>`, `String` (if UTF-8),
    /// any type that serde feeds from bytes, or [`Payload`].
    ///
    /// # Errors
    /// `Payload`, with the path of the element that does not fit.
    pub(crate) fn decode<T: DeserializeOwned>(&self, topic: &str) -> Result<T> {
        match self {
            Payload::Json(JsonText(text)) => decode_json(text, topic),
            Payload::Bytes(bytes) => decode_bytes(bytes, topic),
        }
    }

    /// Checks that JSON can be read, as it comes from the database.
    ///
    /// # Errors
    /// `Payload` where it cannot.
    pub(crate) fn check(&self, topic: &str) -> Result<()> {
        let Payload::Json(JsonText(text)) = self else {
            return Ok(());
        };
        let read = serde_json::from_str::<IgnoredAny>(text);
        read.map(drop)
            .map_err(|error| unfit(topic, &error.to_string()))
    }
}

/// The same for JSON text that nobody owns yet.
pub(crate) fn decode_json<T: DeserializeOwned>(text: &str, topic: &str) -> Result<T> {
    json_as(text).map_err(|why| unfit(topic, &why))
}

/// The same for bytes.
pub(crate) fn decode_bytes<T: DeserializeOwned>(bytes: &[u8], topic: &str) -> Result<T> {
    bytes_as(bytes).map_err(|why| unfit(topic, &why))
}

/// Decodes JSON text; returns where and why it does not fit, if so.
pub(crate) fn json_as<T: DeserializeOwned>(text: &str) -> Result<T, String> {
    // The path costs bookkeeping for every element, so only failures pay for it.
    T::deserialize(Json(text)).map_err(|_| path_error::<T>(text))
}

/// The same for bytes.
pub(crate) fn bytes_as<T: DeserializeOwned>(bytes: &[u8]) -> Result<T, String> {
    T::deserialize(Bytes(bytes)).map_err(|error| {
        let why = without_values(&error.to_string());
        format!("bytes where another type is wanted: {why}")
    })
}

fn unfit(topic: &str, why: &str) -> Error {
    Error::new(
        ErrorKind::Payload,
        format!("payload of a message on topic {topic} does not fit: {why}"),
    )
}

fn path_error<T: DeserializeOwned>(text: &str) -> String {
    let mut json = serde_json::Deserializer::from_str(text);
    match serde_path_to_error::deserialize::<_, T>(&mut json) {
        Err(error) => {
            let why = without_values(&error.inner().to_string());
            format!("at {}: {why}", place(error.path(), &why))
        }
        Ok(_) => json
            .end()
            .map_or_else(|error| error.to_string(), |()| "unknown".to_owned()),
    }
}

/// Returns where something does not fit. A field that no type has is the message's.
fn place(path: &Path, why: &str) -> String {
    let place = path.to_string();
    let is_unknown = why.starts_with(UNKNOWN);
    match path.iter().next_back().filter(|_| is_unknown) {
        Some(Segment::Map { key } | Segment::Enum { variant: key }) => {
            let before = place.strip_suffix(key.as_str()).unwrap_or_default();
            format!("{before}…")
        }
        _ => place,
    }
}

/// How serde begins about a field or a variant that a type does not have.
const UNKNOWN: &str = "unknown ";

/// Leaves the value out of what serde says: `invalid type: string "…", expected u32`.
fn without_values(why: &str) -> String {
    const SERDE: [&str; 5] = [
        "invalid type: ",
        "invalid value: ",
        "invalid length ",
        "unknown variant ",
        "unknown field ",
    ];
    // These are of the type.
    if why.starts_with("missing field ") || why.starts_with("duplicate field ") {
        return why.to_owned();
    }
    let is_serde = SERDE.iter().any(|start| why.starts_with(start));
    // What is expected is the type's, and in quotes too. A value may say the same, but not after
    // it.
    match why.rfind(", expected ").filter(|_| is_serde) {
        Some(at) => format!("{}{}", unquoted(&why[..at]), &why[at..]),
        None => unquoted(why),
    }
}

/// Feeds JSON to serde, and the text itself to [`Payload`].
struct Json<'a>(&'a str);

impl<'de> Json<'de> {
    /// Reads the whole text.
    fn read<T>(
        self,
        read: impl FnOnce(&mut JsonDeserializer<StrRead<'de>>) -> serde_json::Result<T>,
    ) -> serde_json::Result<T> {
        let mut json = JsonDeserializer::from_str(self.0);
        let value = read(&mut json)?;
        json.end()?;
        Ok(value)
    }
}

macro_rules! as_json {
    ($($method:ident($($argument:ident: $kind:ty),*))*) => {
        $(fn $method<V: Visitor<'de>>(self, $($argument: $kind,)* visitor: V) -> serde_json::Result<V::Value> {
            self.read(|json| json.$method($($argument,)* visitor))
        })*
    };
}

impl<'de> Deserializer<'de> for Json<'de> {
    type Error = serde_json::Error;

    fn deserialize_newtype_struct<V: Visitor<'de>>(
        self,
        name: &'static str,
        visitor: V,
    ) -> serde_json::Result<V::Value> {
        if name != AS_IT_IS {
            return self.read(|json| json.deserialize_newtype_struct(name, visitor));
        }
        let text = self.0;
        self.read(|json| IgnoredAny::deserialize(json))?;
        visitor.visit_str(text)
    }

    as_json! {
        deserialize_any() deserialize_bool() deserialize_i8() deserialize_i16() deserialize_i32()
        deserialize_i64() deserialize_i128() deserialize_u8() deserialize_u16() deserialize_u32()
        deserialize_u64() deserialize_u128() deserialize_f32() deserialize_f64() deserialize_char()
        deserialize_str() deserialize_string() deserialize_bytes() deserialize_byte_buf()
        deserialize_option() deserialize_unit() deserialize_unit_struct(name: &'static str)
        deserialize_seq() deserialize_tuple(length: usize)
        deserialize_tuple_struct(name: &'static str, length: usize) deserialize_map()
        deserialize_struct(name: &'static str, fields: &'static [&'static str])
        deserialize_enum(name: &'static str, variants: &'static [&'static str])
        deserialize_identifier() deserialize_ignored_any()
    }
}

/// Feeds bytes to serde: as bytes where asked for, as a sequence of numbers for `Vec<u8>`.
struct Bytes<'a>(&'a [u8]);

impl<'de> Deserializer<'de> for Bytes<'_> {
    type Error = serde::de::value::Error;

    fn deserialize_any<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Self::Error> {
        visitor.visit_byte_buf(self.0.to_vec())
    }

    fn deserialize_seq<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Self::Error> {
        let numbers = self.0.iter().copied();
        visitor.visit_seq(SeqDeserializer::<_, Self::Error>::new(
            numbers.map(IntoDeserializer::<Self::Error>::into_deserializer),
        ))
    }

    fn deserialize_newtype_struct<V: Visitor<'de>>(
        self,
        name: &'static str,
        visitor: V,
    ) -> Result<V::Value, Self::Error> {
        if name == AS_IT_IS {
            return visitor.visit_byte_buf(self.0.to_vec());
        }
        visitor.visit_newtype_struct(self)
    }

    forward_to_deserialize_any! {
        bool i8 i16 i32 i64 i128 u8 u16 u32 u64 u128 f32 f64 char str string bytes byte_buf option
        unit unit_struct tuple tuple_struct map struct enum identifier ignored_any
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde::Deserialize;

    #[derive(Debug, Deserialize, PartialEq)]
    struct Order {
        lines: Vec<Line>,
    }

    #[derive(Debug, Deserialize, PartialEq)]
    struct Line {
        amount: u32,
    }

    #[derive(Debug, Deserialize, PartialEq)]
    struct Blob(Vec<u8>);

    #[test]
    fn json_that_does_not_fit_says_where() {
        let stored = Payload::json(r#"{"lines":[{"amount":1},{"amount":"two"}]}"#.into());

        let error = stored.decode::<Order>("orders").unwrap_err();

        assert_eq!(error.kind(), ErrorKind::Payload);
        let text = error.to_string();
        assert!(text.contains("topic orders"), "{text}");
        let why = "at lines[1].amount: invalid type: string \"…\", expected u32 at line";
        assert!(text.contains(why), "{text}");
    }

    #[test]
    fn bytes_become_bytes_text_or_a_payload_but_not_a_struct() {
        let stored = Payload::Bytes(vec![104, 105]);

        assert_eq!(stored.decode::<Vec<u8>>("t").unwrap(), [104, 105]);
        assert_eq!(stored.decode::<Blob>("t").unwrap(), Blob(vec![104, 105]));
        assert_eq!(stored.decode::<String>("t").unwrap(), "hi");
        assert_eq!(
            stored.decode::<Payload>("t").unwrap(),
            Payload::Bytes(vec![104, 105])
        );
        let text = stored.decode::<Order>("t").unwrap_err().to_string();
        assert!(
            text.contains("bytes where another type is wanted"),
            "{text}"
        );
    }

    #[test]
    fn a_payload_keeps_the_text_of_json() {
        let text = r#"{"b": 1.50, "a": null}"#;
        let payload: Payload = Payload::json(text.into()).decode("t").unwrap();
        assert_eq!(payload.to_string(), text);
    }
}
