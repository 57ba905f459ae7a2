//! The wire between a client and the server, which a test can cut at a word.

use outtray::testing::{Proxy, Step};

/// The end of a transaction.
pub(crate) const COMMIT: &str = "COMMIT";

/// Where to cut, and whether the word still arrives.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Cut {
    /// The server never sees the word.
    Before(&'static str),
    /// The server does what it says, and the client gets no answer.
    After(&'static str),
}

/// A wire to a database. Each connection through it is carried until a cut.
pub(crate) struct Wire(Proxy);

impl Wire {
    /// Lays a wire to the server of `url`.
    pub(crate) fn to(url: &str) -> Wire {
        Wire(Proxy::before(url).unwrap())
    }

    /// Returns the URL that leads through the wire.
    pub(crate) fn url(&self) -> &str {
        self.0.url()
    }

    /// Has the wire cut, once, for the connection that says the word next.
    pub(crate) fn cut(&self, cut: Cut) {
        match cut {
            Cut::Before(word) => self.0.lose_connection(step(word)),
            Cut::After(word) => self.0.lose_reply(step(word)),
        }
    }

    /// Returns whether the cut was made.
    pub(crate) fn is_cut(&self) -> bool {
        self.0.has_happened()
    }
}

/// Returns the step that a word stands for.
pub(super) fn step(word: &str) -> Step {
    match word {
        COMMIT => Step::Commit,
        word => Step::from(word),
    }
}
