//! One worker's transactions: claim, handle, settle, commit, and on to the next.
//!
//! The hot path. A transaction is three parts: a claim; the handlers, each in a savepoint that is
//! opened when it first uses its session; and one last flight,
//! `RELEASE …; send…; acknowledge; COMMIT; BEGIN; claim`, which ends this transaction and begins
//! the next in one round trip. More than a few messages that handlers sent are stored just before,
//! in one statement. Only failures cost more.
//!
//! If any step fails, the transaction is gone with all in it, and the error says why; `blame`
//! decides what that means for the messages that had been in hand.

use crate::connect::connection::Connection;
use crate::connect::pulse::Pulse;
use crate::db::silence::Hold;
use crate::message::claimed::Claimed;
use crate::message::outcome::{Decision, Outcome};
use crate::rate_limit::Grant;
use crate::rate_limit::tokens::Allowance;
use crate::receive::claim::{self, Taken};
use crate::receive::progress::Hand;
use crate::receive::settle::Settlement;
use crate::receive::shared_state::SharedState;
use crate::receive::telling::{look_at_clock, wants_clock};
use crate::receive::transaction::begin::begin;
use crate::receive::transaction::blame;
use crate::receive::transaction::careful;
use crate::receive::transaction::committed_by_handler::is_committed;
use crate::receive::transaction::split::{Sharing, Split};
use crate::receive::transaction::worker_transaction::WorkerTransaction;
use crate::receive::transaction::write_charges;
use crate::receive::worker_state::{Worked, WorkerState};
use crate::threads::Stop;
use crate::words::{Error, Result};
use std::collections::HashMap;
use std::time::{Duration, Instant};

/// Runs transactions on `connection` until nothing is ready or the stop is set.
///
/// # Errors
/// Whatever ended a transaction instead of a commit. None of its work happened or, if the
/// connection broke during COMMIT, possibly all of it; the messages' rows say which.
pub(crate) fn run_transactions(
    shared: &SharedState,
    connection: &mut Connection,
    state: &mut WorkerState<'_>,
    stop: &Stop,
) -> Result<Worked> {
    let (limits, waker) = (&shared.limits, &shared.base.waker);
    shared.end_transaction(state.worker);
    write_charges::write_all(shared, connection, state)?;
    state.let_go(connection, &shared.topic)?;
    limits.give_back_keys(connection, waker, &mut state.loose);
    if shared.is_paused() {
        limits.give_back(connection);
        return Ok(Worked::Idle(None));
    }
    look_at_clock(shared.observers(), connection);
    if shared.station.is_suspect() {
        shared.asking.ask(connection, waker, &shared.topic)?;
    }
    limits.ensure_slots(connection)?;
    let mut allowance = match limits.before(connection, state.pace.size())? {
        Ok(allowance) => allowance,
        Err(wait) => return Ok(Worked::Idle(Some(wait))),
    };
    let worked = transactions(shared, connection, state, &mut allowance, stop);
    limits.leave(allowance);
    let is_leaving = stop.is_set() || shared.concurrency.is_over();
    if is_leaving || matches!(worked, Ok(Worked::Idle(_) | Worked::UsedUp(_))) {
        limits.give_back(connection);
    }
    if is_leaving || worked.is_ok() {
        // At once: the worker may park now, and nobody else knows of them.
        limits.give_back_keys(connection, waker, &mut state.loose);
    }
    match worked {
        Ok(Worked::Idle(None)) if !state.charges.is_empty() => Ok(Worked::Idle(Some(blame::OWED))),
        worked => worked,
    }
}

