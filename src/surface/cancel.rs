//! Cancelling messages.

use crate::cancel;
use crate::cancel::ends::{self, Cancelling, Noting};
use crate::changes::{Note, What};
use crate::completion;
use crate::connect::connection::Connection;
use crate::connect::pool::LentConnection;
use crate::db::Run;
use crate::message::end::End;
use crate::surface::messaging::Messaging;
use crate::surface::topics::Topic;
use crate::words::completion::Cancelled;
use crate::words::topic;
use crate::words::{Error, Filter, MessageId, Program, Result};
use crossbeam_channel::after;
use std::collections::{BTreeMap, HashSet};
use std::time::Duration;
use uuid::Uuid;

/// How often a cancel looks for messages that it did not find: they may be on their way from one
/// place to another.
const PASSES: usize = 3;
/// The time between two looks: a message that is being moved is in hand for milliseconds.
const BETWEEN_PASSES: Duration = Duration::from_millis(10);

impl Messaging {
    /// Cancels a message, in whatever state it is. A waiting message, also one that waits for a
    /// delay or a retry, is removed and never delivered. The handler of a message in work is asked
    /// to stop; [`Message::is_cancelled`](crate::Message::is_cancelled) tells it. If it fails then,
    /// or is killed, the message is not tried again; if it succeeds all the same, the message is
    /// done. Dead letters stay.
    ///
    /// Finds the message by its id alone. A [tracked](crate::NewMessage::tracked) message is found
    /// through an index. Finding any other message reads all ready messages, which takes about a
    /// second where there are millions: track messages that may have to be cancelled.
    ///
    /// # Errors
    /// `SchemaMissing`, `Unavailable`, `PoolExhausted`, `Conflict`.
    ///
    /// ```no_run
    /// # fn f(messaging: &outtray::Messaging, id: outtray::MessageId) -> outtray::Result<()> {
    /// match messaging.cancel(id)? {
    ///     outtray::Cancelled::Removed => println!("gone"),
    ///     outtray::Cancelled::Asked => println!("its handler is asked to give up"),
    ///     _ => println!("not there"),
    /// }
    /// # Ok(()) }
    /// ```
    pub fn cancel(&self, id: MessageId) -> Result<Cancelled> {
        let found = self.give_up(self.pooled()?, &[id.0])?;
        Ok(match (found.removed.is_empty(), found.asked.is_empty()) {
            (false, _) => Cancelled::Removed,
            (true, false) => Cancelled::Asked,
            (true, true) => Cancelled::NotThere,
        })
    }

    /// Cancels many messages, each like [`cancel`](Self::cancel), with a few round trips for 5,000
    /// of them. Returns what became of each, in the order of `ids`; an id that is named twice gets
    /// the same answer twice. Messages that are not tracked are searched for together, by reading
    /// the ready messages once.
    ///
    /// # Errors
    /// The same as [`cancel`](Self::cancel). What was cancelled before an error stays cancelled:
    /// call again.
    ///
    /// ```no_run
    /// # fn f(messaging: &outtray::Messaging, ids: &[outtray::MessageId]) -> outtray::Result<()> {
    /// let ends = messaging.cancel_all(ids)?;
    /// for (id, end) in ids.iter().zip(ends) {
    ///     println!("{id}: {end:?}");
    /// }
    /// # Ok(()) }
    /// ```
    pub fn cancel_all(&self, ids: &[MessageId]) -> Result<Vec<Cancelled>> {
        if ids.is_empty() {
            return Ok(Vec::new());
        }
        let connection = self.pooled()?;
        let mut wanted: Vec<Uuid> = ids.iter().map(|id| id.0).collect();
        wanted.sort_unstable();
        wanted.dedup();
        let found = self.give_up(connection, &wanted)?;
        let removed = found.removed.iter().map(|(_, end)| end.id.0);
        let removed: HashSet<Uuid> = removed.collect();
        let asked: HashSet<Uuid> = found.asked.iter().copied().collect();
        let end = |id: &MessageId| match (removed.contains(&id.0), asked.contains(&id.0)) {
            (true, _) => Cancelled::Removed,
            (false, true) => Cancelled::Asked,
            (false, false) => Cancelled::NotThere,
        };
        Ok(ids.iter().map(end).collect())
    }

    /// Cancels a [group](crate::MessagingSession::send_group): its completion message and all
    /// members that have not ended. Returns how many messages were removed or asked to stop,
    /// including the completion message. An unknown group returns 0.
    ///
    /// # Errors
    /// The same as [`cancel`](Self::cancel).
    pub fn cancel_group(&self, id: MessageId) -> Result<u64> {
        let mut connection = self.pooled()?;
        let members = completion::group_members(&mut *connection, id)?;
        // First what would come when the members have ended.
        let completion = self.give_up(connection, &[id.0])?;
        let members = self.give_up(self.pooled()?, &members)?;
        Ok(count(&completion) + count(&members))
    }

