//! Messages that are sent again and again.

use crate::changes::{Note, What};
use crate::db::Run;
use crate::recurring::recurrence::Recurrence;
use crate::recurring::{self, Recurring, SCHEDULED_FOR};
use crate::schedule;
use crate::surface::messaging::Messaging;
use crate::surface::topics::Topic;
use crate::wake::hint::Hint;
use crate::words::outcome::Sent;
use crate::words::outgoing::Outgoing;
use crate::words::rare::Remembered;
use crate::words::topic;
use crate::words::{Error, ErrorKind, NewMessage, Result};
use serde_json::json;
use std::time::SystemTime;

/// Longest name of a recurring message.
const MAX_NAME_BYTES: usize = 128;

impl Messaging {
    /// Sets up a message that is sent again and again, and returns when it is sent next. Every run
    /// is sent once, however many processes there are. A process with a receiver (of any topic)
    /// sends it when it is due by the database's clock; a [`drain`](Messaging::drain) does not.
    ///
    /// The name is unique in the topic: 1 to 128 bytes without control characters. Repeating the
    /// same call, at each start of an application, changes nothing. With another message or another
    /// recurrence it replaces them, and moves the next run only if the times differ.
    ///
    /// The message may have a priority, a key, headers, [`expires_in`](NewMessage::expires_in), and
    /// a dedupe key [until it has ended](NewMessage::dedupe_until_end): then a run sends nothing
    /// while the message of an earlier run still waits or is in work. Each sent message has one
    /// more header, `outtray-scheduled-for`, the time of its run in UTC: `2026-03-29T01:00:00Z`.
    ///
    /// ```no_run
    /// # fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// # let messaging = outtray::Messaging::connect("postgresql://localhost/app")?;
    /// use outtray::{NewMessage, Recurrence};
    ///
    /// let nightly = Recurrence::cron("0 3 * * *")?.time_zone("Europe/Berlin")?;
    /// messaging.repeat("nightly", &nightly, NewMessage::json("reports", "sales")?)?;
    /// # Ok(()) }
    /// ```
    ///
    /// # Errors
    /// `Invalid` for a bad name, a recurrence that never comes, or an option that a recurring
    /// message cannot have: a delay, a time, a dedupe key with a window, a null header, tracking, a
    /// wait for room, or dependencies. Also the errors of
    /// [`MessagingSession::send`](crate::MessagingSession::send) for the message; `SchemaMissing`,
    /// `Unavailable`, `PoolExhausted`.
    pub fn repeat(
        &self,
        name: &str,
        recurrence: &Recurrence,
        message: NewMessage,
    ) -> Result<SystemTime> {
        check(name, &message)?;
        // As it is going to be sent; a time is never longer than this one.
        let sent = message
            .clone()
            .header(SCHEDULED_FOR, "2026-03-29T01:00:00.000000Z");
        sent.check(self.base().process.max_payload_bytes)?;
        let config = self.topic(&message.topic).config()?;
        Outgoing::new(sent, Some(&config)).check_entry()?;
        let next_at = self.with_connection(|connection, _| {
            let now = schedule::clock(connection)?;
            let next = recurrence.next_after(now)?;
            let details = json!({
                "name": name, "cron": recurrence.cron, "time_zone": recurrence.time_zone
            });
            let note = Note::new(What::RecurringSet).details(details);
            let define =
                |run: &mut dyn Run| recurring::define(run, name, recurrence, &message, next);
            self.noting(connection, &message.topic, define, |_| Some(note))
        })?;
        // Whoever sends it has to know of it before it is due; a poll tells.
        self.look();
        self.base().waker.tell(Hint::Config);
        Ok(next_at)
    }

    /// Returns the recurring messages of all topics, sorted by topic and name.
    ///
    /// # Errors
    /// `SchemaMissing`, `Unavailable`, `PoolExhausted`.
    pub fn recurring(&self) -> Result<Vec<Recurring>> {
        self.with_connection(|connection, _| recurring::list(connection, None))
    }
}

