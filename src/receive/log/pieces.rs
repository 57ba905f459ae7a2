//! The handler over a batch: as a whole, and after a failure in ever smaller pieces.
//!
//! An error of a batch names no culprit. So its work is undone, and each half is handled by itself,
//! the first one first; a half that fails is halved in turn. All of this is in one transaction, and
//! in the order of the log: whatever lies before a piece is done when it begins. An entry that
//! fails alone is put aside, and the entries of its key that come after it follow. One bad entry
//! among 500 costs some twenty calls. Where many are bad, the transaction ends on the way, with
//! what is done by then, and the next one begins with pieces as small as they had become.
//!
//! Where the handler leaves its session alone, several batches share a transaction: there is
//! nothing to undo, and most of what a batch costs is the commit of its place. The first batch that
//! uses the session is the last of its transaction, so that what the database says of the
//! transaction is said of that batch.
//!
//! What the database would refuse at COMMIT (deferred constraints) is checked before it, while the
//! work can be undone; if several entries were in it, it is narrowed down in the same way, each
//! piece with a check of its own.

use crate::log::entry::EntryRow;
use crate::observe::delivered::{Delivered, Deliveries, Starting};
use crate::receive::decide::decide;
use crate::receive::handler::Ending;
use crate::receive::log::aside::{Aside, Fate, holds_after_dead};
use crate::receive::log::lane_state::{EntriesInHand, EntryCharge, LaneState};
use crate::receive::log::reading::LogReading;
use crate::receive::options::Terms;
use crate::receive::transaction::blame::excuse;
use crate::session::handler_session::HandlerSession;
use crate::session::savepoint::Check;
use crate::threads::Stop;
use crate::words::error::{Error, Result, chain};
use crate::words::handler_error::HandlerError;
use std::collections::{HashMap, HashSet};
use std::ops::Range;
use std::slice::from_ref;
use std::time::{Duration, Instant};

/// Calls of the handler in one transaction, each a savepoint: half of what the server's cache of
/// subtransactions holds.
const MOST_CALLS: usize = 32;
/// How long a transaction goes on with the next piece once there was a failure.
const LONGEST: Duration = Duration::from_secs(2);
/// How long it goes on with the next batch where handlers leave their sessions alone.
const LONGEST_TOGETHER: Duration = Duration::from_millis(10);

/// What became of the entries of a transaction.
pub(crate) struct Pieces<'e, 'r> {
    reading: &'r LogReading,
    terms: Terms,
    /// Whether a dead letter holds up what comes after it of its key.
    holds_after_dead: bool,
    entries: &'e [EntryRow],
    /// What is still to be done, the next one last: whole batches, or pieces of one that failed.
    left: Vec<Range<usize>>,
    is_narrowing: bool,
    /// Keys of which something is aside.
    busy: HashSet<&'e str>,
    /// What is known of entries whose handler is not to run.
    known: HashMap<usize, Fate>,
    started: Instant,
    /// Calls of the handler: with whole batches, or with pieces of the one that failed.
    calls: usize,
    /// Whether a call used its session.
    has_worked: bool,
    /// The piece at hand, and those of it that the handler was given.
    in_call: Option<(Range<usize>, Vec<usize>)>,
    /// What was put aside, in order.
    pub(crate) aside: Vec<Aside<'e>>,
    /// The entries before this one are done.
    pub(crate) done: usize,
    /// With how many entries to go on, if a failure was narrowed down and that is not over.
    pub(crate) narrowed_to: Option<usize>,
}

impl<'e, 'r> Pieces<'e, 'r> {
    /// Begins with all entries in batches of `size`. Of the keys in `busy` something is aside.
    pub(crate) fn new(
        reading: &'r LogReading,
        entries: &'e [EntryRow],
        size: usize,
        busy: &HashSet<String>,
    ) -> Self {
        let begins = (0..entries.len()).step_by(size).rev();
        let keys = entries.iter().filter_map(|entry| entry.key_text());
        Pieces {
            reading,
            terms: reading.side.terms(),
            holds_after_dead: holds_after_dead(reading),
            entries,
            left: begins
                .map(|begin| begin..entries.len().min(begin + size))
                .collect(),
            is_narrowing: false,
            busy: match busy.is_empty() {
                true => HashSet::new(),
                false => keys.filter(|key| busy.contains(*key)).collect(),
            },
            known: HashMap::new(),
            started: Instant::now(),
            calls: 0,
            has_worked: false,
            in_call: None,
            aside: Vec::new(),
            done: 0,
            narrowed_to: None,
        }
    }

    /// Notes what becomes of an entry whose handler is not to run, if it is one of these.
    pub(crate) fn know(&mut self, charge: &EntryCharge) {
        let mut entries = self.entries.iter();
        if let Some(place) = entries.position(|entry| entry.position == charge.position) {
            self.known.insert(place, charge.fate.clone());
        }
    }

    /// Returns whether one call did all that is to be committed: then what is deferred is checked
    /// with the COMMIT.
    pub(crate) fn is_checked_at_commit(&self) -> bool {
        self.has_worked && !self.is_narrowing && self.aside.is_empty()
    }

