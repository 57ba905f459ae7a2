//! Publishing alone, and subscriptions.

use crate::changes::{self, Note, What};
use crate::db::Run;
use crate::observe::spans;
use crate::publish::index::{Index, Readable};
use crate::publish::{self, SETTLE, Subscription, TopicPattern};
use crate::session::messaging_session::MessagingSession;
use crate::session::publish::Published;
use crate::surface::messaging::Messaging;
use crate::words::error::Result;
use crate::words::filter::Filter;
use crate::words::headers::Headers;
use crate::words::new_message::NewMessage;
use crate::words::pattern::{check_key, check_pattern};
use crate::words::topic;
use crossbeam_channel::after;
use serde::Serialize;
use serde_json::json;
use std::collections::BTreeSet;

impl Messaging {
    /// Publishes one JSON message in a transaction of its own; see
    /// [`MessagingSession::publish`]. What belongs together goes into a [`session`](Self::session).
    ///
    /// Takes one round trip, or two if subscriptions changed since this process published last. The
    /// numbers that are returned are those of what was committed.
    ///
    /// # Errors
    /// Those of [`MessagingSession::publish`] and [`send`](Self::send).
    ///
    /// ```
    /// # fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// # use outtray::{Messaging, testing::Server};
    /// # let server = Server::start()?;
    /// # let messaging = Messaging::connect(&server.database()?)?;
    /// # messaging.migrate()?;
    /// messaging.subscribe("orders.*", "billing")?;
    /// let published = messaging.publish("orders.created", &42)?;
    /// assert_eq!(published.copies, 1);
    /// assert_eq!(messaging.publish("orders.item.added", &7)?.copies, 0);
    /// # Ok(()) }
    /// ```
    pub fn publish<T: Serialize + ?Sized>(&self, key: &str, payload: &T) -> Result<Published> {
        check_key(key)?;
        self.publish_message(key, NewMessage::json(key, payload)?)
    }

    /// Publishes one message with options in a transaction of its own; see
    /// [`publish`](Self::publish) and [`MessagingSession::publish_message`].
    ///
    /// # Errors
    /// Those of [`MessagingSession::publish_message`] and [`send`](Self::send).
    pub fn publish_message(&self, key: &str, message: NewMessage) -> Result<Published> {
        spans::within(spans::publish(key), |span| {
            let mut connection = self.lend()?;
            let mut session = MessagingSession::on(&self.base().process, &mut connection);
            let mut published = session.publish_alone(key, message)?;
            let committed = session.commit_alone();
            let ids = self.committed(connection, committed)?;
            spans::note_count(span, ids.len());
            published.copies = ids.len();
            published.ids = ids;
            Ok(published)
        })
    }

    /// Has a topic get a copy of whatever is [published](MessagingSession::publish) with a routing
    /// key that matches a pattern. Returns whether that is new. Topics need no declaration, and may
    /// have any number of patterns; repeating a call, at each start of an application, changes
    /// nothing.
    ///
    /// A pattern has segments between dots, as a routing key has. `*` stands for exactly one
    /// segment, and `#` for any number of them, also none, anywhere: `orders.*` matches
    /// `orders.created`, `orders.#` also `orders` and `orders.item.added`, `#.error` whatever ends
    /// in `error`, and `#` everything.
    ///
    /// Every publish that begins after this returned, in whichever process, reaches the topic;
    /// those under way may or may not. Blocks for one round trip and twelve milliseconds.
    ///
    /// # Errors
    /// `Invalid` for a bad pattern or topic, `Denied`, `SchemaMissing`, `Unavailable`,
    /// `PoolExhausted`.
    ///
    /// ```no_run
    /// # fn f(messaging: &outtray::Messaging) -> outtray::Result<()> {
    /// messaging.subscribe("orders.*", "billing")?;
    /// messaging.subscribe("orders.cancelled", "refunds")?;
    /// # Ok(()) }
    /// ```
    pub fn subscribe(&self, pattern: &str, topic: &str) -> Result<bool> {
        self.subscribed(pattern, topic, None)
    }