impl Topic<'_> {
    /// Returns the topic's recurring messages, sorted by name.
    pub fn recurring(&self) -> Result<Vec<Recurring>> {
        self.run(|run, topic| recurring::list(run, Some(topic)))
    }

    /// Sends a message of a recurring one now, besides its runs, which come as before. Returns what
    /// became of it, or `None` if there is no recurring message of this name. Its header
    /// `outtray-scheduled-for` has the time of now.
    ///
    /// ```no_run
    /// # fn f(messaging: &outtray::Messaging) -> outtray::Result<()> {
    /// if let Some(sent) = messaging.topic("reports").run_recurring_now("nightly")? {
    ///     println!("sent as {}", sent.id());
    /// }
    /// # Ok(()) }
    /// ```
    ///
    /// # Errors
    /// `Database` for a recurring message that cannot be read, and those of
    /// [`Messaging::session`].
    pub fn run_recurring_now(&self, name: &str) -> Result<Option<Sent>> {
        let found = self.run(|run, topic| {
            let now = schedule::clock(run)?;
            let all = recurring::list(run, Some(topic))?.into_iter();
            Ok(all.map(|one| (one, now)).find(|(one, _)| one.name == name))
        })?;
        let Some((recurring, now)) = found else {
            return Ok(None);
        };
        if let Some(why) = recurring.unreadable {
            return Err(Error::new(ErrorKind::Database, why));
        }
        let sent = self.messaging.session(|session| {
            let sent = session.send(recurring.message(now))?;
            let note = Note::new(What::RunNow).details(json!({ "name": name }));
            let note = note.messages(1).ids(&[sent.id().0]);
            session.ask(|run| self.messaging.note(run, Some(&self.name), &note))?;
            Ok(sent)
        })?;
        Ok(Some(sent))
    }

    /// Pauses a recurring message: no process sends it until
    /// [`resume_recurring`](Self::resume_recurring), also where the application sets it up again at
    /// its start. Returns whether there is one of this name.
    /// [`run_recurring_now`](Self::run_recurring_now) still sends it.
    ///
    /// ```no_run
    /// # fn f(messaging: &outtray::Messaging) -> outtray::Result<()> {
    /// messaging.topic("reports").pause_recurring("nightly")?;
    /// # Ok(()) }
    /// ```
    pub fn pause_recurring(&self, name: &str) -> Result<bool> {
        let note = Note::new(What::RecurringPaused).details(json!({ "name": name }));
        self.change_recurring(name, note, |run, topic| recurring::pause(run, topic, name))
    }

    /// Has a recurring message go on that was paused. The runs of the time in which it was paused
    /// are not made up for, whatever [`Missed`](crate::Missed) says. Returns whether it was paused.
    ///
    /// # Errors
    /// `Conflict` where others change it again and again meanwhile.
    pub fn resume_recurring(&self, name: &str) -> Result<bool> {
        let note = Note::new(What::RecurringResumed).details(json!({ "name": name }));
        let resumed = self.change_recurring(name, note, |run, topic| {
            // A second look sees what another transaction made of it meanwhile.
            for _ in 0..2 {
                let mut all = recurring::list(run, Some(topic))?.into_iter();
                let Some(paused) = all.find(|one| one.name == name && one.is_paused) else {
                    return Ok(false);
                };
                if recurring::resume(run, &paused)? {
                    return Ok(true);
                }
            }
            let text = format!(
                "the recurring message {name} of topic {topic} is being changed by another transaction"
            );
            Err(Error::new(ErrorKind::Conflict, text))
        })?;
        // Whoever sends it has to know of it before it is due; a poll tells.
        self.messaging.look();
        self.messaging.base().waker.tell(Hint::Config);
        Ok(resumed)
    }

    /// Removes a recurring message. Returns whether there was one of this name. Messages that were
    /// already sent stay.
    pub fn unrepeat(&self, name: &str) -> Result<bool> {
        let note = Note::new(What::RecurringRemoved).details(json!({ "name": name }));
        self.change_recurring(name, note, |run, topic| recurring::remove(run, topic, name))
    }

    /// Changes a recurring message, and notes that if there was something to change.
    fn change_recurring(
        &self,
        name: &str,
        note: Note,
        change: impl FnOnce(&mut dyn Run, &str) -> Result<bool>,
    ) -> Result<bool> {
        topic::check(&self.name)?;
        if name.contains('\0') {
            return Ok(false);
        }
        self.messaging.with_connection(|connection, _| {
            let change = |run: &mut dyn Run| change(run, &self.name);
            let note = |was_changed: &bool| was_changed.then_some(note);
            self.messaging.noting(connection, &self.name, change, note)
        })
    }
}

fn check(name: &str, message: &NewMessage) -> Result<()> {
    topic::check(&message.topic)?;
    let topic = &message.topic;
    if name.is_empty() || name.len() > MAX_NAME_BYTES || name.contains(char::is_control) {
        let shown: String = name.chars().take(64).collect();
        return Err(Error::invalid(format!(
            "the name \"{}\" of a recurring message of topic {topic} must have 1 to {MAX_NAME_BYTES} \
             bytes and no control characters",
            shown.escape_debug()
        )));
    }
    let dedupe = message.rare.dedupe.as_ref();
    let has_window = dedupe.is_some_and(|(_, remembered)| *remembered != Remembered::UntilEnd);
    let refused = [
        ("a delay or a time", message.start.is_some()),
        ("a dedupe key with a window", has_window),
        ("tracking", message.rare.tracked_for.is_some()),
        ("a wait for room", message.rare.room_wait.is_some()),
        ("others to come after", !message.rare.after.is_empty()),
        (
            "a header that is null",
            !message.rare.null_headers.is_empty(),
        ),
        ("that header", message.headers.contains_key(SCHEDULED_FOR)),
    ];
    match refused.iter().find(|(_, is_there)| *is_there) {
        Some((what, _)) => Err(Error::invalid(format!(
            "the recurring message {name} of topic {topic} cannot have {what}: each of its messages is \
             sent when it is due, with the header {SCHEDULED_FOR}"
        ))),
        None => Ok(()),
    }
}
