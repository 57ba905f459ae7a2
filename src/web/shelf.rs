//! What was found is kept for a moment, so that ten who look cost what one does.

use crate::threads::mutex::Mutex;
use std::any::Any;
use std::collections::HashMap;
use std::fmt;
use std::sync::Arc;
use std::time::{Duration, Instant};

/// Answers that are kept at once.
const MOST: usize = 256;

/// What is known of one question.
#[derive(Default)]
struct KeptAnswer {
    /// Held while it is asked: others wait for that answer, and ask nothing.
    asking: Mutex<()>,
    answer: Mutex<Option<ShelvedAnswer>>,
}

#[derive(Clone)]
struct ShelvedAnswer {
    found_at: Instant,
    until: Instant,
    what: Arc<dyn Any + Send + Sync>,
}

/// The answers to questions, by their names.
///
/// A name says what is asked, with all that the answer depends on; answers of one name are of one
/// type.
#[derive(Default)]
pub struct Shelf(Mutex<HashMap<String, (Instant, Arc<KeptAnswer>)>>);

impl Shelf {
    /// Returns the answer that is kept, or finds it, and keeps it for as long as `kept_for` says of
    /// it. Those who come meanwhile wait for that answer.
    ///
    /// # Errors
    /// What `find` returns. An error is not kept.
    pub fn get<T: Any + Send + Sync, E>(
        &self,
        name: &str,
        kept_for: impl FnOnce(&T) -> Duration,
        find: impl FnOnce() -> Result<T, E>,
    ) -> Result<Arc<T>, E> {
        let slot = self.slot(name);
        let _asking = slot.asking.lock();
        if let Some((answer, true)) = slot.answer() {
            return Ok(answer.1);
        }
        let what = Arc::new(find()?);
        let found_at = Instant::now();
        *slot.answer.lock() = Some(ShelvedAnswer {
            found_at,
            until: found_at + kept_for(&what),
            what: Arc::clone(&what) as Arc<dyn Any + Send + Sync>,
        });
        Ok(what)
    }

    /// Returns the answer that is kept; `None` if there is none, or its time is over. Waits for
    /// nobody.
    pub fn kept<T: Any + Send + Sync>(&self, name: &str) -> Option<Arc<T>> {
        let (answer, is_good) = self.slot(name).answer()?;
        is_good.then_some(answer.1)
    }

    /// Returns what was found last and when, however long ago. Waits for nobody.
    pub fn last<T: Any + Send + Sync>(&self, name: &str) -> Option<(Instant, Arc<T>)> {
        self.slot(name).answer().map(|(answer, _)| answer)
    }

    /// Lets the time of all answers be over: something was changed, and whoever did it is to see
    /// it. What is being asked at the moment is asked once more.
    pub fn clear(&self) {
        for (_, slot) in self.0.lock().values_mut() {
            let over = slot.answer.lock().clone().map(|answer| ShelvedAnswer {
                until: answer.found_at,
                ..answer
            });
            *slot = Arc::new(KeptAnswer {
                answer: Mutex::new(over),
                ..KeptAnswer::default()
            });
        }
    }

    fn slot(&self, name: &str) -> Arc<KeptAnswer> {
        let mut all = self.0.lock();
        if all.len() >= MOST && !all.contains_key(name) {
            let oldest = all.iter().min_by_key(|(_, (used, _))| *used);
            if let Some(oldest) = oldest.map(|(name, _)| name.clone()) {
                all.remove(&oldest);
            }
        }
        let (used, slot) = all
            .entry(name.to_owned())
            .or_insert_with(|| (Instant::now(), Arc::default()));
        *used = Instant::now();
        Arc::clone(slot)
    }
}

impl KeptAnswer {
    /// Returns when the answer was found and what it is, and whether its time is not over.
    fn answer<T: Any + Send + Sync>(&self) -> Option<((Instant, Arc<T>), bool)> {
        let answer = self.answer.lock().clone()?;
        let is_good = answer.until > Instant::now();
        let what = answer.what.downcast().ok()?;
        Some(((answer.found_at, what), is_good))
    }
}

impl fmt::Debug for Shelf {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Shelf({} answers)", self.0.lock().len())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const MINUTE: Duration = Duration::from_secs(60);

    #[test]
    fn an_answer_is_found_once_and_an_error_is_not_kept() {
        let shelf = Shelf::default();
        let find = |answer: Result<u8, ()>| shelf.get("a", |_| MINUTE, || answer);
        assert!(find(Err(())).is_err());
        assert_eq!(find(Ok(1)).as_deref(), Ok(&1));
        assert_eq!(find(Ok(2)).as_deref(), Ok(&1));
        assert_eq!(shelf.kept::<u8>("a").as_deref(), Some(&1));

        shelf.clear();

        assert_eq!(shelf.kept::<u8>("a"), None);
        assert_eq!(shelf.last::<u8>("a").map(|(_, last)| *last), Some(1));
        assert_eq!(find(Ok(2)).as_deref(), Ok(&2));
    }

    #[test]
    fn what_is_asked_during_a_change_is_not_taken_for_an_answer_after_it() {
        let shelf = Shelf::default();
        let before = shelf.get(
            "a",
            |_| MINUTE,
            || {
                shelf.clear();
                Ok::<_, ()>(1)
            },
        );
        assert_eq!(before.as_deref(), Ok(&1));
        assert_eq!(shelf.kept::<i32>("a"), None);
    }

    #[test]
    fn the_one_that_was_not_used_for_longest_makes_room() {
        let shelf = Shelf::default();
        for number in 0..=MOST {
            let name = number.to_string();
            assert!(shelf.get(&name, |_| MINUTE, || Ok::<_, ()>(number)).is_ok());
        }
        assert_eq!(shelf.0.lock().len(), MOST);
        assert_eq!(
            shelf
                .get("0", |_| MINUTE, || Ok::<_, ()>(7_usize))
                .as_deref(),
            Ok(&7)
        );
    }
}