    /// Returns whether the next transaction may hold several batches: no handler of this one used
    /// its session or failed, and all were quick.
    pub(crate) fn are_light(&self) -> bool {
        !self.has_worked
            && !self.is_narrowing
            && self.aside.is_empty()
            && self.started.elapsed() < LONGEST_TOGETHER
    }

    /// Gives up what was in the last call, whose handler committed: it must not run again.
    pub(crate) fn give_up(&mut self, error: &Error) {
        let Some((piece, live)) = self.in_call.take() else {
            return;
        };
        let why = Ending::failed(&HandlerError::reject(chain(error)));
        let picked = self.pick(&piece);
        let fate = self.decide(why);
        let failed = live.into_iter().map(|place| (place, fate.clone()));
        self.finish(piece, picked, failed.collect());
        self.left.clear();
    }

    /// Begins the last batch anew with halves, since the database refused what was done.
    pub(crate) fn refused(&mut self, error: &Error) {
        let Some((piece, _)) = self.in_call.take() else {
            return;
        };
        self.done = piece.start;
        self.aside.clear();
        self.narrow();
        match piece.len() {
            1 => {
                let fate = self.decide(Ending::failed(&HandlerError::failed(chain(error))));
                self.known.insert(piece.start, fate);
                self.left.push(piece);
            }
            several => {
                let middle = piece.start + several / 2;
                self.halve(piece, middle);
            }
        }
    }

    /// Runs the handler until nothing is left, or it is time to commit.
    ///
    /// # Errors
    /// What ends the transaction without anybody's fault, or with it.
    pub(crate) fn run(
        &mut self,
        session: &mut HandlerSession<'_>,
        state: &mut LaneState,
        stop: &Stop,
    ) -> Result<()> {
        while let Some(piece) = self.left.pop() {
            if self.calls > 0 && self.is_enough(session, stop) {
                self.narrowed_to = self.is_narrowing.then_some(piece.len());
                return Ok(());
            }
            let picked = self.pick(&piece);
            let live = picked.live.clone();
            if live.is_empty() {
                self.finish(piece, picked, Vec::new());
                continue;
            }
            self.in_call = Some((piece.clone(), live.clone()));
            match self.call(session, state, &picked)? {
                (Ending::Done, unfit) if unfit.is_empty() || !self.holds_after_dead => {
                    self.finish(piece, picked, unfit);
                }
                (Ending::Done, unfit) => {
                    self.narrow();
                    self.known.extend(unfit);
                    self.left.push(piece);
                }
                (failed, _) if live.len() == 1 => {
                    self.narrow();
                    let fate = self.decide(failed);
                    self.finish(piece, picked, vec![(live[0], fate)]);
                }
                _ => {
                    self.narrow();
                    self.halve(piece, live[live.len() / 2]);
                }
            }
        }
        Ok(())
    }

    /// Returns whether the transaction is to end before the next piece.
    fn is_enough(&self, session: &HandlerSession<'_>, stop: &Stop) -> bool {
        if !self.is_narrowing {
            return !self.are_light() || stop.is_set();
        }
        self.calls >= MOST_CALLS
            || session.has_set()
            || stop.is_set()
            || self.started.elapsed() > LONGEST
    }

    /// Goes on with nothing but the batch at hand, of which something failed.
    fn narrow(&mut self) {
        if !self.is_narrowing {
            self.is_narrowing = true;
            self.left.clear();
            self.calls = 1;
        }
    }

    fn halve(&mut self, piece: Range<usize>, middle: usize) {
        self.left.push(middle..piece.end);
        self.left.push(piece.start..middle);
    }

    fn decide(&self, ending: Ending) -> Fate {
        Fate::Failed(decide(&self.terms, 0, ending))
    }

    /// Returns which entries of a piece the handler is to get, and what becomes of the others.
    fn pick(&self, piece: &Range<usize>) -> Picked {
        let mut picked = Picked::default();
        let mut held: HashSet<&str> = HashSet::new();
        for place in piece.clone() {
            let key = self.entries[place].key_text();
            let is_busy = key.is_some_and(|key| self.busy.contains(key) || held.contains(key));
            match self.known.get(&place) {
                _ if is_busy => picked.others.push((place, Fate::Follow)),
                Some(fate) => {
                    held.extend(key.filter(|_| self.holds_key(fate)));
                    picked.others.push((place, fate.clone()));
                }
                None => picked.live.push(place),
            }
        }
        picked
    }

    /// Returns whether entries of the same key have to follow one of this fate.
    fn holds_key(&self, fate: &Fate) -> bool {
        self.holds_after_dead || !fate.is_dead()
    }

