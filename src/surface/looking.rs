//! Looking at all topics.

use crate::connect::transaction::OpenTransaction;
use crate::db::run::Run;
use crate::dead_letters::letter::{self, DeadLetter};
use crate::dead_letters::selection::Selection;
use crate::surface::messaging::Messaging;
use crate::surface::topic::count;
use crate::topics;
use crate::topics::stats::{self, TopicStats};
use crate::words::Result;
use crate::words::sqlstate::classify;
use postgres::IsolationLevel;

impl Messaging {
    /// Returns the names of all known topics, sorted by their bytes: topics with messages of any
    /// kind, dead letters, receivers or recurring messages, and topics that ever had settings, or
    /// were paused, suspect or in strict order. One query; its time grows with the number of
    /// topics, not of messages.
    ///
    /// # Errors
    /// `SchemaMissing`, `Unavailable`, `PoolExhausted`.
    pub fn topic_names(&self) -> Result<Vec<String>> {
        self.in_order(|run| topics::topics(run))
    }

    /// Returns the numbers of all topics that [`topic_names`](Self::topic_names) returns, in the
    /// same order. Costs one query, and that of [`Topic::stats`](crate::Topic::stats) for each
    /// topic.
    ///
    /// # Errors
    /// `SchemaMissing`, `Unavailable`, `PoolExhausted`.
    pub fn topics(&self) -> Result<Vec<TopicStats>> {
        self.in_order(|run| {
            topics::topics(run)?
                .iter()
                .map(|topic| stats::stats(run, topic))
                .collect()
        })
    }

    /// Returns the oldest dead letters of all topics, at most `limit`, in the order in which they
    /// died. Costs one query, and one for each topic that has any.
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

    /// Returns the oldest of the selected dead letters of all topics, at most `limit`, in the order
    /// in which they died. Select those of a [key](Selection::key), or several by their ids.
    ///
    /// # Errors
    /// Those of [`dead_letters`](Self::dead_letters), and `Invalid` for a bad key.
    pub fn dead_letters_of(
        &self,
        which: impl Into<Selection>,
        limit: usize,
    ) -> Result<Vec<DeadLetter>> {
        let which = which.into();
        which.check_everywhere()?;
        self.in_order(|run| letter::dead_letters_everywhere(run, count(limit), &which))
    }

    /// Looks at the first of many rows, in a transaction of its own in which they are
    /// [read in order](read_in_order).
    pub(crate) fn in_order<R>(&self, look: impl FnOnce(&mut dyn Run) -> Result<R>) -> Result<R> {
        self.with_connection(|connection, _| {
            let failed = |error| classify(error, "looking at topics");
            let mut open = connection
                .begin(Some(IsolationLevel::ReadCommitted))
                .map_err(failed)?;
            read_in_order(&mut open).map_err(failed)?;
            let seen = look(&mut open)?;
            open.transaction.commit().map_err(failed)?;
            Ok(seen)
        })
    }
}

/// Lets the planner do nothing but follow an index until the transaction ends. Where a table seems
/// nearly empty, to read all of a topic and to sort it looks as cheap as to take its first rows,
/// and a LIMIT does not help.
pub(crate) fn read_in_order(open: &mut OpenTransaction<'_>) -> Result<(), postgres::Error> {
    open.transaction.batch_execute(
        "SET LOCAL enable_seqscan = off; SET LOCAL enable_bitmapscan = off; SET LOCAL enable_hashjoin = off; \
         SET LOCAL enable_mergejoin = off; SET LOCAL enable_sort = off; SET LOCAL jit = off",
    )
}
