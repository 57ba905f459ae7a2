//! The processes that receive, and what each has in work since when.

use crate::dashboard::frame::parts::{
    Column, count, live, number, optional_span, page_number, pager, span, table, text, time,
    topic_link,
};
use crate::dashboard::frame::view::{PageTrouble, Rendered, View};
use crate::processes::running::{RunningProcess, RunningReceiver};
use maud::{Markup, html};
use std::sync::Arc;
use std::time::Duration;

/// Processes on a page.
const ROWS: usize = 50;
/// How long they are kept. They show life every 10 s, so nothing changes more often.
const KEEP: Duration = Duration::from_secs(4);
/// Handlers that the list of long ones has.
const HANDLERS: usize = 30;

/// Returns all processes.
pub(crate) fn all(view: &View<'_>) -> Result<Arc<Vec<RunningProcess>>, PageTrouble> {
    view.kept("processes", KEEP, || Ok(view.messaging().processes()?))
}

pub(crate) fn show(view: &View<'_>) -> Result<Rendered, PageTrouble> {
    let all = all(view)?;
    let page = page_number(view).min(all.len().saturating_sub(1) / ROWS);
    let shown = all.iter().skip(page * ROWS).take(ROWS);
    let rows = shown.map(|process| row(view, process)).collect();
    let columns = [
        Column::text("Process"),
        Column::text("Program"),
        Column::text("Version"),
        Column::text("Started"),
        Column::text("Seen"),
        Column::number("Workers"),
        Column::number("Busy"),
        Column::number("In hand"),
        Column::text("Receives"),
    ];
    let content = html! {
        h1 { "Processes" }
        (live("processes", html! {
            (totals(&all))
            (table("Processes", &columns, rows, "No process receives messages."))
            (pager(view, page, all.len() > (page + 1) * ROWS))
        }))
        h2 { "Handlers that have run for over a second" }
        (live("handlers", handlers(view, &all)))
    };
    Ok(Rendered::new("Processes", content))
}

fn totals(all: &[RunningProcess]) -> Markup {
    let receivers = || all.iter().flat_map(|process| &process.receivers);
    let sum = |of: fn(&RunningReceiver) -> u64| receivers().map(of).sum::<u64>();
    let silent = all.iter().filter(|process| process.is_silent).count();
    html! {
        dl.tiles {
            div { dt { "Processes" } dd { (number(all.len() as u64)) } }
            div { dt { "Silent" } dd { (count(silent as u64, false)) } }
            div { dt { "Receivers" } dd { (number(receivers().count() as u64)) } }
            div { dt { "Workers" } dd { (number(sum(|one| one.workers))) } }
            div { dt { "Busy" } dd { (count(sum(|one| one.busy), false)) } }
            div { dt { "In hand" } dd { (count(sum(|one| one.in_hand), false)) } }
        }
    }
}

fn row(view: &View<'_>, process: &RunningProcess) -> Vec<Markup> {
    let sum = |of: fn(&RunningReceiver) -> u64| process.receivers.iter().map(of).sum::<u64>();
    vec![
        name(process),
        html! { (text(process.program.as_deref().unwrap_or_default())) },
        html! { (text(process.version.as_deref().unwrap_or_default())) },
        time(process.started_at),
        html! {
            (span(process.seen_ago)) " ago"
            @if process.is_silent { " " span.badge.bad { "silent" } }
        },
        html! { (number(sum(|one| one.workers))) },
        count(sum(|one| one.busy), false),
        count(sum(|one| one.in_hand), false),
        receives(view, process),
    ]
}

/// Returns what a process receives; many topics are folded away.
fn receives(view: &View<'_>, process: &RunningProcess) -> Markup {
    let one = |receiver: &RunningReceiver| {
        html! {
            li {
                (topic_link(view, &receiver.topic)) " "
                span.dim {
                    (receiver.busy) "/" (receiver.workers)
                    @if let Some(lease) = receiver.lease { ", leases " (span(lease)) }
                    @if let Some(filter) = &receiver.filter { ", wants " code { (text(filter)) } }
                }
                @if receiver.is_paused { " " span.badge.warn { "paused" } }
            }
        }
    };
    html! {
        ul.plain { @for receiver in process.receivers.iter().take(3) { (one(receiver)) } }
        @if process.receivers.len() > 3 {
            details {
                summary { (process.receivers.len() - 3) " more" }
                ul.plain { @for receiver in process.receivers.iter().skip(3) { (one(receiver)) } }
            }
        }
    }
}

fn name(process: &RunningProcess) -> Markup {
    html! {
        span.mono title=(process.process) {
            (text(process.host.as_deref().unwrap_or("unknown")))
            @if let Some(pid) = process.pid { " " (pid) }
        }
    }
}

/// Returns the handlers that have run for longest, of all processes.
fn handlers(view: &View<'_>, all: &[RunningProcess]) -> Markup {
    let mut found: Vec<_> = all
        .iter()
        .flat_map(|process| process.receivers.iter().map(move |one| (process, one)))
        .flat_map(|(process, one)| {
            one.handlers
                .iter()
                .map(move |handler| (process, one, handler))
        })
        .collect();
    found.sort_by_key(|(.., handler)| std::cmp::Reverse(handler.running_for));
    let columns = [
        Column::text("Running for"),
        Column::text("Topic"),
        Column::text("Process"),
        Column::number("Worker"),
        Column::number("Attempt"),
        Column::text("Server process"),
        Column::text("Messages"),
    ];
    let rows = found.iter().take(HANDLERS).map(|(process, receiver, handler)| {
        let first = handler.ids.first().map(ToString::to_string);
        vec![
            optional_span(Some(handler.running_for)),
            topic_link(view, &receiver.topic),
            name(process),
            html! { (handler.worker) },
            html! { (handler.attempt) },
            html! { @match handler.server_process { Some(process) => (process), None => span.none { "–" } } },
            html! {
                @if let Some(id) = first { a.mono href=(view.href("/message", &[("id", &id)])) { (id) } }
                @if handler.messages > 1 { " and " (handler.messages - 1) " more" }
            },
        ]
    });
    table(
        "Handlers that have run for over a second",
        &columns,
        rows.collect(),
        "None.",
    )
}
