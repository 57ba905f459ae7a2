//! Looking for messages: one by its id, and those of a topic, or of all, by key, header, error,
//! place or time.

use crate::dashboard::frame::parts::{Column, confirmed, number, plain, table, time, topic_link};
use crate::dashboard::frame::view::{ChangeForm, Done, PageTrouble, Rendered, View};
use crate::dashboard::pages::topic_lists::{cut, excerpt, key, state};
use crate::finding::found::FoundMessage;
use crate::finding::place::MessagePlace;
use crate::finding::search::{Search, SearchPage};
use crate::words::{MessageId, Result};
use maud::{Markup, html};
use std::time::SystemTime;

/// Messages on a page.
const ROWS: usize = 50;

/// Names of topics that the form offers.
const OFFERED: usize = 200;

/// The fields of a search: their names, what they are called, and what to write into them.
const FIELDS: [(&str, &str, &str); 6] = [
    ("key", "Key", ""),
    ("type", "Type", "order.created"),
    (
        "filter",
        "Headers",
        "size >= 10 and country in ('ch', 'de')",
    ),
    ("error", "Error has", ""),
    ("from", "Sent from", "2030-01-31T18:00:00Z"),
    ("before", "Sent before", "2030-02-01T00:00:00Z"),
];

pub(crate) fn show(view: &View<'_>) -> Result<Rendered, PageTrouble> {
    let topic = view.query.get("topic");
    let content = html! {
        h1 { "Messages" }
        (by_id(view))
        (form(view, topic)?)
        @if let Some(topic) = topic {
            (found(view, topic)?)
        } @else if view.query.has("topic") {
            (found_in_all(view)?)
        }
    };
    Ok(Rendered::new("Messages", content))
}

fn by_id(view: &View<'_>) -> Markup {
    html! {
        form.search role="search" action=(view.site.path("/message")) aria-label="By id" {
            label for="id" { "Id" }
            input.mono id="id" name="id" type="search" required size="40" autocomplete="off";
            button type="submit" { "Show" }
        }
    }
}

fn form(view: &View<'_>, topic: Option<&str>) -> Result<Markup, PageTrouble> {
    let value = |name| plain(view.query.get(name).unwrap_or_default());
    let place = view.query.get("place");
    let names = view.first_topic_names(OFFERED)?;
    Ok(html! {
        form.search role="search" aria-label="By what they have" {
            span.field {
                label for="topic" { "Topic" }
                input id="topic" name="topic" placeholder="all topics" list="topics" value=(plain(topic.unwrap_or_default())) autocomplete="off";
            }
            datalist id="topics" {
                @for name in names.iter() { option value=(plain(name)) {} }
            }
            span.field {
                label for="place" { "Place" }
                select id="place" name="place" {
                    option value="" { "anywhere" }
                    @for one in MessagePlace::ALL {
                        option value=(one) selected[place == Some(one.as_str())] { (one) }
                    }
                }
            }
            @for (name, title, example) in FIELDS {
                span.field {
                    label for=(name) { (title) }
                    input id=(name) name=(name) value=(value(name)) placeholder=(example) autocomplete="off";
                }
            }
            button.primary type="submit" { "Search" }
        }
    })
}

/// Returns the search that the address asks for.
pub(crate) fn search(view: &View<'_>) -> Result<Search, PageTrouble> {
    let mut search = wishes(|name| view.query.get(name))?.limit(ROWS);
    if let Some(place) = view.query.get("place") {
        search = search.place(place.parse()?);
    }
    if let Some(after) = view.query.get("after") {
        search = search.after(after.parse()?);
    }
    Ok(search)
}

/// Returns the search that fields ask for, of an address or of a form.
pub(crate) fn wishes<'f>(field: impl Fn(&str) -> Option<&'f str>) -> Result<Search, PageTrouble> {
    let mut search = Search::new();
    if let Some(key) = field("key") {
        search = search.key(key);
    }
    if let Some(message_type) = field("type") {
        search = search.message_type(message_type);
    }
    if let Some(filter) = field("filter") {
        search = search.filter(&filter.parse()?);
    }
    if let Some(error) = field("error") {
        search = search.error(error);
    }
    if let Some(shape) = field("shape") {
        search = search.error_shape(shape);
    }
    if let Some(from) = field("from") {
        search = search.sent_from(moment(from)?);
    }
    if let Some(before) = field("before") {
        search = search.sent_before(moment(before)?);
    }
    Ok(search)
}

fn moment(text: &str) -> Result<SystemTime, PageTrouble> {
    humantime::parse_rfc3339_weak(text).map_err(|_| {
        PageTrouble::Bad("A time is written as 2030-01-31T18:00:00Z, in UTC".to_owned())
    })
}

fn found(view: &View<'_>, topic: &str) -> Result<Markup, PageTrouble> {
    let page = view.messaging().topic(topic).search(&search(view)?)?;
    let has_some = !page.messages.is_empty();
    let list = html! {
        (list(view, &page))
        @if view.may_change() && has_some { (actions(view)) }
    };
    Ok(html! {
        h2 { "On " (topic_link(view, topic)) }
        @if view.may_change() {
            (view.form("/messages/run-now", &[("topic", topic)], list))
        } @else {
            (list)
        }
        (how_far(view, &page))
    })
}

