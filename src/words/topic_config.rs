//! What an operator can set for a topic, in the database, for every process.

use crate::words::error::{Error, Result};
use crate::words::limits::MAX_DELAY;
use crate::words::retry::Backoff;
use crate::words::setting_value::{SettingField, SettingValue, number, words};
use crate::words::topic_kind::{SlowReaders, TopicKind};
use serde::{Deserialize, Serialize};
use std::time::Duration;

/// The settings of a topic, which every process obeys: processes with a receiver of any topic as
/// soon as they hear of a change (within the poll interval at the latest), others within a second.
///
/// A setting that is `None` is left to its default, or to what a receiver or a message says.
/// Durations are whole milliseconds.
///
/// In the database the settings are one JSON document, in the form that this type serialises to. A
/// setting that is out of range or of another type counts as not set, for every process and every
/// statement. A setting that this release does not know, or cannot read, stays when others are
/// changed.
///
/// ```
/// use outtray::{Expired, PoisonedKey, Rate, TopicConfig};
/// use std::time::Duration;
///
/// let config = TopicConfig {
///     max_attempts: Some(5),
///     // Not handled within an hour, a message is gone.
///     expires_in: Some(Duration::from_secs(3600)),
///     expired: Some(Expired::Drop),
///     // After a dead letter, those behind it with the same key wait.
///     poisoned_key: Some(PoisonedKey::Block),
///     // Over all processes: eight at a time, and 100 a second, 20 of them at once.
///     max_in_work: Some(8),
///     rate: Some(Rate { messages: 100, per: Duration::from_secs(1), burst: 20 }),
///     ..TopicConfig::default()
/// };
/// ```
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
#[serde(default)]
pub struct TopicConfig {
    /// The number of failed attempts after which a message becomes a dead letter, whatever
    /// receivers say; 1 to 32767.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub max_attempts: Option<u32>,
    /// How long a failed message waits, whatever receivers say; at most 30 days. A function is not
    /// possible here.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub backoff: Option<Backoff>,
    /// How long a message is leased when no other time is given, for a receiver [under
    /// leases](crate::ReceiverBuilder::lease) or a [`receive`](crate::Topic::receive) by hand; 100
    /// ms to a day. Default 30 s. A running lease keeps its time until its next heartbeat.
    #[serde(
        rename = "lease_ms",
        with = "crate::words::millis::optional",
        skip_serializing_if = "Option::is_none"
    )]
    pub lease: Option<Duration>,
    /// How long messages are held back, unless they say otherwise; at most ten years.
    #[serde(
        rename = "delay_ms",
        with = "crate::words::millis::optional",
        skip_serializing_if = "Option::is_none"
    )]
    pub delay: Option<Duration>,
    /// How long messages are worth handling, unless they say otherwise; 1 ms to ten years.
    #[serde(
        rename = "expires_in_ms",
        with = "crate::words::millis::optional",
        skip_serializing_if = "Option::is_none"
    )]
    pub expires_in: Option<Duration>,
    /// What becomes of expired messages. Default: dead letters.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub expired: Option<Expired>,
    /// How long dead letters are kept; 1 ms to ten years. Default: until somebody redrives or
    /// purges them. Older ones, by the time they died, are removed within a minute or so, as by a
    /// [purge](crate::Topic::purge_dead_letters), as long as a receiver of any topic runs
    /// somewhere. Also applies to existing dead letters.
    #[serde(
        rename = "dead_letter_retention_ms",
        with = "crate::words::millis::optional",
        skip_serializing_if = "Option::is_none"
    )]
    pub dead_letter_retention: Option<Duration>,
    /// How many messages may be in work at the same time, over all processes; 1 to 10,000. Default:
    /// no limit. Each message of a batch counts. With a limit, a transaction costs a few more round
    /// trips.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub max_in_work: Option<u32>,
    /// How many messages of one key may be in work at the same time, over all processes; 1 to
    /// 10,000. Default 1. With more than one there is no order within a key. When it is lowered,
    /// messages in work are finished first.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub max_in_work_per_key: Option<u32>,
    /// What becomes of a key when one of its messages becomes a dead letter. Default: it continues.
    /// Also applies to existing dead letters.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub poisoned_key: Option<PoisonedKey>,
    /// How many messages the topic may hold (ready, scheduled, in work, behind others of their
    /// key), not counting dead letters; at least 1. Default: no limit. A send that finds no room
    /// [waits](crate::MessagingSession::wait_for_room) or fails with
    /// [`Full`](crate::ErrorKind::Full).
    ///
    /// Transactions that send to a topic with a limit commit one after the other. Redriven messages
    /// may exceed it. Messages that existed before the limit count, and their room is found free up
    /// to ten seconds after they ended. The limit holds once every process has read it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub max_length: Option<u64>,
    /// How many messages may be started in a time, over all processes, by the database's clock.
    /// Default: no limit. Each transaction takes as many tokens as it may claim messages, which
    /// costs it a round trip.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub rate: Option<Rate>,
    /// The same for each key; messages without a key are not limited. A message whose key is over
    /// its rate is put off until its key has a token, without spending an attempt; when the rate
    /// changes, until it has one at the new rate. Each claim of messages with keys costs two round
    /// trips more. It holds for receivers and drains; messages that are taken by hand obey the
    /// topic's rate alone.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub rate_per_key: Option<Rate>,
    /// How long it is kept how messages [ended](crate::EndedMessage), for
    /// [`Messaging::history`](crate::Messaging::history); 1 minute to 30 days, and up to a day
    /// longer. The rows are on disk for up to five days more. Default: not at all, and then nothing
    /// is written. Each end writes a row of some 150 bytes, in the transaction that ends the
    /// message.
    #[serde(
        rename = "keep_done_ms",
        with = "crate::words::millis::optional",
        skip_serializing_if = "Option::is_none"
    )]
    pub keep_done: Option<Duration>,
    /// Whether headers and payloads are kept with it.
    #[serde(skip_serializing_if = "is_false")]
    pub keep_done_payload: bool,
    /// What the topic is. It changes only while the topic holds nothing, and nobody receives from
    /// it. Of a log only the settings below can be set, of a queue only those above.
    #[serde(skip_serializing_if = "TopicKind::is_default")]
    pub kind: TopicKind,
    /// How long a log keeps its messages; 1 ms to ten years. Default: for ever. Old messages go
    /// together, an eighth of the time late at most, while a receiver or a
    /// [`Tail`](crate::Tail) of any topic runs somewhere.
    #[serde(
        rename = "keep_for_ms",
        with = "crate::words::millis::optional",
        skip_serializing_if = "Option::is_none"
    )]
    pub keep_for: Option<Duration>,
    /// How many bytes a log keeps on disk, its indexes among them; at least 1. Default: no limit.
    /// Old messages go together, as soon as so much is left without them: a log is about an eighth
    /// larger, or more where nobody looked after it for a while.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub keep_bytes: Option<u64>,
    /// What becomes of old messages of a log that a named reader has not read yet. Default: they
    /// are held back.
    #[serde(skip_serializing_if = "SlowReaders::is_default")]
    pub slow_readers: SlowReaders,
}