    /// Notes that a piece is done: what was not handled is put aside.
    fn finish(&mut self, piece: Range<usize>, picked: Picked, failed: Vec<(usize, Fate)>) {
        self.done = piece.end;
        let mut fates: Vec<(usize, Fate)> = picked.others.into_iter().chain(failed).collect();
        fates.sort_by_key(|(place, _)| *place);
        for (place, fate) in fates {
            let entry = &self.entries[place];
            let holds = self.holds_key(&fate);
            self.busy.extend(entry.key_text().filter(|_| holds));
            self.aside.push(Aside { entry, fate });
        }
    }

    /// Calls the handler with some entries, in a savepoint; returns how that ended, its work being
    /// undone unless it is done, and what becomes of entries that nobody can handle.
    fn call(
        &mut self,
        session: &mut HandlerSession<'_>,
        state: &mut LaneState,
        picked: &Picked,
    ) -> Result<(Ending, Vec<(usize, Fate)>)> {
        let live = &picked.live;
        let entries: Vec<&EntryRow> = live.iter().map(|place| &self.entries[*place]).collect();
        let is_whole = !self.is_narrowing && self.aside.is_empty() && picked.others.is_empty();
        self.calls += 1;
        state.entered = Some(EntriesInHand {
            id: entries[0].id()?,
            position: entries[0].position,
            count: entries.len(),
            before: live[0],
            // Whole batches before it left no trace in the transaction.
            calls: if self.is_narrowing { self.calls } else { 1 },
        });
        let side = &self.reading.side;
        self.start(state, &entries);
        let started = Instant::now();
        let mut ended = session.part(|session| (self.reading.handler)(session, &entries));
        let took = started.elapsed();
        side.count_time(took);
        let what = format_args!("{} entries of {}", entries.len(), self.reading.log);
        side.warn_if_slow(&what, took);
        self.has_worked |= !session.is_part_untouched();
        let ids = entries.iter().filter_map(|entry| entry.id().ok());
        state.deliveries.end(ids);
        if let Some(ended) = session.ended() {
            return Err(ended);
        }
        let unfit = ended.unfit.drain(..);
        let unfit = unfit.map(|(place, ending)| (live[place], self.decide(ending)));
        let unfit: Vec<(usize, Fate)> = unfit.collect();
        if !unfit.is_empty() && self.holds_after_dead && matches!(ended.whole, Ending::Done) {
            // Once more, without what has to follow.
            session.undo()?;
            return Ok((Ending::Done, unfit));
        }
        // What is put aside is written before the COMMIT, when nothing can be undone any more.
        let is_whole = is_whole && unfit.is_empty();
        let check = if is_whole { Check::Only } else { Check::Alone };
        let ending = keep_or_undo(self.reading, session, ended.whole, check)?;
        Ok((ending, unfit))
    }
}

impl Pieces<'_, '_> {
    /// Tells observers that the handler is about to get these entries.
    fn start(&self, state: &mut LaneState, entries: &[&EntryRow]) {
        let side = &self.reading.side;
        if !side.observers().are_any() {
            return;
        }
        let starting = entries.iter().filter_map(|entry| {
            let sent_at = entry.sent_at().ok()?;
            Some(Starting {
                id: entry.id().ok()?,
                attempt: 1,
                sent_at,
                due_at: sent_at,
            })
        });
        let starting: Vec<Starting> = starting.collect();
        let deliveries = &mut state.deliveries;
        deliveries.start(side.observers(), &side.topic, &starting);
    }

    /// Tells observers which entries are done, or counts them where nobody looks.
    pub(crate) fn tell_done(&self, deliveries: &mut Deliveries) {
        let side = &self.reading.side;
        if !side.observers().are_any() {
            let done = self.done - self.aside.len();
            return side.observers().tallies.count_done(&side.topic, done);
        }
        let aside: HashSet<_> = self.aside.iter().map(|one| one.entry.position).collect();
        let done = self.entries[..self.done].iter();
        for entry in done.filter(|entry| !aside.contains(&entry.position)) {
            let id = entry.id().ok();
            let delivered = id.and_then(|id| Some((id, deliveries.take(id)?)));
            if let Some((id, delivered)) = delivered {
                Delivered::tell_done(Some(delivered), side.observers(), &side.topic, id);
            }
        }
    }
}

/// The entries of a piece by what is to be done with them.
#[derive(Default)]
struct Picked {
    live: Vec<usize>,
    others: Vec<(usize, Fate)>,
}

/// Keeps what was done for a piece, or undoes it; returns what its ending comes to.
fn keep_or_undo(
    reading: &LogReading,
    session: &mut HandlerSession<'_>,
    ending: Ending,
    check: Check,
) -> Result<Ending> {
    let is_done = matches!(ending, Ending::Done);
    if (!is_done || session.is_overlong())
        && let Some(excuse) = excuse(session, &reading.log, from_ref(&ending))
    {
        return Err(excuse);
    }
    if !is_done {
        session.undo()?;
        return Ok(ending);
    }
    let Some(undone) = Ending::undone(&session.keep(check)?) else {
        return Ok(Ending::Done);
    };
    match excuse(session, &reading.log, from_ref(&undone)) {
        Some(excuse) => Err(excuse),
        None => Ok(undone),
    }
}
