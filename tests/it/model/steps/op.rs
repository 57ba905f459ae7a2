//! What can be done to the messages of the test, and how a random sequence of it is made.

use super::spreading::Shared;
use fastrand::Rng;
use outtray::PoisonedKey;

/// The topics of the test, sorted. Two queues, so that one's messages could get into the other, and
/// a log.
pub(super) const TOPICS: [&str; 3] = ["even", "odd", "story"];
/// How many of them are queues: these come first.
pub(super) const QUEUES: usize = 2;
/// The one that is a log.
pub(super) const LOG: usize = 2;
/// The keys of their messages, those that have one.
pub(super) const KEYS: [char; 2] = ['a', 'b'];

/// An operation. `nth` chooses among as many as there are, so that every part of a sequence is one,
/// too; with none to choose from nothing is done.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Op {
    /// Sends messages in one session: so many, alike; by SQL functions or by the library.
    Send {
        topic: usize,
        count: usize,
        message: Kind,
        by_sql: bool,
    },
    /// Sends one and rolls the session back.
    SendAndRollBack {
        topic: usize,
    },
    /// Lets a handler have the next message, if there is one. Those before it that do not fit are
    /// buried.
    Handle {
        topic: usize,
        answer: Answer,
        sends_on: bool,
    },
    /// Lets the time pass until a message is due, and moves what is due.
    MakeDue {
        topic: usize,
        nth: Option<usize>,
    },
    /// Takes the next message by hand, if there is one, and holds it.
    Lease {
        topic: usize,
        by_sql: bool,
    },
    /// Settles one of those that were taken by hand, whether or not it is still leased; by SQL
    /// functions those that were taken by them.
    Settle {
        nth: usize,
        how: Settling,
        by_sql: bool,
    },
    /// Lets the time pass until leases are over: their holders died, or are late.
    Lapse {
        topic: usize,
        nth: Option<usize>,
    },
    /// Lets the time pass until messages are no longer worth handling.
    Expire {
        topic: usize,
        nth: Option<usize>,
    },
    /// Looks after what expired, as the upkeep of a process does.
    TakeOutExpired,
    /// Lets the time pass until the dedupe keys of a topic may be taken again.
    ForgetKeys {
        topic: usize,
    },
    /// Cancels one of all that were ever sent, or of those that were taken by hand.
    Cancel {
        nth: usize,
        is_taken: bool,
        by_sql: bool,
    },
    Purge {
        topic: usize,
    },
    PurgeDead {
        topic: usize,
        nth: Option<usize>,
    },
    Redrive {
        topic: usize,
        nth: Option<usize>,
    },
    Pause {
        topic: usize,
    },
    Resume {
        topic: usize,
    },
    Configure {
        topic: usize,
        settings: Settings,
    },
    /// Something about what several get.
    Shared(Shared),
}

/// What a message is like.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Kind {
    pub(super) priority: i16,
    pub(super) is_delayed: bool,
    /// Whether its payload fits what handlers want.
    pub(super) fits: bool,
    pub(super) is_tracked: bool,
    pub(super) key: Option<char>,
    pub(super) dedupe: Option<u8>,
}

/// What handlers send on, to the other topic.
pub(super) const PLAIN: Kind = Kind {
    priority: 0,
    is_delayed: false,
    fits: true,
    is_tracked: false,
    key: None,
    dedupe: None,
};

/// How a handler ends.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Answer {
    Ack,
    Fail,
    RetryAfter,
    Reject,
    Snooze,
    Panic,
    SwallowAnSqlError,
    /// The server process of its transaction ends.
    LoseConnection,
}

/// What the holder of a lease does.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Settling {
    Ack,
    Nack,
    RetryAfter,
    Reject,
    Release,
    Extend,
    /// Acknowledges in a session, in which it sends to the other topic.
    SettleIn,
    Drop,
}

/// What an operator set for a topic.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(super) struct Settings {
    pub(super) max_attempts: Option<u32>,
    pub(super) is_delayed: bool,
    /// What is expired is dropped.
    pub(super) drops_expired: bool,
    /// What a dead letter does to those of its key that come after it.
    pub(super) poisoned_key: Option<PoisonedKey>,
    /// Two messages of a key may be in work.
    pub(super) is_double: bool,
}