/// What becomes of an expired message.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum Expired {
    /// It becomes a dead letter.
    DeadLetter,
    /// It is dropped.
    Drop,
}

/// What becomes of a key when one of its messages becomes a dead letter.
///
/// A key counts as poisoned while it has a dead letter, of any age and for any reason: also one
/// from before this was set, and one that merely expired, unless the topic [drops](Expired::Drop)
/// expired messages.
///
/// What comes after a dead letter is held in the transaction that makes it one: nobody receives it
/// from then on. With [`Park`](PoisonedKey::Park) it becomes a dead letter a moment later, in a
/// transaction of its own: that of the upkeep of whichever process has a receiver of any topic or a
/// tail, or of the next drain or receive by hand. Whose connection is lost meanwhile leaves it to
/// the next one.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum PoisonedKey {
    /// The key's other messages wait until the dead letter is redriven or purged.
    Block,
    /// The key's other messages become dead letters too, including those that are sent later, until
    /// all of them are redriven, in order, or purged.
    Park,
    /// The key's other messages continue.
    Skip,
}

/// A number of messages in a time, evenly, with a burst.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Rate {
    /// How many messages; 1 to 1,000,000,000.
    pub messages: u32,
    /// The time; 1 ms to a year.
    #[serde(rename = "per_ms", with = "crate::words::millis")]
    pub per: Duration,
    /// How many may start at once after a quiet time; at least 1.
    pub burst: u32,
}

/// One of the settings that a topic can have, for programs that show and change settings by their
/// names.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub struct TopicSetting {
    /// Its name: that of the field of [`TopicConfig`].
    pub name: &'static str,
    /// What it says, in one line.
    pub help: &'static str,
    /// How its values are written, by examples.
    pub values: &'static str,
}