/// Searches all topics. What is found can be changed on the pages of its messages.
fn found_in_all(view: &View<'_>) -> Result<Markup, PageTrouble> {
    let page = view.messaging().search(&search(view)?)?;
    let columns = [
        Column::text("Topic"),
        Column::text("Id"),
        Column::text("State"),
        Column::text("Key"),
        Column::text("Sent"),
        Column::text("Payload"),
        Column::text("Error"),
    ];
    let rows = page.messages.iter().map(|message| {
        vec![
            topic_link(view, &message.topic),
            message_link(view, message),
            state(&message.state),
            key(view, message.key.as_deref()),
            time(message.sent_at),
            excerpt(view, &message.payload),
            cut(message.error.as_deref().unwrap_or_default()),
        ]
    });
    let none = "No message was found.";
    Ok(html! {
        h2 { "On all topics" }
        (table("Messages", &columns, rows.collect(), none))
        (how_far(view, &page))
    })
}

fn list(view: &View<'_>, page: &SearchPage) -> Markup {
    let columns = [
        Column::text("Id"),
        Column::text("State"),
        Column::text("Key"),
        Column::number("Attempts"),
        Column::text("Sent"),
        Column::text("Payload"),
        Column::text("Error"),
    ];
    let rows = page.messages.iter().map(|message| row(view, message));
    table(
        "Messages",
        &columns,
        rows.collect(),
        "No message was found.",
    )
}

fn row(view: &View<'_>, message: &FoundMessage) -> Vec<Markup> {
    vec![
        chosen_link(view, message),
        state(&message.state),
        key(view, message.key.as_deref()),
        html! { (message.attempts) },
        time(message.sent_at),
        excerpt(view, &message.payload),
        cut(message.error.as_deref().unwrap_or_default()),
    ]
}

/// Returns a link to a message, with a box that chooses it where it may be changed.
pub(crate) fn chosen_link(view: &View<'_>, message: &FoundMessage) -> Markup {
    let id = message.id;
    html! {
        span.choice {
            @if view.may_change() {
                input type="checkbox" name="id" value=(id) aria-label={ "Choose " (id) };
            }
            (message_link(view, message))
        }
    }
}

fn message_link(view: &View<'_>, message: &FoundMessage) -> Markup {
    let id = message.id.to_string();
    let address = view.href("/message", &[("id", &id), ("topic", &message.topic)]);
    html! { a.mono href=(address) { (id) } }
}

fn actions(view: &View<'_>) -> Markup {
    let question = "Removes the chosen messages that wait, and asks the handlers of those in work to give up. Dead letters stay.";
    let cancel = html! {
        button.danger type="submit" formaction=(view.site.path("/messages/cancel")) { "Cancel them" }
    };
    html! {
        div.actions {
            button type="submit" { "Run the chosen now" }
            (confirmed("Cancel the chosen…", question, cancel))
        }
    }
}

/// Says how far a search came, and where it goes on.
pub(crate) fn how_far(view: &View<'_>, page: &SearchPage) -> Markup {
    let found = page.messages.len() as u64;
    let next = page.next.as_ref().map(ToString::to_string);
    html! {
        p.dim {
            (number(found)) " found, " (number(page.looked_at)) " looked at"
            @if page.topics != 1 { " of " (number(page.topics)) " topics" }
            @if page.is_stopped_early { ": as many as one look may" }
            "."
        }
        @if next.is_some() || view.query.has("after") {
            nav.pager aria-label="Pages of the list" {
                @if view.query.has("after") { a href=(view.here_with("after", None)) { "To the beginning" } }
                @if let Some(next) = &next { a rel="next" href=(view.here_with("after", Some(next))) { "Go on →" } }
            }
        }
    }
}

/// Returns the messages that were chosen in a form.
pub(crate) fn chosen(change: &ChangeForm<'_>) -> Result<Vec<MessageId>, PageTrouble> {
    let ids = change.form.all("id").map(str::parse);
    let ids = ids.collect::<Result<Vec<MessageId>>>()?;
    match ids.is_empty() {
        true => Err(PageTrouble::Bad("No message was chosen".to_owned())),
        false => Ok(ids),
    }
}

pub(crate) fn run_now(change: &ChangeForm<'_>) -> Result<Done, PageTrouble> {
    let (topic, ids) = (change.needs("topic")?, chosen(change)?);
    let due = change.messaging().topic(topic).run_now(&ids)?;
    let text = format!("Made {due} messages of {topic} due now");
    Ok(Done::new(text).of(topic))
}

pub(crate) fn cancel(change: &ChangeForm<'_>) -> Result<Done, PageTrouble> {
    use crate::words::completion::Cancelled;
    let (topic, ids) = (change.needs("topic")?, chosen(change)?);
    let ends = change.messaging().cancel_all(&ids)?;
    let count = |wanted| ends.iter().filter(|end| **end == wanted).count();
    let text = format!(
        "Removed {} messages of {topic}, asked the handlers of {} to give up; {} were not there",
        count(Cancelled::Removed),
        count(Cancelled::Asked),
        count(Cancelled::NotThere)
    );
    Ok(Done::new(text).of(topic))
}
