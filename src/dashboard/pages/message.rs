//! One message, with everything that is known of it, and what an operator does to it.

use crate::dashboard::frame::parts::{
    Column, confirmed, facts, optional_span, table, text, time, topic_link,
};
use crate::dashboard::frame::view::{PageTrouble, Rendered, View};
use crate::dashboard::pages::dead::edit_form;
use crate::dashboard::pages::payload;
use crate::dashboard::pages::topic_lists::{cut, key, state};
use crate::finding::found::FoundMessage;
use crate::finding::place::MessagePlace;
use crate::history::ended::EndedMessage;
use crate::words::completion::{Completion, How};
use crate::words::outcome::MessageState;
use crate::words::{ErrorKind, MessageId};
use maud::{Markup, html};
use serde_json::Value;
use std::time::SystemTime;

pub(crate) fn show(view: &View<'_>) -> Result<Rendered, PageTrouble> {
    let id = wanted(view)?;
    let Some(message) = find(view, id)? else {
        return gone(view, id);
    };
    let content = html! {
        p.crumbs {
            a href=(view.href("/messages", &[("topic", &message.topic)])) { "Messages" }
            " / " (topic_link(view, &message.topic))
        }
        h1.mono { (id) }
        @if view.may_change() { (actions(view, &message)) }
        (why(view, &message))
        (known(view, &message))
        @if let Some(error) = &message.error {
            h2 { "Error" }
            pre tabindex="0" role="region" aria-label="Error" { (text(error)) }
        }
        (failures(&message))
        @if message.ended.as_ref().is_none_or(|end| end.payload.is_some()) {
            (headers(view, &message))
            h2 { "Payload" }
            @if let Some(why) = &message.unreadable { p.trouble { (text(why)) } }
            (payload::shown(view, &id.to_string(), &message.topic, &message.payload))
        } @else {
            p.dim { "Its topic keeps no headers and payloads of messages that have ended." }
        }
        @if view.may_change() && message.place == MessagePlace::Dead && !view.hides_payloads() {
            (edit_form(view, &message))
        }
    };
    Ok(Rendered::new(format!("Message {id}"), content))
}

/// Returns the payload as a file.
pub(crate) fn download(view: &View<'_>) -> Result<Rendered, PageTrouble> {
    if view.hides_payloads() {
        let text = "This dashboard hides payloads".to_owned();
        return Err(PageTrouble::NotFound(text));
    }
    let id = wanted(view)?;
    let nowhere = || PageTrouble::NotFound(format!("There is no message {id}"));
    let message = find(view, id)?.ok_or_else(nowhere)?;
    let bytes = message.payload.as_bytes().to_vec();
    let kind = match message.payload {
        crate::words::Payload::Json(_) => "json",
        crate::words::Payload::Bytes(_) => "bin",
    };
    Ok(Rendered::download(&format!("{id}.{kind}"), bytes))
}

fn wanted(view: &View<'_>) -> Result<MessageId, PageTrouble> {
    let bad = |_| PageTrouble::Bad("This is no id of a message".to_owned());
    view.needs("id")?.trim().parse().map_err(bad)
}

fn find(view: &View<'_>, id: MessageId) -> Result<Option<FoundMessage>, PageTrouble> {
    let topic = view.query.get("topic");
    Ok(view.messaging().message_soon(id, topic)?)
}

/// Says what else may be known of a message that is nowhere.
fn gone(view: &View<'_>, id: MessageId) -> Result<Rendered, PageTrouble> {
    let ended = match view.messaging().completion(id) {
        Ok(ended) => ended,
        Err(error) if error.kind() == ErrorKind::NotTracked => None,
        Err(error) => return Err(error.into()),
    };
    let content = html! {
        p.crumbs { a href=(view.href("/messages", &[])) { "Messages" } }
        h1.mono { (id) }
        p { "No such message waits, is in work, is a dead letter, or is kept in a log." }
        @match &ended {
            Some(end) => { p { "It was tracked." } (completion(view, end)) },
            None => p.dim { "It may have ended, or it was never sent." },
        }
    };
    Ok(Rendered::new(format!("Message {id}"), content))
}

/// Says why the message is not handled now, and what would change that. What cannot be found out
/// keeps nothing else from being shown.
fn why(view: &View<'_>, message: &FoundMessage) -> Markup {
    let why = view.messaging().why(message.id).ok();
    // The sentence names the key.
    let why = why.filter(|why| !view.hides_payloads() || why.key.is_none());
    html! {
        @if let Some(why) = why {
            h2 { "Why" }
            p { (text(&why.to_string())) }
            @for unknown in &why.not_known { p.dim { "Not known: " (text(unknown)) } }
            @if !why.remedies.is_empty() {
                ul {
                    @for remedy in &why.remedies { li { code { (text(&remedy.to_string())) } } }
                }
            }
        }
    }
}

