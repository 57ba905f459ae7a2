//! The upkeep thread: its errands, and the one place where it waits.

use crate::crashes::newcomer::{Caution, Newcomer};
use crate::crashes::presence::Enrolled;
use crate::observe::connection_of::ConnectionOf;
use crate::observe::fields::told;
use crate::observe::link::Link;
use crate::threads::mutex::Mutex;
use crate::threads::pause::Pause;
use crate::threads::{Service, Stop};
use crate::upkeep::duties::Duties;
use crate::wake::hint::Hint;
use crate::wake::listener::Heard;
use crate::wake::waker::Waker;
use crate::words::sqlstate::is_held_up;
use crate::words::{Error, ErrorKind, Result};
use crossbeam_channel::{Receiver, SendError, Sender, TrySendError, after, bounded, select};
use std::convert::Infallible;
use std::sync::Arc;
use std::time::{Duration, Instant};

/// Errands on their way. Senders wait for room; there are as many as receivers start at a time.
const ERRANDS: usize = 64;
/// How long a receiver that starts waits for its enrollment.
const ENROLL_TIMEOUT: Duration = Duration::from_secs(30);

/// How soon it is tried again when somebody holds what is needed for it.
const WHILE_HELD: Duration = Duration::from_millis(100);

/// How long a thread that waits for a message to end waits for room.
const WATCH_TIMEOUT: Duration = Duration::from_secs(1);

/// What others ask of the thread.
enum Errand {
    Enroll {
        newcomer: Newcomer,
        answer: Sender<Result<(Enrolled, Caution)>>,
    },
    SignOff {
        receiver: Enrolled,
        done: Sender<Infallible>,
    },
    /// Something was heard that a poll will explain.
    Look,
    /// A scheduled message elsewhere may be due soon.
    AskDue,
    /// A thread waits for a message to end.
    Watch,
    /// Messages ended elsewhere.
    Ended,
    /// Messages are to be given up.
    Cancel,
}

/// The running thread, and the way to it.
pub(crate) struct Upkeep {
    errands: Errands,
    #[expect(dead_code, reason = "dropping it stops the thread")]
    service: Service,
}

/// Errands that may not be lost, and found no room: at most one for each receiver.
type Overflow = Arc<Mutex<Vec<Errand>>>;

/// A way to the thread that does not own it.
#[derive(Clone)]
pub(crate) struct Errands {
    errands: Sender<Errand>,
    overflow: Overflow,
}

impl Upkeep {
    pub(crate) fn start(duties: Duties, waker: Arc<Waker>) -> Result<Self> {
        let (sender, errands) = bounded(ERRANDS);
        let overflow = Overflow::default();
        let way = Errands {
            errands: sender,
            overflow: Arc::clone(&overflow),
        };
        let service = Service::start("outtray-upkeep", move |stop| {
            run(duties, &waker, &errands, &overflow, &stop);
        })?;
        Ok(Upkeep {
            errands: way,
            service,
        })
    }

    pub(crate) fn errands(&self) -> Errands {
        self.errands.clone()
    }
}

impl Errands {
    /// Records a receiver; returns its row, and how careful it is to be. Blocks for the answer.
    pub(crate) fn enroll(&self, newcomer: &Newcomer) -> Result<(Enrolled, Caution)> {
        let deadline = Instant::now() + ENROLL_TIMEOUT;
        loop {
            // Without room: who gave up takes no answer.
            let (answer, answered) = bounded(0);
            let newcomer = newcomer.clone();
            let errand = Errand::Enroll { newcomer, answer };
            if self.errands.send_deadline(errand, deadline).is_err() {
                return Err(no_answer());
            }
            match answered.recv_deadline(deadline) {
                Err(_) => return Err(no_answer()),
                // Somebody holds the table, to change it maybe. The thread does not wait for that,
                // the receiver does.
                Ok(Err(error)) if is_held_up(&error) && Instant::now() < deadline => {
                    let _ = after(WHILE_HELD).recv();
                }
                Ok(answer) => return answer,
            }
        }
    }

    /// Signs a receiver off. Blocks until that is done, `timeout` at most, since the process may
    /// end right afterwards, and would be taken for one that died.
    pub(crate) fn sign_off(&self, receiver: Enrolled, timeout: Duration) {
        let (done, answered) = bounded(0);
        match self.errands.try_send(Errand::SignOff { receiver, done }) {
            Ok(()) => {}
            Err(TrySendError::Full(errand)) => self.overflow.lock().push(errand),
            // The thread has signed off all that there were.
            Err(TrySendError::Disconnected(_)) => return,
        }
        let _ = answered.recv_timeout(timeout);
    }

    /// Asks for a poll, without waiting for it: somebody new waits for messages.
    pub(crate) fn look(&self) {
        drop(self.errands.try_send(Errand::Look));
    }

