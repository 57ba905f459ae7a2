//! What handlers do with their messages, and how random rounds of it are made.

use fastrand::Rng;

/// Messages, what their handlers do, and how they are worked on.
#[derive(Debug, Clone)]
pub(super) struct Round {
    pub(super) way: Way,
    pub(super) messages: Vec<Planned>,
}

/// How the topic is worked on.
#[derive(Debug, Clone, Copy)]
pub(super) struct Way {
    pub(super) hands: Hands,
    pub(super) workers: usize,
    pub(super) max_attempts: u32,
    pub(super) is_drain: bool,
    /// A process is taken to have died with messages of the topic in hand.
    pub(super) is_suspect: bool,
    /// Somebody cancels messages at any time.
    pub(super) is_cancelled: bool,
    /// Now and then something keeps a message's row from being removed.
    pub(super) is_leaky: bool,
    /// Middleware is around the handler, and a router is in front of one of single messages.
    pub(super) is_wrapped: bool,
    /// The topic keeps its history.
    pub(super) keeps_history: bool,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Hands {
    Adaptive,
    Fixed(usize),
    Leases,
    Batches(usize),
    /// A named reader of a log, with batches of this size.
    Reader(usize),
}

/// One message.
#[derive(Debug, Clone)]
pub(super) struct Planned {
    /// Its number, which stays when others are left out.
    pub(super) n: usize,
    /// Whether its payload fits what the handler wants.
    pub(super) fits: bool,
    pub(super) is_tracked: bool,
    pub(super) key: Option<u8>,
    pub(super) priority: i16,
    /// What its handler does in each attempt.
    pub(super) attempts: Vec<Script>,
}

/// What a handler does with one message in one attempt.
#[derive(Debug, Clone)]
pub(super) struct Script {
    pub(super) acts: Vec<Act>,
    pub(super) end: End,
    /// In a handler of batches: whether its end is that of the whole batch.
    pub(super) is_whole: bool,
}

/// One thing that a handler does.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Act {
    Insert,
    InsertReturning,
    Update,
    /// Looks whether exactly what it did before is there.
    Look,
    Nested(Nested),
    Borrow,
    BatchExecute,
    /// Leaves something behind that others must not find.
    Leave(Lasting),
    Send,
    SendDelayed,
    SendMany,
    SendDeduped,
    SendKeyed,
    /// By the function for SQL.
    SendBySql,
    /// To the topic that handlers send on to, which subscribed in several ways.
    Publish,
    PublishMany,
    Record,
    /// A statement that fails, whose error is swallowed or returned.
    Fail(Failing, bool),
    /// Makes the check before COMMIT fail.
    Violate,
    /// Passes that check, and makes COMMIT fail.
    ViolateLate,
    /// Once: another transaction is in the way.
    Conflict,
    /// Once: the connection breaks.
    Cut,
    /// Asks for its own message to be given up, in this process or another.
    Cancel(From),
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum From {
    Here,
    Elsewhere,
}

/// How a transaction inside the session's ends.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Nested {
    Commit,
    RollBack,
    Drop,
    /// A statement in it fails.
    FailAndDrop,
}

/// What lasts longer than its statement: for the transaction, or for the connection.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Lasting {
    Set,
    SetLocal,
    /// By a query, whose tag does not tell.
    SetByFunction,
    /// Through the driver's own transaction.
    SetInLent,
    Table,
    /// What no rollback undoes.
    Lock,
}

impl Lasting {
    /// Returns where it is seen.
    pub(super) fn place(self) -> Left {
        match self {
            Lasting::Table => Left::Table,
            Lasting::Lock => Left::Lock,
            _ => Left::Setting,
        }
    }
}

/// Where something that lasts is seen.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Left {
    Setting,
    Table,
    Lock,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Failing {
    /// One that travels with its savepoint.
    Insert,
    Query,
    BatchExecute,
}

/// How a handler ends.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum End {
    Done,
    Fail,
    Panic,
    Reject,
    /// Once; done then.
    Snooze,
    RetryAfter,
}

/// What makes a whole transaction fail. The first concerns only messages that share a check with
/// others, which few do.
const TROUBLE: [Act; 5] = [
    Act::Violate,
    Act::Violate,
    Act::ViolateLate,
    Act::Conflict,
    Act::Cut,
];

/// What is done after a redrive.
pub(super) fn second_life() -> Script {
    Script {
        acts: vec![Act::Insert, Act::Send],
        end: End::Done,
        is_whole: false,
    }
}

