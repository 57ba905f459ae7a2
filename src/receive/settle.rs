//! What a transaction decided about its messages, and how that is written.

use crate::cancel;
use crate::crashes::attempt::Deaths;
use crate::db::{Flight, Run};
use crate::history;
use crate::message::claimed::Held;
use crate::message::end::{End, How};
use crate::message::floor::Floors;
use crate::message::outcome::{Cause, Decision, Outcome};
use crate::message::{report, settle};
use crate::observe::delivered::Deliveries;
use crate::receive::claim;
use crate::receive::progress::Progress;
use crate::receive::shared_state::SharedState;
use crate::receive::telling::{self, Settled};
use crate::session::handler_session::HandlerSession;
use crate::threads::mutex::Mutex;
use crate::wake::asked::Asked;
use crate::words::{ClaimPlace, MessageId, Result};
use std::collections::{HashMap, HashSet};
use std::time::Duration;
use uuid::Uuid;

/// What becomes of the messages of a transaction.
#[derive(Debug, Default)]
pub(crate) struct Settlement<'m> {
    /// A message that is [`Cancelled`](Outcome::Cancelled) here has only a presumed request, until
    /// [`confirm_cancels`](Self::confirm_cancels) confirms the request and removes the message.
    decided: Vec<Decision<'m>>,
    /// How many messages had no such request after all; the commit frees them.
    pub(crate) left: usize,
}

impl<'m> Settlement<'m> {
    pub(crate) fn of(decided: Vec<Decision<'m>>) -> Self {
        Settlement { decided, left: 0 }
    }

    pub(crate) fn add(&mut self, decided: Vec<Decision<'m>>) {
        self.decided.extend(decided);
    }