/// Makes the table of all settings. A field that is not in it does not compile.
macro_rules! settings {
    ($($name:ident: $allowed:expr, $help:literal;)*) => {
        const SETTINGS: &[TopicSetting] = &[$(TopicSetting {
            name: stringify!($name),
            help: $help,
            values: values(|config| &config.$name),
        },)*];

        impl TopicConfig {
            /// Checks all that can be out of range.
            pub(crate) fn check(&self, topic: &str) -> Result<()> {
                let TopicConfig { $($name),* } = self;
                $(if let Some(value) = SettingField::set($name) {
                    value.check(topic, stringify!($name), &$allowed)?;
                })*
                Ok(())
            }

            /// Returns a setting by its name, as the text that [`set`](Self::set) takes; `None` if
            /// it is not set, or if there is no such setting.
            pub fn get(&self, name: &str) -> Option<String> {
                $(if name == stringify!($name) {
                    return SettingField::set(&self.$name).map(SettingValue::text);
                })*
                None
            }

            /// Puts a value into the field of this name. Returns whether there is such a field.
            fn put(&mut self, name: &str, value: Option<&str>) -> Result<bool, String> {
                $(if name == stringify!($name) {
                    self.$name = SettingField::of(value.map(SettingValue::read).transpose()?);
                    return Ok(true);
                })*
                Ok(false)
            }
        }
    };
}

/// Returns whether a setting that can only be on is off.
#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde asks so")]
fn is_false(value: &bool) -> bool {
    !value
}

const MS: Duration = Duration::from_millis(1);
const MINUTE: Duration = Duration::from_secs(60);
const DAY: Duration = Duration::from_secs(86_400);
const MOST_RATED: u32 = 1_000_000_000;

// Each setting: its range, and its line of help.
settings! {
    max_attempts: 1..=i16::MAX as u32, "failed attempts after which a message becomes a dead letter";
    backoff: (), "how long a failed message waits";
    lease: 100 * MS..=DAY, "how long a message is leased";
    delay: Duration::ZERO..=MAX_DELAY, "how long messages are kept back";
    expires_in: MS..=MAX_DELAY, "how long messages are worth handling";
    expired: (), "what becomes of messages whose time is over";
    dead_letter_retention: MS..=MAX_DELAY, "how long dead letters are kept; for ever if it is not set";
    max_in_work: 1..=10_000, "messages in work at a time, over all processes";
    max_in_work_per_key: 1..=10_000, "the same for each key; 1 if it is not set";
    poisoned_key: (), "what becomes of a key after a dead letter";
    max_length: 1..=i64::MAX as u64, "messages that the topic may hold";
    rate: MOST_RATED, "messages begun in a time, over all processes";
    rate_per_key: MOST_RATED, "the same for each key";
    keep_done: MINUTE..=30 * DAY, "how long it is kept how messages ended";
    keep_done_payload: (), "whether headers and payloads are kept with it";
    kind: (), "what the topic is; a queue if it is not set";
    keep_for: MS..=MAX_DELAY, "how long a log keeps its messages; for ever if it is not set";
    keep_bytes: 1..=i64::MAX as u64, "bytes that a log keeps on disk";
    slow_readers: (), "what becomes of old messages that a named reader of a log has not read";
}

/// Returns how the values of a field are written.
const fn values<F: SettingField>(_: fn(&TopicConfig) -> &F) -> &'static str {
    F::Value::WRITTEN
}

impl TopicConfig {
    /// Returns all settings that there are. A program that goes by this list needs no change when a
    /// release adds a setting.
    ///
    /// ```
    /// # use outtray::TopicConfig;
    /// let mut config = TopicConfig::default();
    /// config.set("rate", "100/1s")?;
    /// for setting in TopicConfig::settings() {
    ///     if let Some(value) = config.get(setting.name) {
    ///         assert_eq!((setting.name, value.as_str()), ("rate", "100/1s,100"));
    ///     }
    /// }
    /// # Ok::<(), outtray::Error>(())
    /// ```
    pub fn settings() -> &'static [TopicSetting] {
        SETTINGS
    }

    /// Sets a setting by its name, from a text as `outtray config --set` takes it; see
    /// [`values`](TopicSetting::values). Whether a value is in range is checked when the topic is
    /// [configured](crate::Topic::configure).
    ///
    /// # Errors
    /// `Invalid` for a name that no setting has, or a text that is no such value; nothing is
    /// changed.
    pub fn set(&mut self, name: &str, value: &str) -> Result<()> {
        let put = self.put(name, Some(value));
        known(put).map_err(|why| Error::invalid(format!("{name}={value}: {why}")))
    }

    /// Leaves a setting to its default, by its name.
    ///
    /// # Errors
    /// `Invalid` for a name that no setting has.
    pub fn unset(&mut self, name: &str) -> Result<()> {
        known(self.put(name, None)).map_err(|why| Error::invalid(format!("{name}: {why}")))
    }
}

