//! Finds numbers that JSON cannot hold.
//!
//! A JSON serializer silently writes NaN and infinities as `null`, and the receiver would get
//! `null`, or refuse it. A value whose text has no `null` has none of them; any other value is
//! traversed once more.

use serde::ser::{self, Error as _, Serialize, Serializer};
use serde_json::Error;

/// Writes a value as JSON text.
///
/// # Errors
/// That of the value, or one that names the place of a number that is not finite.
pub(crate) fn to_json<T: Serialize + ?Sized>(value: &T) -> Result<String, Error> {
    let text = serde_json::to_string(value)?;
    if has_null(&text) {
        value.serialize(Walk { path: "" })?;
    }
    Ok(text)
}

/// Returns whether there is a `null` in JSON text, maybe as a part of something else.
fn has_null(text: &str) -> bool {
    /// Up to here a look at each place is quicker than to prepare a search.
    const SHORT: usize = 64;
    match text.len() <= SHORT {
        true => text.as_bytes().windows(4).any(|four| four == b"null"),
        false => text.contains("null"),
    }
}

/// Walks through a value and writes nothing.
#[derive(Clone, Copy)]
struct Walk<'p> {
    /// Where in the payload this is: `lines[1].amount`.
    path: &'p str,
}

impl Walk<'_> {
    fn float(self, number: f64) -> Result<(), Error> {
        if number.is_finite() {
            return Ok(());
        }
        let at = match self.path {
            "" => String::new(),
            path => format!(" at {path}"),
        };
        Err(Error::custom(format!("{number}{at} is no number in JSON")))
    }

    fn field<T: Serialize + ?Sized>(self, name: &str, value: &T) -> Result<(), Error> {
        let dot = if self.path.is_empty() { "" } else { "." };
        let path = format!("{}{dot}{name}", self.path);
        value.serialize(Walk { path: &path })
    }
}

/// The elements of a sequence or a map.
struct Elements<'p> {
    walk: Walk<'p>,
    count: usize,
    key: String,
}

impl<'p> Elements<'p> {
    fn of(walk: Walk<'p>) -> Result<Self, Error> {
        Ok(Elements {
            walk,
            count: 0,
            key: String::new(),
        })
    }

    fn next<T: Serialize + ?Sized>(&mut self, value: &T) -> Result<(), Error> {
        let path = format!("{}[{}]", self.walk.path, self.count);
        self.count += 1;
        value.serialize(Walk { path: &path })
    }
}

macro_rules! nothing {
    ($($method:ident: $kind:ty),*) => {
        $(fn $method(self, _: $kind) -> Result<(), Error> {
            Ok(())
        })*
    };
}

impl<'p> Serializer for Walk<'p> {
    type Ok = ();
    type Error = Error;
    type SerializeSeq = Elements<'p>;
    type SerializeTuple = Elements<'p>;
    type SerializeTupleStruct = Elements<'p>;
    type SerializeTupleVariant = Elements<'p>;
    type SerializeMap = Elements<'p>;
    type SerializeStruct = Walk<'p>;
    type SerializeStructVariant = Walk<'p>;

    nothing!(
        serialize_bool: bool, serialize_i8: i8, serialize_i16: i16, serialize_i32: i32, serialize_i64: i64,
        serialize_i128: i128, serialize_u8: u8, serialize_u16: u16, serialize_u32: u32, serialize_u64: u64,
        serialize_u128: u128, serialize_char: char, serialize_str: &str, serialize_bytes: &[u8],
        serialize_unit_struct: &'static str
    );

    fn serialize_f32(self, number: f32) -> Result<(), Error> {
        self.float(number.into())
    }

    fn serialize_f64(self, number: f64) -> Result<(), Error> {
        self.float(number)
    }

    fn serialize_none(self) -> Result<(), Error> {
        Ok(())
    }

    fn serialize_unit(self) -> Result<(), Error> {
        Ok(())
    }

    fn serialize_some<T: Serialize + ?Sized>(self, value: &T) -> Result<(), Error> {
        value.serialize(self)
    }

    fn serialize_unit_variant(self, _: &'static str, _: u32, _: &'static str) -> Result<(), Error> {
        Ok(())
    }

    fn serialize_newtype_struct<T: Serialize + ?Sized>(
        self,
        _: &'static str,
        value: &T,
    ) -> Result<(), Error> {
        value.serialize(self)
    }

    fn serialize_newtype_variant<T: Serialize + ?Sized>(
        self,
        _: &'static str,
        _: u32,
        variant: &'static str,
        value: &T,
    ) -> Result<(), Error> {
        self.field(variant, value)
    }

