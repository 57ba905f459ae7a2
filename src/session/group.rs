//! Messages that belong together, and what a handler leaves for those who wait for its message.

use crate::session::ends;
use crate::session::messaging_session::MessagingSession;
use crate::words::completion::Group;
use crate::words::error::{Error, Result};
use crate::words::json_text;
use crate::words::message::MessageId;
use crate::words::new_message::{MAX_AFTER, NewMessage, TRACKED_FOR};
use serde::Serialize;

impl MessagingSession<'_> {
    /// Sends messages together with one that comes when all of them have ended for good: done,
    /// cancelled, expired or purged. A dead letter has not, until it is redriven and done, or
    /// purged. Without members the completion message is ready at once. All of them are tracked, for an
    /// hour unless they say otherwise.
    ///
    /// The group goes by the id of its completion message:
    /// [`wait_for_completion`](crate::Messaging::wait_for_completion),
    /// [`group_progress`](crate::Messaging::group_progress) and
    /// [`cancel_group`](crate::Messaging::cancel_group) take it.
    ///
    /// # Errors
    /// As [`send`](Self::send), before any of them is sent; `Invalid` for over 10,000 members, for
    /// messages with a dedupe key, and for a completion message that comes after others of its own.
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
        let track = |mut message: NewMessage| {
            message.rare.tracked_for.get_or_insert(TRACKED_FOR);
            message
        };
        let members: Vec<NewMessage> = members.into_iter().map(track).collect();
        let mut completion = track(completion);
        self.check_group(&members, &completion)?;
        let ids = members
            .into_iter()
            .map(|member| self.send(member).map(MessageId::from))
            .collect::<Result<Vec<_>>>()?;
        completion.rare.after.clone_from(&ids);
        completion.rare.takes_any_end = true;
        let id = self.send(completion)?.id();
        Ok(Group { id, members: ids })
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
            message.check(self.kit.max_payload_bytes)?;
            if message.rare.dedupe.is_some() {
                return Err(Error::invalid(format!(
                    "a message of a group cannot have a dedupe key, on topic {}: one that is dropped is no member",
                    message.topic
                )));
            }
        }
        Ok(())
    }

    /// Records what came of the message at hand, as JSON, for those who wait for its
    /// [completion](crate::Messaging::wait_for_completion). The last one holds; one of a handler that fails
    /// is dropped with its writes, and one of a message that is not tracked is of no use to anybody.
    ///
    /// # Errors
    /// `Payload` or `TooLarge` as for a payload; `Invalid` in a session that is not a handler's or of
    /// [`Delivery::settle_in`](crate::Delivery::settle_in). Nothing is changed then.
    pub fn record_result<T: Serialize + ?Sized>(&mut self, result: &T) -> Result<()> {
        if !self.takes_result {
            return Err(Error::invalid(
                "a result belongs to one message: record it in its handler's session, not in one of a batch or of your own",
            ));
        }
        self.result = Some(json_text::of_result(result, self.kit.max_payload_bytes)?);
        Ok(())
    }

    /// Sees that all that a message comes after is tracked. Those that were sent in this session and are not
    /// stored yet become tracked. A read at most: the transaction is not touched.
    pub(crate) fn check_after(&mut self, message: &NewMessage) -> Result<()> {
        if message.rare.after.is_empty() {
            return Ok(());
        }
        let elsewhere = self.outbox.track(&message.rare.after);
        if elsewhere.is_empty() {
            return Ok(());
        }
        let run = self.lent.current()?;
        let unknown = ends::unknown(run, &self.kit.statements, &elsewhere);
        // A statement that fails inside a transaction ends it.
        self.is_in_doubt |= unknown.is_err();
        match unknown?.first() {
            None => Ok(()),
            Some(id) => Err(Error::invalid(format!(
                "a message cannot come after {id}, which is not tracked, on topic {}: send that one as tracked",
                message.topic
            ))),
        }
    }
}
