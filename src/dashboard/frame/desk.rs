//! A few threads that ask the database for pages, which may not wait for it themselves.
//!
//! A page is made on one of them, from its first question to its last byte. Whoever wants it waits
//! for a limited time. A database that says nothing holds up these threads at most, and while all
//! of them are held up, others are told so at once.

use crate::threads;
use crate::threads::mutex::Mutex;
use crossbeam_channel::{Receiver, Sender, bounded};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::time::{Duration, Instant};
use tokio::sync::oneshot;
use tokio::time::timeout;

/// Threads, and so connections that the dashboard uses at the same time at most.
const THREADS: usize = 4;
/// Questions that wait for a thread. One too many goes without an answer.
const WAITING: usize = 256;

type Job = Box<dyn FnOnce() + Send>;

/// Why there is no answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum NoAnswer {
    /// The time is up, or will be for certain.
    Late,
    /// What was to answer panicked.
    Broken,
    /// The system has no room for a thread.
    NoThread,
}

/// Gives questions to the threads, which start with the first one and end with it.
#[derive(Default)]
pub(crate) struct Desk(Mutex<Option<Staff>>);

#[derive(Clone)]
struct Staff {
    jobs: Sender<Job>,
    /// Since when each thread has been busy with its job.
    busy: Arc<[Mutex<Option<Instant>>; THREADS]>,
}

impl Desk {
    /// Has a thread answer, within this time. A question that nobody waits for any more is not
    /// asked; one that is being asked is not cut short.
    pub(crate) async fn ask<T: Send + 'static>(
        &self,
        within: Duration,
        question: impl FnOnce() -> T + Send + 'static,
    ) -> Result<T, NoAnswer> {
        let staff = self.staff()?;
        if staff.is_stuck(within) {
            return Err(NoAnswer::Late);
        }
        let (answer, answered) = oneshot::channel();
        let job = move || {
            if !answer.is_closed() {
                let _ = answer.send(question());
            }
        };
        let sent = staff.jobs.try_send(Box::new(job));
        sent.map_err(|_| NoAnswer::Late)?;
        match timeout(within, answered).await {
            Ok(Ok(found)) => Ok(found),
            Ok(Err(_)) => Err(NoAnswer::Broken),
            Err(_) => Err(NoAnswer::Late),
        }
    }

    fn staff(&self) -> Result<Staff, NoAnswer> {
        let mut staff = self.0.lock();
        if let Some(staff) = staff.as_ref() {
            return Ok(staff.clone());
        }
        let started = Staff::start().map_err(|error| {
            tracing::warn!("dashboard: {error}");
            NoAnswer::NoThread
        })?;
        Ok(staff.insert(started).clone())
    }
}

impl Staff {
    fn start() -> crate::words::Result<Staff> {
        let (jobs, wanted) = bounded::<Job>(WAITING);
        let busy: Arc<[Mutex<Option<Instant>>; THREADS]> = Arc::default();
        for number in 0..THREADS {
            let (busy, wanted) = (Arc::clone(&busy), wanted.clone());
            let body = move || work(&busy[number], &wanted);
            // It may be in a call that takes long when the dashboard ends: nobody waits for it.
            threads::spawn(format!("outtray-dashboard-{}", number + 1), body)?;
        }
        Ok(Staff { jobs, busy })
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
