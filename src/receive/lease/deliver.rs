//! One leased message: its handler without a transaction, and what becomes of it.
//!
//! A handler that used its session has a transaction, and the end of its lease joins it, so what
//! fails concerns that message alone, and there is nobody else to charge. Other leases are settled
//! together, a little later: see `settle_ended`.

use crate::connect::connection::Connection;
use crate::leases::settle::extend;
use crate::leases::{self, Proof};
use crate::message::claimed::Claimed;
use crate::message::outcome::Outcome;
use crate::observe::delivered::Deliveries;
use crate::observe::spans;
use crate::receive::claim;
use crate::receive::decide::{decide, refuse};
use crate::receive::handler::{Attempt, Ending, call_alone, conflict_behind};
use crate::receive::lease::settle_ended::{Settler, settle_ended, warn_lost};
use crate::receive::leases_in_hand::{InHand, WhichEnded};
use crate::receive::options::Terms;
use crate::receive::progress::Hand;
use crate::receive::shared_state::SharedState;
use crate::receive::telling::{self, Settled};
use crate::receive::transaction::blame::{MAX_CONFLICTS, MAX_LOSSES};
use crate::receive::transaction::committed_by_handler::is_committed;
use crate::receive::worker_state::WorkerState;
use crate::session::handler_session::HandlerSession;
use crate::words::sqlstate::{failure_of, is_miscounted};
use crate::words::{Error, ErrorKind, Failure, HandlerError, Result, chain};
use std::iter::once;
use std::slice::from_ref;
use std::time::{Duration, Instant};
use tracing::Span;

/// How long a message is left alone whose handler sends while a sequence is behind its table.
const UNTIL_MIGRATED: Duration = Duration::from_secs(5);

/// A worker that handles messages under leases.
pub(crate) struct LeaseWorker<'a, 'h> {
    pub(crate) shared: &'a SharedState,
    pub(crate) connection: &'a mut Connection,
    pub(crate) state: &'a mut WorkerState<'h>,
    /// How long messages are leased, as of the claim.
    pub(crate) lease: Duration,
}

impl LeaseWorker<'_, '_> {
    /// Handles one message, unless it is not to be begun, and settles it or leaves that for soon.
    pub(crate) fn deliver(&mut self, in_hand: InHand<'_>) -> Result<()> {
        let terms = self.shared.terms();
        let message = &in_hand.message;
        let refused = match self.is_asked_for(&in_hand) {
            Ok(true) => Some(Outcome::Cancelled),
            Ok(false) => refuse(message, message.attempts, 0, &terms),
            Err(error) => return not_begun(in_hand, error),
        };
        if let Some(outcome) = refused {
            return self.end(in_hand, outcome);
        }
        let mut decided = Vec::new();
        let limits = &self.shared.limits;
        let grants = match limits.ask(self.connection, &[message]) {
            Ok(grants) => grants,
            Err(error) => return not_begun(in_hand, error),
        };
        let admitted = limits.after(grants, vec![message], &mut decided);
        self.state.loose.extend(admitted.loose);
        let put_off = decided.pop().map(|(_, put_off)| put_off);
        match put_off {
            Some(put_off) => self.end(in_hand, put_off),
            None => self.begin(in_hand, &terms),
        }
    }

    /// Returns whether somebody asked since the claim that a message be given up. What this process
    /// heard may be over by now, so the row has the last word; it says it again when the lease
    /// ends.
    fn is_asked_for(&mut self, in_hand: &InHand<'_>) -> Result<bool> {
        let SharedState { topic, base, .. } = self.shared;
        if !base.waker.asked.contains(in_hand.message.held.id) {
            return Ok(false);
        }
        let proof = &in_hand.proof;
        let extended = extend(self.connection, topic, &[proof], self.lease)?;
        Ok(extended.get(&proof.receipt).copied().unwrap_or(true))
    }

