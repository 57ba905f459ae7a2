//! What keeps a message back, as a part of a sentence.

use crate::why::answer::Obstacle;
use crate::why::in_words::{NAMED, moment, of};
use std::fmt::{self, Display, Formatter};

impl Display for Obstacle {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        match self {
            Obstacle::Cancelled { since } => {
                let since = moment(*since);
                write!(f, "it was cancelled at {since}, and is about to be removed")
            }
            Obstacle::Expired { at } => {
                let at = moment(*at);
                write!(f, "it expired at {at}, and is about to be taken out")
            }
            Obstacle::Unreadable { why } => write!(f, "it cannot be read: {why}"),
            Obstacle::Held { holder } => write!(f, "its row is locked by {holder}"),
            Obstacle::KeyRateUsedUp { next_in } => {
                let next_in = of(*next_in);
                write!(
                    f,
                    "the rate of its key is used up: the next token is there in {next_in}"
                )
            }
            of_topic => topic(f, of_topic),
        }
    }
}

/// Says what keeps all messages of a topic.
fn topic(f: &mut Formatter<'_>, obstacle: &Obstacle) -> fmt::Result {
    f.write_str(match obstacle {
        Obstacle::NoReceiver => "no receiver of its topic lives",
        Obstacle::NotYetInLog => "its topic is a log, into which it moves when a reader looks next",
        _ => "its topic ",
    })?;
    match obstacle {
        Obstacle::Paused { since, by } => {
            write!(f, "is paused since {}", moment(*since))?;
            by.iter().try_for_each(|by| write!(f, " by {by}"))
        }
        Obstacle::NotWanted { filters } => {
            write!(f, "has receivers that want others: {}", filters.join("; "))
        }
        Obstacle::RateUsedUp { next_in } => {
            let next_in = of(*next_in);
            write!(
                f,
                "has used up its rate: the next token is there in {next_in}"
            )
        }
        Obstacle::MaxInWorkUsedUp {
            limit,
            leased,
            holders,
        } => {
            write!(f, "has as many messages in work as may be ({limit})")?;
            if *leased > 0 {
                write!(f, ", {leased} of them under leases")?;
            }
            holders
                .iter()
                .take(NAMED)
                .try_for_each(|holder| write!(f, ", by {holder}"))
        }
        Obstacle::StrictOrder { first, due_in } => {
            write!(f, "is in strict order, and message {first} comes first")?;
            let due_in = due_in.iter();
            due_in
                .into_iter()
                .try_for_each(|due_in| write!(f, ", which is tried again in {}", of(*due_in)))
        }
        Obstacle::Suspect { left } => {
            let left = of(*left);
            write!(
                f,
                "is suspect for {left} at most, since a process died with messages in hand"
            )
        }
        _ => Ok(()),
    }
}
