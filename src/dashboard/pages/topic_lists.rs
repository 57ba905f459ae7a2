//! What a topic's page lists: its first messages, what is scheduled, keys that are stuck, who gets
//! copies, and who reads a log.

use crate::dashboard::frame::parts::{Column, due, live, number, optional_span, table, text, time};
use crate::dashboard::frame::stuck_keys::{COUNTED, stuck_keys};
use crate::dashboard::frame::view::{PageTrouble, View};
use crate::words::Payload;
use crate::words::outcome::MessageState;
use maud::{Markup, html};
use std::time::Duration;

/// Messages in each list.
const ROWS: usize = 10;
/// How much of a payload a list shows, in characters.
const SHOWN: usize = 120;
/// How long lists are kept.
const KEEP: Duration = Duration::from_secs(2);

pub(crate) fn show(view: &View<'_>, topic: &str, is_log: bool) -> Result<Markup, PageTrouble> {
    Ok(html! {
        @if is_log {
            (readers(view, topic)?)
        }
        (waiting(view, topic, is_log)?)
        @if !is_log {
            (stuck(view, topic)?)
            (scheduled(view, topic)?)
        }
        (subscriptions(view, topic)?)
    })
}

/// The first messages in the order in which they are taken.
fn waiting(view: &View<'_>, topic: &str, is_log: bool) -> Result<Markup, PageTrouble> {
    let found = view.kept(&format!("peek {topic}"), KEEP, || {
        Ok(view.messaging().topic(topic).peek(ROWS)?)
    })?;
    let columns = [
        Column::text("Id"),
        Column::text("State"),
        Column::text("Key"),
        Column::number("Priority"),
        Column::number("Attempts"),
        Column::text("Sent"),
        Column::text("Payload"),
    ];
    let rows = found.iter().map(|message| {
        vec![
            message_link(view, topic, &message.id.to_string()),
            state(&message.state),
            key(view, message.key.as_deref()),
            html! { (message.priority) },
            html! { (message.attempts) },
            time(message.sent_at),
            excerpt(view, &message.payload),
        ]
    });
    let title = if is_log {
        "Newest entries"
    } else {
        "Next messages"
    };
    let none = "No message is ready.";
    Ok(html! {
        h2 { (title) }
        (live("waiting", table(title, &columns, rows.collect(), none)))
    })
}

fn scheduled(view: &View<'_>, topic: &str) -> Result<Markup, PageTrouble> {
    let found = view.kept(&format!("scheduled {topic}"), KEEP, || {
        Ok(view.messaging().topic(topic).scheduled(ROWS)?)
    })?;
    let columns = [
        Column::text("Id"),
        Column::text("Why"),
        Column::text("Due"),
        Column::text("Key"),
        Column::number("Attempts"),
        Column::text("Error"),
    ];
    let rows = found.iter().map(|message| {
        let error = message.error.as_deref().unwrap_or_default();
        vec![
            message_link(view, topic, &message.id.to_string()),
            html! { (message.reason.as_str().replace('_', " ")) },
            due(message.due_in),
            key(view, message.key.as_deref()),
            html! { (message.attempts) },
            cut(error),
        ]
    });
    Ok(html! {
        h2 { "Scheduled" }
        (live("scheduled", table("Scheduled", &columns, rows.collect(), "Nothing is scheduled.")))
    })
}

/// Keys that wait for an operator.
fn stuck(view: &View<'_>, topic: &str) -> Result<Markup, PageTrouble> {
    let found = view.kept(&format!("stuck {topic}"), KEEP, || {
        Ok(view.look(|run| stuck_keys(run, topic))?)
    })?;
    let columns = [Column::text("Key"), Column::number("Waiting")];
    let rows = found.iter().map(|stuck| {
        let is_most = stuck.waiting >= COUNTED.unsigned_abs();
        vec![
            key(view, Some(&stuck.key)),
            html! { (number(stuck.waiting)) @if is_most { "+" } },
        ]
    });
    let rows: Vec<_> = rows.collect();
    Ok(live(
        "stuck",
        html! {
            @if !rows.is_empty() {
                h2 { "Stuck keys" }
                p.dim { "Messages of these keys wait until the dead letter before them is redriven or purged." }
                (table("Stuck keys", &columns, rows, ""))
            }
        },
    ))
}

