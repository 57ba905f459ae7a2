//! The steps of a transaction at which a fault can happen.

/// A step of a transaction that clients ask the server for, to say [where](crate::testing::Proxy) a
/// fault happens.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum Step {
    /// Taking messages from a topic, by a receiver, by hand or by a
    /// [`Runner`](crate::testing::Runner).
    Claim,
    /// COMMIT: of a handler's transaction, of a session, or of your own. A session that does
    /// nothing but send has none where one statement stores it all, which then commits by itself:
    /// name the table that it writes to, `outtray.message`.
    Commit,
    /// Running a statement whose text, or whose values as bytes, contain this:
    /// `INSERT INTO account`. Upper and lower case are told apart.
    Statement(String),
}

impl From<&str> for Step {
    fn from(text: &str) -> Self {
        Step::Statement(text.to_owned())
    }
}

/// What happens at a step.
#[derive(Debug, Clone)]
pub(crate) struct WireFault {
    pub(crate) step: Step,
    pub(crate) action: FaultAction,
    /// Whether it happens before the server sees the step, or when the server has done it.
    pub(crate) is_before: bool,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum FaultAction {
    Disconnect,
    Abort,
    FallSilent,
}