/// Refuses a name that no setting has.
fn known(put: Result<bool, String>) -> Result<(), String> {
    match put? {
        true => Ok(()),
        false => {
            let names: Vec<&str> = SETTINGS.iter().map(|setting| setting.name).collect();
            let names = names.join(", ");
            Err(format!("there is no such setting, there are {names}"))
        }
    }
}

words!(
    Expired,
    "dead_letter, drop",
    "dead_letter" = DeadLetter,
    "drop" = Drop
);
words!(
    PoisonedKey,
    "block, park, skip",
    "block" = Block,
    "park" = Park,
    "skip" = Skip
);

/// Without a burst, it is what one time allows.
impl SettingValue for Rate {
    const WRITTEN: &'static str = "100/1s, or with a burst 100/1s,500";
    /// The most messages of a time.
    type Allowed = u32;

    fn read(text: &str) -> Result<Self, String> {
        let written = || format!("write it as {}", Self::WRITTEN);
        let (messages, rest) = text.split_once('/').ok_or_else(written)?;
        let (per, burst) = match rest.split_once(',') {
            Some((per, burst)) => (per, Some(burst)),
            None => (rest, None),
        };
        let messages = number(messages)?;
        Ok(Rate {
            messages,
            per: Duration::read(per)?,
            burst: burst.map_or(Ok(messages), number)?,
        })
    }

    fn text(&self) -> String {
        format!("{}/{},{}", self.messages, self.per.text(), self.burst)
    }

