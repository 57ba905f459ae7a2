//! Routing in the process: which handlers a message of a topic goes to, by its type.
//!
//! A router is a handler made of handlers. It runs in the transaction of its message like any
//! other, so all handlers of a message succeed together or are undone together, and it knows
//! nothing of receivers: it works wherever a session and an undecoded message are at hand.
//!
//! A message goes three steps. Its type finds the routes, in the order in which they were added;
//! its schema version leaves some out; then all their payloads are decoded, and only if all fit,
//! the handlers run. So a payload that does not fit one of them reaches none.
//!
//! Types that stand in the table as they are have their lists of routes ready, those of patterns
//! among them. Others are looked up in the tree of patterns: a cache would have to be bounded and
//! locked to save less than it costs to decode a small payload.

pub(crate) mod dispatch;
pub(crate) mod handlers;
pub(crate) mod patterns;
pub(crate) mod versions;

use crate::route::handlers::{Prepare, Typed};
use crate::route::patterns::Patterns;
use crate::route::versions::Versions;
use crate::session::messaging_session::MessagingSession;
use crate::words::pattern::{check_pattern, is_plain};
use crate::words::pattern_index::PatternIndex;
use crate::words::{Error, HandlerError, Message, Payload, Result};
use serde::de::DeserializeOwned;
use std::collections::HashMap;
use std::fmt;
use std::ops::RangeBounds;
use std::panic::{RefUnwindSafe, UnwindSafe};

/// A table of handlers by the type of the message: one expression says what a program does with
/// the messages of a topic.
///
/// The type is the header [`message-type`](crate::envelope::MESSAGE_TYPE), segments between dots.
/// In a pattern, `*` stands for exactly one segment and `#` for any number of them, anywhere. Each
/// route has a payload type of its own; `Message<Payload>` gets the payload as it was sent.
///
/// ```no_run
/// # fn f(messaging: &outtray::Messaging) -> outtray::Result<()> {
/// use outtray::{HandlerError, Message, MessagingSession, NoMatch, Payload, Router};
/// use serde::Deserialize;
///
/// #[derive(Deserialize)]
/// struct Order { id: i64 }
///
/// fn audit(session: &mut MessagingSession, event: Message<Payload>) -> Result<(), HandlerError> {
///     let json = event.payload.to_string();
///     session.execute("INSERT INTO audit VALUES ($1)", &[&json])?;
///     Ok(())
/// }
///
/// let router = Router::new()
///     .on("order.created", |session, order: Message<Order>| {
///         session.send_message("mails", &format!("order {} is there", order.payload.id))?;
///         Ok(())
///     })
///     .on(["order.#", "payment.*.failed"], audit)
///     .otherwise(NoMatch::Ignore);
/// let receiver = messaging.receiver("events").start_router(router)?;
/// # Ok(()) }
/// ```
///
/// A static table of listeners, each with the types that it wants, reads the same:
///
/// ```
/// # use outtray::{HandlerError, Message, MessagingSession, Router};
/// # fn handle(_: &mut MessagingSession, _: Message) -> Result<(), HandlerError> { Ok(()) }
/// # fn log_event(_: &mut MessagingSession, _: Message) -> Result<(), HandlerError> { Ok(()) }
/// let router = Router::new()
///     .on(["MyContext.Commands.*", "AnotherContext.Events.*"], handle)
///     .on("*.Events.*", log_event);
/// # assert!(router.check().is_ok());
/// ```
///
/// **All routes that match run**, one after the other in the order in which they were added, in
/// the one transaction of the message. If one of them fails, by an error, a panic or a statement
/// that the database refuses, everything that all of them wrote and sent is undone, and the message
/// is tried again as a whole: what its error says, as
/// [`reject`](HandlerError::reject) or [`snooze`](HandlerError::snooze), holds for the message.
/// Before the first one runs, the payload is decoded for each of them; if it does not fit one, the
/// message is a dead letter at once. Errors are kept with the route that they came from.
///
/// **A message without a type** is matched by `#` alone. **No match** is a dead letter, unless
/// [`otherwise`](Self::otherwise) says something else.
///
/// The same router may serve many receivers, in an [`Arc`](std::sync::Arc), and whatever else gets
/// messages: [`handle`](Self::handle) routes one message in any session.
#[must_use = "a router does nothing before it is started"]
pub struct Router {
    routes: Vec<Route>,
    index: PatternIndex<usize>,
    /// The routes of each type that stands in the table without `*` and `#`, also those whose
    /// patterns match it.
    plain: HashMap<String, Vec<usize>>,
    otherwise: Option<Otherwise>,
    /// What is wrong with the table: it is said when the router is started.
    flaw: Option<String>,
}

