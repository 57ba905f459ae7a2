//! Asking questions, and waiting for the answers.

use crate::observe::spans;
use crate::request::left;
use crate::request::questions::Registered;
use crate::session::messaging_session::MessagingSession;
use crate::surface::messaging::Messaging;
use crate::surface::pending_reply::{PendingReply, Way};
use crate::wake::interrupt::Wait;
use crate::wake::news::News;
use crate::words::envelope::{CORRELATION_ID, REPLY_TO};
use crate::words::topic_kind::TopicKind;
use crate::words::{Error, Message, MessageId, NewMessage, Result};
use serde::Serialize;
use serde::de::DeserializeOwned;
use std::time::{Duration, Instant};

/// How long a connection is waited for at least, however short the timeout is: the first one has to
/// be opened, and that it cannot be is another error than that nobody answered.
const LEAST_CONNECTING: Duration = Duration::from_secs(1);
/// The longest timeout of a question that does not wait for the disk: who waits longer shall not do
/// so for a question that the server forgot.
const LONGEST_UNSYNCED: Duration = Duration::from_secs(60);

impl Messaging {
    /// Sends a question to a topic, waits for the reply to it, and returns that, decoded. Blocks
    /// for at most `timeout`, which also counts what sending takes. It may take longer where there
    /// is trouble: a second where no connection can be had, a quarter of one where the replies
    /// cannot be looked at any more, and as long as a server that falls silent is waited for
    /// (within 15 s) while the question is on its way.
    ///
    /// The question is committed by itself, before the wait: nobody could answer one that is part
    /// of an open transaction. So there is no such method of a session, and a handler that asks
    /// keeps its own transaction open meanwhile; with a [lease](crate::ReceiverBuilder::lease) it
    /// does not. What the replier did has committed when the reply is there.
    ///
    /// Any number of threads may wait: one thread and one connection of the process read the
    /// replies of all. The thread starts with the first question, and ends ten seconds after the
    /// last. The two threads that receivers share start too. See
    /// [`begin_request`](Self::begin_request) for several questions at a time.
    ///
    /// **Time.** A question that is not handled within `timeout` is dropped, and no dead letter: by
    /// then nobody waits. A reply that comes too late is dropped as well. Neither holds if the
    /// question [names a topic of yours](NewMessage::reply_to); see
    /// [`request_message`](Self::request_message). A zero timeout asks nothing and is over at once.
    /// With a timeout of a minute or less, a plain question does not wait for the server's disk: if
    /// the server crashes in that moment (within 0.6 s, with its default settings), the question is
    /// gone with all that was done for it, and the wait ends with `Timeout`.
    ///
    /// **Failures.** A handler that fails is tried again like any other, and may answer then. When
    /// it has failed for good, and the question is a dead letter, the asker is told so within a
    /// second, without the handler's own words; those it sends by
    /// [`reply_error`](MessagingSession::reply_error).
    ///
    /// # Errors
    /// `Timeout` when no reply came in time: the question may have been handled, or is handled at
    /// this moment, or the time was over before it could be sent. `Refused` when the replier
    /// answered with an error, with its text, or the question is a dead letter. `Payload` when the
    /// reply is no `R`. `Interrupted` when [another thread](crate::Interrupt) ended the wait.
    /// `OutcomeUnknown` when the connection broke while the question was under way; `Unavailable`
    /// when it could not be sent, or when this process could not reach the database for half a
    /// minute and lost its replies; otherwise those of [`send`](Self::send).
    ///
    /// ```
    /// # fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// use outtray::{ErrorKind, Message, Messaging, testing::Server};
    /// use std::time::Duration;
    ///
    /// # let server = Server::start()?;
    /// # let messaging = Messaging::connect(&server.database()?)?;
    /// # messaging.migrate()?;
    /// let receiver = messaging.start_receiving_messages("squares", |session, ask: Message<i64>| {
    ///     match ask.payload.checked_mul(ask.payload) {
    ///         Some(square) => session.reply(&ask, &square)?,
    ///         None => session.reply_error(&ask, "the number is too large")?,
    ///     };
    ///     Ok(())
    /// })?;
    ///
    /// let timeout = Duration::from_secs(30);
    /// let square: i64 = messaging.request("squares", &12, timeout)?;
    /// assert_eq!(square, 144);
    ///
    /// let error = messaging.request::<i64>("squares", &i64::MAX, timeout).unwrap_err();
    /// assert_eq!(error.kind(), ErrorKind::Refused);
    /// assert!(error.to_string().contains("the number is too large"));
    /// # Ok(()) }
    /// ```
    pub fn request<R: DeserializeOwned>(
        &self,
        topic: &str,
        question: &(impl Serialize + ?Sized),
        timeout: impl Into<Wait>,
    ) -> Result<R> {
        let question = NewMessage::json(topic, question)?;
        let reply = self.request_message(question, timeout)?;
        Ok(reply.payload)
    }