    fn check(&self, topic: &str, name: &str, most: &u32) -> Result<()> {
        self.messages.check(topic, name, &(1..=*most))?;
        let (burst, per) = (format!("{name}.burst"), format!("{name}.per"));
        self.burst.check(topic, &burst, &(1..=u32::MAX))?;
        self.per.check(topic, &per, &(MS..=365 * DAY))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const S: Duration = Duration::from_secs(1);

    fn full() -> TopicConfig {
        TopicConfig {
            max_attempts: Some(5),
            backoff: Some(Backoff::exponential(S, 2.0, 60 * S)),
            lease: Some(30 * S),
            delay: Some(S),
            expires_in: Some(60 * S),
            expired: Some(Expired::Drop),
            dead_letter_retention: Some(86_400 * S),
            max_in_work: Some(3),
            max_in_work_per_key: Some(2),
            poisoned_key: Some(PoisonedKey::Park),
            max_length: Some(1000),
            rate: Some(Rate {
                messages: 10,
                per: S,
                burst: 5,
            }),
            rate_per_key: None,
            keep_done: Some(7 * 86_400 * S),
            keep_done_payload: true,
            kind: TopicKind::Log,
            keep_for: Some(86_400 * S),
            keep_bytes: Some(1 << 30),
            slow_readers: SlowReaders::Lose,
        }
    }

    #[test]
    fn settings_survive_being_stored() {
        let text = serde_json::to_string(&full()).unwrap();
        let read: TopicConfig = serde_json::from_str(&text).unwrap();
        assert_eq!(read, full(), "{text}");
        assert_eq!(
            serde_json::to_string(&TopicConfig::default()).unwrap(),
            "{}"
        );
    }

    /// Checks that what is set reads back as it is shown.
    #[track_caller]
    fn check_text(name: &str, value: &str, expected: &str) {
        let mut config = TopicConfig::default();
        config.set(name, value).unwrap();
        assert_eq!(config.get(name).as_deref(), Some(expected));
        let mut again = TopicConfig::default();
        again.set(name, expected).unwrap();
        assert_eq!(again, config);
        config.unset(name).unwrap();
        assert_eq!(config, TopicConfig::default());
    }

    #[test]
    fn a_setting_is_shown_as_it_is_written() {
        check_text("max_attempts", "5", "5");
        let doubling = "exponential:1s,2,15m";
        check_text("backoff", doubling, "exponential:1s,2.0,15m");
        check_text("backoff", "fixed:5s", "fixed:5s");
        check_text("backoff", "linear:500ms, 1m", "linear:500ms,1m");
        check_text("lease", "90s", "1m 30s");
        check_text("delay", "90s", "1m 30s");
        check_text("expires_in", "1h 30m", "1h 30m");
        check_text("dead_letter_retention", "30d", "30days");
        check_text("expired", "drop", "drop");
        check_text("max_in_work", "7", "7");
        check_text("max_in_work_per_key", "2", "2");
        check_text("poisoned_key", "park", "park");
        check_text("max_length", "1000000", "1000000");
        check_text("keep_done", "7d", "7days");
        check_text("keep_done_payload", "true", "true");
        check_text("rate", "100/1s", "100/1s,100");
        check_text("rate_per_key", "10/1m,500", "10/1m,500");
    }

    #[track_caller]
    fn check_unreadable(name: &str, value: &str, part: &str) {
        let mut config = full();
        let error = config.set(name, value).unwrap_err();
        assert!(error.to_string().contains(part), "{error}");
        assert_eq!(config, full());
    }

    #[test]
    fn what_cannot_be_read_is_refused_with_the_reason() {
        check_unreadable("colour", "red", "no such setting");
        check_unreadable("max_attempts", "many", "\"many\"");
        check_unreadable("max_attempts", "-1", "\"-1\"");
        check_unreadable("delay", "5 parsecs", "parsecs");
        check_unreadable("expired", "burn", "dead_letter, drop");
        check_unreadable("backoff", "fixed", "exponential:1s,2,15m");
        check_unreadable("backoff", "fixed:x", "\"x\" is not a duration");
        check_unreadable("backoff", "exponential:1s,0.5,1m", "at least 1");
        check_unreadable("rate", "100", "100/1s");
        check_unreadable("rate", "100/1s,x", "\"x\"");
    }

    #[test]
    fn the_texts_of_enums_are_those_that_are_stored() {
        for value in [Expired::DeadLetter, Expired::Drop] {
            let stored = serde_json::to_value(value).unwrap();
            assert_eq!(stored, value.text());
        }
        for value in [PoisonedKey::Block, PoisonedKey::Park, PoisonedKey::Skip] {
            let stored = serde_json::to_value(value).unwrap();
            assert_eq!(stored, value.text());
        }
    }

    #[track_caller]
    fn check_refused(change: impl FnOnce(&mut TopicConfig), part: &str) {
        let mut config = full();
        change(&mut config);
        let text = config.check("t").unwrap_err().to_string();
        assert!(text.contains(part) && text.contains("topic t"), "{text}");
    }

    #[test]
    fn what_is_out_of_range_is_named() {
        assert!(full().check("t").is_ok());
        check_refused(|config| config.max_attempts = Some(0), "max_attempts");
        check_refused(|config| config.max_attempts = Some(40_000), "1 to 32767");
        check_refused(|config| config.max_in_work = Some(0), "max_in_work");
        check_refused(
            |config| config.max_in_work_per_key = Some(10_001),
            "per_key",
        );
        check_refused(|config| config.max_length = Some(0), "max_length");
        check_refused(|config| config.delay = Some(Duration::MAX), "delay");
        check_refused(|config| config.lease = Some(S / 20), "lease");
        check_refused(|config| config.lease = Some(86_401 * S), "lease");
        check_refused(
            |config| config.expires_in = Some(Duration::ZERO),
            "expires_in",
        );
        check_refused(
            |config| config.dead_letter_retention = Some(Duration::ZERO),
            "dead_letter_retention",
        );
        for period in [S, 31 * 86_400 * S] {
            check_refused(|config| config.keep_done = Some(period), "keep_done");
        }
        let rate = |messages, per, burst| {
            move |config: &mut TopicConfig| {
                config.rate = Some(Rate {
                    messages,
                    per,
                    burst,
                });
            }
        };
        check_refused(rate(0, S, 1), "rate");
        check_refused(rate(1, Duration::ZERO, 1), "rate.per");
        check_refused(rate(1, S, 0), "rate.burst");
        check_refused(
            |config| config.backoff = Some(Backoff::function(|_| S)),
            "function",
        );
        check_refused(
            |config| config.backoff = Some(Backoff::exponential(S, f64::INFINITY, S)),
            "infinite factor",
        );
        let odd = Duration::from_micros(1500);
        for backoff in [
            Backoff::fixed(odd),
            Backoff::fixed(31 * 86_400 * S),
            Backoff::linear(S, odd),
            Backoff::exponential(odd, 2.0, S),
        ] {
            check_refused(|config| config.backoff = Some(backoff), "has a delay");
        }
        check_refused(|config| config.delay = Some(odd), "whole milliseconds");
        check_refused(|config| config.expires_in = Some(odd), "whole milliseconds");
        check_refused(
            |config| config.dead_letter_retention = Some(odd),
            "whole milliseconds",
        );
        check_refused(rate(1, odd, 1), "whole milliseconds");
    }
}