/// What becomes of a message that no route matches.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
#[non_exhaustive]
pub enum NoMatch {
    /// It becomes a dead letter at once, with a reason that names its type.
    #[default]
    DeadLetter,
    /// It is acked, and logged at the level "debug".
    Ignore,
}

/// One line of the table.
struct Route {
    /// Its patterns, for people.
    name: String,
    versions: Versions,
    handler: Box<dyn Prepare>,
}

enum Otherwise {
    Policy(NoMatch),
    Handler(Box<dyn Prepare>),
}

// Its handlers run in sessions whose transactions end with a panic.
impl UnwindSafe for Router {}
impl RefUnwindSafe for Router {}

impl Default for Router {
    fn default() -> Self {
        Router::new()
    }
}

impl Router {
    /// Makes a router without routes.
    pub fn new() -> Self {
        Router {
            routes: Vec::new(),
            index: PatternIndex::default(),
            plain: HashMap::new(),
            otherwise: None,
            flaw: None,
        }
    }

    /// Adds a route: `handler` runs for each message whose type matches the pattern, or one of
    /// several patterns, in any schema version. Several that match the same message run it once.
    ///
    /// A pattern is checked when the router is started; see [`check`](Self::check).
    pub fn on<T, F>(self, patterns: impl Patterns, handler: F) -> Self
    where
        T: DeserializeOwned + 'static,
        F: Fn(&mut MessagingSession<'_>, Message<T>) -> Result<(), HandlerError>
            + Send
            + Sync
            + 'static,
    {
        self.add(patterns, Versions::ALL, handler)
    }

    /// Adds a route for some schema versions only, by the header
    /// [`schema-version`](crate::envelope::SCHEMA_VERSION): `1..=3`, `2..` or `..4`; for a single
    /// one, `2..=2`.
    ///
    /// A message without that header is of version 0, so that `..2` takes it and `1..` does not. If
    /// the header is no whole number, and one of the routes that match the type wants to know it,
    /// the message becomes a dead letter.
    ///
    /// ```
    /// # use outtray::{Message, Router, NoMatch};
    /// # use serde::Deserialize;
    /// # #[derive(Deserialize)] struct OldOrder { id: i64 }
    /// # #[derive(Deserialize)] struct Order { id: i64 }
    /// let router = Router::new()
    ///     .on_versions("order.created", ..2, |_, order: Message<OldOrder>| Ok(()))
    ///     .on_versions("order.created", 2..=3, |_, order: Message<Order>| Ok(()));
    /// assert!(router.check().is_ok());
    /// ```
    pub fn on_versions<T, F>(
        self,
        patterns: impl Patterns,
        versions: impl RangeBounds<u32>,
        handler: F,
    ) -> Self
    where
        T: DeserializeOwned + 'static,
        F: Fn(&mut MessagingSession<'_>, Message<T>) -> Result<(), HandlerError>
            + Send
            + Sync
            + 'static,
    {
        self.add(patterns, Versions::of(&versions), handler)
    }

    /// Says what becomes of a message that no route matches, of its type or of its version.
    /// Default: [`NoMatch::DeadLetter`].
    pub fn otherwise(self, no_match: NoMatch) -> Self {
        self.set_otherwise(Otherwise::Policy(no_match))
    }

    /// Runs `handler` for each message that no route matches.
    pub fn otherwise_handle<T, F>(self, handler: F) -> Self
    where
        T: DeserializeOwned + 'static,
        F: Fn(&mut MessagingSession<'_>, Message<T>) -> Result<(), HandlerError>
            + Send
            + Sync
            + 'static,
    {
        self.set_otherwise(Otherwise::Handler(Box::new(Typed::new(handler))))
    }

    /// Checks the table, as every start does before anything else.
    ///
    /// # Errors
    /// `Invalid` for the first flaw: a bad pattern, a route without patterns or with the same one
    /// twice, an empty range of versions, a second word about messages that match nothing, and a
    /// table without routes.
    pub fn check(&self) -> Result<()> {
        if let Some(flaw) = &self.flaw {
            return Err(Error::invalid(flaw));
        }
        let has_any =
            !self.routes.is_empty() || matches!(self.otherwise, Some(Otherwise::Handler(_)));
        match has_any {
            true => Ok(()),
            false => Err(Error::invalid("a router has no routes")),
        }
    }

    /// Runs the handlers of one message in a session, for messages that do not come from a
    /// receiver, a drain or a reader of the router: in a handler of one's own, or taken by hand.
    ///
    /// ```no_run
    /// # fn f(messaging: &outtray::Messaging, router: outtray::Router) -> outtray::Result<()> {
    /// let mut count = 0;
    /// messaging.drain("events", |session, message| {
    ///     count += 1;
    ///     router.handle(session, &message)
    /// })?;
    /// # Ok(()) }
    /// ```
    ///
    /// # Errors
    /// That of the first handler that failed; what the handlers before it wrote is in the session,
    /// so let the session fail too. That nothing matches, or that the payload does not fit. What is
    /// wrong with the router, if it was never [checked](Self::check).
    pub fn handle(
        &self,
        session: &mut MessagingSession<'_>,
        message: &Message<Payload>,
    ) -> Result<(), HandlerError> {
        self.check()?;
        self.route(session, &message.incoming())
    }

    fn add<T, F>(mut self, patterns: impl Patterns, versions: Versions, handler: F) -> Self
    where
        T: DeserializeOwned + 'static,
        F: Fn(&mut MessagingSession<'_>, Message<T>) -> Result<(), HandlerError>
            + Send
            + Sync
            + 'static,
    {
        let patterns = patterns.into_patterns();
        if let Err(error) = check_route(&patterns, &versions) {
            self.flaw.get_or_insert_with(|| error.to_string());
            return self;
        }
        for pattern in &patterns {
            self.index.add(pattern, self.routes.len());
            if is_plain(pattern) {
                self.plain.entry(pattern.clone()).or_default();
            }
        }
        self.routes.push(Route {
            name: patterns.join(", "),
            versions,
            handler: Box::new(Typed::new(handler)),
        });
        let mut plain = std::mem::take(&mut self.plain);
        for (name, routes) in &mut plain {
            *routes = self.found(name);
        }
        self.plain = plain;
        self
    }

    /// Finds the routes of a type, in the order in which they were added.
    fn found(&self, name: &str) -> Vec<usize> {
        let mut found = Vec::new();
        self.index
            .each(name, |routes| found.extend_from_slice(routes));
        found.sort_unstable();
        found.dedup();
        found
    }

    fn set_otherwise(mut self, otherwise: Otherwise) -> Self {
        if self.otherwise.replace(otherwise).is_some() {
            self.flaw.get_or_insert_with(|| {
                "a router is told twice what to do with messages that no route matches".to_owned()
            });
        }
        self
    }
}

fn check_route(patterns: &[String], versions: &Versions) -> Result<()> {
    if patterns.is_empty() {
        return Err(Error::invalid("a route has no patterns"));
    }
    for (at, pattern) in patterns.iter().enumerate() {
        check_pattern(pattern)?;
        if patterns[..at].contains(pattern) {
            let text = format!("a route has the pattern \"{pattern}\" twice");
            return Err(Error::invalid(text));
        }
    }
    match versions.are_none() {
        true => Err(Error::invalid(format!(
            "the route {} has an empty range of versions",
            patterns.join(", ")
        ))),
        false => Ok(()),
    }
}

impl fmt::Debug for Router {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let names = self.routes.iter().map(|route| &route.name);
        f.debug_struct("Router")
            .field("routes", &names.collect::<Vec<_>>())
            .finish_non_exhaustive()
    }
}