/// Runs transactions until nothing is ready, the allowance is spent, or the stop is set.
fn transactions(
    shared: &SharedState,
    connection: &mut Connection,
    state: &mut WorkerState<'_>,
    allowance: &mut Allowance,
    stop: &Stop,
) -> Result<Worked> {
    let pulse = connection.pulse.clone();
    let is_careful = shared.receiver.is_some() && shared.station.is_suspect();
    let mut most = allowance.size;
    let size = most.max(if is_careful { state.look } else { 0 });
    let (session, found) = begin(shared, connection, size, is_careful)?;
    let mut work = WorkerTransaction {
        shared,
        session,
        state: &mut *state,
        allowance,
        stop,
        is_careful,
    };
    let mut taken = match found {
        Some((plan, first)) => work.read_claim(size, plan, Some(first))?,
        None => work.claim_messages(size)?,
    };
    while !taken.messages.is_empty() {
        hold(shared, pulse.as_deref(), &taken);
        if work.is_stopping() {
            // What was claimed is free again with the end of the transaction.
            shared.floors().forget();
            work.end_empty()?;
            return Ok(Worked::Again);
        }
        if taken.is_full {
            shared.wake_another();
        }
        let mut _pass = None;
        let started = Instant::now();
        if work.needs_notes(&taken) {
            _pass = work.write_notes(&mut taken, most)?;
            if taken.messages.is_empty() {
                work.end_empty()?;
                state.let_go(connection, &shared.topic)?;
                return Ok(after_nothing(state, &taken, size));
            }
            // In another transaction.
            hold(shared, pulse.as_deref(), &taken);
        }
        work.begin_handlers(is_careful.then(|| started.elapsed()));
        let next = work.transact(&mut taken);
        let next = next.inspect_err(|_| blame::note_stray(work.state, &taken.messages))?;
        let Some(next) = next else {
            work.session.committed();
            return Ok(Worked::Again);
        };
        taken = next;
        most = work.state.pace.size();
    }
    work.end_empty()?;
    Ok(idle(&taken))
}

/// Notes one of the messages that the open transaction holds, where the server process is not
/// known: if the connection is lost, it is found by that. The note may stay when the transaction
/// has ended; who holds the message later began later.
fn hold(shared: &SharedState, pulse: Option<&Pulse>, taken: &Taken) {
    let Some(pulse) = pulse.filter(|pulse| pulse.process().is_none()) else {
        return;
    };
    pulse.set_hold(taken.messages.first().map(|message| Hold {
        topic: shared.topic.clone(),
        position: message.held.position,
        since: Instant::now(),
    }));
}

/// Says how long to wait for what could not be claimed.
fn idle(taken: &Taken) -> Worked {
    match taken.is_used_up {
        true => Worked::UsedUp(taken.wait),
        false => Worked::Idle(taken.wait),
    }
}

/// Says how to go on when nothing of what was claimed may begin, or others got all of it.
fn after_nothing(state: &mut WorkerState<'_>, taken: &Taken, looked_at: usize) -> Worked {
    if taken.is_used_up || taken.wait.is_some() {
        return idle(taken);
    }
    if !taken.is_held_up {
        return Worked::Again;
    }
    let further = careful::look_further(looked_at);
    if taken.is_full && further > looked_at {
        state.look = further;
        return Worked::Again;
    }
    state.look = 0;
    Worked::Idle(Some(careful::COME_BACK))
}

