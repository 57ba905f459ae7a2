//! A handler whose own SQL committed the transaction.
//!
//! Everything that it had done by then is permanent, and so is the work of the messages before it
//! in the transaction. Those were handled, so they are settled as if nothing had happened. The
//! handler must not run again, since each run would leave its effects. The messages' rows are free
//! since that COMMIT. The next transaction holds them again at once, and settles those that it got;
//! messages that others claimed first belong to them. All this is the last resort: such SQL is
//! refused wherever it can be recognised beforehand.

use crate::message::claimed::{self, Claimed};
use crate::message::outcome::Decision;
use crate::receive::claim::Taken;
use crate::receive::decide::decide;
use crate::receive::handler::Ending;
use crate::receive::transaction::notes::push_hold_again;
use crate::receive::transaction::worker_transaction::WorkerTransaction;
use crate::session::caller_sql::EndedTransaction;
use crate::words::{ClaimPlace, Error, HandlerError, Result, chain};
use std::collections::HashSet;

/// Returns whether an error says that a handler committed.
pub(crate) fn is_committed(error: &Error) -> bool {
    error
        .cause::<EndedTransaction>()
        .is_some_and(|ended| ended.is_committed)
}

impl WorkerTransaction<'_, '_, '_> {
    /// Begins the next transaction with the messages that are decided, and decides about those
    /// whose handler committed.
    pub(crate) fn take_up<'m>(
        &mut self,
        taken: &Taken,
        decisions: &mut Vec<Decision<'m>>,
        handled: &[&'m Claimed],
        error: &Error,
    ) -> Result<()> {
        self.session.begin_over()?;
        let decided: HashSet<ClaimPlace> =
            decisions.iter().map(|(held, _)| held.position).collect();
        let is_wanted = |message: &&Claimed| {
            let position = message.held.position;
            let mut handled = handled.iter();
            decided.contains(&position) || handled.any(|message| message.held.position == position)
        };
        let mut flight = self.session.open()?.flight();
        let wanted = taken.messages.iter().filter(is_wanted);
        push_hold_again(&mut flight, &self.shared.topic, wanted);
        let rows = self.fly(flight)?;
        self.session.note_begun();
        let rows = rows.iter();
        let held: HashSet<ClaimPlace> = rows.map(claimed::read_position).collect::<Result<_>>()?;
        decisions.retain(|(message, _)| held.contains(&message.position));
        for message in handled {
            if held.contains(&message.held.position) && !decided.contains(&message.held.position) {
                let why = HandlerError::reject(chain(error));
                let attempts = message.attempts + taken.crashes(message);
                let ending = Ending::failed(&why);
                let outcome = decide(&self.shared.terms(), attempts, ending);
                decisions.push((&message.held, outcome));
            }
        }
        // The rest is free, and the floor must not hide it.
        self.shared.floors().forget();
        Ok(())
    }
}