    /// Does the same as [`subscribe`](Self::subscribe) for messages whose headers match a filter,
    /// too. A pattern of a topic has one filter: the last call counts, and `subscribe` takes the
    /// filter away.
    ///
    /// # Errors
    /// Those of [`subscribe`](Self::subscribe), and `Invalid` for a filter that no headers could
    /// match.
    ///
    /// ```no_run
    /// # fn f(messaging: &outtray::Messaging) -> outtray::Result<()> {
    /// # use outtray::Filter;
    /// let large = Filter::new().equals("region", "eu").at_least("amount", 1000);
    /// messaging.subscribe_matching("orders.created", "reviews", &large)?;
    /// # Ok(()) }
    /// ```
    pub fn subscribe_matching(&self, pattern: &str, topic: &str, filter: &Filter) -> Result<bool> {
        self.subscribed(pattern, topic, Some(filter))
    }

    fn subscribed(&self, pattern: &str, topic: &str, filter: Option<&Filter>) -> Result<bool> {
        check_pattern(pattern)?;
        topic::check(topic)?;
        filter.map_or(Ok(()), |filter| filter.check(topic))?;
        let pair = TopicPattern { topic, pattern };
        let mut note = self.noting_of(topic, pattern, filter, What::Subscribed);
        let then = note.as_mut().map(|note| note as _);
        let is_new = self.with_connection(|connection, _| {
            publish::subscribe(connection, &pair, filter, None, then)
        })?;
        self.settle_subscriptions();
        Ok(is_new)
    }

    /// Ends a subscription. Returns whether there was one. Copies that the topic has stay. No
    /// publish that begins after this returned reaches the topic by this pattern. Blocks for one
    /// round trip and twelve milliseconds.
    ///
    /// # Errors
    /// The same as [`subscribe`](Self::subscribe).
    pub fn unsubscribe(&self, pattern: &str, topic: &str) -> Result<bool> {
        // Whatever is there can be removed, also what was written by hand; but not what no text of
        // the database can be.
        if [pattern, topic].iter().any(|text| text.contains('\0')) {
            return Ok(false);
        }
        let pair = TopicPattern { topic, pattern };
        let mut note = self.noting_of(topic, pattern, None, What::Unsubscribed);
        let then = note.as_mut().map(|note| note as _);
        let was_there =
            self.with_connection(|connection, _| publish::unsubscribe(connection, &pair, then))?;
        self.settle_subscriptions();
        Ok(was_there)
    }

    /// Returns all subscriptions, sorted by topic and pattern.
    ///
    /// # Errors
    /// `SchemaMissing`, `Denied`, `Unavailable`, `PoolExhausted`.
    pub fn subscriptions(&self) -> Result<Vec<Subscription>> {
        self.with_connection(|connection, _| publish::list(connection))
    }

    /// Returns the topics that would get a copy of a message with this routing key and these
    /// headers, sorted, if it were published now. Sends nothing.
    ///
    /// # Errors
    /// `Invalid` for a bad routing key, and those of [`subscriptions`](Self::subscriptions).
    ///
    /// ```no_run
    /// # fn f(messaging: &outtray::Messaging) -> outtray::Result<()> {
    /// # use outtray::Headers;
    /// for topic in messaging.publish_dry_run("orders.created", &Headers::new())? {
    ///     println!("{topic}");
    /// }
    /// # Ok(()) }
    /// ```
    pub fn publish_dry_run(&self, key: &str, headers: &Headers) -> Result<Vec<String>> {
        check_key(key)?;
        let mut headers = headers.clone();
        headers.insert(publish::ROUTING_KEY.to_owned(), key.to_owned());
        let readable = |subscription: Subscription| {
            subscription.flaw.is_none().then_some(Readable {
                pattern: subscription.pattern,
                topic: subscription.topic,
                filter: subscription.filter,
            })
        };
        let subscriptions = self.subscriptions()?.into_iter();
        let index = Index::new(None, subscriptions.filter_map(readable).collect());
        let topics = index.topics(key, &headers, &BTreeSet::new());
        Ok(topics.into_iter().map(str::to_owned).collect())
    }

    /// Returns what notes a change of a subscription, if that is made in the name of an operator.
    fn noting_of(
        &self,
        topic: &str,
        pattern: &str,
        filter: Option<&Filter>,
        what: What,
    ) -> Option<impl FnMut(&mut dyn Run) -> Result<()>> {
        let operator = self.operator()?;
        let mut details = json!({ "pattern": pattern });
        if let Some(filter) = filter {
            details["filter"] = json!(filter.to_string());
        }
        let note = Note::new(what).details(details);
        Some(move |run: &mut dyn Run| changes::note(run, operator, Some(topic), &note))
    }

    /// Waits until no publish relies on what was there before a change.
    pub(super) fn settle_subscriptions(&self) {
        self.base().process.subscriptions.outdate();
        let _ = after(SETTLE).recv();
    }
}