impl WorkerTransaction<'_, '_, '_> {
    /// Notes that the handlers begin, and how long writing the notes took.
    fn begin_handlers(&mut self, preparation: Option<Duration>) {
        self.state.look = 0;
        self.state
            .pace
            .note_preparation(preparation.unwrap_or_default());
    }

    /// Handles what was claimed, settles and commits. Returns the next claim if the flight made
    /// one.
    fn transact(&mut self, taken: &mut Taken) -> Result<Option<Taken>> {
        let shared = self.shared;
        let mut hand = Hand::default();
        let started = Instant::now();
        let grants = taken.grants.take();
        let taken = &*taken;
        let mut decided = Vec::with_capacity(taken.messages.len());
        let admitted = self.admit(taken, grants, &mut decided);
        let split = Split::of(shared.batch, shared.terms().max_attempts, admitted, taken);
        for (begun, message) in split.alone.iter().enumerate() {
            let is_enough =
                begun >= split.most_alone || self.session.has_set() || self.is_over(started);
            let goes_apart =
                |begun: usize| blame::go_apart(shared, &split.alone[begun - 1..=begun]);
            let is_held_up = self.is_held_up(message, &decided);
            if is_held_up || begun > 0 && (is_enough || goes_apart(begun)) {
                self.leave(&split.alone[begun..]);
                break;
            }
            self.allowance.spend(1);
            shared.progress.take(&mut hand);
            shared.concurrency.handler_begins(self.state.worker);
            let sharing = Sharing::of(message, taken, &split);
            self.handle_alone(taken, &mut decided, message, sharing)?;
        }
        let together = split.together.as_slice();
        let begun_together = match self.handle_together(together, &mut hand, &mut decided) {
            Ok(begun) => begun,
            Err(error) => {
                self.go_on(taken, &mut decided, together, error)?;
                together.len()
            }
        };
        self.session.restore()?;
        self.allowance.spend(begun_together);
        self.state.pace.learn(decided.len(), started.elapsed());
        self.state.pace.note_thin(split.is_thin);
        let is_chained = self.may_chain() && !self.session.is_spent();
        self.settle(taken, decided, is_chained)
    }

    /// Returns whether the transaction, which began then, is to take no further message.
    fn is_over(&self, started: Instant) -> bool {
        let is_late = || started.elapsed() > self.state.pace.budget();
        self.is_stopping() || (self.shared.options.per_transaction.is_none() && is_late())
    }

    /// Returns which messages are to be handled now, and decides about the others. What is not to
    /// be handled any more goes first: it has no need of a token, and must not be put off for want
    /// of one.
    fn admit<'m>(
        &mut self,
        taken: &'m Taken,
        grants: Option<HashMap<String, Grant>>,
        decided: &mut Vec<Decision<'m>>,
    ) -> Vec<&'m Claimed> {
        let fit = self.eligible(taken, decided);
        let admitted = self.shared.limits.after(grants, fit, decided);
        self.state.loose.extend(admitted.loose);
        admitted.messages
    }

    /// Settles and commits, and says so to all whom it concerns. Returns the next claim if the
    /// flight made one.
    fn settle<'m>(
        &mut self,
        taken: &'m Taken,
        decided: Vec<Decision<'m>>,
        is_chained: bool,
    ) -> Result<Option<Taken>> {
        let shared = self.shared;
        let gave_back = decided.len() < taken.messages.len();
        let mut settled = Settlement::of(decided);
        let next = self.commit_or_charge(taken, &mut settled, is_chained)?;
        if let Some(next) = &next {
            let is_done = |outcome: &&Outcome| matches!(outcome, Outcome::Done(_));
            let handled = settled.outcomes().filter(is_done).count();
            shared
                .concurrency
                .learn(handled, next.is_full, Instant::now());
        }
        if gave_back || settled.left > 0 {
            shared.station.ring(1);
        }
        Ok(next)
    }

    /// Handles one message and adds the decision about it.
    fn handle_alone<'m>(
        &mut self,
        taken: &Taken,
        decided: &mut Vec<Decision<'m>>,
        message: &'m Claimed,
        sharing: Sharing,
    ) -> Result<()> {
        match self.handle(message, taken.crashes(message), sharing) {
            Ok(outcome) => decided.push((&message.held, outcome)),
            Err(error) => self.go_on(taken, decided, &[message], error)?,
        }
        if self.session.has_set() {
            // So it may be with the next one, and what is taken with it would only go back.
            self.state.pace.single();
        }
        Ok(())
    }

    /// Leaves messages that are not begun: they are free again with the commit, and the floor must
    /// not hide them.
    fn leave(&mut self, unbegun: &[&Claimed]) {
        let places = unbegun.iter().map(|message| message.held.position);
        claim::lower(&self.shared.floors, places);
        self.state.loose.extend(self.shared.limits.unbegun(unbegun));
    }

    /// Goes on with the other messages of a transaction that a handler committed; any other error
    /// ends it.
    pub(super) fn go_on<'m>(
        &mut self,
        taken: &Taken,
        decided: &mut Vec<Decision<'m>>,
        handled: &[&'m Claimed],
        error: Error,
    ) -> Result<()> {
        if !is_committed(&error) {
            return Err(error);
        }
        // What it shared a check with is there for good, too.
        for charge in &mut self.state.entered {
            charge.is_bundled = false;
        }
        self.take_up(taken, decided, handled, &error)
            .map_err(|_| error)
    }

    /// Returns whether the flight that commits may claim what comes next.
    fn may_chain(&self) -> bool {
        let (shared, state) = (self.shared, &self.state);
        // The slot of a limited topic goes with its transaction.
        let is_ordinary = !shared.options.is_strict
            && !shared.progress.is_single()
            && state.loose.is_empty()
            && shared.limits.may_chain();
        let has_to_read = state.reads_settings && !shared.base.process.configs.is_fresh();
        let is_hindered = self.has_to_turn()
            || has_to_read
            || wants_clock(shared.observers())
            || self.is_stopping()
            || shared.floors().is_sweep_due(Instant::now());
        is_ordinary && !is_hindered && !shared.concurrency.is_over()
    }

    /// Returns whether the worker has to end its turn before it claims again: the suspicion of the
    /// topic began or ended, or it is time to ask whether it is over.
    fn has_to_turn(&self) -> bool {
        let is_suspect = self.shared.station.is_suspect();
        is_suspect != self.is_careful || (is_suspect && self.shared.asking.is_time())
    }
}