    pub(crate) fn decided(&mut self) -> &mut Vec<Decision<'m>> {
        &mut self.decided
    }

    /// Removes decisions about messages whose work was undone: those among `of` that were to be
    /// acknowledged, and those among `kept` that failed. Returns the ids of these messages.
    pub(crate) fn take_undone(
        &mut self,
        of: &HashSet<MessageId>,
        kept: &HashSet<MessageId>,
    ) -> HashSet<MessageId> {
        let mut undone = HashSet::new();
        self.decided.retain(|(held, outcome)| {
            let is_undone = match outcome {
                Outcome::Done(_) => of.contains(&held.id),
                Outcome::Retry(_) | Outcome::Dead(_) => kept.contains(&held.id),
                _ => false,
            };
            undone.extend(is_undone.then_some(held.id));
            !is_undone
        });
        undone
    }

    /// Removes decisions about messages that come after one that failed among `again`: in strict
    /// order they were begun too early. The commit frees them.
    pub(crate) fn forget_after_failed(&mut self, again: &[Decision<'_>]) {
        let failed = |(_, outcome): &&Decision<'_>| !matches!(outcome, Outcome::Done(_));
        let Some((first, _)) = again.iter().find(failed) else {
            return;
        };
        let before = self.decided.len();
        self.decided
            .retain(|(held, _)| held.position < first.position);
        self.left += before - self.decided.len();
    }

    /// Replaces the decision about a message whose work was refused.
    pub(crate) fn refuse(&mut self, id: MessageId, failed: Outcome) {
        let mut decided = self.decided.iter_mut();
        if let Some((_, outcome)) = decided.find(|(held, _)| held.id == id) {
            *outcome = failed;
        }
    }

    /// Removes the messages that somebody asked to cancel. The requests that this process heard of
    /// may be out of date, so the database decides; messages without a request stay, to be handled.
    pub(crate) fn confirm_cancels(
        &mut self,
        session: &mut HandlerSession<'_>,
        topic: &str,
        floors: &Mutex<Floors>,
        asked: &Asked,
    ) -> Result<()> {
        let is_cancelled = |(_, outcome): &&Decision<'_>| matches!(outcome, Outcome::Cancelled);
        let cancelled = self.decided.iter().filter(is_cancelled);
        let positions: Vec<ClaimPlace> = cancelled.map(|(held, _)| held.position).collect();
        if positions.is_empty() {
            return Ok(());
        }
        let ended = cancel::end_held(session.top()?, topic, &positions)?;
        let mut left: Vec<&Held> = Vec::new();
        self.decided.retain(|decision @ (held, _)| {
            let is_left = is_cancelled(&decision) && !ended.contains(&held.id);
            left.extend(is_left.then_some(*held));
            !is_left
        });
        self.left = left.len();
        asked.forget(left.iter().map(|held| held.id));
        claim::lower(floors, left.iter().map(|held| held.position));
        Ok(())
    }

    /// Returns whether statements have to run before the flight that commits.
    pub(crate) fn is_written_before(&self) -> bool {
        self.has_failed() || self.any(|outcome| matches!(outcome, Outcome::Cancelled))
    }

    /// Returns whether messages are to be acknowledged.
    pub(crate) fn has_done(&self) -> bool {
        self.any(|outcome| matches!(outcome, Outcome::Done(_)))
    }

    /// Returns whether messages wait for another attempt, or stay as dead letters.
    pub(crate) fn has_failed(&self) -> bool {
        self.any(|outcome| matches!(outcome, Outcome::Retry(_) | Outcome::Dead(_)))
    }

    fn any(&self, is: impl Fn(&Outcome) -> bool) -> bool {
        self.decided.iter().any(|(_, outcome)| is(outcome))
    }

    /// Schedules retries and buries dead letters, at the top level of the transaction, which began
    /// `since_begin` ago.
    pub(crate) fn move_failed(
        &self,
        run: &mut dyn Run,
        topic: &str,
        is_strict: bool,
        since_begin: Duration,
    ) -> Result<()> {
        if !is_strict {
            settle::retry(run, topic, &self.decided)?;
            return settle::bury(run, topic, &self.decided);
        }
        for (held, outcome) in &self.decided {
            if let Outcome::Retry(retry) = outcome {
                let delay = retry.delay.saturating_add(since_begin);
                let failure = retry.failure();
                settle::postpone_head(run, topic, held, retry.attempts, delay, failure)?;
            }
        }
        settle::bury(run, topic, &self.decided)
    }

    /// Postpones or buries messages that wait for their next attempts.
    pub(crate) fn move_waiting(&self, run: &mut dyn Run, topic: &str) -> Result<()> {
        let mut decided = self.decided.iter();
        decided.try_for_each(|decision| settle::settle_waiting(run, topic, decision))
    }

    /// Returns the places of the messages that the commit removes from the topic for good.
    pub(crate) fn removals(&self) -> Vec<ClaimPlace> {
        let is_removed =
            |(_, outcome): &&Decision<'_>| matches!(outcome, Outcome::Done(_) | Outcome::Dropped);
        let removed = self.decided.iter().filter(is_removed);
        removed.map(|(held, _)| held.position).collect()
    }

    /// Appends the removal of the same messages, and its record; the transaction began so long ago.
    pub(crate) fn push_recorded(&self, flight: &mut Flight, topic: &str, since_begin: Duration) {
        let (mut done, mut expired, mut results) = (Vec::new(), Vec::new(), Vec::new());
        for (held, outcome) in &self.decided {
            match outcome {
                Outcome::Done(result) => {
                    done.push(held.position);
                    results.extend(result.as_deref().map(|result| (held.id, result)));
                }
                Outcome::Dropped => expired.push(held.position),
                _ => {}
            }
        }
        for (how, places, results) in [(How::Done, done, results), (How::Expired, expired, vec![])]
        {
            if !places.is_empty() {
                history::push_end(flight, topic, how, &places, since_begin, &results);
            }
        }
    }

    /// Returns the messages that ended.
    pub(crate) fn ended(&self) -> impl Iterator<Item = &'m Held> {
        let ended = self.decided.iter();
        ended.filter_map(|(held, outcome)| how(outcome).map(|_| *held))
    }

    /// Returns the ends that matter to others.
    pub(crate) fn ends(&self) -> Vec<End> {
        let end = |(held, outcome): &Decision<'_>| {
            let end = End::of(held, how(outcome)?)?;
            let result = match outcome {
                Outcome::Done(result) => result.clone(),
                _ => None,
            };
            Some(End { result, ..end })
        };
        self.decided.iter().filter_map(end).collect()
    }

    /// Returns the messages that saw a death and whose delivery ended: their own counts include the
    /// deaths from now on. Deaths of a message that was put off, or whose cancel was not confirmed,
    /// stay counted separately.
    pub(crate) fn counted(&self, deaths: &HashMap<MessageId, Deaths>) -> Vec<Uuid> {
        let has_ended = |(held, outcome): &&Decision<'_>| {
            let cause = match outcome {
                Outcome::Retry(retry) => retry.cause,
                Outcome::Cancelled => Cause::PutOff,
                _ => Cause::Failed,
            };
            cause != Cause::PutOff && deaths.contains_key(&held.id)
        };
        if deaths.is_empty() {
            return Vec::new();
        }
        let counted = self.decided.iter().filter(has_ended);
        counted.map(|(held, _)| held.id.0).collect()
    }

    pub(crate) fn outcomes(&self) -> impl Iterator<Item = &Outcome> {
        self.decided.iter().map(|(_, outcome)| outcome)
    }

    /// Logs what failed.
    pub(crate) fn report(&self, topic: &str, max_attempts: u32, progress: &Progress) {
        for (held, outcome) in &self.decided {
            progress.note(topic, held.id, outcome);
            report::outcome(topic, held.id, outcome, None, max_attempts);
        }
    }

    /// Tells observers what became of the messages, and forgets their deliveries. Where nobody
    /// looks, it is only counted.
    pub(crate) fn tell(&self, shared: &SharedState, deliveries: &mut Deliveries) {
        let (observers, topic) = (shared.observers(), &shared.topic);
        if !observers.are_any() {
            let outcomes = self.outcomes();
            return telling::count(observers, topic, outcomes);
        }
        for (held, outcome) in &self.decided {
            let settled = Settled {
                topic,
                id: held.id,
                delivered: deliveries.take(held.id),
                is_cancelled: matches!(outcome, Outcome::Cancelled),
            };
            settled.tell(observers, outcome);
        }
        deliveries.take_all();
    }
}

/// Returns how a message ended, if it did.
fn how(outcome: &Outcome) -> Option<How> {
    match outcome {
        Outcome::Done(_) => Some(How::Done),
        // Also one whose time was over: a dead letter can be redriven, whatever it died of.
        Outcome::Dead(_) => Some(How::Dead),
        Outcome::Dropped => Some(How::Expired),
        Outcome::Cancelled => Some(How::Cancelled),
        Outcome::Retry(_) | Outcome::GiveBack | Outcome::Nacked(_) => None,
    }
}
