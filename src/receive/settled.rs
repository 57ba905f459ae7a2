//! What a transaction decided about its messages, sorted by what has to be done.

use crate::cancel;
use crate::message::claimed::Held;
use crate::message::end::{End, How};
use crate::message::report;
use crate::message::settle::{Burial, Retry};
use crate::receive::charge::Charge;
use crate::receive::ending::Fate;
use crate::receive::line::Line;
use crate::session::handler_session::HandlerSession;
use crate::words::message::MessageId;
use crate::words::position::Position;
use crate::words::{Error, Result};
use std::collections::HashSet;
use uuid::Uuid;

/// Fates by what has to be done for them.
#[derive(Default)]
pub(crate) struct Settled {
    pub(crate) acks: Vec<Held>,
    /// Those that were put off are among them.
    pub(crate) retries: Vec<Retry>,
    put_off: Vec<MessageId>,
    pub(crate) burials: Vec<Burial>,
    /// Their time was over, and nobody wants to see them.
    pub(crate) dropped: Vec<Held>,
    /// Until [`confirm_cancels`](Self::confirm_cancels) those that seem to be asked for, then those
    /// that were and are gone.
    pub(crate) cancels: Vec<Held>,
    /// How many nobody asked for any more: free again with the commit.
    pub(crate) left: usize,
    /// Those that saw the death of a process and ended.
    pub(crate) counted: Vec<Uuid>,
    /// What handlers recorded.
    pub(crate) results: Vec<(MessageId, String)>,
}

impl Settled {
    pub(crate) fn sort(fates: Vec<Fate>) -> Self {
        let mut settled = Settled::default();
        settled.add(fates);
        settled
    }

    pub(crate) fn add(&mut self, fates: Vec<Fate>) {
        for fate in fates {
            match fate {
                Fate::Ack(held) => self.acks.push(held),
                Fate::Retry(retry) => self.retries.push(retry),
                Fate::PutOff(retry) => {
                    self.put_off.push(retry.held.id);
                    self.retries.push(retry);
                }
                Fate::Bury(burial) => self.burials.push(burial),
                Fate::Drop(held) => self.dropped.push(held),
                Fate::Cancel(held) => self.cancels.push(held),
            }
        }
    }

    /// Takes those of the messages out that were to be acknowledged, and of those that failed the
    /// ones whose work was `kept`; and what their handlers recorded.
    pub(crate) fn take_undone(
        &mut self,
        of: &HashSet<MessageId>,
        kept: &HashSet<MessageId>,
    ) -> HashSet<MessageId> {
        let acks = take(&mut self.acks, of, |held| held.id);
        let retries = take(&mut self.retries, kept, |retry| retry.held.id);
        let burials = take(&mut self.burials, kept, |burial| burial.held.id);
        self.put_off.retain(|id| !kept.contains(id));
        self.results.retain(|(id, _)| !of.contains(id));
        acks.into_iter().chain(retries).chain(burials).collect()
    }

    /// Returns whether something is written before the flight that commits.
    pub(crate) fn is_written_before(&self) -> bool {
        !(self.retries.is_empty() && self.burials.is_empty() && self.cancels.is_empty())
    }

    /// Lets a message fail that was to be acknowledged.
    pub(crate) fn refuse(&mut self, line: &Line, charge: &Charge, error: &Error) {
        self.acks.retain(|held| held.id != charge.held.id);
        self.results.clear();
        match charge.decide(line, error) {
            Fate::Bury(burial) => self.burials.push(burial),
            Fate::Retry(retry) => self.retries.push(retry),
            _ => {}
        }
    }

    /// Removes the messages that are to be given up, if they still are: what this process heard may
    /// be over by now. The others stay as they are, to be handled.
    pub(crate) fn confirm_cancels(
        &mut self,
        line: &Line,
        session: &mut HandlerSession<'_>,
    ) -> Result<()> {
        if self.cancels.is_empty() {
            return Ok(());
        }
        let positions: Vec<Position> = self.cancels.iter().map(|held| held.position).collect();
        let ended = cancel::end_held(session.top()?, &line.topic, &positions)?;
        let (cancels, left): (Vec<Held>, Vec<Held>) = self
            .cancels
            .drain(..)
            .partition(|held| ended.contains(&held.id));
        self.cancels = cancels;
        self.left = left.len();
        line.base
            .waker
            .asked
            .forget(left.iter().map(|held| held.id));
        let left: Vec<Position> = left.iter().map(|held| held.position).collect();
        line.lower(&left);
        Ok(())
    }

    /// Returns the messages that ended, and how.
    pub(crate) fn ended(&self) -> impl Iterator<Item = (&Held, How)> {
        let acks = self.acks.iter().map(|held| (held, How::Done));
        // Also those whose time was over: a dead letter can be redriven, whatever it died of.
        let burials = self.burials.iter().map(|burial| (&burial.held, How::Dead));
        let dropped = self.dropped.iter().map(|held| (held, How::Expired));
        let cancels = self.cancels.iter().map(|held| (held, How::Cancelled));
        acks.chain(burials).chain(dropped).chain(cancels)
    }

    /// Returns the ends that matter to others.
    pub(crate) fn ends(&self) -> Vec<End> {
        let end = |(held, how): (&Held, How)| {
            Some(End {
                result: self.result(held.id),
                ..End::of(held, how)?
            })
        };
        self.ended().filter_map(end).collect()
    }

    fn result(&self, id: MessageId) -> Option<String> {
        let mut results = self.results.iter();
        results
            .find(|(of, _)| *of == id)
            .map(|(_, result)| result.clone())
    }

    /// Returns the messages that are still to be removed from the topic for good.
    pub(crate) fn removals(&self) -> Vec<Position> {
        let removed = self.acks.iter().chain(&self.dropped);
        removed.map(|held| held.position).collect()
    }

    /// After the commit: counts, logs, tells who waits, and notes when retries are due.
    pub(crate) fn announce(&self, line: &Line, is_chained: bool) {
        let ended = || self.ended().map(|(held, _)| held);
        line.base.waker.announce_ends(ended());
        if !is_chained && ended().any(|held| held.key.is_some()) {
            // The next ones of the keys are there.
            line.station.ring(1);
        }
        let retried = self.retries.len() - self.put_off.len();
        line.progress
            .count(self.acks.len(), retried, self.burials.len());
        line.progress.count_dropped(self.dropped.len());
        self.report(line);
        if let Some(soonest) = self.retries.iter().map(|retry| retry.delay).min() {
            line.base.waker.due_in(soonest);
        }
    }

    /// Logs what failed.
    fn report(&self, line: &Line) {
        let topic = &line.topic;
        let most = line.terms().max_attempts;
        for retry in &self.retries {
            let (id, delay, error) = (retry.held.id, retry.delay, &retry.error);
            match retry.is_failed {
                true => report::failed(topic, id, retry.attempts, most, delay, error),
                false => report::put_off(topic, id, delay, error),
            }
        }
        for burial in &self.burials {
            let (id, attempts) = (burial.held.id, burial.attempts);
            report::dead(topic, id, attempts, burial.reason, &burial.error);
        }
        for held in &self.dropped {
            report::dropped(topic, held.id);
        }
    }
}

/// Takes those out that have one of these ids, and returns theirs.
fn take<T>(from: &mut Vec<T>, ids: &HashSet<MessageId>, id: fn(&T) -> MessageId) -> Vec<MessageId> {
    let mut taken = Vec::new();
    from.retain(|one| {
        let is_one = ids.contains(&id(one));
        taken.extend(is_one.then(|| id(one)));
        !is_one
    });
    taken
}
