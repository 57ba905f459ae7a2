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
    beat_at: Instant,
    /// When the next one expires, as far as is known.
    expires_at: Option<Instant>,
}

impl EphemeralRound {
    pub(crate) fn new(holdings: Arc<Holdings>) -> Self {
        EphemeralRound {
            holdings,
            beat_at: Instant::now(),
            expires_at: None,
        }
    }

    fn beat(&mut self, work: &mut Work<'_>, now: Instant) -> Result<()> {
        let Some(grace) = self.holdings.shortest() else {
            return Ok(());
        };
        if now < self.beat_at {
            return Ok(());
        }
        self.beat_at = now + grace / BEATS;
        for topic in self.holdings.keep(work.connection)? {
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
}

impl Round for EphemeralRound {
    fn at(&self) -> Option<Instant> {
        let beat_at = self.holdings.shortest().map(|_| self.beat_at);
        [beat_at, self.expires_at].into_iter().flatten().min()
    }

    fn run(&mut self, work: &mut Work<'_>) -> Result<()> {
        let now = Instant::now();
        self.beat(work, now)?;
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
            ephemeral::empty(work.connection, work.waker, topic, TURN)?;
        }
        Ok(())
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
