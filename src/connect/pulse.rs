//! What can be seen of a connection while somebody waits in it, and the way to cut it.
//!
//! The driver has no read timeout, and a server or a network that silently vanishes ends no call.
//! So the stream under each connection notes which answers are owed and when bytes moved last. A
//! thread that sees no movement asks about the server process on another connection. It ends a call
//! by having the stream report that it broke.

use crate::connect::pipeline::ProtocolFlight;
use crate::connect::sql_watch::SqlWatch;
use crate::db::silence::Hold;
use crate::threads::mutex::Mutex;
use crate::words::wrapped::Warned;
use std::sync::atomic::AtomicBool;
use std::sync::atomic::AtomicI32;
use std::sync::atomic::AtomicI64;
use std::sync::atomic::AtomicU64;
use std::sync::atomic::Ordering::{AcqRel, Acquire, Relaxed, Release};
use std::sync::{Arc, Weak};
use std::task::Waker;
use std::time::{Duration, Instant};

/// One connection, as its stream sees it.
#[derive(Debug)]
pub(crate) struct Pulse {
    opened: Instant,
    /// What the server was asked, and what of it was answered to the end.
    asked: AtomicU64,
    answered: AtomicU64,
    /// Whether the network takes no more for now.
    is_sending: AtomicBool,
    /// When a byte went or came last, in microseconds after `opened`.
    moved: AtomicU64,
    /// How often somebody looked for bytes.
    looks: AtomicU64,
    /// `moved` and `looks` when it was touched last.
    touched: Mutex<Option<(u64, u64)>>,
    waiting: Mutex<Option<Waker>>,
    /// The server process as the greeting of the protocol names it, and as it names itself; 0
    /// before that.
    announced: AtomicI32,
    process: AtomicI32,
    /// By what servers are told apart; 0 where that is not known.
    server: AtomicI64,
    is_settled: AtomicBool,
    is_cut: AtomicBool,
    is_overlong: AtomicBool,
    /// What the server warned of last, with the SQLSTATE of an error.
    warned: Mutex<Option<Warned>>,
    has_warned: AtomicBool,
    /// What its open transaction holds.
    hold: Mutex<Option<Hold>>,
    /// What callers' SQL does.
    pub(crate) watch: SqlWatch,
    /// What goes instead of the next text query.
    instead: Mutex<Option<ProtocolFlight>>,
    has_instead: AtomicBool,
    /// Whether the driver begins a transaction next that is open already.
    is_taking_over: AtomicBool,
}

impl Pulse {
    pub(crate) fn new() -> Self {
        Pulse {
            opened: Instant::now(),
            asked: AtomicU64::new(0),
            answered: AtomicU64::new(0),
            is_sending: AtomicBool::new(false),
            moved: AtomicU64::new(0),
            looks: AtomicU64::new(0),
            touched: Mutex::new(None),
            waiting: Mutex::new(None),
            announced: AtomicI32::new(0),
            process: AtomicI32::new(0),
            server: AtomicI64::new(0),
            is_settled: AtomicBool::new(false),
            is_cut: AtomicBool::new(false),
            is_overlong: AtomicBool::new(false),
            warned: Mutex::new(None),
            has_warned: AtomicBool::new(false),
            hold: Mutex::new(None),
            watch: SqlWatch::default(),
            instead: Mutex::new(None),
            has_instead: AtomicBool::new(false),
            is_taking_over: AtomicBool::new(false),
        }
    }

    /// Says that the driver begins a transaction next that is open already.
    pub(crate) fn takes_over(&self) {
        self.is_taking_over.store(true, Release);
    }

    /// Returns whether it does, and forgets it.
    pub(crate) fn ends_taking_over(&self) -> bool {
        self.is_taking_over.swap(false, AcqRel)
    }

    /// Says what is to go where the driver sends a [stand-in](crate::connect::pipeline::STAND_IN),
    /// which it does next.
    pub(crate) fn put_instead(&self, instead: ProtocolFlight) {
        *self.instead.lock() = Some(instead);
        self.has_instead.store(true, Release);
    }

    /// Takes it.
    pub(crate) fn take_instead(&self) -> Option<ProtocolFlight> {
        if !self.has_instead.swap(false, AcqRel) {
            return None;
        }
        self.instead.lock().take()
    }

    /// Returns how many answers are owed.
    pub(crate) fn owed(&self) -> u64 {
        let answered = self.answered.load(Acquire);
        self.asked.load(Acquire).saturating_sub(answered)
    }

    /// Notes that bytes went, with so many requests in them that the server answers with an end of
    /// their own.
    pub(crate) fn sent(&self, requests: u64) {
        self.is_sending.store(false, Relaxed);
        self.asked.fetch_add(requests, Release);
        self.move_on();
    }

