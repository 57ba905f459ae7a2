//! Whether the ends of messages that a session settles are recorded.

use crate::history;
use crate::session::messaging_session::MessagingSession;

impl MessagingSession<'_> {
    /// Returns whether a topic keeps a history, as far as this process knows.
    pub(crate) fn keeps_history(&self, topic: &str) -> bool {
        history::is_kept(&self.process.configs, topic)
    }
}
