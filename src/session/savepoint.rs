//! Where the savepoints of a handler's session stand, and the commands that move them.
//!
//! Why there are two names in turn, and one around several: see `handler_session`.

use crate::db::Statement;
use crate::db::commands::{OPEN_A, OPEN_B, OPEN_BUNDLE, RELEASE_A, RELEASE_B};

/// Where the savepoint stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(crate) enum Savepoint {
    /// The session is not a handler's: it is undone as a whole.
    #[default]
    None,
    /// A handler's session without a savepoint.
    Closed,
    /// Open, with the work of the part at hand in it and no other.
    Open(SavepointName),
    /// Open, with the finished work of an earlier part in it, or nothing.
    Finished(SavepointName),
}

/// The savepoint around those of several messages.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(crate) enum Bundle {
    /// There is none.
    #[default]
    None,
    /// It opens with the next one of a message.
    Wanted,
    Open,
}

impl Bundle {
    /// Returns what opens it with the savepoint of a message, closing the one before.
    pub(super) fn opening(before: Savepoint) -> Commands {
        static FIRST: [&Statement; 2] = [&OPEN_BUNDLE, &OPEN_A];
        static AFTER_A: [&Statement; 3] = [&RELEASE_A, &OPEN_BUNDLE, &OPEN_B];
        static AFTER_B: [&Statement; 3] = [&RELEASE_B, &OPEN_BUNDLE, &OPEN_A];
        match before {
            Savepoint::Finished(SavepointName::A) => &AFTER_A,
            Savepoint::Finished(SavepointName::B) => &AFTER_B,
            _ => &FIRST,
        }
    }

    pub(super) const UNDO: &str = "ROLLBACK TO outtray_bundle";
}

/// When what is deferred until COMMIT is checked for a message.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Check {
    /// With all of its bundle, before COMMIT.
    Bundled,
    /// Now, for it is the only one in its transaction: what comes after is checked at once.
    Only,
    /// Now, and others follow, for which constraints are deferred as they were.
    Alone,
}

impl Check {
    pub(super) fn sql(self) -> &'static str {
        match self {
            Check::Bundled => "",
            Check::Only => "SET CONSTRAINTS ALL IMMEDIATE;\n",
            Check::Alone => {
                "SAVEPOINT outtray_check; SET CONSTRAINTS ALL IMMEDIATE; ROLLBACK TO outtray_check; RELEASE outtray_check;\n"
            }
        }
    }
}

/// Commands that go one after the other.
pub(crate) type Commands = &'static [&'static Statement];

/// The names that savepoints have in turn.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum SavepointName {
    A,
    B,
}

impl SavepointName {
    /// Undoes the work since it was opened; it stays open.
    pub(super) fn undo(self) -> &'static str {
        match self {
            SavepointName::A => "ROLLBACK TO outtray_a",
            SavepointName::B => "ROLLBACK TO outtray_b",
        }
    }

    /// Closes it, keeping its work. Fails if a statement inside failed.
    pub(super) fn release(self) -> &'static Statement {
        match self {
            SavepointName::A => &RELEASE_A,
            SavepointName::B => &RELEASE_B,
        }
    }
}

impl Savepoint {
    /// Returns what opens it for the part at hand, closing the one before, and where it stands
    /// then; `None` if there is nothing to open.
    pub(super) fn opening(self) -> Option<(Commands, Savepoint)> {
        static FIRST: [&Statement; 1] = [&OPEN_A];
        static AFTER_A: [&Statement; 2] = [&RELEASE_A, &OPEN_B];
        static AFTER_B: [&Statement; 2] = [&RELEASE_B, &OPEN_A];
        let (commands, name): (Commands, _) = match self {
            Savepoint::None | Savepoint::Open(_) => return None,
            Savepoint::Closed => (&FIRST, SavepointName::A),
            Savepoint::Finished(SavepointName::A) => (&AFTER_A, SavepointName::B),
            Savepoint::Finished(SavepointName::B) => (&AFTER_B, SavepointName::A),
        };
        Some((commands, Savepoint::Open(name)))
    }

    /// Returns what has to go before statements of the top level.
    pub(super) fn leaving(self) -> Option<&'static Statement> {
        match self {
            Savepoint::None | Savepoint::Closed => None,
            Savepoint::Open(name) | Savepoint::Finished(name) => Some(name.release()),
        }
    }
}