    /// Notes that the network takes nothing for now.
    pub(crate) fn cannot_send(&self) {
        self.is_sending.store(true, Relaxed);
    }

    /// Notes that bytes came, with so many ends of answers in them. Never more than was asked, or
    /// nothing would be owed later that is: where the server refuses the driver's COPY once it has
    /// asked for rows, it answers the first sync after all.
    pub(crate) fn received(&self, ends: u64) {
        // Only the stream changes either number.
        let answered = self.answered.load(Relaxed) + ends;
        let asked = self.asked.load(Relaxed);
        self.answered.store(answered.min(asked), Release);
        self.move_on();
    }

    /// Notes that somebody looks for bytes, and where to call when there are any.
    pub(crate) fn looked(&self, waker: &Waker) {
        self.looks.fetch_add(1, Release);
        let mut waiting = self.waiting.lock();
        if !waiting.as_ref().is_some_and(|known| known.will_wake(waker)) {
            *waiting = Some(waker.clone());
        }
    }

    /// Notes the server process as the protocol names it. A pooler makes a name up.
    pub(crate) fn announced(&self, process: i32) {
        self.announced.store(process, Relaxed);
    }

    /// Returns the server process as the protocol names it.
    pub(crate) fn announced_process(&self) -> Option<i32> {
        Some(self.announced.load(Relaxed)).filter(|process| *process != 0)
    }

    /// Notes the server process as it names itself.
    pub(crate) fn set_process(&self, process: i32) {
        self.process.store(process, Relaxed);
    }

    /// Returns the server process, as far as it is known.
    pub(crate) fn process(&self) -> Option<i32> {
        Some(self.process.load(Relaxed)).filter(|process| *process != 0)
    }

    /// Notes to which server it leads.
    pub(crate) fn set_server(&self, server: Option<i64>) {
        self.server.store(server.unwrap_or_default(), Relaxed);
    }

    /// Returns to which server it leads, as far as that is known.
    pub(crate) fn server(&self) -> Option<i64> {
        Some(self.server.load(Relaxed)).filter(|server| *server != 0)
    }

    /// Returns whether somebody is between, who makes up names of server processes.
    pub(crate) fn is_behind_pooler(&self) -> bool {
        let announced = self.announced.load(Relaxed);
        self.process().is_some_and(|process| process != announced)
    }

    /// Notes that the server ended the session, since a transaction took too long. The driver may
    /// not tell: where the end of the stream comes with the server's last word, it only says that
    /// the connection is closed.
    pub(crate) fn ended_as_overlong(&self) {
        self.is_overlong.store(true, Release);
    }

    /// Returns whether the server ended the session, since a transaction took too long.
    pub(crate) fn is_overlong(&self) -> bool {
        self.is_overlong.load(Acquire)
    }

    /// Notes a warning, unless it tells of no error. Of several the first one counts: the others
    /// say what became of it.
    pub(crate) fn warned(&self, fields: &[u8]) {
        if let Some(warned) = Warned::read(fields) {
            self.warned.lock().get_or_insert(warned);
            self.has_warned.store(true, Release);
        }
    }

    /// Takes what the server warned of.
    pub(crate) fn take_warned(&self) -> Option<Warned> {
        let has_warned = self.has_warned.swap(false, AcqRel);
        has_warned.then(|| self.warned.lock().take()).flatten()
    }

    /// Notes what the open transaction holds, or that it holds nothing.
    pub(crate) fn set_hold(&self, hold: Option<Hold>) {
        *self.hold.lock() = hold;
    }

    /// Returns what the open transaction holds, as far as it is noted.
    pub(crate) fn hold(&self) -> Option<Hold> {
        let hold = self.hold.lock();
        hold.clone()
    }

    /// Ends the time in which every answer has a limit.
    pub(crate) fn settle(&self) {
        self.is_settled.store(true, Relaxed);
    }

    pub(crate) fn is_settled(&self) -> bool {
        self.is_settled.load(Relaxed)
    }

    /// Returns whether something is owed, by the server or the network.
    pub(crate) fn is_owed(&self) -> bool {
        self.asked.load(Acquire) > self.answered.load(Acquire) || self.is_sending.load(Relaxed)
    }

    /// Returns for how long the connection has been there.
    pub(crate) fn age(&self) -> Duration {
        self.opened.elapsed()
    }

    /// Returns for how long nothing has moved that is owed.
    pub(crate) fn silence(&self) -> Option<Duration> {
        if self.is_cut() || !self.is_owed() {
            return None;
        }
        let moved = Duration::from_micros(self.moved.load(Relaxed));
        Some(self.opened.elapsed().saturating_sub(moved))
    }