    /// Runs the handler of one message, and commits what it did, if anything, with the end of the
    /// lease.
    fn begin(&mut self, in_hand: InHand<'_>, terms: &Terms) -> Result<()> {
        let shared = self.shared;
        let (message, proof) = (&in_hand.message, &in_hand.proof);
        let mut hand = Hand::default();
        shared.progress.take(&mut hand);
        shared.concurrency.handler_begins(self.state.worker);
        let delivery = Attempt::of(&shared.topic, message, 0, terms, in_hand.cancel.clone());
        telling::start(shared, &mut self.state.deliveries, from_ref(&delivery));
        let mut session = HandlerSession::on_demand(&shared.base.process, self.connection);
        let started = Instant::now();
        let ending = session.part(|session| call_alone(self.state.handler, session, &delivery));
        let took = started.elapsed();
        shared.count_time(took);
        self.state.deliveries.end(once(message.held.id));
        if session.has_begun() {
            let what = format_args!("message {}", message.held.id);
            shared.warn_if_slow(&what, session.since_begin());
        }
        shared.concurrency.flight_begins(self.state.worker);
        if let Some(ended) = session.ended() {
            drop(session);
            let outcome = after_its_end(terms, message, &ended);
            let settled = self.end(in_hand, outcome);
            return settled.and_then(|()| self.settle()).map_err(|_| ended);
        }
        let ending = match ending {
            Ending::Done if session.is_untouched() => {
                let outcome = Outcome::Done(session.take_result());
                drop(session);
                return self.end(in_hand, outcome);
            }
            Ending::Done => match spans::within(settling(shared, message), |_| {
                commit(shared, session, proof, &mut self.state.deliveries)
            }) {
                Ok(()) => return Ok(()),
                Err(error) if self.is_lost(proof, &error) => return Ok(()),
                Err(error) => self.trouble(message, &error),
            },
            ending => {
                let excuse = excuse(&mut session, &ending);
                drop(session);
                match excuse {
                    Some(Failure::Lost) if !self.connection.is_closed() => Err(ending),
                    Some(failure) => self.excused(message, failure),
                    None => Err(ending),
                }
            }
        };
        let outcome = match ending {
            Ok(outcome) => outcome,
            Err(ending) => decide(terms, message.attempts, ending).after(took),
        };
        self.end(in_hand, outcome)
    }

    /// Returns whether a lease could not be ended since it is in other hands, or settled. Says so.
    fn is_lost(&mut self, proof: &Proof, error: &Error) -> bool {
        if !is_miscounted(error) {
            return false;
        }
        let topic = &self.shared.topic;
        let extended = extend(self.connection, topic, &[proof], self.lease);
        let is_lost = extended.is_ok_and(|good| !good.contains_key(&proof.receipt));
        if is_lost {
            self.state.deliveries.take(proof.held.id);
            warn_lost(topic, proof);
        }
        is_lost
    }

    /// Decides about a message whose handler failed for a reason that may not be its fault.
    fn excused(&mut self, message: &Claimed, failure: Failure) -> Result<Outcome, Ending> {
        let kind = match failure {
            Failure::Hindered => return Ok(self.aside(message, "others were in its way")),
            Failure::Lost => ErrorKind::Unavailable,
            _ => ErrorKind::Conflict,
        };
        self.trouble(message, &Error::new(kind, "in a handler"))
    }

    /// Decides what a failure means that may not be the message's fault: an outcome without an
    /// attempt spent, or how its handler is to be taken to have ended.
    fn trouble(&mut self, message: &Claimed, error: &Error) -> Result<Outcome, Ending> {
        let failed = || Ending::failed(&HandlerError::failed(chain(error)));
        match failure_of(error) {
            Some(Failure::Overlong) => return Err(failed()),
            // Its end may have been what others were in the way of.
            Some(Failure::Hindered) => return Ok(self.aside(message, &chain(error))),
            _ if is_miscounted(error) => return Ok(self.aside(message, &chain(error))),
            _ => {}
        }
        match error.kind() {
            ErrorKind::Unavailable => match self.shared.count_loss(message.held.id) {
                ..=MAX_LOSSES => Ok(Outcome::GiveBack),
                _ => Err(failed()),
            },
            ErrorKind::Conflict => {
                let conflicts = self.shared.count_conflict(message.held.id) % (MAX_CONFLICTS + 1);
                if conflicts == 0 {
                    return Err(failed());
                }
                // Not all at once again.
                let delay = fastrand::u64(5..50) * u64::from(conflicts);
                let delay = Duration::from_millis(delay);
                Ok(Outcome::put_off(message.attempts, delay, chain(error)))
            }
            // Nobody's fault here, and every send's until somebody migrates.
            ErrorKind::SequenceBehind => {
                let why = chain(error);
                Ok(Outcome::put_off(message.attempts, UNTIL_MIGRATED, why))
            }
            _ => Err(failed()),
        }
    }

