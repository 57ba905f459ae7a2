//! Says that the ephemeral topics of this process are wanted, and ends those of others that nobody
//! wants.

use crate::observe::fields::told;
use crate::publish::ephemeral::{self, Holdings};
use crate::wake::round::{Polled, Round, Work};
use crate::words::Result;
use std::sync::Arc;
use std::time::{Duration, Instant};

/// How often in its grace time a subscription is said to be wanted: two in a row may fail.
const BEATS: u32 = 3;
/// For how long messages of ended topics are removed at a time.
const TURN: Duration = Duration::from_millis(50);
/// How long one is left alone that could not be ended, since its server has just started.
const AGAIN: Duration = Duration::from_secs(1);

/// When to say so, and when to look.
pub(crate) struct EphemeralRound {
    holdings: Arc<Holdings>,
    began_at: Instant,
    /// When all that was held was last said to be wanted.
    beaten_at: Option<Instant>,
    /// When the next one expires, as far as is known.
    expires_at: Option<Instant>,
}

impl EphemeralRound {
    pub(crate) fn new(holdings: Arc<Holdings>) -> Self {
        EphemeralRound {
            holdings,
            began_at: Instant::now(),
            beaten_at: None,
            expires_at: None,
        }
    }

    /// Returns when to say so next, by what is held now: what was held later than the last time may
    /// have a shorter grace time.
    fn beat_at(&self) -> Option<Instant> {
        let grace = self.holdings.shortest()?;
        let next = self.beaten_at.map(|at| at + grace / BEATS);
        Some(next.unwrap_or(self.began_at))
    }

    fn beat(&mut self, work: &mut Work<'_>, now: Instant) -> Result<()> {
        if self.beat_at().is_none_or(|at| now < at) {
            return Ok(());
        }
        let lost = self.holdings.keep(work.connection)?;
        self.beaten_at = Some(now);
        for topic in lost {
            tracing::warn!(
                topic = told(&topic),
                "topic {topic}, which is ephemeral, was ended by others, who had not heard of it for its grace time: it gets \
                 nothing any more"
            );
        }
        // Where nobody polls, nobody else looks.
        self.expires_at.get_or_insert(now);
        Ok(())
    }

    /// Ends those whose time is over, if that of any is.
    fn end_expired(&mut self, work: &mut Work<'_>, now: Instant) -> Result<()> {
        if self.expires_at.is_none_or(|at| now < at) {
            return Ok(());
        }
        self.expires_at = None;
        let (topics, may_be_more) = ephemeral::end_expired(work.connection)?;
        self.expires_at = may_be_more.then_some(now);
        for topic in &topics {
            tracing::info!(
                topic = told(&topic),
                "ended topic {topic}, which is ephemeral: its holder died"
            );
            // What is left is found as orphaned.
            if ephemeral::is_temporary(topic) {
                ephemeral::empty(work.connection, work.waker, topic, TURN)?;
            }
        }
        Ok(())
    }
}

impl Round for EphemeralRound {
    fn at(&self) -> Option<Instant> {
        [self.beat_at(), self.expires_at]
            .into_iter()
            .flatten()
            .min()
    }

    fn run(&mut self, work: &mut Work<'_>) -> Result<()> {
        let now = Instant::now();
        let beaten = self.beat(work, now);
        // Also where that failed: somebody may hold a row of ours, and none of the others'.
        beaten.and(self.end_expired(work, now))
    }

    fn polled(&mut self, polled: &Polled, _: &mut Work<'_>) -> Result<()> {
        if let Some(next) = polled.next_unsubscribed {
            // Over already, and not ended: not to be looked at all the time.
            let at = Instant::now() + if next.is_zero() { AGAIN } else { next };
            self.expires_at = Some(self.expires_at.map_or(at, |known| known.min(at)));
        }
        Ok(())
    }
}

/// Removes messages that came after the subscription of their topic had ended, for `turn` at most;
/// returns whether there may be more.
pub(crate) fn remove_orphans(work: &mut Work<'_>, turn: Duration) -> Result<bool> {
    let started = Instant::now();
    for topic in ephemeral::orphaned(work.connection)? {
        if ephemeral::empty(work.connection, work.waker, &topic, turn)? || started.elapsed() >= turn
        {
            return Ok(true);
        }
    }
    Ok(false)
}
