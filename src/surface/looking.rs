//! Looking at all topics.

use crate::store::admin;
use crate::store::dead::{self, DeadLetter};
use crate::store::stats::{self, TopicStats};
use crate::surface::messaging::Messaging;
use crate::surface::topic::count;
use crate::words::Result;
use crate::words::selection::Selection;

impl Messaging {
    /// Returns the names of all topics that are known, sorted by their bytes: those with messages of any kind, dead letters,
    /// receivers or recurring messages, and those that ever had settings, or were paused, suspect or in strict order. One
    /// query; its time grows with the number of topics, not with that of messages.
    ///
    /// # Errors
    /// `SchemaMissing`, `Unavailable`, `PoolExhausted`.
    pub fn topic_names(&self) -> Result<Vec<String>> {
        self.with_connection(|connection, base| admin::topics(connection, &base.kit.statements))
    }

    /// Returns the numbers of all topics that [`topic_names`](Self::topic_names) returns, in the same order. Costs
    /// one query more and, for each topic, that of [`Topic::stats`](crate::Topic::stats).
    ///
    /// # Errors
    /// `SchemaMissing`, `Unavailable`, `PoolExhausted`.
    pub fn topics(&self) -> Result<Vec<TopicStats>> {
        self.with_connection(|connection, base| {
            let statements = &base.kit.statements;
            admin::topics(connection, statements)?
                .iter()
                .map(|topic| stats::stats(connection, statements, topic))
                .collect()
        })
    }

    /// Returns the `limit` dead letters of all topics that died first, in that order. Costs one query and one for each topic
    /// that has any.
    ///
    /// ```no_run
    /// # fn f(messaging: &outtray::Messaging) -> outtray::Result<()> {
    /// for letter in messaging.dead_letters(100)? {
    ///     println!("{} {}: {}", letter.topic, letter.id, letter.error);
    /// }
    /// # Ok(()) }
    /// ```
    ///
    /// # Errors
    /// `SchemaMissing`, `Unavailable`, `PoolExhausted`.
    pub fn dead_letters(&self, limit: usize) -> Result<Vec<DeadLetter>> {
        self.dead_letters_of(.., limit)
    }

    /// Returns the `limit` of these dead letters of all topics that died first, in that order: those of a
    /// [key](Selection::key), or several by their ids.
    ///
    /// # Errors
    /// Those of [`dead_letters`](Self::dead_letters); `Invalid` for a bad key.
    pub fn dead_letters_of(
        &self,
        which: impl Into<Selection>,
        limit: usize,
    ) -> Result<Vec<DeadLetter>> {
        let which = which.into();
        which.check_everywhere()?;
        self.with_connection(|connection, base| {
            let statements = &base.kit.statements;
            dead::dead_letters_everywhere(connection, statements, count(limit), &which)
        })
    }
}