    /// Does the same with a question that has options, and returns the reply with its headers.
    ///
    /// The question may have any option but a dedupe key, since nobody answers a duplicate, and a
    /// correlation id, which is its own id. It expires when the wait is over, unless it says
    /// otherwise by [`expires_in`](NewMessage::expires_in).
    ///
    /// **Replies that are kept.** A question with [`reply_to`](NewMessage::reply_to) has its reply
    /// sent to that topic, which is yours, and this takes it from there by its `correlation-id`.
    /// Then a late reply stays in the topic, as an ordinary message, and the question does not
    /// expire by itself. Each such wait looks into the topic for itself: this is for few at a time.
    ///
    /// # Errors
    /// Those of [`request`](Self::request), and `Invalid` for a question with a dedupe key or a
    /// correlation id.
    pub fn request_message<R: DeserializeOwned>(
        &self,
        question: NewMessage,
        timeout: impl Into<Wait>,
    ) -> Result<Message<R>> {
        let wait = timeout.into();
        wait.check()?;
        let mut pending = self.begin_request(question, wait.length())?;
        pending.wait(wait)
    }

    /// Sends a question and returns at once, with what waits for the reply: so that one thread can
    /// ask several. `timeout` is the time for all of it, from now on; see
    /// [`request`](Self::request).
    ///
    /// # Errors
    /// Those of [`request_message`](Self::request_message) that concern sending.
    ///
    /// ```no_run
    /// # fn f(messaging: &outtray::Messaging) -> outtray::Result<()> {
    /// use outtray::NewMessage;
    /// use std::time::Duration;
    ///
    /// let timeout = Duration::from_secs(2);
    /// let ask = |shop: &str| messaging.begin_request(NewMessage::json(shop, "apples")?, timeout);
    /// let mut asked = [ask("shop.north")?, ask("shop.south")?];
    /// for pending in &mut asked {
    ///     println!("{}", pending.wait::<f64>(timeout)?.payload);
    /// }
    /// # Ok(()) }
    /// ```
    pub fn begin_request(&self, question: NewMessage, timeout: Duration) -> Result<PendingReply> {
        let process = &self.base().process;
        let question = process.send_hooks.run(question)?;
        question.check(process.max_payload_bytes)?;
        refuse(&question)?;
        let wait = Wait::from(timeout);
        let mut pending = PendingReply {
            messaging: self.clone(),
            id: MessageId::new(),
            topic: question.topic.clone(),
            way: Way::Nothing,
            timeout: wait.length(),
            deadline: wait.deadline(),
        };
        if wait.is_zero() {
            return Ok(pending);
        }
        let (id, deadline) = (pending.id, pending.deadline);
        let question = question.header(CORRELATION_ID, id.to_string());
        let own = question.headers.get(REPLY_TO).cloned();
        let question = match own {
            Some(own) => {
                pending.way = Way::Own(own);
                question
            }
            None => {
                let asked = self.register(&pending)?;
                let topic = asked.inbox.topic.clone();
                pending.way = Way::Inbox(asked);
                question.header(REPLY_TO, topic)
            }
        };
        spans::within(spans::send(&question.topic), |span| {
            spans::note_id(span, id);
            self.send_question(id, question, deadline, &pending)
        })?;
        Ok(pending)
    }

    /// Registers a question; opens the inbox if need be.
    fn register(&self, pending: &PendingReply) -> Result<Registered> {
        let requests = self.requests();
        loop {
            if let Some(asked) = requests.questions.ask(pending.id.0, pending.deadline) {
                return Ok(asked);
            }
            let turn = requests.turn(pending.deadline);
            let turn = turn.ok_or_else(|| pending.timed_out())?;
            let errands = self.errands()?;
            let mut connection = self.pooled_within(connecting(pending.deadline))?;
            turn.open(self.base(), &mut connection)?;
            connection.touch();
            errands.look();
        }
    }

    fn send_question(
        &self,
        id: MessageId,
        mut question: NewMessage,
        deadline: Instant,
        pending: &PendingReply,
    ) -> Result<()> {
        let process = &self.base().process;
        let mut connection = self.lend_within(connecting(deadline))?;
        if deadline <= Instant::now() {
            return Err(pending.timed_out());
        }
        let setting = process.configs.get(&question.topic);
        let is_log = setting.is_some_and(|setting| setting.config.kind == TopicKind::Log);
        // What is in a log has no end.
        let is_fleeting = matches!(pending.way, Way::Inbox(_)) && !is_log;
        if is_fleeting {
            let left = left(deadline).max(Duration::from_micros(1));
            question.rare.expires_in.get_or_insert(left);
            question.rare.is_fleeting = true;
        }
        let mut session = MessagingSession::on(process, &mut connection);
        session.send_as(id, question)?;
        let committed = match is_fleeting && pending.timeout <= LONGEST_UNSYNCED {
            true => session.commit_unsynced(),
            false => session.commit(),
        };
        let awaited = committed.map(|news| News {
            is_awaited: true,
            ..news
        });
        self.committed(connection, awaited.map(|news| (news, ())))
    }
}

/// Refuses options that a question cannot have.
fn refuse(question: &NewMessage) -> Result<()> {
    let options = [
        (
            question.rare.dedupe.is_some(),
            "a dedupe key: nobody would answer a duplicate",
        ),
        (
            question.headers.contains_key(CORRELATION_ID),
            "a correlation id: its own id is that",
        ),
    ];
    match options.iter().find(|(is_asked, _)| *is_asked) {
        None => Ok(()),
        Some((_, what)) => {
            let topic = &question.topic;
            let text = format!("a request on topic {topic} cannot have {what}");
            Err(Error::invalid(text))
        }
    }
}

/// Returns how long to wait for a connection.
fn connecting(deadline: Instant) -> Duration {
    left(deadline).max(LEAST_CONNECTING)
}
