//! Who is logged in. A browser holds a random number; what it stands for is kept here, in memory,
//! and is gone with the process.

use crate::threads::mutex::Mutex;
use std::collections::HashMap;
use std::time::{Duration, Instant};
use uuid::Uuid;

/// How long somebody stays logged in: a day of work.
pub(crate) const LIFE: Duration = Duration::from_secs(12 * 3600);
/// People with the token who are logged in at once; the one who came first goes.
const MOST: usize = 1000;
/// What a visitor is still to be told, at most.
const MOST_FLASHES: usize = 8;

/// What a visitor is told once, on the next page.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Flash {
    pub(crate) text: String,
    pub(crate) is_error: bool,
}

/// One who is logged in.
#[derive(Debug, Clone)]
pub(crate) struct LoggedIn {
    /// The name that was given: it is not checked, as all have the same token.
    pub(crate) name: String,
    /// What each form of this visitor has to have.
    pub(crate) csrf: String,
}

struct KeptSession {
    who: LoggedIn,
    until: Instant,
    flashes: Vec<Flash>,
}

/// All who are logged in.
#[derive(Default)]
pub(crate) struct Sessions(Mutex<HashMap<String, KeptSession>>);

impl Sessions {
    /// Logs somebody in; returns the number that stands for it.
    pub(crate) fn begin(&self, name: &str) -> String {
        let id = secret();
        let kept = KeptSession {
            who: LoggedIn {
                name: name.to_owned(),
                csrf: secret(),
            },
            until: Instant::now() + LIFE,
            flashes: Vec::new(),
        };
        let mut all = self.0.lock();
        all.retain(|_, kept| kept.until > Instant::now());
        if all.len() >= MOST {
            let first = all.iter().min_by_key(|(_, kept)| kept.until);
            if let Some(id) = first.map(|(id, _)| id.clone()) {
                all.remove(&id);
            }
        }
        all.insert(id.clone(), kept);
        id
    }

    /// Returns who a number stands for, if it still does.
    pub(crate) fn find(&self, id: &str) -> Option<LoggedIn> {
        let all = self.0.lock();
        let kept = all.get(id).filter(|kept| kept.until > Instant::now());
        kept.map(|kept| kept.who.clone())
    }

    pub(crate) fn end(&self, id: &str) {
        self.0.lock().remove(id);
    }

    /// Keeps what is to be told on the next page.
    pub(crate) fn tell(&self, id: &str, flash: Flash) {
        if let Some(kept) = self.0.lock().get_mut(id)
            && kept.flashes.len() < MOST_FLASHES
        {
            kept.flashes.push(flash);
        }
    }

    /// Takes what is to be told.
    pub(crate) fn told(&self, id: &str) -> Vec<Flash> {
        let mut all = self.0.lock();
        all.get_mut(id)
            .map(|kept| std::mem::take(&mut kept.flashes))
            .unwrap_or_default()
    }
}

/// Returns 244 random bits as text, from the generator that keys are made with.
pub(crate) fn secret() -> String {
    format!("{}{}", Uuid::new_v4().simple(), Uuid::new_v4().simple())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn who_logged_in_is_known_until_logged_out() {
        let sessions = Sessions::default();
        let id = sessions.begin("Ada");
        assert_eq!(sessions.find(&id).unwrap().name, "Ada");
        assert!(sessions.find("").is_none());

        sessions.end(&id);

        assert!(sessions.find(&id).is_none());
    }

    #[test]
    fn what_is_told_is_told_once() {
        let sessions = Sessions::default();
        let id = sessions.begin("Ada");
        let flash = Flash {
            text: "paused".to_owned(),
            is_error: false,
        };
        sessions.tell(&id, flash.clone());
        assert_eq!(sessions.told(&id), [flash]);
        assert_eq!(sessions.told(&id), []);
    }

    #[test]
    fn the_first_makes_room() {
        let sessions = Sessions::default();
        let first = sessions.begin("first");
        for number in 0..MOST {
            sessions.begin(&number.to_string());
        }
        assert!(sessions.find(&first).is_none());
    }
}
