//! A thread that asks the database, for those who may not wait for it.

use crate::failure::CommandFailure;
use crate::serve::listening::named;
use crossbeam_channel::{Receiver, Sender, bounded};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};
use tokio::sync::oneshot;
use tokio::time::timeout;

/// Wishes on their way: as many as there may be connections. One too many goes without an answer.
const WISHES: usize = 1024;
/// What is found is kept for so many times what it took to find it: at most one part in twenty of
/// the time is spent on asking, 5 %.
const SHARE: u32 = 20;
/// The longest time that it is kept for that reason.
const LONGEST: Duration = Duration::from_secs(60);

/// For how long what was found answers the next, too.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Keep {
    /// For this long.
    For(Duration),
    /// For this long at least, and longer if it took long.
    ByCost(Duration),
}

/// What was found, and when.
pub(crate) struct Found<T> {
    pub(crate) at: Instant,
    took: Duration,
    pub(crate) what: T,
}

/// A way to the thread, which ends with it.
pub(crate) struct Asker<T> {
    wishes: Sender<AnswerTo<T>>,
    now: Arc<Now<T>>,
}

type AnswerTo<T> = oneshot::Sender<Arc<Found<T>>>;

/// What is known at the moment.
struct Now<T> {
    found: Mutex<Option<Arc<Found<T>>>>,
    /// Since when the database has been asked, while it is.
    asking: Mutex<Option<Instant>>,
}

impl<T: Send + Sync + 'static> Asker<T> {
    /// Starts the thread. It asks nothing until somebody wishes to know.
    pub(crate) fn start(
        name: &str,
        keep: Keep,
        mut ask: impl FnMut() -> T + Send + 'static,
    ) -> Result<Self, CommandFailure> {
        let (wishes, wished) = bounded::<AnswerTo<T>>(WISHES);
        let now = Arc::new(Now {
            found: Mutex::new(None),
            asking: Mutex::new(None),
        });
        let own = Arc::clone(&now);
        // It may be in a call that takes long when the process ends: nobody waits for it.
        named(name, move || own.run(keep, &wished, &mut ask))?;
        Ok(Asker { wishes, now })
    }

    /// Returns what is found within this time. `None` at once while the database has not answered
    /// for longer than that.
    pub(crate) async fn ask(&self, within: Duration) -> Option<Arc<Found<T>>> {
        let asking = *lock(&self.now.asking);
        if asking.is_some_and(|since| since.elapsed() > within) {
            return None;
        }
        let (wish, answer) = oneshot::channel();
        self.wishes.try_send(wish).ok()?;
        timeout(within, answer).await.ok()?.ok()
    }

    /// Returns what was found last, however long ago.
    pub(crate) fn last(&self) -> Option<Arc<Found<T>>> {
        lock(&self.now.found).clone()
    }
}

impl<T> Now<T> {
    fn run(&self, keep: Keep, wished: &Receiver<AnswerTo<T>>, ask: &mut impl FnMut() -> T) {
        for wish in wished {
            // Those who gave up waiting need no answer, and must not have the database be asked.
            let wishes: Vec<_> = std::iter::once(wish)
                .chain(wished.try_iter())
                .filter(|wish| !wish.is_closed())
                .collect();
            if wishes.is_empty() {
                continue;
            }
            let found = self.look(keep, ask);
            for wish in wishes {
                let _ = wish.send(Arc::clone(&found));
            }
        }
    }

    fn look(&self, keep: Keep, ask: &mut impl FnMut() -> T) -> Arc<Found<T>> {
        let kept = lock(&self.found).clone();
        if let Some(kept) = kept.filter(|kept| kept.at.elapsed() < keep.time(kept.took)) {
            return kept;
        }
        let begun = Instant::now();
        *lock(&self.asking) = Some(begun);
        let what = ask();
        *lock(&self.asking) = None;
        let found = Arc::new(Found {
            at: Instant::now(),
            took: begun.elapsed(),
            what,
        });
        *lock(&self.found) = Some(Arc::clone(&found));
        found
    }
}

impl Keep {
    fn time(self, took: Duration) -> Duration {
        match self {
            Keep::For(time) => time,
            Keep::ByCost(least) => least.max((took * SHARE).min(LONGEST)),
        }
    }
}

/// What is behind these locks is whole at any time, also after a panic.
fn lock<T>(mutex: &Mutex<T>) -> std::sync::MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_took_long_is_kept_longer() {
        let keep = Keep::ByCost(Duration::from_secs(2));
        for (took_ms, kept_ms) in [(1, 2_000), (100, 2_000), (500, 10_000), (9_000, 60_000)] {
            let took = Duration::from_millis(took_ms);
            assert_eq!(keep.time(took), Duration::from_millis(kept_ms));
        }
    }
}
