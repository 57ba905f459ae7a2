//! Finding messages: one by its id, and those of a topic that a search is for.

use crate::completion;
use crate::connect::apart::apart;
use crate::db::Run;
use crate::db::commands::GIVE_UP_SOON;
use crate::finding::error_groups::{self, ErrorGroups};
use crate::finding::found::{self, FoundMessage, from_history};
use crate::finding::place::Located;
use crate::finding::search::{Search, SearchPage};
use crate::finding::{locate, pages};
use crate::history::ended::EndedMessage;
use crate::history::query::HistoryQuery;
use crate::surface::messaging::Messaging;
use crate::surface::topics::Topic;
use crate::words::completion::How;
use crate::words::limits::count;
use crate::words::topic;
use crate::words::{Doing, MessageId, Result};
use std::slice;
use std::time::Duration;

/// How long a search of all topics begins with further ones.
const SEARCHES_FOR: Duration = Duration::from_secs(2);

/// For how long messages are read to find one.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Patience {
    Endless,
    /// For those who look at a page.
    Seconds,
}

impl Messaging {
    /// Returns one message with everything that is known of it, wherever it is: ready, in work,
    /// scheduled, behind others of its key, a dead letter, an entry of a log, or
    /// [ended](FoundMessage::ended), where its topic [keeps](crate::TopicConfig::keep_done) that.
    /// `None` if nothing is known of it: it has ended, or was never sent. Takes and locks nothing.
    ///
    /// Takes some milliseconds, also among millions of messages: the id tells when the message was
    /// made, and so where it should be in each topic. With a thousand topics that have messages it
    /// takes some tenths of a second; [`Topic::message`] looks at one. Only a message that was
    /// retried, or whose id is not of version 7, is looked for by reading all ready messages, which
    /// takes about a second where there are millions; and so is one that is nowhere. An entry of a
    /// log is found by its time alone.
    ///
    /// ```no_run
    /// # fn f(messaging: &outtray::Messaging, id: outtray::MessageId) -> outtray::Result<()> {
    /// match messaging.message(id)? {
    ///     Some(found) => println!("{}: {} {}", found.topic, found.state, found.payload),
    ///     None => println!("not there"),
    /// }
    /// # Ok(()) }
    /// ```
    ///
    /// # Errors
    /// `SchemaMissing`, `Unavailable`, `PoolExhausted`.
    pub fn message(&self, id: MessageId) -> Result<Option<FoundMessage>> {
        self.found(id, None, Patience::Endless)
    }

    /// Does the same, and gives up where the messages would have to be read for long.
    #[cfg(feature = "dashboard")]
    pub(crate) fn message_soon(
        &self,
        id: MessageId,
        topic: Option<&str>,
    ) -> Result<Option<FoundMessage>> {
        topic.map_or(Ok(()), topic::check)?;
        self.found(id, topic, Patience::Seconds)
    }

    /// Searches the messages of all topics, one topic after the other by their names, and returns
    /// the first page of what it found, as [`Topic::search`] does of one. Begins with no further
    /// topic after two seconds, and says then where to go on, and that it [stopped
    /// early](SearchPage::is_stopped_early). A thousand topics take about that time.
    ///
    /// ```no_run
    /// # fn f(messaging: &outtray::Messaging) -> outtray::Result<()> {
    /// let page = messaging.search(&outtray::Search::new().key("customer-7"))?;
    /// for message in &page.messages {
    ///     println!("{} {}", message.topic, message.id);
    /// }
    /// # Ok(()) }
    /// ```
    ///
    /// # Errors
    /// `Invalid` as of [`Topic::search`], `SchemaMissing`, `Unavailable`, `PoolExhausted`.
    pub fn search(&self, search: &Search) -> Result<SearchPage> {
        search.check_for_all()?;
        self.in_order(|run| pages::page_of_all(run, search, SEARCHES_FOR))
    }