fn known(view: &View<'_>, message: &FoundMessage) -> Markup {
    let mut known = vec![("State", state(&message.state))];
    match &message.ended {
        Some(end) => known.extend(known_of_end(message, end)),
        None => known.extend([
            ("Priority", html! { (message.priority) }),
            ("Failed attempts", html! { (message.attempts) }),
            ("Sent", time(message.sent_at)),
        ]),
    }
    if let MessageState::Dead { reason } = &message.state {
        known.push(("Given up", html! { (reason) }));
    }
    known.extend(message.due_at.map(|at| ("Due", time(at))));
    known.extend(message.died_at.map(|at| ("Died", time(at))));
    known.extend(message.expires_at.map(|at| ("Expires", time(at))));
    if message.key.is_some() {
        known.push(("Key", key(view, message.key.as_deref())));
    }
    if message.dedupe_key.is_some() {
        known.push(("Dedupe key", key(view, message.dedupe_key.as_deref())));
    }
    known.extend(message.message_type().map(|of| ("Type", text(of))));
    if let Some(trace) = message
        .traceparent()
        .and_then(|text| text.split('-').nth(1))
    {
        known.push(("Trace", html! { span.mono { (trace) } }));
    }
    if message.is_cancelled {
        known.push(("Cancelled", html! { "its handler is asked to give up" }));
    }
    if message.is_tracked {
        known.push(("Tracked", html! { "yes" }));
    }
    html! {
        (facts(known))
        @if !message.after.is_empty() {
            h2 { "Comes after" }
            ul {
                @for id in &message.after {
                    li { a.mono href=(view.href("/message", &[("id", &id.to_string())])) { (id) } }
                }
            }
        }
        @if let Some(end) = &message.completion { (completion(view, end)) }
        @if let Some(end) = &message.ended {
            (how_it_ended(view, end.how, end.ended_at, end.result.as_ref()))
        }
    }
}

/// Returns what the history has of a message besides how it ended.
fn known_of_end(message: &FoundMessage, end: &EndedMessage) -> Vec<(&'static str, Markup)> {
    let mut known = vec![
        ("Deliveries", html! { (end.attempts) }),
        ("Sent", time(message.sent_at)),
    ];
    known.extend(end.due_at.map(|at| ("Ready", time(at))));
    if let Some(started_at) = end.started_at {
        let waited = started_at.duration_since(end.due_at.unwrap_or(end.sent_at));
        known.push(("Waited", optional_span(waited.ok())));
        let took = end.ended_at.duration_since(started_at);
        known.push(("Took", optional_span(took.ok())));
    }
    let process = end.process.as_deref();
    known.extend(process.map(|process| ("Process", html! { span.mono { (text(process)) } })));
    known
}

fn completion(view: &View<'_>, end: &Completion) -> Markup {
    how_it_ended(view, end.how, end.ended_at, end.result.as_ref())
}

fn how_it_ended(view: &View<'_>, how: How, ended_at: SystemTime, result: Option<&Value>) -> Markup {
    let result = result.map(ToString::to_string);
    let result = match result {
        None => html! { span.none { "none" } },
        Some(_) if view.hides_payloads() => html! { span.none { "hidden" } },
        Some(result) => {
            html! { span.mono { (cut(&result)) } }
        }
    };
    html! {
        h2 { "How it ended" }
        (facts(vec![
            ("Ended", html! { (how) }),
            ("At", time(ended_at)),
            ("Result", result),
        ]))
    }
}

fn failures(message: &FoundMessage) -> Markup {
    let columns = [
        Column::number("Attempt"),
        Column::text("Failed"),
        Column::text("Took"),
        Column::text("Process"),
        Column::text("Error"),
    ];
    let rows = message.failures.iter().map(|one| {
        vec![
            html! { (one.attempt) },
            time(one.failed_at),
            optional_span(one.took),
            html! { span.mono { (text(&one.process)) } },
            cut(&one.error),
        ]
    });
    html! {
        @if !message.failures.is_empty() {
            h2 { "Failed attempts" }
            (table("Failed attempts", &columns, rows.collect(), ""))
        }
    }
}

fn headers(view: &View<'_>, message: &FoundMessage) -> Markup {
    let rows = message.headers.iter().map(|(name, value)| {
        let value = match view.hides_payloads() {
            true => html! { span.none { "hidden" } },
            false => html! { span.mono { (text(value)) } },
        };
        vec![html! { span.mono { (text(name)) } }, value]
    });
    let columns = [Column::text("Name"), Column::text("Value")];
    html! {
        h2 { "Headers" }
        (table("Headers", &columns, rows.collect(), "It has no headers."))
    }
}

fn actions(view: &View<'_>, message: &FoundMessage) -> Markup {
    let id = message.id.to_string();
    let hidden = [("topic", message.topic.as_str()), ("id", id.as_str())];
    let form = |action: &str, content| view.form(action, &hidden, content);
    let button = |name: &str| html! { button type="submit" { (name) } };
    let danger = |name: &str| html! { button.danger type="submit" { (name) } };
    let may_run = matches!(
        message.state,
        MessageState::Delayed { .. } | MessageState::Retrying { .. }
    );
    html! {
        div.actions {
            @match message.place {
                MessagePlace::Dead => {
                    (form("/dead/redrive", button("Redrive")))
                    (confirmed("Delete…", "Removes this dead letter for good.", form("/dead/purge", danger("Delete it"))))
                },
                MessagePlace::Kept | MessagePlace::Ended => {},
                _ => {
                    @if may_run { (form("/messages/run-now", button("Run now"))) }
                    (confirmed(
                        "Cancel…",
                        "Removes the message if it waits, or asks its handler to give up.",
                        form("/messages/cancel", danger("Cancel it")),
                    ))
                },
            }
        }
    }
}
