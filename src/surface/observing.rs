//! Observers, given where a process connects.

use crate::observe::event::Event;
use crate::surface::builder::Builder;
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
    /// It may use [`Messaging`](crate::Messaging), and send messages: no lock and no connection of
    /// the pool is held meanwhile. It is not told itself of what it does in the call, others are.
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
}
