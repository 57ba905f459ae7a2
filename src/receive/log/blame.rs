//! Whose fault it was: what the failure of a whole transaction means for its entries. The rules are
//! those of messages (see `receive/transaction/blame`); an entry is named by its place, and a
//! charge waits in memory: as long as it is not written, the lane stays before the entry.

use crate::receive::decide::decide;
use crate::receive::handler::Ending;
use crate::receive::log::aside::Fate;
use crate::receive::log::lane_state::{EntriesInHand, EntryCharge, LaneState};
use crate::receive::log::reading::LogReading;
use crate::receive::telling;
use crate::receive::transaction::blame::{MAX_CONFLICTS, MAX_LOSSES};
use crate::session::caller_sql::EndedTransaction;
use crate::words::error::{Error, ErrorKind, chain};
use crate::words::handler_error::HandlerError;
use crate::words::sqlstate::{Failure, failure_of, is_interrupted};

/// Decides who is charged with `error`, which ended the open transaction. Returns whether the
/// entries in it were to blame: then the database is well, and the next transaction need not wait.
pub(crate) fn judge(reading: &LogReading, state: &mut LaneState, error: &Error) -> bool {
    let side = &reading.side;
    telling::tell_undone(side.observers(), &mut state.deliveries, &side.topic, error);
    let Some(entered) = state.entered.take() else {
        return false;
    };
    let failure = failure_of(error);
    if is_interrupted(error) || failure == Some(Failure::Hindered) {
        return false;
    }
    let ended = error.cause::<EndedTransaction>();
    let is_only_call = entered.calls == 1;
    // Whether it is certainly about the entries of the last call.
    let is_about_last = match error.kind() {
        ErrorKind::Unavailable if failure == Some(Failure::Overlong) => is_only_call,
        ErrorKind::Unavailable => {
            // Servers restart. Of several, nobody knows which one it is.
            if reading.side.count_loss(entered.id) <= MAX_LOSSES {
                return false;
            }
            true
        }
        ErrorKind::Conflict => {
            state.conflicts += 1;
            if state.conflicts <= MAX_CONFLICTS {
                return false;
            }
            is_only_call
        }
        ErrorKind::SequenceBehind | ErrorKind::PositionGone => return false,
        _ => is_only_call || ended.is_some(),
    };
    state.conflicts = 0;
    charge(reading, state, entered, is_about_last, error);
    // A broken connection waits before the next try all the same.
    error.kind() != ErrorKind::Unavailable
}

fn charge(
    reading: &LogReading,
    state: &mut LaneState,
    entered: EntriesInHand,
    is_about_last: bool,
    error: &Error,
) {
    if entered.count > 1 || !is_about_last {
        // Nobody knows which it was.
        state.single(entered.before + entered.count.max(reading.batch));
        return;
    }
    let ended = error.cause::<EndedTransaction>();
    let why = chain(error);
    let ending = Ending::failed(&match ended.is_some_and(|ended| ended.is_committed) {
        // What it did is there.
        true => HandlerError::reject(why),
        false => HandlerError::failed(why),
    });
    state.charge = Some(EntryCharge {
        position: entered.position,
        fate: Fate::Failed(decide(&reading.side.terms(), 0, ending)),
    });
}
