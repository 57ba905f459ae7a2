//! The states of the savepoints of a handler's session, and the commands that change them.
//!
//! `parts` says why savepoints have two names in turn, and why there is one around several parts.

use crate::db::Statement;
use crate::db::commands::{OPEN_A, OPEN_B, OPEN_BUNDLE, RELEASE_A, RELEASE_B};

/// The state of the savepoint of a part.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(crate) enum Savepoint {
    /// The session is not a handler's and has no parts: it is undone as a whole.
    #[default]
    None,
    /// No savepoint is open.
    Closed,
    /// The savepoint is open and holds the work of the current part alone.
    Open(SavepointName),
    /// The savepoint is open and holds the finished work of an earlier part, or none.
    Finished(SavepointName),
}

/// The outer savepoint of a bundle: the parts of several messages whose deferred constraints are
/// checked together, and which are undone together. The word is neither "batch" (one call of a
/// handler with several messages, which is a single part) nor "group" (messages with a completion
/// message).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(crate) enum Bundle {
    /// There is no bundle.
    #[default]
    None,
    /// The savepoint opens with that of the next part.
    Wanted,
    Open,
}

impl Bundle {
    /// Returns the commands that release the last part's savepoint and open those of the bundle and
    /// of the next part.
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

/// When deferred constraints are checked for a message.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Check {
    /// Together with the rest of its bundle, before COMMIT.
    Bundled,
    /// Now, for the only message of a transaction. Constraints of later statements are checked at
    /// once.
    Only,
    /// Now, with other messages to follow, for which constraints stay deferred.
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

/// Commands that run one after the other.
pub(crate) type Commands = &'static [&'static Statement];

/// The two names that savepoints of parts have in turn.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum SavepointName {
    A,
    B,
}

impl SavepointName {
    /// Returns the command that undoes the savepoint's work; the savepoint stays open.
    pub(super) fn undo(self) -> &'static str {
        match self {
            SavepointName::A => "ROLLBACK TO outtray_a",
            SavepointName::B => "ROLLBACK TO outtray_b",
        }
    }

    /// Returns the command that releases the savepoint and keeps its work. The command fails if a
    /// statement inside failed.
    pub(super) fn release(self) -> &'static Statement {
        match self {
            SavepointName::A => &RELEASE_A,
            SavepointName::B => &RELEASE_B,
        }
    }
}

impl Savepoint {
    /// Returns the commands that release the last part's savepoint and open one for the current
    /// part, and the state after them; `None` if none is to be opened.
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

    /// Returns the command that releases the savepoint before statements at the top level.
    pub(super) fn leaving(self) -> Option<&'static Statement> {
        match self {
            Savepoint::None | Savepoint::Closed => None,
            Savepoint::Open(name) | Savepoint::Finished(name) => Some(name.release()),
        }
    }
}