fn subscriptions(view: &View<'_>, topic: &str) -> Result<Markup, PageTrouble> {
    let all = view.kept("subscriptions", KEEP, || {
        Ok(view.messaging().subscriptions()?)
    })?;
    let mine = all.iter().filter(|one| one.topic == topic);
    let columns = [
        Column::text("Pattern"),
        Column::text("Filter"),
        Column::text("State"),
    ];
    let rows: Vec<_> = mine
        .map(|one| {
            let filter = one.filter.as_ref().map(ToString::to_string);
            vec![
                html! { code { (text(&one.pattern)) } },
                html! { @if let Some(filter) = filter { code { (text(&filter)) } } },
                html! {
                    @if one.is_ephemeral { span.badge { "ephemeral" } " " }
                    @if let Some(flaw) = &one.flaw { span.badge.bad { (text(flaw)) } }
                },
            ]
        })
        .collect();
    Ok(html! {
        @if !rows.is_empty() {
            h2 { "Subscriptions" }
            (table("Subscriptions", &columns, rows, ""))
        }
    })
}

fn readers(view: &View<'_>, topic: &str) -> Result<Markup, PageTrouble> {
    let found = view.kept(&format!("readers {topic}"), KEEP, || {
        Ok(view.messaging().topic(topic).readers()?)
    })?;
    let columns = [
        Column::text("Reader"),
        Column::number("Lanes"),
        Column::text("Position"),
        Column::number("To read"),
        Column::text("Behind"),
    ];
    let rows = found.iter().map(|reader| {
        vec![
            html! { span.mono { (text(&reader.reader)) } },
            html! { (reader.lanes) },
            html! { span.mono { (reader.position) } },
            html! { (number(reader.lag)) },
            optional_span(reader.behind),
        ]
    });
    Ok(html! {
        h2 { "Readers" }
        (live("readers", table("Readers", &columns, rows.collect(), "Nobody reads this log under a name.")))
    })
}

fn message_link(view: &View<'_>, topic: &str, id: &str) -> Markup {
    let address = view.href("/message", &[("id", id), ("topic", topic)]);
    html! { a.mono href=(address) { (id) } }
}

pub(crate) fn state(state: &MessageState) -> Markup {
    html! {
        @match state {
            MessageState::InWork { server_process, program } => {
                span.badge.good { "in work" }
                @if let Some(process) = server_process { " at " (process) }
                @if let Some(program) = program { " " (text(program)) }
            },
            MessageState::Leased { left } => {
                span.badge.good { "leased" } " " (due(Some(*left)))
            },
            MessageState::Retrying { left } => {
                span.badge.warn { "retrying" } " " (due(Some(*left)))
            },
            MessageState::Delayed { left } => { "delayed " (due(Some(*left))) },
            MessageState::Dead { .. } => span.badge.bad { "dead" },
            MessageState::Ended { how } => { span.badge { "ended" } " " (how) },
            other => (other.as_str().replace('_', " ")),
        }
    }
}

/// Returns a key, which is content: it is hidden with payloads.
pub(crate) fn key(view: &View<'_>, key: Option<&str>) -> Markup {
    html! {
        @match key {
            None => span.none { "–" },
            Some(_) if view.hides_payloads() => span.none { "hidden" },
            Some(key) => span.mono { (cut(key)) },
        }
    }
}

/// Returns the beginning of a payload.
pub(crate) fn excerpt(view: &View<'_>, payload: &Payload) -> Markup {
    if view.hides_payloads() {
        return html! { span.none { "hidden" } };
    }
    html! {
        @match payload {
            Payload::Json(json) => span.mono { (cut(json.get())) },
            Payload::Bytes(bytes) => span.none { (number(bytes.len() as u64)) " bytes" },
        }
    }
}

/// Returns the beginning of a text.
pub(crate) fn cut(whole: &str) -> Markup {
    let end = whole.char_indices().nth(SHOWN).map(|(at, _)| at);
    html! {
        span {
            (text(&whole[..end.unwrap_or(whole.len())]))
            @if end.is_some() { "…" }
        }
    }
}
