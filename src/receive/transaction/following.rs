//! Several messages of a strict topic in one transaction: the head, and those that follow it.
//!
//! They are handled in order, and the first that does not succeed is the last that is begun: none
//! may be begun before the one ahead of it has ended. So only messages go together that nothing is
//! known about yet. One that has a key, failed before, is over, or cannot be read is the head of
//! its own transaction. So is one that somebody else holds: a claim skips it, and a list of what
//! there is, read after the claim, shows that it did.

use crate::db::{Statement, Value, sql};
use crate::message::claimed::{self, Claimed, Span};
use crate::message::outcome::{Decision, Outcome};
use crate::receive::transaction::claim::push_claim;
use crate::receive::transaction::worker_transaction::WorkerTransaction;
use crate::words::{ClaimPlace, Result};
use std::iter::zip;

static LIST_FOLLOWING: Statement = sql!("list_following", Order);

impl WorkerTransaction<'_, '_, '_> {
    /// Claims up to `most` messages that follow the one in `messages`, and may share its
    /// transaction.
    pub(crate) fn add_following(&mut self, messages: &mut Vec<Claimed>, most: usize) -> Result<()> {
        let shared = self.shared;
        let Some(head) = messages.first().filter(|head| may_share(head)) else {
            return Ok(());
        };
        let ClaimPlace { rank, seq } = head.held.position;
        let Some(next) = seq.checked_add(1) else {
            return Ok(());
        };
        let after_head = Span {
            from: ClaimPlace { rank, seq: next },
            ..claimed::EVERYTHING
        };
        let mut flight = self.session.open()?.flight().of_names();
        push_claim(&mut flight, &shared.topic, None, most, &[after_head]);
        let rows = self.fly(flight)?;
        let following: Vec<Claimed> = rows.iter().map(claimed::read).collect::<Result<_>>()?;
        if following.is_empty() {
            return Ok(());
        }
        let values = [
            Value::Text(&shared.topic),
            Value::Number(rank.into()),
            Value::Number(seq),
            Value::Number(i64::try_from(most).unwrap_or(i64::MAX)),
        ];
        let listed = self.fly_one(|flight| flight.call(&LIST_FOLLOWING, &values))?;
        let listed = listed.iter().map(claimed::read_position);
        let listed: Vec<ClaimPlace> = listed.collect::<Result<_>>()?;
        let without_gap = zip(following, listed)
            .take_while(|(message, place)| message.held.position == *place && may_share(message));
        messages.extend(without_gap.map(|(message, _)| message));
        Ok(())
    }

    /// Returns whether a message of a strict topic may not be begun, since one ahead of it did not
    /// succeed.
    pub(crate) fn is_held_up(&self, message: &Claimed, decided: &[Decision<'_>]) -> bool {
        self.shared.options.is_strict
            && decided.iter().any(|(ahead, outcome)| {
                !matches!(outcome, Outcome::Done(_)) && ahead.position < message.held.position
            })
    }
}

/// Returns whether a message of a strict topic may share a transaction with its neighbours.
fn may_share(message: &Claimed) -> bool {
    message.held.key.is_none()
        && message.attempts == 0
        && !message.is_expired
        && message.unreadable.is_none()
}
