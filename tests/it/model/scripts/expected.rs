//! What is to come of the scripts. Pure.

use super::acting::{Call, REDRIVEN, Run, rows};
use super::script::{Act, End, Failing, From, Hands, Planned, Round, Script, second_life};
use std::collections::HashMap;

/// What one act left: where, in which run, and which act of it.
pub(super) type Trace = (Where, u32, usize);

#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Where {
    Row,
    Update,
    Sent,
    SentLater,
}

/// What came of a message.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Final {
    /// Sorted.
    pub(super) traces: Vec<Trace>,
    pub(super) fate: Fate,
    /// What was recorded, of one that is tracked.
    pub(super) result: Option<(u32, usize)>,
}

/// Adds one end that a message may have come to.
fn end(finals: &mut Vec<Final>, traces: &[Trace], fate: Fate, result: Option<(u32, usize)>) {
    let mut traces = traces.to_vec();
    traces.sort_unstable();
    finals.push(Final {
        traces,
        fate,
        result,
    });
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Fate {
    Done,
    Cancelled,
    /// With its reason, its attempts, and a part of its error.
    Dead(&'static str, u32, String),
}

/// What was done from outside.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Asked {
    Not,
    /// It may be cancelled or not.
    Perhaps,
    Surely,
}

/// How one run went, if its transaction was committed.
#[derive(Debug, Clone, Default)]
struct Ran {
    traces: Vec<Trace>,
    result: Option<(u32, usize)>,
    said: Said,
    has_panicked: bool,
    /// Whether a statement failed.
    is_broken: bool,
    /// Whether it did what COMMIT refuses, and whether that came to it.
    violates: bool,
    is_refused: bool,
    /// Who was asked to cancel it.
    asked: Option<From>,
}

#[derive(Debug, Clone, Default, PartialEq, Eq)]
enum Said {
    #[default]
    Done,
    /// It comes again, in the same attempt.
    PutOff,
    /// Tried again.
    Failed(String),
    Rejected(String),
}

/// What happened, as far as it cannot be known from the scripts.
pub(super) struct History<'a> {
    pub(super) round: &'a Round,
    /// Which messages each call had.
    pub(super) calls: &'a [Call],
    pub(super) asked: HashMap<usize, Asked>,
}

impl History<'_> {
    /// Returns all that may have come of a message: one thing, unless it was cancelled, or a COMMIT
    /// was refused.
    pub(super) fn finals(&self, planned: &Planned) -> Vec<Final> {
        let mut finals = Vec::new();
        let asked = self.asked.get(&planned.n).copied().unwrap_or(Asked::Not);
        self.follow(planned, 1, Vec::new(), asked, &mut finals);
        if asked == Asked::Surely {
            finals.retain(|one| one.fate == Fate::Cancelled);
        }
        finals
    }

    /// Adds all that may have come of a message from one attempt on, with what it had left until
    /// then.
    fn follow(
        &self,
        planned: &Planned,
        from: u32,
        mut kept: Vec<Trace>,
        mut asked: Asked,
        finals: &mut Vec<Final>,
    ) {
        let max_attempts = self.round.way.max_attempts;
        for attempt in from..=max_attempts {
            if asked > Asked::Not {
                end(finals, &kept, Fate::Cancelled, None);
            }
            if !planned.fits {
                let why = "invalid type".to_owned();
                end(finals, &kept, Fate::Dead("undecodable", 1, why), None);
                break;
            }
            let run = (planned.n, attempt);
            let Some(mut ran) = self.ran(run) else { break };
            if ran.asked.is_some() && self.round.has_trouble() {
                // It was asked for in a transaction that failed, and did not run again.
                end(finals, &kept, Fate::Cancelled, None);
            }
            if ran.asked.is_some() && ran.said != Said::Done {
                asked = asked.max(Asked::Perhaps);
                if !self.stays_dead(&ran.said, attempt) {
                    let traces = [&*kept, &*ran.traces].concat();
                    end(finals, &traces, Fate::Cancelled, None);
                    if ran.asked == Some(From::Here) && !ran.is_refused {
                        break;
                    }
                }
            }
            if ran.said == Said::PutOff {
                ran = Ran::of(self.script(run), run, &mut false, false).alone();
            }
            kept.extend(&ran.traces);
            let failed = match ran.said {
                Said::Done | Said::PutOff => {
                    end(finals, &kept, Fate::Done, ran.result);
                    break;
                }
                Said::Rejected(why) => Fate::Dead("rejected", attempt, why),
                Said::Failed(why) => Fate::Dead("exhausted", attempt, why),
            };
            if ran.is_refused && self.round.way.hands != Hands::Leases && attempt < max_attempts {
                // Among others it ran twice in this attempt, and is charged with both.
                let why = "constraint \"once\"".to_owned();
                let dead = Fate::Dead("exhausted", max_attempts, why);
                match attempt + 1 == max_attempts {
                    true => end(finals, &kept, dead, None),
                    false => self.follow(planned, attempt + 2, kept.clone(), asked, finals),
                }
            }
            if attempt == max_attempts || matches!(failed, Fate::Dead("rejected", ..)) {
                end(finals, &kept, failed, None);
                break;
            }
        }
    }

    /// Returns whether a message that was to be given up becomes a dead letter all the same.
    fn stays_dead(&self, said: &Said, attempt: u32) -> bool {
        let is_dead = match said {
            Said::PutOff => false,
            Said::Rejected(_) => true,
            _ => attempt == self.round.way.max_attempts,
        };
        is_dead && self.round.way.hands == Hands::Leases
    }

    /// Returns what a redrive makes of what had become of a message.
    pub(super) fn redriven(&self, planned: &Planned, before: &Final) -> Final {
        let mut after = before.clone();
        if matches!(before.fate, Fate::Dead(..)) && planned.fits {
            let run = (planned.n, REDRIVEN + 1);
            let ran = Ran::of(&second_life(), run, &mut false, false);
            after.traces.extend(ran.traces);
            after.traces.sort_unstable();
            after.fate = Fate::Done;
        }
        after
    }

    /// Returns how the run of a message went that counted; nothing if there was none.
    fn ran(&self, run: Run) -> Option<Ran> {
        if !matches!(self.round.way.hands, Hands::Batches(_)) {
            // One that was put off and not cancelled comes again, and leaves no trace.
            let script = self.script(run);
            let first = Ran::of(script, run, &mut false, true);
            return Some(match first.asked {
                Some(_) => first.alone(),
                None => Ran::of(script, run, &mut false, false).alone(),
            });
        }
        // The transactions of the calls before failed, or it was put off.
        let is_it = |one: &(Run, bool)| one.0 == run;
        let together = self.calls.iter().rfind(|call| call.iter().any(is_it))?;
        let place = together.iter().position(is_it)?;
        Some(self.ran_together(together).swap_remove(place))
    }

    /// Returns how a batch went.
    fn ran_together(&self, batch: &Call) -> Vec<Ran> {
        let mut is_broken = false;
        let mut all = vec![Ran::default(); batch.len()];
        let mut whole = None;
        for ((run, is_put_off), ran) in batch.iter().zip(&mut all) {
            let script = self.script(*run);
            if *is_put_off && !script.is_whole {
                continue;
            }
            *ran = Ran::of(script, *run, &mut is_broken, *is_put_off);
            ran.result = None;
            let is_whole = script.is_whole || ran.has_panicked;
            if ran.said != Said::Done && is_whole {
                whole = Some(ran.said.clone());
                break;
            }
        }
        if is_broken && whole.is_none() {
            whole = Some(swallowed());
        }
        let is_refused = whole.is_none() && all.iter().any(|ran| ran.violates);
        if is_refused {
            whole = Some(refused());
        }
        let undone = |ran: Ran| Ran {
            said: whole.clone().unwrap_or_default(),
            is_refused,
            ..ran.undone()
        };
        match whole {
            None => all,
            Some(_) => all.into_iter().map(undone).collect(),
        }
    }

    fn script(&self, (n, attempt): Run) -> &Script {
        let mut messages = self.round.messages.iter();
        let planned = messages
            .find(|planned| planned.n == n)
            .expect("it was sent");
        &planned.attempts[attempt as usize - 1]
    }
}