    fn serialize_seq(self, _: Option<usize>) -> Result<Elements<'p>, Error> {
        Elements::of(self)
    }

    fn serialize_tuple(self, _: usize) -> Result<Elements<'p>, Error> {
        Elements::of(self)
    }

    fn serialize_tuple_struct(self, _: &'static str, _: usize) -> Result<Elements<'p>, Error> {
        Elements::of(self)
    }

    fn serialize_tuple_variant(
        self,
        _: &'static str,
        _: u32,
        _: &'static str,
        _: usize,
    ) -> Result<Elements<'p>, Error> {
        Elements::of(self)
    }

    fn serialize_map(self, _: Option<usize>) -> Result<Elements<'p>, Error> {
        Elements::of(self)
    }

    fn serialize_struct(self, _: &'static str, _: usize) -> Result<Walk<'p>, Error> {
        Ok(self)
    }

    fn serialize_struct_variant(
        self,
        _: &'static str,
        _: u32,
        _: &'static str,
        _: usize,
    ) -> Result<Walk<'p>, Error> {
        Ok(self)
    }
}

macro_rules! elements {
    ($($kind:ident: $method:ident),*) => {
        $(impl ser::$kind for Elements<'_> {
            type Ok = ();
            type Error = Error;

            fn $method<T: Serialize + ?Sized>(&mut self, value: &T) -> Result<(), Error> {
                self.next(value)
            }

            fn end(self) -> Result<(), Error> {
                Ok(())
            }
        })*
    };
}

elements!(
    SerializeSeq: serialize_element,
    SerializeTuple: serialize_element,
    SerializeTupleStruct: serialize_field,
    SerializeTupleVariant: serialize_field
);

impl ser::SerializeMap for Elements<'_> {
    type Ok = ();
    type Error = Error;

    fn serialize_key<T: Serialize + ?Sized>(&mut self, key: &T) -> Result<(), Error> {
        // Keys that are no text became JSON before, or this would not be reached.
        let text = serde_json::to_string(key)?;
        text.trim_matches('"').clone_into(&mut self.key);
        Ok(())
    }

    fn serialize_value<T: Serialize + ?Sized>(&mut self, value: &T) -> Result<(), Error> {
        self.walk.field(&self.key, value)
    }

    fn end(self) -> Result<(), Error> {
        Ok(())
    }
}

macro_rules! fields {
    ($($kind:ident),*) => {
        $(impl ser::$kind for Walk<'_> {
            type Ok = ();
            type Error = Error;

            fn serialize_field<T: Serialize + ?Sized>(
                &mut self,
                name: &'static str,
                value: &T,
            ) -> Result<(), Error> {
                self.field(name, value)
            }

            fn end(self) -> Result<(), Error> {
                Ok(())
            }
        })*
    };
}

fields!(SerializeStruct, SerializeStructVariant);

#[cfg(test)]
mod tests {
    use super::*;
    use serde::Serialize;
    use serde_json::json;
    use std::collections::BTreeMap;

    #[derive(Serialize)]
    enum Odd {
        Tuple(f32, f64),
        Struct { x: Option<f64> },
        New(f64),
    }

    #[track_caller]
    fn check<T: Serialize>(value: T, expected: &str) {
        let error = to_json(&value).unwrap_err().to_string();
        assert_eq!(error, expected);
    }

    #[test]
    fn a_number_that_is_not_finite_is_found_where_it_is() {
        check(f64::NAN, "NaN is no number in JSON");
        check([1.0, f32::INFINITY], "inf at [1] is no number in JSON");
        check(Odd::Tuple(1.0, f64::NAN), "NaN at [1] is no number in JSON");
        check(
            Odd::Struct {
                x: Some(f64::NEG_INFINITY),
            },
            "-inf at x is no number in JSON",
        );
        check(Odd::New(f64::NAN), "NaN at New is no number in JSON");
        let lines = BTreeMap::from([("lines", vec![Some((0, 0.5)), None, Some((1, f64::NAN))])]);
        check(lines, "NaN at lines[2][1] is no number in JSON");
        check(
            BTreeMap::from([(7, f64::NAN)]),
            "NaN at 7 is no number in JSON",
        );
    }

    #[test]
    fn all_else_is_written_as_ever() {
        let value = json!({"a": null, "b": [1.5, "null", {"c": null}], "d": u64::MAX});
        assert_eq!(to_json(&value).unwrap(), value.to_string());
        assert_eq!(
            to_json(&Odd::Struct { x: None }).unwrap(),
            r#"{"Struct":{"x":null}}"#
        );
        let raw = serde_json::value::RawValue::from_string("[null]".to_owned()).unwrap();
        assert_eq!(to_json(&raw).unwrap(), "[null]");
        assert_eq!(to_json(&(1_u8, ())).unwrap(), "[1,null]");
    }
}