    /// Cancels messages, and tells all whom it concerns, also where that fails halfway.
    fn give_up(&self, mut connection: LentConnection, ids: &[Uuid]) -> Result<Cancelling> {
        let base = self.base();
        let mut found = Cancelling::default();
        let note = Note::new(What::Cancelled);
        let mut noting = |run: &mut dyn Run, gone: &[(String, End)], asked: &[Uuid]| {
            self.note_cancelled(run, &note, gone, asked)
        };
        let cancelled = cancel_all(&mut connection, ids, &mut found, &mut noting);
        found.announce(&base.waker);
        let tracked = found.tracked();
        if !tracked.is_empty() {
            self.look_after(&mut connection, tracked);
        }
        drop(connection);
        found.tell(&base.process.observers);
        cancelled.map(|()| found)
    }

    /// Notes what was cancelled, for each topic; what is asked for is noted for none.
    fn note_cancelled(
        &self,
        run: &mut dyn Run,
        note: &Note,
        gone: &[(String, End)],
        asked: &[Uuid],
    ) -> Result<()> {
        if self.operator().is_none() {
            return Ok(());
        }
        let mut by_topic = BTreeMap::<Option<&str>, Vec<Uuid>>::new();
        for (topic, end) in gone {
            by_topic.entry(Some(topic)).or_default().push(end.id.0);
        }
        if !asked.is_empty() {
            by_topic.insert(None, asked.to_vec());
        }
        for (topic, ids) in by_topic {
            let note = note.clone().messages(ids.len() as u64).ids(&ids);
            self.note(run, topic, &note)?;
        }
        Ok(())
    }
}

/// Cancels messages, in some passes.
fn cancel_all(
    connection: &mut Connection,
    ids: &[Uuid],
    found: &mut Cancelling,
    note: Noting<'_>,
) -> Result<()> {
    let mut left = ids.to_vec();
    for pass in 0..PASSES {
        if left.is_empty() {
            return Ok(());
        }
        if pass > 0 {
            let _ = after(BETWEEN_PASSES).recv();
        }
        ends::cancel(connection, &mut left, found, note)?;
    }
    if !left.is_empty() {
        let asked = cancel::ask_rest(connection, &left)?;
        note(connection, &[], &asked)?;
        found.asked.extend(asked);
    }
    Ok(())
}

impl Topic<'_> {
    /// Cancels all messages of the topic that wait or are in work and have all of these headers,
    /// each with this value. A message that lacks one of them stays. Returns how many were removed
    /// or asked to stop; see [`Messaging::cancel`]. Reads through the topic, and keeps the ids of
    /// what it finds in memory.
    ///
    /// # Errors
    /// `Invalid` without any header, besides those of all methods. What was cancelled before
    /// another error stays cancelled.
    ///
    /// ```no_run
    /// # fn f(messaging: &outtray::Messaging) -> outtray::Result<()> {
    /// let headers = [("campaign", "spring"), ("country", "ch")];
    /// let cancelled = messaging.topic("mail").cancel_where(headers)?;
    /// println!("{cancelled} cancelled");
    /// # Ok(()) }
    /// ```
    pub fn cancel_where<N, V>(&self, headers: impl IntoIterator<Item = (N, V)>) -> Result<u64>
    where
        N: Into<String>,
        V: Into<String>,
    {
        topic::check(self.name())?;
        let headers = headers.into_iter();
        let wanted: Vec<(String, String)> = headers
            .map(|(name, value)| (name.into(), value.into()))
            .collect();
        if wanted.is_empty() {
            return Err(Error::invalid(format!(
                "no header says which messages of topic {} to cancel; purge removes all",
                self.name()
            )));
        }
        if let Some((name, _)) = wanted
            .iter()
            .find(|(name, value)| name.contains('\0') || value.contains('\0'))
        {
            return Err(Error::invalid(format!(
                "header \"{}\" has a NUL character, which no header of topic {} can have",
                name.escape_debug(),
                self.name()
            )));
        }
        self.cancel_wanted(&Program::of_headers(&wanted))
    }

    /// Cancels all messages of the topic that wait or are in work and match the filter; otherwise
    /// like [`cancel_where`](Self::cancel_where).
    ///
    /// # Errors
    /// `Invalid` for a malformed filter, besides those of all methods. What was cancelled before
    /// another error stays cancelled.
    ///
    /// ```no_run
    /// # fn f(messaging: &outtray::Messaging) -> outtray::Result<()> {
    /// use outtray::Filter;
    ///
    /// let old = Filter::new().below("version", 12).and_not(Filter::new().equals("country", "ch"));
    /// let cancelled = messaging.topic("mail").cancel_matching(&old)?;
    /// println!("{cancelled} cancelled");
    /// # Ok(()) }
    /// ```
    pub fn cancel_matching(&self, filter: &Filter) -> Result<u64> {
        topic::check(self.name())?;
        filter.check(self.name())?;
        self.cancel_wanted(&Program::of(filter))
    }

    fn cancel_wanted(&self, program: &Program) -> Result<u64> {
        let messaging = self.messaging;
        let mut connection = messaging.pooled()?;
        let found = cancel::matching(&mut *connection, self.name(), program)?;
        Ok(count(&messaging.give_up(connection, &found)?))
    }
}

fn count(cancelling: &Cancelling) -> u64 {
    (cancelling.removed.len() + cancelling.asked.len()) as u64
}