    /// Leaves a message alone for a while, longer each time, without an attempt spent.
    fn aside(&self, message: &Claimed, why: &str) -> Outcome {
        let delay = self.shared.set_aside(message.held.id);
        Outcome::put_off(message.attempts, delay, why)
    }

    /// Leaves a lease to be settled with others, as far as there is time for that.
    fn end(&mut self, in_hand: InHand<'_>, outcome: Outcome) -> Result<()> {
        let delivered = self.state.deliveries.take(in_hand.proof.held.id);
        let may_wait = in_hand.end(outcome, delivered);
        match may_wait && !self.connection.is_closed() {
            true => Ok(()),
            false => self.settle(),
        }
    }

    /// Settles what this worker is done with. What cannot be settled is left for the next time.
    pub(crate) fn settle(&mut self) -> Result<()> {
        let ended = WhichEnded::By(self.state.worker);
        let ended = self.shared.heartbeat.take_ended(ended);
        settle_ended(self.shared, self.connection, Settler::Worker, ended)
    }
}

/// Leaves a lease to go back as soon as the database can be reached: its handler did not run.
fn not_begun(in_hand: InHand<'_>, error: Error) -> Result<()> {
    in_hand.end(Outcome::GiveBack, None);
    Err(error)
}

/// Makes the span of settling a message.
fn settling(shared: &SharedState, message: &Claimed) -> Span {
    spans::settle(&shared.topic, 1, [&message.headers].into_iter())
}

/// Decides about a message whose handler ended its transaction: one that committed it is not to run
/// again.
fn after_its_end(terms: &Terms, message: &Claimed, ended: &Error) -> Outcome {
    let why = chain(ended);
    let ending = Ending::failed(&match is_committed(ended) {
        true => HandlerError::reject(why),
        false => HandlerError::failed(why),
    });
    decide(terms, message.attempts, ending)
}

/// Commits what the handler did, with the end of the lease, in one flight. All of it is rolled back
/// when the lease was lost.
fn commit(
    shared: &SharedState,
    mut session: HandlerSession<'_>,
    proof: &Proof,
    deliveries: &mut Deliveries,
) -> Result<()> {
    let result = session.take_result();
    let mut flight = session.last_flight_of_lease()?;
    let is_recorded = shared.keeps_history();
    leases::push_handled(&mut flight, &shared.topic, proof, result, is_recorded);
    flight.commit();
    let observers = shared.observers();
    let (committed, news) = session.commit_lease(flight);
    shared.base.waker.announce(&news);
    committed.inspect_err(|error| {
        let (topic, sent) = (&shared.topic, news.sent_ids());
        // It may be committed: who waits for this end looks.
        shared.base.waker.announce_ends([&proof.held].into_iter());
        telling::tell_unknown(observers, deliveries, topic, &sent, (error, true));
    })?;
    claim::await_next(&shared.floors, [&proof.held].into_iter());
    shared.base.waker.announce_ends([&proof.held].into_iter());
    shared.progress.count(1, 0, 0);
    let done = Outcome::Done(None);
    shared.progress.note(&shared.topic, proof.held.id, &done);
    news.tell(observers);
    let settled = Settled {
        topic: &shared.topic,
        id: proof.held.id,
        delivered: deliveries.take(proof.held.id),
        is_cancelled: false,
    };
    settled.tell(observers, &done);
    Ok(())
}

/// Returns what excuses a handler that failed: a conflict, a lost connection, or others in its way.
fn excuse(session: &mut HandlerSession<'_>, ending: &Ending) -> Option<Failure> {
    if conflict_behind(session, from_ref(ending)).is_some() {
        return Some(Failure::Conflict);
    }
    match ending.said()? {
        Failure::Lost => Some(Failure::Lost),
        Failure::Hindered if session.is_in_doubt() && ending.retryable().is_some() => {
            Some(Failure::Hindered)
        }
        _ => None,
    }
}
