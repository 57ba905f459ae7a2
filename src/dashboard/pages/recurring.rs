//! Messages that are sent again and again: when they come next, and what an operator does to them.

use crate::dashboard::frame::parts::{Column, confirmed, table, text, time, topic_link};
use crate::dashboard::frame::view::{ChangeForm, Done, PageTrouble, Rendered, View};
use crate::dashboard::pages::topic_lists::{cut, excerpt, key};
use crate::recurring::Recurring;
use crate::recurring::recurrence::Recurrence;
use crate::words::limits::micros_since_1970;
use maud::{Markup, html};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

/// How many runs after the next one are shown.
const RUNS: usize = 2;

pub(crate) fn show(view: &View<'_>) -> Result<Rendered, PageTrouble> {
    let all = view.messaging().recurring()?;
    let mut columns = vec![
        Column::text("Topic"),
        Column::text("Name"),
        Column::text("When"),
        Column::text("Next runs"),
        Column::text("Last run"),
        Column::text("Key"),
        Column::text("Payload"),
    ];
    if view.may_change() {
        columns.push(Column::text("Change"));
    }
    let rows = all.iter().map(|one| row(view, one));
    let none = "No message is sent again and again.";
    let content = html! {
        h1 { "Recurring messages" }
        (table("Recurring messages", &columns, rows.collect(), none))
    };
    Ok(Rendered::new("Recurring messages", content))
}

fn row(view: &View<'_>, one: &Recurring) -> Vec<Markup> {
    let mut cells = vec![
        topic_link(view, &one.topic),
        html! { span.mono { (text(&one.name)) } },
        html! {
            div {
                span.mono { (cut(&one.cron)) } " "
                span.dim { (cut(&one.time_zone)) ", missed: " (one.missed.as_str()) }
                @if let Some(why) = &one.unreadable { " " span.badge.bad { (cut(why)) } }
            }
        },
        html! {
            div {
                @if one.is_paused {
                    span.badge.warn { "paused" }
                } @else {
                    (time(one.next_at))
                    @for at in runs(one) { br; (time(at)) }
                }
            }
        },
        html! { @match one.last_at { Some(at) => (time(at)), None => span.none { "–" } } },
        key(view, one.key.as_deref()),
        excerpt(view, &one.payload),
    ];
    if view.may_change() {
        cells.push(actions(view, one));
    }
    cells
}

/// Returns the runs after the next one, as far as its expression can be read.
fn runs(one: &Recurring) -> Vec<SystemTime> {
    let recurrence = Recurrence::cron(&one.cron).and_then(|cron| cron.time_zone(&one.time_zone));
    let Ok(recurrence) = recurrence else {
        return Vec::new();
    };
    let mut at = micros_since_1970(one.next_at);
    let mut runs = Vec::new();
    while runs.len() < RUNS {
        match recurrence.next_after(at) {
            Ok(next) => at = next,
            Err(_) => break,
        }
        runs.push(UNIX_EPOCH + Duration::from_micros(at.unsigned_abs()));
    }
    runs
}

fn actions(view: &View<'_>, one: &Recurring) -> Markup {
    let hidden = [("topic", one.topic.as_str()), ("name", one.name.as_str())];
    let run = html! { button type="submit" { "Run now" } };
    let remove = html! { button.danger type="submit" { "Remove it" } };
    html! {
        div.actions {
            (view.form("/recurring/run", &hidden, run))
            @if one.is_paused {
                (view.form("/recurring/resume", &hidden, html! { button type="submit" { "Resume" } }))
            } @else {
                (view.form("/recurring/pause", &hidden, html! { button type="submit" { "Pause" } }))
            }
            (confirmed(
                "Remove…",
                "It is sent no more. Messages that were sent stay.",
                view.form("/recurring/remove", &hidden, remove),
            ))
        }
    }
}

pub(crate) fn run(change: &ChangeForm<'_>) -> Result<Done, PageTrouble> {
    let (topic, name) = (change.needs("topic")?, change.needs("name")?);
    let sent = change.messaging().topic(topic).run_recurring_now(name)?;
    let sent = sent.ok_or_else(|| nowhere(topic, name))?;
    let text = match sent.is_duplicate() {
        true => format!("Not sent: the message of {name} before it has not ended"),
        false => format!("Sent a message of {name} to {topic}"),
    };
    Ok(Done::new(text).of(topic))
}

pub(crate) fn pause(change: &ChangeForm<'_>) -> Result<Done, PageTrouble> {
    let (topic, name) = (change.needs("topic")?, change.needs("name")?);
    match change.messaging().topic(topic).pause_recurring(name)? {
        true => Ok(Done::new(format!("Paused the recurring message {name} of {topic}")).of(topic)),
        false => Err(nowhere(topic, name)),
    }
}

pub(crate) fn resume(change: &ChangeForm<'_>) -> Result<Done, PageTrouble> {
    let (topic, name) = (change.needs("topic")?, change.needs("name")?);
    let text = match change.messaging().topic(topic).resume_recurring(name)? {
        true => format!("Resumed the recurring message {name} of {topic}"),
        false => format!("The recurring message {name} of {topic} was not paused"),
    };
    Ok(Done::new(text).of(topic))
}

pub(crate) fn remove(change: &ChangeForm<'_>) -> Result<Done, PageTrouble> {
    let (topic, name) = (change.needs("topic")?, change.needs("name")?);
    match change.messaging().topic(topic).unrepeat(name)? {
        true => Ok(Done::new(format!("Removed the recurring message {name} of {topic}")).of(topic)),
        false => Err(nowhere(topic, name)),
    }
}

fn nowhere(topic: &str, name: &str) -> PageTrouble {
    PageTrouble::NotFound(format!("There is no recurring message {name} of {topic}"))
}
