//! What callers' own SQL does to a connection: seen on the wire, and put back.
//!
//! The server reports after each command what it was, and after each request whether a transaction
//! is open. The stream under the connection reads this while a caller's SQL runs. Nothing else
//! could know: the driver drops the tags, and the transaction may be lent to the caller. In a lent
//! transaction, a statement that would end it does not even leave (`SqlWatch::guard`), since it may
//! hold the work of other messages. Through a socket file the stream is the driver's own, and only
//! texts tell; a lent transaction is then assumed to have done anything.

use crate::connect::pulse::Pulse;
use crate::words::SideEffects;
use std::sync::Arc;

/// What callers' SQL does to one connection.
#[derive(Default)]
pub(crate) struct CallerSql {
    pulse: Option<Arc<Pulse>>,
    /// What only the texts told.
    read: SideEffects,
    /// Whether the session may hold locks of the caller's, which no rollback frees.
    is_locked: bool,
    /// The settings that the connection was made with; `None` of one that was lent, whose settings
    /// are its owner's.
    settings: Option<String>,
}

/// Makes a connection as the server made it, in a transaction that goes on. `DISCARD ALL` would do
/// it outside one, and drop what is prepared; settings of the transaction alone go too.
const AS_NEW: &str = "CLOSE ALL; RESET SESSION AUTHORIZATION; RESET ROLE; RESET ALL; UNLISTEN *; DISCARD TEMP; \
    DISCARD SEQUENCES; SELECT pg_catalog.pg_advisory_unlock_all();\n";

/// Drops statements that somebody else prepared. Where tags are seen, they tell.
const FORGET: &str = "DO $$ DECLARE theirs text; BEGIN \
    FOR theirs IN SELECT name FROM pg_catalog.pg_prepared_statements \
        WHERE from_sql AND NOT pg_catalog.starts_with(name, 'outtray_') \
    LOOP EXECUTE pg_catalog.format('DEALLOCATE %I', theirs); END LOOP; END $$;\n";

impl CallerSql {
    /// Knows a connection that was made with `settings`, which are statements.
    pub(crate) fn new(pulse: Option<Arc<Pulse>>, settings: Option<String>) -> Self {
        CallerSql {
            pulse,
            read: SideEffects::default(),
            is_locked: false,
            settings,
        }
    }

    /// Notes that SQL of the caller's runs from now on: `text`, or what nobody knows before.
    pub(crate) fn watch(&mut self, text: Option<&str>) {
        if let Some(text) = text {
            self.note(text);
        }
        match (&self.pulse, text) {
            (Some(pulse), Some(_)) => pulse.watch.begin(),
            (Some(pulse), None) => pulse.watch.begin_guarded(),
            (None, Some(text)) => self.read.add(SideEffects::as_written(text)),
            (None, None) => {
                self.read.add(SideEffects::SET);
                self.read.add(SideEffects::LOCKED);
            }
        }
    }

    /// Reads a text of the caller's for what the server will not tell.
    pub(crate) fn note(&mut self, text: &str) {
        let hidden = SideEffects::hidden_in(text.as_bytes());
        match &self.pulse {
            Some(pulse) => pulse.watch.add(hidden),
            None => self.read.add(hidden),
        }
    }

    /// Notes that what runs from now on is ours.
    pub(crate) fn unwatch(&self) {
        if let Some(pulse) = &self.pulse {
            pulse.watch.end();
        }
    }

    /// Returns whether the caller's SQL set something since the last call.
    pub(crate) fn has_set(&self) -> bool {
        self.has_done(SideEffects::SET)
    }

    fn has_done(&self, what: SideEffects) -> bool {
        let seen = self.pulse.as_ref().map(|pulse| pulse.watch.seen());
        self.read.any(&[what]) || seen.is_some_and(|seen| seen.any(&[what]))
    }

    /// Returns whether the caller's SQL may have opened a savepoint since the last call.
    pub(crate) fn may_have_saved(&self) -> bool {
        // What was lent to the caller is not seen, and assumed to have taken locks.
        self.has_done(SideEffects::SAVED) || self.is_blind() && self.has_done(SideEffects::LOCKED)
    }

    /// Returns whether the caller's SQL did since the last call what cannot be put back.
    pub(crate) fn is_spoiling(&self) -> bool {
        self.has_done(SideEffects::SPOILT)
    }

    /// Returns whether the server said that the open transaction has ended, and then whether it was
    /// committed.
    pub(crate) fn has_ended(&self) -> Option<bool> {
        let pulse = self.pulse.as_ref()?;
        let is_committed = pulse.watch.seen().any(&[SideEffects::COMMITTED]);
        let is_outside = !pulse.is_owed() && pulse.watch.is_outside();
        (is_committed || is_outside).then_some(is_committed)
    }

    /// Returns what the caller's SQL did since the last call.
    pub(crate) fn take(&mut self) -> SideEffects {
        self.unwatch();
        let mut did = std::mem::take(&mut self.read);
        if let Some(pulse) = &self.pulse {
            did.add(pulse.watch.take());
            // What is owed may say otherwise.
            if !pulse.is_owed() && pulse.watch.is_outside() {
                did.add(SideEffects::ENDED);
            }
        }
        self.is_locked |= did.any(&[SideEffects::LOCKED]);
        did
    }

    /// Returns whether nothing can be seen.
    pub(crate) fn is_blind(&self) -> bool {
        self.pulse.is_none()
    }

    /// Returns whether the session may hold locks of the caller's.
    pub(crate) fn is_locked(&self) -> bool {
        self.is_locked
    }

    /// Notes that it was restored.
    pub(crate) fn unlock(&mut self) {
        self.is_locked = false;
    }

    /// Returns whether the server's last word about the transaction may be still to come.
    pub(crate) fn is_unread(&self) -> bool {
        self.pulse.as_ref().is_some_and(|pulse| pulse.is_owed())
    }

    /// Returns the statements that make the connection as it was; empty for one that was lent:
    /// nobody knows how it was.
    pub(crate) fn restoring(&self) -> String {
        let forget = if self.is_blind() { FORGET } else { "" };
        let settings = self.settings.as_ref();
        settings.map_or_else(String::new, |settings| [AS_NEW, forget, settings].concat())
    }
}
