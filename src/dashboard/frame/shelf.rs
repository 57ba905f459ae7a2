//! What was found is kept for a moment, so that ten who look cost what one does.

use crate::threads::mutex::Mutex;
use std::any::Any;
use std::collections::HashMap;
use std::sync::Arc;
use std::time::{Duration, Instant};

/// Answers that are kept at once.
const MOST: usize = 256;
type ShelvedAnswer = Arc<dyn Any + Send + Sync>;

/// What is known of one question.
#[derive(Default)]
struct KeptAnswer {
    /// Held while it is asked: others wait for that answer, and ask nothing.
    answer: Mutex<Option<(Instant, ShelvedAnswer)>>,
}

/// The answers, by what was asked.
#[derive(Default)]
pub(crate) struct Shelf(Mutex<HashMap<String, (Instant, Arc<KeptAnswer>)>>);

impl Shelf {
    /// Returns the answer that is kept, or finds it, and keeps it for as long as `kept_for` says of
    /// it. An error is not kept.
    ///
    /// The name says what is asked, with all that the answer depends on; answers of one name are of
    /// one type.
    pub(crate) fn get<T: Any + Send + Sync, E>(
        &self,
        name: &str,
        kept_for: impl FnOnce(&T) -> Duration,
        find: impl FnOnce() -> Result<T, E>,
    ) -> Result<Arc<T>, E> {
        let slot = self.slot(name);
        let mut answer = slot.answer.lock();
        if let Some((until, found)) = answer.as_ref()
            && *until > Instant::now()
            && let Ok(found) = Arc::clone(found).downcast()
        {
            return Ok(found);
        }
        let found = Arc::new(find()?);
        let until = Instant::now() + kept_for(&found);
        *answer = Some((until, Arc::clone(&found) as ShelvedAnswer));
        Ok(found)
    }

    /// Forgets all answers: something was changed, and whoever did it is to see it.
    pub(crate) fn clear(&self) {
        self.0.lock().clear();
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_answer_is_found_once_and_an_error_is_not_kept() {
        let shelf = Shelf::default();
        let minute = Duration::from_secs(60);
        let find = |answer: Result<u8, ()>| shelf.get("a", |_| minute, || answer);
        assert!(find(Err(())).is_err());
        assert_eq!(find(Ok(1)).as_deref(), Ok(&1));
        assert_eq!(find(Ok(2)).as_deref(), Ok(&1));

        shelf.clear();

        assert_eq!(find(Ok(2)).as_deref(), Ok(&2));
    }

    #[test]
    fn the_one_that_was_not_used_for_longest_makes_room() {
        let shelf = Shelf::default();
        let minute = Duration::from_secs(60);
        for number in 0..=MOST {
            let name = number.to_string();
            assert!(shelf.get(&name, |_| minute, || Ok::<_, ()>(number)).is_ok());
        }
        assert_eq!(shelf.0.lock().len(), MOST);
        assert_eq!(
            shelf
                .get("0", |_| minute, || Ok::<_, ()>(7_usize))
                .as_deref(),
            Ok(&7)
        );
    }
}
