//! What a topic says of itself that may keep its messages.

use crate::db::{Run, Statement, column, query, sql};
use crate::message::claimed::time;
use crate::why::answer::Obstacle;
use crate::why::holder::{LockHolder, LockSessions};
use crate::words::topic_config::Rate;
use crate::words::topic_document::Document;
use crate::words::{Result, TopicConfig};
use postgres::Row;
use std::collections::BTreeSet;
use std::time::{Duration, SystemTime};
use uuid::Uuid;

static WHY_TOPIC: Statement = sql!("why_topic", Anew);

const DOING: &str = "looking at a topic";

/// What is known of a topic, and of the bucket of one of its keys.
pub(crate) struct TopicFacts {
    pub(crate) now: SystemTime,
    paused_at: Option<SystemTime>,
    paused_by: Option<String>,
    suspect_for: Option<Duration>,
    /// Since when the message is to be given up.
    pub(crate) cancelled_at: Option<SystemTime>,
    /// How many processes died with it in hand, as far as that is counted.
    pub(crate) deaths: u64,
    pub(crate) config: TopicConfig,
    pub(crate) is_log: bool,
    /// In how long the bucket of the topic is full.
    full_in: Option<Duration>,
    /// The same of its key.
    key_full_in: Option<Duration>,
    /// Whether somebody receives or received it in strict order.
    pub(crate) has_turn: bool,
    leased: u64,
    /// The transactions that have or had its slots.
    slot_holders: Vec<String>,
}

impl TopicFacts {
    /// Looks at a topic, at the key of one of its messages, and at what is asked and counted of
    /// that.
    pub(crate) fn ask(run: &mut dyn Run, topic: &str, key: Option<&str>, id: Uuid) -> Result<Self> {
        let rows = query(run, &WHY_TOPIC, &[&topic, &key, &id], DOING)?;
        match rows.first() {
            Some(row) => Self::read(row),
            None => Ok(Self::unknown()),
        }
    }

    fn read(row: &Row) -> Result<Self> {
        let span = |name| -> Result<Option<Duration>> {
            let us: Option<i64> = column(row, name)?;
            Ok(us.map(|us| Duration::from_micros(us.unsigned_abs())))
        };
        let config: Option<&str> = column(row, "config")?;
        let document = config.and_then(Document::parse);
        Ok(TopicFacts {
            now: time(column(row, "now_us")?),
            paused_at: column::<Option<i64>>(row, "paused_at_us")?.map(time),
            paused_by: column(row, "paused_by")?,
            suspect_for: span("suspect_us")?,
            cancelled_at: column::<Option<i64>>(row, "cancelled_at_us")?.map(time),
            deaths: column::<Option<i64>>(row, "deaths")?
                .unwrap_or_default()
                .unsigned_abs(),
            config: document
                .map(|document| document.read().config)
                .unwrap_or_default(),
            is_log: column::<Option<bool>>(row, "is_log")?.unwrap_or_default(),
            full_in: span("full_us")?,
            key_full_in: span("key_full_us")?,
            has_turn: column(row, "has_turn")?,
            leased: column::<i64>(row, "leased")?.unsigned_abs(),
            slot_holders: column(row, "slot_holders")?,
        })
    }

    fn unknown() -> Self {
        TopicFacts {
            now: SystemTime::UNIX_EPOCH,
            paused_at: None,
            paused_by: None,
            suspect_for: None,
            cancelled_at: None,
            deaths: 0,
            config: TopicConfig::default(),
            is_log: false,
            full_in: None,
            key_full_in: None,
            has_turn: false,
            leased: 0,
            slot_holders: Vec::new(),
        }
    }

    /// Returns the transactions whose sessions have to be known.
    pub(crate) fn transactions(&self) -> impl Iterator<Item = String> + '_ {
        self.slot_holders.iter().cloned()
    }

    /// Returns what keeps all messages of the topic, and those of the key; `unreceived` says that
    /// nobody wants them.
    pub(crate) fn obstacles(
        &self,
        sessions: &LockSessions,
        unreceived: Option<Obstacle>,
    ) -> Vec<Obstacle> {
        let mut found = Vec::new();
        let by = self.paused_by.clone();
        found.extend(self.paused_at.map(|since| Obstacle::Paused { since, by }));
        found.extend(unreceived);
        let next_in = next_token(self.config.rate, self.full_in);
        found.extend(next_in.map(|next_in| Obstacle::RateUsedUp { next_in }));
        let next_in = next_token(self.config.rate_per_key, self.key_full_in);
        found.extend(next_in.map(|next_in| Obstacle::KeyRateUsedUp { next_in }));
        found.extend(self.max_in_work(sessions));
        found.extend(self.suspect_for.map(|left| Obstacle::Suspect { left }));
        found
    }

    fn max_in_work(&self, sessions: &LockSessions) -> Option<Obstacle> {
        let limit = self.config.max_in_work?;
        // One that is held by a batch holds several slots.
        let held = self
            .slot_holders
            .iter()
            .filter_map(|held| sessions.of(Some(held)));
        let held: Vec<&LockHolder> = held.collect();
        if self.leased.saturating_add(held.len() as u64) < u64::from(limit) {
            return None;
        }
        let mut seen = BTreeSet::new();
        let each = held
            .into_iter()
            .filter(|holder| seen.insert(holder.server_process));
        Some(Obstacle::MaxInWorkUsedUp {
            limit,
            leased: self.leased,
            holders: each.cloned().collect(),
        })
    }
}

/// Returns in how long a bucket has a token, which is full after so long; `None` if it has one now.
/// As `take_tokens` computes it.
fn next_token(rate: Option<Rate>, full_in: Option<Duration>) -> Option<Duration> {
    let rate = rate?;
    let token_us = rate.per.as_micros() as f64 / f64::from(rate.messages.max(1));
    let burst = f64::from(rate.burst.max(1));
    let missing_us = (full_in?.as_micros() as f64).min(burst * token_us);
    if burst + 0.000_001 - missing_us / token_us >= 1.0 {
        return None;
    }
    let next_us = (missing_us - (burst - 1.0) * token_us).max(0.0);
    Some(Duration::from_micros(next_us.ceil() as u64))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_bucket_tells_when_its_next_token_is_there() {
        let rate = Rate {
            messages: 10,
            per: Duration::from_secs(1),
            burst: 3,
        };
        let ms = Duration::from_millis;
        for (full_in, expected) in [
            (None, None),
            (Some(ms(0)), None),
            (Some(ms(200)), None),
            (Some(ms(250)), Some(ms(50))),
            (Some(ms(300)), Some(ms(100))),
            // It was emptied at a slower rate than that of now.
            (Some(ms(90_000)), Some(ms(100))),
        ] {
            assert_eq!(next_token(Some(rate), full_in), expected, "{full_in:?}");
        }
        assert_eq!(next_token(None, Some(ms(300))), None);
    }
}