    /// Has whoever waits look again. Returns whether somebody did since the last touch and found
    /// nothing: then it is the server or the network that is silent. Rows that nobody fetches are
    /// silent too, but nobody waits for them.
    pub(crate) fn touch(&self) -> bool {
        let now = (self.moved.load(Relaxed), self.looks.load(Acquire));
        let before = {
            let mut touched = self.touched.lock();
            touched.replace(now)
        };
        self.wake();
        before.is_some_and(|(moved, looks)| moved == now.0 && looks < now.1)
    }

    /// Ends whatever waits, now and later.
    pub(crate) fn cut(&self) {
        self.is_cut.store(true, Release);
        self.wake();
    }

    pub(crate) fn is_cut(&self) -> bool {
        self.is_cut.load(Acquire)
    }

    fn wake(&self) {
        let waiting = self.waiting.lock();
        if let Some(waker) = waiting.as_ref() {
            waker.wake_by_ref();
        }
    }

    fn move_on(&self) {
        let now = u64::try_from(self.opened.elapsed().as_micros()).unwrap_or(u64::MAX);
        self.moved.store(now, Relaxed);
    }
}

/// The connections of a process to one place.
#[derive(Debug, Default)]
pub(crate) struct Pulses {
    all: Mutex<Vec<Weak<Pulse>>>,
    generation: AtomicU64,
    /// The server that was reached last; 0 before that.
    server: AtomicI64,
}

impl Pulses {
    pub(crate) fn add(&self, pulse: &Arc<Pulse>) {
        let mut all = self.all.lock();
        if all.len() == all.capacity() {
            all.retain(|pulse| pulse.strong_count() > 0);
        }
        all.push(Arc::downgrade(pulse));
    }

    /// Returns those in which nothing has moved for this long although something is owed.
    pub(crate) fn silent_for(&self, long: Duration) -> Vec<Arc<Pulse>> {
        let is_silent = |pulse: &Arc<Pulse>| pulse.silence().is_some_and(|silence| silence >= long);
        let all = self.all.lock();
        all.iter()
            .filter_map(Weak::upgrade)
            .filter(is_silent)
            .collect()
    }

    /// Returns the number that connections of this time bear.
    pub(crate) fn generation(&self) -> u64 {
        self.generation.load(Acquire)
    }

    /// Notes which server was reached. Where that is another one than before, connections that are
    /// there are outdated, whether or not the other one still answers: returns the number that
    /// connections bear from now on.
    pub(crate) fn reached(&self, server: i64) -> Option<u64> {
        let before = self.server.swap(server, AcqRel);
        let is_news = before != 0 && before != server;
        is_news.then(|| self.generation.fetch_add(1, AcqRel) + 1)
    }

    /// Returns the server that was reached last.
    pub(crate) fn server(&self) -> Option<i64> {
        Some(self.server.load(Acquire)).filter(|server| *server != 0)
    }

    /// Makes all connections that are there outdated: what befell one may have befallen those that
    /// nobody uses. They are not taken again.
    pub(crate) fn outdate(&self) {
        self.generation.fetch_add(1, AcqRel);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::thread;

    #[test]
    fn silence_counts_only_while_something_is_owed() {
        let pulse = Pulse::new();
        assert_eq!(pulse.silence(), None);

        pulse.sent(1);
        assert!(pulse.silence().is_some());

        pulse.received(1);
        assert_eq!(pulse.silence(), None);

        pulse.cannot_send();
        assert!(pulse.silence().is_some());
        pulse.cut();
        assert_eq!(pulse.silence(), None);
    }

    #[test]
    fn an_answer_to_nothing_hides_no_silence() {
        let pulse = Pulse::new();
        pulse.sent(1);
        pulse.received(2);

        pulse.sent(1);

        assert_eq!(pulse.owed(), 1);
        assert!(pulse.silence().is_some());
    }

    #[test]
    fn who_does_not_look_again_does_not_wait() {
        let pulse = Pulse::new();
        pulse.sent(1);
        pulse.looked(Waker::noop());

        assert!(!pulse.touch());
        assert!(!pulse.touch());
        pulse.looked(Waker::noop());
        assert!(pulse.touch());
    }

    #[test]
    fn a_connection_that_is_gone_is_not_silent() {
        let pulses = Pulses::default();
        let (one, another) = (Arc::new(Pulse::new()), Arc::new(Pulse::new()));
        for pulse in [&one, &another] {
            pulses.add(pulse);
            pulse.sent(1);
        }
        thread::yield_now();
        drop(one);

        assert_eq!(pulses.silent_for(Duration::ZERO).len(), 1);
    }
}