    /// Has the thread watch for the ends of messages that are waited for.
    pub(crate) fn watch(&self) {
        let _ = self.errands.send_timeout(Errand::Watch, WATCH_TIMEOUT);
    }

    /// Passes on what the listener heard.
    pub(crate) fn heard(&self, waker: &Waker, heard: Heard) {
        match heard {
            Heard::Hint(Hint::Ready(topic)) => {
                waker.board.ring(&topic, 1);
            }
            Heard::Hint(Hint::Due) => drop(self.errands.try_send(Errand::AskDue)),
            Heard::Hint(Hint::Suspect | Hint::Config) => drop(self.errands.try_send(Errand::Look)),
            Heard::Hint(Hint::Ended) => {
                // Most processes wait for nothing.
                if !waker.waiters.is_empty() {
                    let _ = self.errands.try_send(Errand::Ended);
                }
            }
            Heard::Hint(Hint::Cancel) => drop(self.errands.try_send(Errand::Cancel)),
            Heard::Reconnected => {
                waker.board.ring_all();
                drop(self.errands.try_send(Errand::Look));
            }
        }
    }
}

fn no_answer() -> Error {
    Error::new(
        ErrorKind::Unavailable,
        format!("the receiver could not be recorded within {ENROLL_TIMEOUT:?}"),
    )
}

fn run(
    mut duties: Duties,
    waker: &Waker,
    errands: &Receiver<Errand>,
    overflow: &Overflow,
    stop: &Stop,
) {
    let mut pause = Pause::new();
    let mut not_before = Instant::now();
    let mut is_troubled = false;
    let mut link = Link::default();
    while wait(&mut duties, not_before, waker, errands, stop) {
        for errand in take(overflow) {
            answer(&mut duties, errand);
        }
        if Instant::now() < duties.next_at().max(not_before) {
            continue;
        }
        let done = duties.run();
        if done.is_err() || duties.is_connected() {
            link.learn(&waker.observers, ConnectionOf::Upkeep, &done);
        }
        match done {
            Ok(()) => {
                pause.reset();
                is_troubled = false;
            }
            Err(error) => {
                // Once for each trouble: it may last for hours.
                if !is_troubled {
                    tracing::warn!(error = told(&error), "upkeep: {error}");
                }
                is_troubled = true;
                not_before = Instant::now() + pause.delay();
                duties.rounds.poll.look_now();
            }
        }
    }
    duties.note_next(None);
    for errand in errands.try_iter().chain(take(overflow)) {
        answer(&mut duties, errand);
    }
    duties.follow_up_ends();
    duties.sign_off_all();
    duties.write_tallies();
}

/// Waits for whatever comes first. Returns whether to go on.
fn wait(
    duties: &mut Duties,
    not_before: Instant,
    waker: &Waker,
    errands: &Receiver<Errand>,
    stop: &Stop,
) -> bool {
    let at = duties.next_at().max(not_before);
    duties.note_next(Some(at));
    select! {
        recv(stop.signal()) -> _ => return false,
        recv(errands) -> errand => {
            if let Ok(errand) = errand {
                answer(duties, errand);
            }
        }
        recv(waker.due_times()) -> delay => {
            if let Ok(delay) = delay {
                duties.rounds.due.learn(delay);
            }
        }
        recv(waker.ends()) -> ended => {
            if let Ok(ended) = ended {
                duties.rounds.dependents.learn(ended);
                // What else ended meanwhile is looked at with it.
                waker.ends().try_iter().for_each(|ended| duties.rounds.dependents.learn(ended));
            }
        }
        recv(waker.ended_keys()) -> _ => duties.rounds.stalled.learn(),
        default(at.saturating_duration_since(Instant::now())) => {}
    }
    true
}

fn take(overflow: &Overflow) -> Vec<Errand> {
    std::mem::take(&mut *overflow.lock())
}

fn answer(duties: &mut Duties, errand: Errand) {
    match errand {
        Errand::Enroll { newcomer, answer } => {
            // Nobody is there any more who would sign it off.
            if let Err(SendError(Ok((enrolled, _)))) = answer.send(duties.enroll(&newcomer)) {
                sign_off(duties, &enrolled);
            }
        }
        Errand::SignOff { receiver, done } => {
            sign_off(duties, &receiver);
            drop(done);
        }
        Errand::Look => duties.rounds.poll.look_now(),
        Errand::AskDue => duties.rounds.due.learn(Duration::ZERO),
        Errand::Watch => duties.watch_ends(),
        Errand::Ended => duties.rounds.completions.heard(),
        Errand::Cancel => duties.rounds.cancelled.heard(),
    }
}

fn sign_off(duties: &mut Duties, receiver: &Enrolled) {
    if let Err(error) = duties.sign_off(receiver) {
        tracing::debug!(
            error = told(&error),
            "signing off a receiver of topic {}: {error}",
            receiver.topic
        );
    }
}