impl Round {
    pub(super) fn random(rng: &mut Rng) -> Round {
        let hands = match rng.u8(..12) {
            0..3 => Hands::Adaptive,
            3..6 => Hands::Fixed(*pick(rng, &[1, 2, 7, 64])),
            6 | 7 => Hands::Leases,
            8 | 9 => Hands::Batches(*pick(rng, &[1, 3, 50])),
            _ => Hands::Reader(*pick(rng, &[1, 3, 50])),
        };
        let is_log = matches!(hands, Hands::Reader(_));
        let way = Way {
            hands,
            workers: *pick(rng, &[1, 1, 3]),
            max_attempts: rng.u32(1..=3),
            is_drain: hands != Hands::Leases && !is_log && rng.u8(..4) == 0,
            is_suspect: rng.u8(..8) == 0,
            is_cancelled: !is_log && rng.u8(..6) == 0,
            is_leaky: rng.u8(..6) == 0,
            is_wrapped: rng.u8(..3) == 0,
            keeps_history: rng.bool(),
        };
        let trouble = rng.bool();
        let count = rng.usize(2..40);
        let messages = (0..count).map(|n| match is_log {
            true => Planned::random(rng, n, trouble).in_log(),
            false => Planned::random(rng, n, trouble),
        });
        Round {
            way,
            messages: messages.collect(),
        }
    }

    /// Returns whether a whole transaction may fail.
    pub(super) fn has_trouble(&self) -> bool {
        self.way.is_leaky || self.has(|act| TROUBLE.contains(&act))
    }

    /// Returns whether another process is needed.
    pub(super) fn has_others(&self) -> bool {
        self.way.is_cancelled || self.has(|act| act == Act::Cancel(From::Elsewhere))
    }

    fn has(&self, is_it: impl Fn(Act) -> bool) -> bool {
        let scripts = self.messages.iter().flat_map(|message| &message.attempts);
        let mut acts = scripts.flat_map(|script| &script.acts);
        acts.any(|act| is_it(*act))
    }
}

impl Planned {
    fn random(rng: &mut Rng, n: usize, trouble: bool) -> Planned {
        Planned {
            n,
            fits: rng.u8(..12) > 0,
            is_tracked: rng.u8(..3) == 0,
            key: (rng.u8(..6) == 0).then(|| rng.u8(..3)),
            priority: (rng.i16(0..20) - 18).max(0),
            attempts: (0..3).map(|_| Script::random(rng, trouble)).collect(),
        }
    }
}

impl Planned {
    /// Leaves out what no entry of a log has: results, and an end that others can ask for.
    fn in_log(mut self) -> Planned {
        for script in &mut self.attempts {
            let is_there = |act: &Act| !matches!(act, Act::Record | Act::Cancel(_));
            script.acts.retain(is_there);
        }
        Planned {
            is_tracked: false,
            priority: 0,
            ..self
        }
    }
}

impl Script {
    fn random(rng: &mut Rng, trouble: bool) -> Script {
        let count = *pick(rng, &[0, 0, 0, 1, 1, 2, 4]);
        let acts = (0..count).map(|_| match trouble && rng.u8(..6) == 0 {
            true => *pick(rng, &TROUBLE),
            false => Act::random(rng),
        });
        Script {
            acts: acts.collect(),
            end: match rng.u8(..16) {
                0..8 => End::Done,
                8 | 9 => End::Fail,
                10 | 11 => End::Panic,
                12 | 13 => End::Reject,
                14 => End::Snooze,
                _ => End::RetryAfter,
            },
            is_whole: rng.u8(..8) == 0,
        }
    }
}

impl Act {
    fn random(rng: &mut Rng) -> Act {
        match rng.u8(..40) {
            0..8 => Act::Insert,
            8..10 => Act::InsertReturning,
            10..13 => Act::Update,
            13..16 => Act::Look,
            16..20 => Act::Nested(*pick(
                rng,
                &[
                    Nested::Commit,
                    Nested::RollBack,
                    Nested::Drop,
                    Nested::FailAndDrop,
                ],
            )),
            20 => Act::Borrow,
            21 => Act::BatchExecute,
            22 => Act::Leave(Lasting::random(rng)),
            23..27 => Act::Send,
            27 => Act::SendDelayed,
            28 => Act::SendMany,
            29 => Act::SendDeduped,
            30 => *pick(
                rng,
                &[
                    Act::SendKeyed,
                    Act::SendBySql,
                    Act::Publish,
                    Act::PublishMany,
                ],
            ),
            31..34 => Act::Record,
            34..38 => Act::Fail(
                *pick(
                    rng,
                    &[Failing::Insert, Failing::Query, Failing::BatchExecute],
                ),
                rng.bool(),
            ),
            38 => Act::Cancel(*pick(rng, &[From::Here, From::Elsewhere])),
            _ => Act::Leave(Lasting::random(rng)),
        }
    }
}

impl Lasting {
    fn random(rng: &mut Rng) -> Lasting {
        *pick(
            rng,
            &[
                Lasting::Set,
                Lasting::SetLocal,
                Lasting::SetByFunction,
                Lasting::SetInLent,
                Lasting::Table,
                Lasting::Lock,
            ],
        )
    }
}

fn pick<'a, T>(rng: &mut Rng, from: &'a [T]) -> &'a T {
    &from[rng.usize(..from.len())]
}
