//! The values of settings: how each kind is read from a text, shown as one, and checked.

use crate::words::error::{Error, Result};
use crate::words::millis;
use humantime::{format_duration, parse_duration};
use std::fmt::Display;
use std::ops::RangeInclusive;
use std::str::FromStr;
use std::time::Duration;

/// A value that a setting can have.
pub(crate) trait SettingValue: Sized {
    /// How a value is written, by examples.
    const WRITTEN: &'static str;
    /// Which values are allowed.
    type Allowed;

    /// Reads a value.
    ///
    /// # Errors
    /// Why the text is no such value.
    fn read(text: &str) -> Result<Self, String>;

    /// Returns the text that [`read`](Self::read) takes.
    fn text(&self) -> String;

    /// Checks the value of the setting `name` of a topic.
    ///
    /// # Errors
    /// `Invalid` for one that is not allowed, or that would be stored as another one.
    fn check(&self, topic: &str, name: &str, allowed: &Self::Allowed) -> Result<()>;
}

/// A field of settings: a value that may be missing, or one whose default counts as missing.
pub(crate) trait SettingField {
    type Value: SettingValue;

    /// Returns the value, if one is set.
    fn set(&self) -> Option<&Self::Value>;

    /// Makes one.
    fn of(value: Option<Self::Value>) -> Self;
}

impl<T: SettingValue> SettingField for Option<T> {
    type Value = T;

    fn set(&self) -> Option<&T> {
        self.as_ref()
    }

    fn of(value: Option<T>) -> Self {
        value
    }
}

/// A setting that is on or off, and off where it is missing.
impl SettingField for bool {
    type Value = bool;

    fn set(&self) -> Option<&bool> {
        self.then_some(&true)
    }

    fn of(value: Option<bool>) -> Self {
        value.unwrap_or(false)
    }
}

impl SettingValue for bool {
    const WRITTEN: &'static str = "true, false";
    type Allowed = ();

    fn read(text: &str) -> Result<Self, String> {
        text.parse()
            .map_err(|_| format!("it is one of {}", Self::WRITTEN))
    }

    fn text(&self) -> String {
        self.to_string()
    }

    fn check(&self, _: &str, _: &str, (): &()) -> Result<()> {
        Ok(())
    }
}

/// Reads a number of any kind.
pub(crate) fn number<N: FromStr<Err: Display>>(text: &str) -> Result<N, String> {
    text.parse()
        .map_err(|error| format!("\"{text}\" is not such a number: {error}"))
}

macro_rules! whole_number {
    ($kind:ty) => {
        impl SettingValue for $kind {
            const WRITTEN: &'static str = "100";
            type Allowed = RangeInclusive<$kind>;

            fn read(text: &str) -> Result<Self, String> {
                number(text)
            }

            fn text(&self) -> String {
                self.to_string()
            }

            fn check(&self, topic: &str, name: &str, allowed: &Self::Allowed) -> Result<()> {
                let (least, most) = (allowed.start(), allowed.end());
                match allowed.contains(self) {
                    true => Ok(()),
                    false => Err(Error::invalid(format!(
                        "{name} of topic {topic} is {self}, it must be {least} to {most}"
                    ))),
                }
            }
        }
    };
}

whole_number!(u32);
whole_number!(u64);

impl SettingValue for Duration {
    const WRITTEN: &'static str = "90s, 1h 30m";
    type Allowed = RangeInclusive<Duration>;

    fn read(text: &str) -> Result<Self, String> {
        parse_duration(text).map_err(|error| format!("\"{text}\" is not a duration: {error}"))
    }

    fn text(&self) -> String {
        format_duration(*self).to_string()
    }

    fn check(&self, topic: &str, name: &str, allowed: &Self::Allowed) -> Result<()> {
        let (least, most) = (allowed.start(), allowed.end());
        let flaw = if !allowed.contains(self) {
            format!("{least:?} to {most:?}")
        } else if !millis::is_whole(*self) {
            "whole milliseconds".to_owned()
        } else {
            return Ok(());
        };
        Err(Error::invalid(format!(
            "{name} of topic {topic} is {self:?}, it must be {flaw}"
        )))
    }
}

/// Makes a setting out of an enum, each value by its word.
macro_rules! words {
    ($kind:ident, $written:literal, $($word:literal = $value:ident),*) => {
        impl SettingValue for $kind {
            const WRITTEN: &'static str = $written;
            type Allowed = ();

            fn read(text: &str) -> Result<Self, String> {
                match text {
                    $($word => Ok($kind::$value),)*
                    _ => Err(format!("it is one of {}", Self::WRITTEN)),
                }
            }

            fn text(&self) -> String {
                match self {
                    $($kind::$value => $word.to_owned(),)*
                }
            }

            fn check(&self, _: &str, _: &str, (): &()) -> Result<()> {
                Ok(())
            }
        }
    };
}
pub(crate) use words;
