//! Moves scheduled messages to their topics when they are due, and knows when the next one is.
//!
//! A batch takes the messages that have been due for longest, of all topics. One topic may have a
//! million due messages, and another a few that became due a little later. So several times a
//! second, a batch takes messages that lie between those of the crowded topics. The index finds
//! them without reading the rows of the crowd.

use crate::connect::apart::apart;
use crate::connect::connection::Connection;
use crate::db::Run;
use crate::schedule::{self, Between, Moved};
use crate::threads::cost::Cost;
use crate::wake::round::{Polled, Round, Work};
use crate::wake::waker::Waker;
use crate::words::{Doing, Result};
use std::time::{Duration, Instant};

/// The least time between two moves: messages that are due one after the other go together.
const BETWEEN_MOVES: Duration = Duration::from_millis(5);
/// How long messages are left alone that are due and that somebody else has in hand: another
/// process moves them, which takes milliseconds, or an operator's transaction holds them.
const WHILE_HELD: Duration = Duration::from_millis(100);
/// The least time between two looks past the crowd, from the end of one to the beginning of the
/// next.
const BETWEEN_LOOKS: Duration = Duration::from_millis(200);
/// Between two looks past the crowd is at least so many times what one takes: some 80 ms behind a
/// million.
const LOOK_SHARE: u32 = 1;
/// Topics that are looked past at most; the latest.
const MAX_CROWD: usize = 8;
/// The index is followed, whatever is known of the table: a sort would read all rows of the topics
/// first.
const BY_THE_INDEX: &str = "SET LOCAL enable_sort = off; SET LOCAL enable_seqscan = off; SET LOCAL enable_bitmapscan = off";

/// When to look next; `None` while nothing is scheduled.
#[derive(Debug, Default)]
pub(crate) struct Due {
    next: Option<Instant>,
    /// Topics of which very many are due.
    crowd: Vec<String>,
    /// What is still to be looked at past the crowd in this look.
    gaps: Vec<Between>,
    look_at: Option<Instant>,
    /// How long this look has taken.
    looked_for: Duration,
    look_cost: Cost,
}

impl Due {
    /// Learns that a message is due after `delay`; an earlier time that is known stays.
    pub(crate) fn learn(&mut self, delay: Duration) {
        if let Some(at) = Instant::now().checked_add(delay) {
            self.next = Some(self.next.map_or(at, |next| next.min(at)));
        }
    }

    fn plan(&mut self, run: &mut dyn Run, is_empty: bool) -> Result<()> {
        if let Some(delay) = schedule::next_due(run)? {
            let is_held = is_empty && delay.is_zero();
            self.learn(delay.max(if is_held { WHILE_HELD } else { BETWEEN_MOVES }));
        }
        Ok(())
    }

    /// Learns which topics make up the crowd.
    fn meet(&mut self, moved: &Moved) {
        if !moved.is_full() {
            return;
        }
        for topic in moved.crowds() {
            self.crowd.retain(|known| *known != topic);
            self.crowd.push(topic);
        }
        let most = self.crowd.len().saturating_sub(MAX_CROWD);
        self.crowd.drain(..most);
        self.look_at.get_or_insert_with(Instant::now);
    }

    /// Counts what a look past the crowd takes, and plans the next one at its end.
    fn pay(&mut self, elapsed: Duration) {
        self.looked_for += elapsed;
        if self.gaps.is_empty() {
            let looked_for = std::mem::take(&mut self.looked_for);
            let cost = self.look_cost.learn(looked_for);
            self.look_at = Some(Instant::now() + BETWEEN_LOOKS.max(cost * LOOK_SHARE));
        }
    }

    /// Returns what to look at past the crowd, if it is time to.
    fn next_gap(&mut self) -> Option<Between> {
        let at = self.look_at?;
        if self.gaps.is_empty() {
            if Instant::now() < at {
                return None;
            }
            self.gaps = Between::all(&self.crowd);
        }
        self.gaps.pop()
    }
}

impl Round for Due {
    fn at(&self) -> Option<Instant> {
        self.next
    }

    /// Moves a batch of what is due, wakes its topics, and finds out when the next is due.
    fn run(&mut self, work: &mut Work<'_>) -> Result<()> {
        if let Some(between) = self.next_gap() {
            let started = Instant::now();
            let moved = move_between(work.connection, &between)?;
            self.meet(&moved);
            announce(moved, work.waker);
            self.pay(started.elapsed());
            return Ok(());
        }
        let moved = schedule::move_due(work.connection, None)?;
        self.next = None;
        if moved.is_full() {
            self.meet(&moved);
            self.learn(Duration::ZERO);
        } else {
            self.crowd.clear();
            self.look_at = None;
            let is_empty = moved.is_empty();
            self.plan(work.connection, is_empty)?;
        }
        announce(moved, work.waker);
        Ok(())
    }

    fn polled(&mut self, polled: &Polled, _: &mut Work<'_>) -> Result<()> {
        if let Some(delay) = polled.next_due {
            self.learn(delay);
        }
        Ok(())
    }
}

/// Moves a batch of some topics.
fn move_between(connection: &mut Connection, between: &Between) -> Result<Moved> {
    let doing = "moving due messages";
    apart(connection, doing, |open| {
        open.run(BY_THE_INDEX).doing(doing)?;
        schedule::move_due(open, Some(between))
    })
}

fn announce(moved: Moved, waker: &Waker) {
    for (topic, _) in moved.topics {
        waker.ready(&topic, usize::MAX);
    }
    if !moved.lined_up.is_empty() {
        waker.keys_ended();
    }
}
