//! Observers, send hooks and middleware of a whole process, given where it connects.

use crate::observe::event::Event;
use crate::receive::middleware::Next;
use crate::session::messaging_session::MessagingSession;
use crate::surface::builder::Builder;
use crate::words::incoming::Incoming;
use crate::words::{HandlerError, NewMessage};
use std::error::Error as StdError;
use std::sync::Arc;

impl Builder {
    /// Adds an observer, which is told of everything that happens to messages in this process, and
    /// of its connections: for metrics and for whatever else is to follow. Several are told in the
    /// order in which they were added. Default: none, which costs nothing.
    ///
    /// [`Event`] says what is told, when, and on which thread. The observer runs on the thread
    /// that did it: one that blocks holds up that thread, be it a worker, the upkeep or the caller
    /// of a send, and nobody else. A panic of it is caught, and logged once for each kind of event.
    ///
    /// It may use [`Messaging`](crate::Messaging), and send messages: no lock is held meanwhile,
    /// and no connection of the pool but that of a thread that takes messages by hand. It is not
    /// told itself of what it does in the call, others are.
    /// [`Event::Started`] comes inside the transaction of a handler: there, and for what takes
    /// long, pass a copy on to a thread of your own. An observer that keeps a clone of `Messaging`
    /// keeps the threads of this process alive.
    ///
    /// ```
    /// # fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// use outtray::{Event, Messaging, testing::Server};
    /// use std::sync::atomic::{AtomicUsize, Ordering};
    ///
    /// static SENT: AtomicUsize = AtomicUsize::new(0);
    ///
    /// # let server = Server::start()?;
    /// # let url = server.database()?;
    /// let messaging = Messaging::builder()
    ///     .url(url)
    ///     .on_event(|event: &Event<'_>| match event {
    ///         Event::Sent { ids, .. } => drop(SENT.fetch_add(ids.len(), Ordering::Relaxed)),
    ///         Event::Dead { topic, id, error, .. } => eprintln!("{topic}: {id} is dead: {error}"),
    ///         _ => {}
    ///     })
    ///     .connect()?;
    /// # messaging.migrate()?;
    /// messaging.session(|session| Ok(session.send_messages("orders", [1, 2, 3])?))?;
    /// assert_eq!(SENT.load(Ordering::Relaxed), 3);
    /// # Ok(()) }
    /// ```
    pub fn on_event<F>(mut self, observer: F) -> Self
    where
        F: Fn(&Event<'_>) + Send + Sync + 'static,
    {
        self.hooks.observers.push(Arc::new(observer));
        self
    }

    /// Runs a hook before each send, which returns the message as it is to be sent, or refuses it.
    /// Several run in the order in which they were added, each on what the one before returned.
    /// Default: none, which costs nothing.
    ///
    /// It sees every message that this process sends, once: of sessions, joined ones too, of
    /// handlers, single sends, groups, entries of logs, requests, replies, and each run of a
    /// recurring message. Of a publication it sees the one message, with the routing key as its
    /// topic, and what it changes is in all copies. It does not see what a redrive moves back, and
    /// what SQL functions send.
    ///
    /// It runs before the message is checked: headers that it adds count in all limits. The
    /// headers that a message gets from the one in work ([`correlation`](Self::correlation)) come
    /// after, and leave those alone that it has set. It may replace the message altogether.
    ///
    /// An error refuses the message before anything is stored: the send returns
    /// [`Vetoed`](crate::ErrorKind::Vetoed) with that error as its
    /// [cause](crate::Error::cause), and the session stays usable. Of several messages that are
    /// sent together none is sent then. A panic is such an error. It runs on the sender's thread,
    /// with a transaction open maybe: it has to be quick, and must not send.
    ///
    /// ```
    /// # fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// use outtray::{ErrorKind, Messaging, testing::Server};
    ///
    /// # let server = Server::start()?;
    /// # let url = server.database()?;
    /// let messaging = Messaging::builder()
    ///     .url(url)
    ///     .before_send(|message| Ok(message.header("service", "shop")))
    ///     .before_send(|message| match message.topic().starts_with("internal.") {
    ///         true => Err("this service sends nothing there".into()),
    ///         false => Ok(message),
    ///     })
    ///     .connect()?;
    /// # messaging.migrate()?;
    /// messaging.session(|session| Ok(session.send_message("orders", &42)?))?;
    /// assert_eq!(messaging.topic("orders").peek(1)?[0].headers["service"], "shop");
    ///
    /// let refused = messaging.publish("internal.jobs", &42);
    /// assert_eq!(refused.unwrap_err().kind(), ErrorKind::Vetoed);
    /// # Ok(()) }
    /// ```
    pub fn before_send<F>(mut self, hook: F) -> Self
    where
        F: Fn(NewMessage) -> Result<NewMessage, Box<dyn StdError + Send + Sync>>
            + Send
            + Sync
            + 'static,
    {
        self.hooks.sends.push(Arc::new(hook));
        self
    }

    /// Puts a middleware around every handler of this process: of receivers and drains, of single
    /// messages and of batches, routers, and readers of logs. The first one added is the
    /// outermost, and all of them are outside of those that a receiver has by itself. Default:
    /// none, which costs nothing.
    ///
    /// It is called for each call of a handler, with the messages of that call: one, or those of a
    /// batch. All else is as [`ReceiverBuilder::middleware`](crate::ReceiverBuilder::middleware)
    /// says. Messages that are taken by hand have no handler.
    ///
    /// ```no_run
    /// # fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// use outtray::Messaging;
    /// use std::time::Instant;
    ///
    /// let messaging = Messaging::builder()
    ///     .url("postgresql://localhost/app")
    ///     .middleware(|session, messages, next| {
    ///         let started = Instant::now();
    ///         let result = next.run(session);
    ///         println!("{} of {}: {:?}", messages.len(), messages[0].topic, started.elapsed());
    ///         result
    ///     })
    ///     .connect()?;
    /// # Ok(()) }
    /// ```
    pub fn middleware<F>(mut self, middleware: F) -> Self
    where
        F: Fn(&mut MessagingSession<'_>, &[Incoming<'_>], Next<'_>) -> Result<(), HandlerError>
            + Send
            + Sync
            + 'static,
    {
        self.hooks.middleware.add_for_all(middleware);
        self
    }
}