    fn found(
        &self,
        id: MessageId,
        topic: Option<&str>,
        patience: Patience,
    ) -> Result<Option<FoundMessage>> {
        let found = self.in_order(|run| quick(run, id, topic))?;
        if found.is_some() {
            return Ok(found);
        }
        let ended = self.last_end(id, topic)?;
        // A dead letter may have been redriven since.
        if let Some(ended) = &ended
            && ended.how != How::Dead
        {
            return Ok(Some(from_history(ended.clone())));
        }
        let located = self.with_connection(|connection, _| {
            let doing = "looking for a message";
            apart(connection, doing, |open| {
                if patience == Patience::Seconds {
                    open.commands(&[&GIVE_UP_SOON]).doing(doing)?;
                }
                locate::thorough(open, id.0, topic)
            })
        })?;
        let found = self.in_order(|run| match located {
            Some(located) => read(run, &located),
            // It may have moved meanwhile, against the order of the looks.
            None => quick(run, id, topic),
        })?;
        Ok(found.or(ended.map(from_history)))
    }

    /// Returns what the history has of a message's last end.
    fn last_end(&self, id: MessageId, topic: Option<&str>) -> Result<Option<EndedMessage>> {
        let mut query = HistoryQuery::message(id).limit(1);
        if let Some(topic) = topic {
            query = HistoryQuery::topic(topic).id(id).limit(1);
        }
        Ok(self.history(&query)?.pop())
    }
}

impl Topic<'_> {
    /// Returns one message of the topic, as [`Messaging::message`] does; looks only at this topic.
    pub fn message(&self, id: MessageId) -> Result<Option<FoundMessage>> {
        topic::check(&self.name)?;
        self.messaging
            .found(id, Some(&self.name), Patience::Endless)
    }

    /// Searches the messages of the topic, and returns the first page of what it found. Takes and
    /// locks nothing.
    ///
    /// Looks at messages one by one, in the order of a key, and at no more than the search
    /// [may](Search::look_at); the [page](SearchPage) says where to go on. With a
    /// [key](Search::key), only messages of the key are looked at, unless they are scheduled or in
    /// a log.
    ///
    /// ```no_run
    /// # fn f(messaging: &outtray::Messaging) -> outtray::Result<()> {
    /// use outtray::{MessagePlace, Search};
    ///
    /// let orders = messaging.topic("orders");
    /// let mut search = Search::new().place(MessagePlace::Dead).error("timed out");
    /// loop {
    ///     let page = orders.search(&search)?;
    ///     for message in &page.messages {
    ///         println!("{}", message.id);
    ///     }
    ///     match page.next {
    ///         Some(next) => search = search.after(next),
    ///         None => break,
    ///     }
    /// }
    /// # Ok(()) }
    /// ```
    ///
    /// # Errors
    /// `Invalid` for a search that asks for too much or has a malformed filter, besides those of
    /// all methods.
    pub fn search(&self, search: &Search) -> Result<SearchPage> {
        topic::check(&self.name)?;
        search.check(&self.name)?;
        self.look(|run, topic| pages::page(run, topic, search))
    }

    /// Returns the dead letters by what their errors have in common, the `limit` largest groups.
    /// Looks at the 10,000 that died last, which takes some tens of milliseconds.
    pub fn dead_letter_groups(&self, limit: usize) -> Result<ErrorGroups> {
        self.look(|run, topic| error_groups::groups(run, topic, count(limit)))
    }
}

/// Looks in the cheap ways, and returns the message whole.
fn quick(run: &mut dyn Run, id: MessageId, topic: Option<&str>) -> Result<Option<FoundMessage>> {
    match locate::quick(run, id.0, topic)? {
        Some(located) => read(run, &located),
        None => Ok(None),
    }
}

fn read(run: &mut dyn Run, located: &Located) -> Result<Option<FoundMessage>> {
    let one = slice::from_ref(located);
    let found = found::read(run, &located.topic, located.place, one)?.pop();
    let Some(mut message) = found else {
        return Ok(None);
    };
    if message.is_tracked {
        let known = completion::outcomes(run, &[message.id.0])?.into_iter();
        // A result that cannot be read is told to those who ask for it.
        message.completion = known.flat_map(|known| known.end?.ok()).next();
    }
    Ok(Some(message))
}
