//! What an operator can set for a topic, in the database, for every process.

use crate::words::error::{Error, Result};
use crate::words::limits::MAX_DELAY;
use crate::words::millis;
use crate::words::retry::Backoff;
use serde::{Deserialize, Serialize};
use std::time::Duration;

/// The settings of a topic, which every process obeys: processes with a receiver of any topic as
/// soon as they hear of a change (within the poll interval at the latest), others within a second.
///
/// A setting that is `None` is left to its default, or to what a receiver or a message says.
/// Durations are whole milliseconds.
///
/// In the database the settings are one JSON document. A setting that is out of range or of another
/// type counts as not set, for every process and every statement. A setting that this release does
/// not know, or cannot read, stays when others are changed.
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
    /// its rate is put off without spending an attempt. Tokens are taken on a second connection
    /// beside the open transaction.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub rate_per_key: Option<Rate>,
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

impl TopicConfig {
    /// Checks all that can be out of range.
    pub(crate) fn check(&self, topic: &str) -> Result<()> {
        check_range(topic, "max_attempts", self.max_attempts, i16::MAX as u64)?;
        check_range(topic, "max_in_work", self.max_in_work, 10_000)?;
        check_range(
            topic,
            "max_in_work_per_key",
            self.max_in_work_per_key,
            10_000,
        )?;
        check_range(topic, "max_length", self.max_length, i64::MAX as u64)?;
        let (least, day) = (Duration::from_millis(100), Duration::from_secs(86_400));
        check_duration(topic, "lease", self.lease, least, day)?;
        check_duration(topic, "delay", self.delay, Duration::ZERO, MAX_DELAY)?;
        let least = Duration::from_millis(1);
        check_duration(topic, "expires_in", self.expires_in, least, MAX_DELAY)?;
        let retention = self.dead_letter_retention;
        check_duration(topic, "dead_letter_retention", retention, least, MAX_DELAY)?;
        for (what, rate) in [("rate", self.rate), ("rate_per_key", self.rate_per_key)] {
            let Some(rate) = rate else { continue };
            check_range(topic, what, Some(rate.messages), 1_000_000_000)?;
            check_range(
                topic,
                &format!("{what}.burst"),
                Some(rate.burst),
                u32::MAX.into(),
            )?;
            let year = Duration::from_secs(365 * 86_400);
            check_duration(topic, &format!("{what}.per"), Some(rate.per), least, year)?;
        }
        match self.backoff.as_ref().and_then(Backoff::why_unstorable) {
            Some(why) => Err(Error::invalid(format!(
                "the backoff of topic {topic} {why}"
            ))),
            None => Ok(()),
        }
    }
}

fn check_range<N: Into<u64>>(topic: &str, what: &str, found: Option<N>, most: u64) -> Result<()> {
    match found.map(Into::into) {
        Some(found) if found == 0 || found > most => Err(Error::invalid(format!(
            "{what} of topic {topic} is {found}, it must be 1 to {most}"
        ))),
        _ => Ok(()),
    }
}

fn check_duration(
    topic: &str,
    what: &str,
    found: Option<Duration>,
    least: Duration,
    most: Duration,
) -> Result<()> {
    match found {
        Some(found) if found < least || found > most => Err(Error::invalid(format!(
            "{what} of topic {topic} is {found:?}, it must be {least:?} to {most:?}"
        ))),
        Some(found) if !millis::is_whole(found) => Err(Error::invalid(format!(
            "{what} of topic {topic} is {found:?}, it must be whole milliseconds"
        ))),
        _ => Ok(()),
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
