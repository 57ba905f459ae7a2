//! Groups with a completion message, dependencies, and the results that handlers record.

use crate::completion;
use crate::observe::spans;
use crate::session::messaging_session::MessagingSession;
use crate::words::completion::Group;
use crate::words::json_text;
use crate::words::new_message::{MAX_AFTER, TRACKED_FOR};
use crate::words::{Error, MessageId, NewMessage, Outgoing, Result};
use serde::Serialize;
use std::collections::HashSet;
use uuid::Uuid;

impl MessagingSession<'_> {
    /// Sends messages together with a completion message, which is released when all of them have
    /// ended for good: done, cancelled, expired and dropped, or purged. A dead letter has not ended
    /// until it is redriven and done, or purged, whatever made it a dead letter. Without members
    /// the completion message is ready at once. All of them are tracked, for an hour unless they
    /// say otherwise.
    ///
    /// The id of the completion message is the id of the group:
    /// [`wait_for_completion`](crate::Messaging::wait_for_completion),
    /// [`group_progress`](crate::Messaging::group_progress) and
    /// [`cancel_group`](crate::Messaging::cancel_group) take it.
    ///
    /// # Errors
    /// The same as [`send`](Self::send); then none of them is sent. `Invalid` for over 10,000
    /// members, for messages with a dedupe key, and for a completion message with dependencies of
    /// its own.
    ///
    /// ```no_run
    /// # fn f(messaging: &outtray::Messaging) -> Result<(), Box<dyn std::error::Error>> {
    /// use outtray::NewMessage;
    ///
    /// let group = messaging.session(|session| {
    ///     let pages = (1..=20).map(|page| NewMessage::json("pages", &page));
    ///     let pages = pages.collect::<Result<Vec<_>, _>>()?;
    ///     Ok(session.send_group(pages, NewMessage::json("books", &"all pages are there")?)?)
    /// })?;
    /// println!("{:?}", messaging.group_progress(group.id)?);
    /// # Ok(()) }
    /// ```
    pub fn send_group(
        &mut self,
        members: impl IntoIterator<Item = NewMessage>,
        completion: NewMessage,
    ) -> Result<Group> {
        let hooks = &self.process.send_hooks;
        let track = |message: NewMessage| {
            let mut message = hooks.run(message)?;
            message.rare.tracked_for.get_or_insert(TRACKED_FOR);
            Ok(message)
        };
        let members = members.into_iter().map(track).collect::<Result<Vec<_>>>()?;
        let mut completion = track(completion)?;
        self.check_group(&members, &completion)?;
        self.check_after(&members)?;
        let all = members.iter().chain([&completion]);
        let span = spans::send_many(all.map(|one| one.topic.as_str()), members.len() + 1);
        spans::within(span, |_| {
            self.learn_settings()?;
            let members = members.into_iter();
            let mut together: Vec<Outgoing> = members.map(|member| self.outgoing(member)).collect();
            let members: Vec<MessageId> = together.iter().map(|member| member.id).collect();
            completion.rare.after.clone_from(&members);
            completion.rare.takes_any_end = true;
            let completion = self.outgoing(completion);
            let id = completion.id;
            together.push(completion);
            self.send_together(together)?;
            Ok(Group { id, members })
        })
    }

    fn check_group(&self, members: &[NewMessage], completion: &NewMessage) -> Result<()> {
        let topic = &completion.topic;
        if members.len() > MAX_AFTER {
            return Err(Error::invalid(format!(
                "a group with its completion on topic {topic} has {} members, the limit is {MAX_AFTER}",
                members.len()
            )));
        }
        if !completion.rare.after.is_empty() {
            return Err(Error::invalid(format!(
                "the completion message of a group comes after its members and no others, on topic {topic}"
            )));
        }
        for message in members.iter().chain([completion]) {
            message.check(self.process.max_payload_bytes)?;
            if message.rare.dedupe.is_some() {
                return Err(Error::invalid(format!(
                    "a message of a group cannot have a dedupe key, on topic {}: one that is dropped is no member",
                    message.topic
                )));
            }
        }
        Ok(())
    }

    /// Records the result of the current message, as JSON, for those who wait for its
    /// [completion](crate::Messaging::wait_for_completion). The last result counts. If the handler
    /// fails, the result is dropped with its writes; for a message that is not tracked it has no
    /// effect.
    ///
    /// # Errors
    /// `Payload` or `TooLarge` as for a payload; `Invalid` in a session that belongs neither to a
    /// handler nor to [`Delivery::settle_in`](crate::Delivery::settle_in). Then nothing is changed.
    pub fn record_result<T: Serialize + ?Sized>(&mut self, result: &T) -> Result<()> {
        let Some(recorder) = &mut self.recorder else {
            return Err(Error::invalid(
                "a result belongs to one message: record it in its handler's session, not in one of a batch or of your own",
            ));
        };
        recorder.record(json_text::of_result(
            result,
            self.process.max_payload_bytes,
        )?);
        Ok(())
    }

    /// Checks that every message that these messages come after is tracked, and locks it so that it
    /// stays known until the transaction ends. Messages of this session that are not stored yet
    /// become tracked; for others the transaction begins.
    pub(crate) fn check_after(&mut self, messages: &[NewMessage]) -> Result<()> {
        let wanted: Vec<MessageId> = messages
            .iter()
            .flat_map(|message| message.rare.after.iter().copied())
            .collect();
        if wanted.is_empty() {
            return Ok(());
        }
        // Copies that are to be tracked have to be there for good.
        self.settle_published()?;
        let elsewhere = self.outbox.track(&wanted);
        if elsewhere.is_empty() {
            return Ok(());
        }
        let ids: Vec<Uuid> = elsewhere.iter().map(|id| id.0).collect();
        let known = self.transaction.ask(|run| completion::hold(run, &ids))?;
        let unknown: HashSet<MessageId> = elsewhere
            .into_iter()
            .filter(|id| !known.contains(&id.0))
            .collect();
        for message in messages {
            if let Some(id) = message.rare.after.iter().find(|id| unknown.contains(*id)) {
                return Err(Error::invalid(format!(
                    "a message cannot come after {id}, which is not tracked, on topic {}: send that one as tracked",
                    message.topic
                )));
            }
        }
        Ok(())
    }
}
