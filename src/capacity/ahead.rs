//! Room that a session takes for messages that it may send later.
//!
//! Whoever took room holds the topic's row until the commit, so more of it can be taken at once,
//! and what was too much be given back with the commit: nobody else sees it in between, and the
//! limit holds exactly. A session that sends one by one takes as much again as it has sent, so a
//! thousand sends take ten round trips.
//!
//! The room is part of the session's transaction. What a savepoint undoes is restored with the
//! outbox, of which this is a part.

use crate::capacity::RETURN_ROOM;
use crate::db::{Flight, Value};

/// The most that is taken ahead: so many sends spread the cost of a round trip.
const MOST_AHEAD: i64 = 1024;

/// Room that the open transaction took in bounded topics.
#[derive(Debug, Clone, Default)]
pub(crate) struct RoomAhead {
    taken: Vec<TakenRoom>,
}

/// Room in one topic.
#[derive(Debug, Clone)]
struct TakenRoom {
    topic: String,
    /// The number that the transaction left in the topic's row.
    used: i64,
    /// How much of it is not needed so far.
    left: i64,
    /// For how many messages room was needed.
    spent: i64,
}

impl RoomAhead {
    fn of(&self, topic: &str) -> Option<&TakenRoom> {
        self.taken.iter().find(|taken| taken.topic == topic)
    }

    fn of_mut(&mut self, topic: &str) -> Option<&mut TakenRoom> {
        self.taken.iter_mut().find(|taken| taken.topic == topic)
    }

    /// Returns how much room of a topic is left.
    pub(crate) fn left(&self, topic: &str) -> i64 {
        self.of(topic).map_or(0, |taken| taken.left)
    }

    /// Spends room that was taken before. Returns false, with nothing spent, if there is too
    /// little.
    pub(crate) fn spend(&mut self, topic: &str, messages: i64) -> bool {
        match self.of_mut(topic) {
            Some(taken) if taken.left >= messages => {
                taken.left -= messages;
                taken.spent += messages;
                true
            }
            _ => false,
        }
    }

    /// Returns how much more is to be taken with room for so many messages: as much again as was
    /// spent, but at most half of what others would have.
    pub(crate) fn wanted(&self, topic: &str, messages: i64, limit: i64) -> i64 {
        self.of(topic).map_or(0, |taken| {
            let free = limit.saturating_sub(taken.used).saturating_sub(messages);
            taken.spent.min(MOST_AHEAD).min(free / 2).max(0)
        })
    }

    /// Notes that room was taken for so many messages and `more`, and spends it for the messages;
    /// `used` is the number in the topic's row now.
    pub(crate) fn note(&mut self, topic: &str, messages: i64, more: i64, used: i64) {
        match self.of_mut(topic) {
            Some(taken) => {
                taken.used = used;
                taken.spent += messages;
                taken.left = more;
            }
            None => self.taken.push(TakenRoom {
                topic: topic.to_owned(),
                used,
                left: more,
                spent: messages,
            }),
        }
    }

    /// Appends to the flight that commits that what is left is given back.
    pub(crate) fn push_return(&self, flight: &mut Flight) {
        for taken in self.taken.iter().filter(|taken| taken.left > 0) {
            let values = [
                Value::Text(&taken.topic),
                Value::Number(taken.left),
                Value::Number(taken.used),
            ];
            flight.call(&RETURN_ROOM, &values);
        }
    }
}
