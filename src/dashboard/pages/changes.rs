//! What operators changed, and who they were.

use crate::changes::Change;
use crate::changes::cursor::ChangeCursor;
use crate::dashboard::frame::parts::{Column, number, plain, table, text, time, topic_link};
use crate::dashboard::frame::view::{PageTrouble, Rendered, View};
use crate::dashboard::pages::topic_lists::cut;
use maud::{Markup, html};

/// Changes on a page.
const ROWS: usize = 100;
/// How many ids of messages a line names.
const IDS: usize = 3;

pub(crate) fn show(view: &View<'_>) -> Result<Rendered, PageTrouble> {
    let topic = view.query.get("topic");
    let after: Option<ChangeCursor> = view.query.get("after").map(str::parse).transpose()?;
    let messaging = view.messaging();
    // One more says that there are more.
    let mut changes = match (topic, &after) {
        (Some(topic), None) => messaging.topic(topic).changes(ROWS + 1)?,
        (Some(topic), Some(after)) => messaging.topic(topic).changes_after(after, ROWS + 1)?,
        (None, None) => messaging.changes(ROWS + 1)?,
        (None, Some(after)) => messaging.changes_after(after, ROWS + 1)?,
    };
    let has_more = changes.len() > ROWS;
    changes.truncate(ROWS);
    let next = changes.last().filter(|_| has_more);
    let next = next.map(|last| last.cursor.to_string());
    let columns = [
        Column::text("At"),
        Column::text("Who"),
        Column::text("From"),
        Column::text("What"),
        Column::text("Topic"),
        Column::number("Messages"),
        Column::text("Details"),
    ];
    let rows = changes.iter().map(|change| row(view, change));
    let none = "Nobody changed anything in the last 90 days.";
    let content = html! {
        h1 { "Changes" }
        form.search role="search" {
            label for="topic" { "Topic" }
            input id="topic" name="topic" type="search" value=(plain(topic.unwrap_or_default())) autocomplete="off";
            button type="submit" { "Show" }
        }
        (table("Changes", &columns, rows.collect(), none))
        @if next.is_some() || after.is_some() {
            nav.pager aria-label="Pages of the list" {
                @if after.is_some() { a href=(view.here_with("after", None)) { "To the latest" } }
                @if let Some(next) = &next { a rel="next" href=(view.here_with("after", Some(next))) { "Earlier →" } }
            }
        }
        p.dim { "Of the last 90 days. What programs do by themselves is not among them." }
    };
    Ok(Rendered::new("Changes", content))
}

fn row(view: &View<'_>, change: &Change) -> Vec<Markup> {
    vec![
        time(change.at),
        cut(&change.operator),
        html! { @match &change.address { Some(address) => (cut(address)), None => span.none { "–" } } },
        cut(&change.what),
        html! { @match &change.topic { Some(topic) => (topic_link(view, topic)), None => span.none { "–" } } },
        html! { @match change.messages { Some(messages) => (number(messages)), None => span.none { "–" } } },
        details(view, change),
    ]
}

fn details(view: &View<'_>, change: &Change) -> Markup {
    let details = match change.details.is_null() {
        true => String::new(),
        false => change.details.to_string(),
    };
    // Keys and filters are content of messages.
    let details = match view.hides_payloads() && !details.is_empty() {
        true => html! { span.none { "hidden" } },
        false => html! { span.mono { (text(&details)) } },
    };
    html! {
        div {
            @for id in change.ids.iter().take(IDS) {
                a.mono href=(view.href("/message", &[("id", &id.to_string())])) { (id) } br;
            }
            @if change.ids.len() > IDS { span.dim { "and others" } br; }
            (details)
        }
    }
}