impl Op {
    /// Makes one. Mostly sending and handling, about as much of either, so that topics fill and run
    /// empty.
    pub(super) fn random(rng: &mut Rng) -> Op {
        let topic = rng.usize(..QUEUES);
        match rng.u8(..123) {
            0..26 => Op::send(rng, topic, Kind::random),
            26..27 => Op::SendAndRollBack {
                topic: rng.usize(..TOPICS.len()),
            },
            27..28 => Op::ForgetKeys {
                topic: rng.usize(..TOPICS.len()),
            },
            28..48 => Op::Handle {
                topic,
                answer: Answer::random(rng),
                sends_on: rng.bool(),
            },
            48..49 => Op::TakeOutExpired,
            49..57 => Op::MakeDue {
                topic,
                nth: nth(rng),
            },
            57..66 => Op::Lease {
                topic,
                by_sql: rng.bool(),
            },
            66..75 => Op::Settle {
                nth: rng.usize(..100),
                how: Settling::random(rng),
                by_sql: rng.bool(),
            },
            75..78 => Op::Lapse {
                topic,
                nth: nth(rng),
            },
            78..81 => Op::Expire {
                topic,
                nth: Some(rng.usize(..100)),
            },
            81..85 => Op::Cancel {
                nth: rng.usize(..100),
                is_taken: rng.bool(),
                by_sql: rng.bool(),
            },
            85..86 => Op::Purge { topic },
            86..88 => Op::PurgeDead {
                topic,
                nth: nth(rng),
            },
            88..92 => Op::Redrive {
                topic,
                nth: nth(rng),
            },
            92..94 => Op::Pause { topic },
            94..97 => Op::Resume { topic },
            97..100 => Op::Configure {
                topic,
                settings: Settings::random(rng),
            },
            100..104 => Op::send(rng, LOG, |rng| Kind::random(rng).of_log()),
            _ => Op::Shared(Shared::random(rng)),
        }
    }

    fn send(rng: &mut Rng, topic: usize, message: impl Fn(&mut Rng) -> Kind) -> Op {
        Op::Send {
            topic,
            count: if rng.u8(..4) == 0 { rng.usize(..6) } else { 1 },
            message: message(rng),
            by_sql: rng.bool(),
        }
    }
}

impl Kind {
    pub(super) fn random(rng: &mut Rng) -> Kind {
        Kind {
            priority: *rng.choice(&[0, 0, 0, 5, -5, i16::MAX, -i16::MAX]).unwrap(),
            is_delayed: rng.u8(..5) == 0,
            fits: rng.u8(..12) > 0,
            is_tracked: rng.u8(..4) == 0,
            key: (rng.u8(..5) < 2).then(|| *rng.choice(&KEYS).unwrap()),
            dedupe: (rng.u8(..10) == 0).then(|| rng.u8(..2)),
        }
    }

    /// Leaves out what no entry of a log has.
    pub(super) fn of_log(self) -> Kind {
        Kind {
            priority: 0,
            is_delayed: false,
            is_tracked: false,
            ..self
        }
    }
}

impl Answer {
    fn random(rng: &mut Rng) -> Answer {
        let answers = [
            Answer::Ack,
            Answer::Ack,
            Answer::Fail,
            Answer::Fail,
            Answer::RetryAfter,
            Answer::Reject,
            Answer::Snooze,
            Answer::Panic,
            Answer::SwallowAnSqlError,
            Answer::LoseConnection,
        ];
        *rng.choice(&answers).unwrap()
    }
}

impl Settling {
    fn random(rng: &mut Rng) -> Settling {
        let ways = [
            Settling::Ack,
            Settling::Nack,
            Settling::RetryAfter,
            Settling::Reject,
            Settling::Release,
            Settling::Extend,
            Settling::SettleIn,
            Settling::Drop,
        ];
        *rng.choice(&ways).unwrap()
    }
}

impl Settings {
    fn random(rng: &mut Rng) -> Settings {
        Settings {
            max_attempts: *rng.choice(&[None, Some(1), Some(2), Some(5)]).unwrap(),
            is_delayed: rng.u8(..4) == 0,
            drops_expired: rng.bool(),
            poisoned_key: *rng
                .choice(&[
                    None,
                    Some(PoisonedKey::Skip),
                    Some(PoisonedKey::Block),
                    Some(PoisonedKey::Park),
                ])
                .unwrap(),
            is_double: rng.u8(..4) == 0,
        }
    }
}

/// Chooses one; nothing means all.
fn nth(rng: &mut Rng) -> Option<usize> {
    rng.bool().then(|| rng.usize(..100))
}
