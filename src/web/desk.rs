//! A few threads that ask the database, for those who may not wait for it themselves.
//!
//! A question is answered on one of them, from its first statement to its last. Whoever asks waits
//! for a limited time. A database that says nothing holds up these threads at most, and while all
//! of them are held up, others are told so at once.

use crate::threads;
use crate::threads::mutex::Mutex;
use crossbeam_channel::{Receiver, RecvTimeoutError, Sender, bounded};
use std::fmt;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::time::{Duration, Instant};
use tokio::sync::oneshot;
use tokio::time::timeout;

/// Questions that wait for a thread: as many as there may be connections, and more. One too many
/// goes without an answer.
const WAITING: usize = 512;

type Job = Box<dyn FnOnce() + Send>;

/// Why a [`Desk`] has no answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum NoAnswer {
    /// The time is up, or will be for certain.
    Late,
    /// What was to answer panicked.
    Broken,
    /// The system has no room for a thread.
    NoThread,
}

/// Gives questions to threads, which start with the first question and end with the desk.
pub struct Desk {
    name: &'static str,
    threads: usize,
    staff: Mutex<Option<Staff>>,
}

#[derive(Clone)]
struct Staff {
    jobs: Sender<Job>,
    /// Since when each thread has been busy with its job.
    busy: Arc<[Mutex<Option<Instant>>]>,
}

impl Desk {
    /// Makes one with so many threads of this name; at least one.
    pub fn new(name: &'static str, threads: usize) -> Desk {
        Desk {
            name,
            threads: threads.max(1),
            staff: Mutex::new(None),
        }
    }

    /// Has a thread answer, within this time. A question that nobody waits for any more is not
    /// asked; one that is being asked is not cut short.
    ///
    /// # Errors
    /// `Late` when the time is up, and at once while all threads have been busy with one question
    /// each for longer than that.
    pub async fn ask<T: Send + 'static>(
        &self,
        within: Duration,
        question: impl FnOnce() -> T + Send + 'static,
    ) -> Result<T, NoAnswer> {
        let staff = self.staff()?;
        if staff.is_stuck(within) {
            return Err(NoAnswer::Late);
        }
        let (answer, answered) = oneshot::channel();
        staff.hand_in(move || {
            if !answer.is_closed() {
                let _ = answer.send(question());
            }
        })?;
        match timeout(within, answered).await {
            Ok(Ok(found)) => Ok(found),
            Ok(Err(_)) => Err(NoAnswer::Broken),
            Err(_) => Err(NoAnswer::Late),
        }
    }

    /// Has a thread answer, and blocks for this time at most. The question is asked all the same
    /// when nobody waits for it any more: it has to leave its answer where others look for it.
    ///
    /// # Errors
    /// `Late` when the time is up.
    pub fn begin<T: Send + 'static>(
        &self,
        within: Duration,
        question: impl FnOnce() -> T + Send + 'static,
    ) -> Result<T, NoAnswer> {
        let (answer, answered) = bounded(1);
        self.staff()?.hand_in(move || {
            let _ = answer.send(question());
        })?;
        answered.recv_timeout(within).map_err(|why| match why {
            RecvTimeoutError::Timeout => NoAnswer::Late,
            RecvTimeoutError::Disconnected => NoAnswer::Broken,
        })
    }

    fn staff(&self) -> Result<Staff, NoAnswer> {
        let mut staff = self.staff.lock();
        if let Some(staff) = staff.as_ref() {
            return Ok(staff.clone());
        }
        let started = Staff::start(self.name, self.threads).map_err(|error| {
            tracing::warn!("{}: {error}", self.name);
            NoAnswer::NoThread
        })?;
        Ok(staff.insert(started).clone())
    }
}

impl fmt::Debug for Desk {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Desk({}, {} threads)", self.name, self.threads)
    }
}

impl Staff {
    fn start(name: &str, threads: usize) -> crate::words::Result<Staff> {
        let (jobs, wanted) = bounded::<Job>(WAITING);
        let busy: Arc<[Mutex<Option<Instant>>]> = (0..threads).map(|_| Mutex::default()).collect();
        for number in 0..threads {
            let name = match threads {
                1 => name.to_owned(),
                _ => format!("{name}-{}", number + 1),
            };
            let (busy, wanted) = (Arc::clone(&busy), wanted.clone());
            let body = move || work(&busy[number], &wanted);
            // It may be in a call that takes long when its desk ends: nobody waits for it.
            threads::spawn(name, body)?;
        }
        Ok(Staff { jobs, busy })
    }

    fn hand_in(&self, job: impl FnOnce() + Send + 'static) -> Result<(), NoAnswer> {
        let sent = self.jobs.try_send(Box::new(job));
        sent.map_err(|_| NoAnswer::Late)
    }

    /// Returns whether all threads have been busy with one job each for longer than that.
    fn is_stuck(&self, within: Duration) -> bool {
        self.busy.iter().all(|since| {
            let since = *since.lock();
            since.is_some_and(|since| since.elapsed() > within)
        })
    }
}

fn work(busy: &Mutex<Option<Instant>>, wanted: &Receiver<Job>) {
    for job in wanted {
        *busy.lock() = Some(Instant::now());
        // What it leaves behind is an answer that does not come.
        let _ = catch_unwind(AssertUnwindSafe(job));
        *busy.lock() = None;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SOON: Duration = Duration::from_millis(1);
    const PATIENCE: Duration = Duration::from_secs(60);

    #[test]
    fn a_question_that_nobody_waits_for_any_more_is_asked_to_its_end() {
        let desk = Desk::new("desk", 1);
        let (go, begins) = bounded::<()>(0);
        let (told, hears) = bounded(1);

        let late = desk.begin(SOON, move || {
            let _ = begins.recv();
            let _ = told.send("asked");
        });

        assert_eq!(late, Err(NoAnswer::Late));
        go.send_timeout((), PATIENCE).unwrap();
        assert_eq!(hears.recv_timeout(PATIENCE), Ok("asked"));
        assert_eq!(desk.begin(PATIENCE, || 7), Ok(7));
    }

    #[test]
    fn a_question_that_panics_leaves_the_thread_to_the_next() {
        let desk = Desk::new("desk", 1);
        let broken = desk.begin(PATIENCE, || std::panic::resume_unwind(Box::new("no")));
        assert_eq!(broken.map(|()| 0), Err(NoAnswer::Broken));
        assert_eq!(desk.begin(PATIENCE, || 7), Ok(7));
    }
}
