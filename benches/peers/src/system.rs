//! What is known of a system before it is measured.

use crate::program::Program;
use peer_protocol::Case;

/// A queue on PostgreSQL and the runner that uses it.
#[derive(Debug, Clone, Copy)]
pub struct System {
    /// Its name on the command line, and in names of databases.
    pub name: &'static str,
    /// Its name for people, and its language or what drives it.
    pub title: &'static str,
    /// Where its version is written.
    pub version: Version,
    /// How it is used.
    pub program: Program,
    /// Given to the runner after the order.
    pub arguments: &'static [&'static str],
    /// Cases that it has no notion of, or that another row measures.
    pub leaves_out: &'static [Case],
    /// An extension of the server that it needs, and the end of the name of the package that has
    /// it.
    pub extension: Option<(&'static str, &'static str)>,
    /// Whether the end of a message commits with what its handler did.
    pub atomic: Atomic,
    /// Why, in a sentence.
    pub why_atomic: &'static str,
    /// What "tuned" means for it.
    pub tuned: &'static str,
}

/// Where a system's version is written.
#[derive(Debug, Clone, Copy)]
pub enum Version {
    /// Another's: the server's or the first one's.
    None,
    /// A crate in the lock file.
    Crate(&'static str),
    /// A dependency in `node/package.json`.
    Npm(&'static str),
    /// A line in `python/requirements.txt`.
    PyPi(&'static str),
    /// An extension of the server.
    Extension(&'static str),
}

/// Whether the end of a message commits together with what its handler did in the database.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Atomic {
    /// Always.
    Yes,
    /// Where the user writes the transaction.
    ByHand,
    /// The ack can join the handler's transaction; the claim has committed before.
    AckOnly,
    /// Never.
    No,
}

impl Atomic {
    /// Returns it in words for a table.
    pub fn word(self) -> &'static str {
        match self {
            Atomic::Yes => "yes",
            Atomic::ByHand => "by hand",
            Atomic::AckOnly => "ack only",
            Atomic::No => "no",
        }
    }
}