impl Ran {
    /// Runs a script, whose transaction is not asked yet.
    fn of(script: &Script, (n, run): Run, is_broken: &mut bool, is_first: bool) -> Ran {
        let mut ran = Ran::default();
        for (at, act) in script.acts.iter().enumerate() {
            match *act {
                Act::Fail(how, is_swallowed) => {
                    let was_broken = std::mem::replace(is_broken, true);
                    if !is_swallowed {
                        ran.said = Said::Failed(text(how, was_broken).to_owned());
                        return ran;
                    }
                }
                Act::Violate | Act::ViolateLate => ran.violates |= !*is_broken,
                Act::Cancel(from) => ran.asked = ran.asked.min(Some(from)).or(Some(from)),
                Act::Record => ran.result = Some((run, at)),
                act => ran.traces.extend(traces(act).map(|place| (place, run, at))),
            }
        }
        let why = |what: &str| format!("{what} {n}/{run}");
        ran.has_panicked = script.end == End::Panic;
        ran.said = match script.end {
            End::Snooze if is_first => Said::PutOff,
            End::Done | End::Snooze => Said::Done,
            End::Fail => Said::Failed(why("failed")),
            End::Panic => Said::Failed(why("handler panicked: broke")),
            End::Reject => Said::Rejected(why("rejected")),
            End::RetryAfter => Said::Failed("retry after 0ns".to_owned()),
        };
        ran.is_broken = *is_broken;
        ran
    }

    /// The same for a handler of single messages, with what its savepoint and its transaction say.
    fn alone(mut self) -> Ran {
        if self.said != Said::Done {
            return self.undone();
        }
        if !self.is_broken && !self.violates {
            return self;
        }
        self.is_refused = !self.is_broken;
        self.said = if self.is_refused {
            refused()
        } else {
            swallowed()
        };
        self.undone()
    }

    fn undone(self) -> Ran {
        Ran {
            traces: Vec::new(),
            result: None,
            ..self
        }
    }
}

fn refused() -> Said {
    Said::Failed("constraint \"once\"".to_owned())
}

fn swallowed() -> Said {
    Said::Failed("swallowed".to_owned())
}

fn text(how: Failing, was_broken: bool) -> &'static str {
    match how {
        _ if was_broken => "current transaction is aborted",
        Failing::Insert => "constraint \"positive\"",
        Failing::Query | Failing::BatchExecute => "division by zero",
    }
}

/// Returns what an act leaves.
fn traces(act: Act) -> impl Iterator<Item = Where> {
    let (place, count) = match act {
        Act::Update => (Where::Update, 1),
        Act::Send | Act::SendDeduped | Act::SendKeyed | Act::SendBySql | Act::Publish => {
            (Where::Sent, 1)
        }
        Act::SendMany | Act::PublishMany => (Where::Sent, 6),
        Act::SendDelayed => (Where::SentLater, 1),
        act => (Where::Row, rows(act) as usize),
    };
    std::iter::repeat_n(place, count)
}
