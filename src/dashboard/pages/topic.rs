//! One topic: what it has, what it is set to, and what an operator does to it.

use crate::dashboard::frame::parts::{confirmed, count, live, number, optional_span, text};
use crate::dashboard::frame::view::{ChangeForm, Done, PageTrouble, Rendered, View};
use crate::dashboard::pages::charts;
use crate::dashboard::pages::overview::states;
use crate::dashboard::pages::topic_lists;
use crate::topics::backlogs::{DEEP, TopicBacklog};
use crate::topics::stats::LogStats;
use crate::words::topic_config::TopicConfig;
use crate::words::topic_kind::TopicKind;
use maud::{Markup, html};
use std::time::Duration;

/// How long what changes rarely is kept at least.
const KEEP: Duration = Duration::from_secs(4);

/// Returns the page, also for a topic that was never used: it may be set up before.
pub(crate) fn show(view: &View<'_>) -> Result<Rendered, PageTrouble> {
    let name = view.needs("name")?;
    let topic = view.messaging().topic(name);
    let config = view.kept(&format!("config {name}"), KEEP, || Ok(topic.config()?))?;
    let backlogs = view.backlogs(&[name.to_owned()], DEEP)?;
    let backlog = backlogs.first().cloned().unwrap_or_default();
    let charts = match config.kind == TopicKind::Log {
        true => html! {},
        false => charts::of_topic(view, name)?,
    };
    let log = match config.kind == TopicKind::Log {
        true => view
            .kept(&format!("log {name}"), KEEP, || Ok(topic.stats()?))?
            .log
            .clone(),
        false => None,
    };
    let content = html! {
        p.crumbs { a href=(view.href("/", &[])) { "Topics" } }
        h1 { span.topic { (text(name)) } }
        (live("states", states(&backlog)))
        (view.lacks())
        p.crumbs {
            a href=(view.href("/messages", &[("topic", name)])) { "Search its messages" }
            " · "
            @if log.is_none() {
                a href=(view.href("/dead", &[("topic", name)])) { "Dead letters" }
                " · "
            }
            a href=(view.href("/settings", &[("topic", name)])) { @if view.may_change() { "Change settings" } @else { "All settings" } }
        }
        @if view.may_change() { (actions(view, name, &backlog)) }
        (live("numbers", match &log {
            Some(log) => log_numbers(log),
            None => numbers(&backlog),
        }))
        (charts)
        (topic_lists::show(view, name, log.is_some())?)
        h2 { "Settings" }
        (set_settings(&config))
    };
    Ok(Rendered::new(name, content))
}

fn numbers(backlog: &TopicBacklog) -> Markup {
    let most = DEEP.counted.unsigned_abs();
    let kinds = [
        ("Ready", backlog.ready),
        ("Scheduled", backlog.scheduled),
        ("In work", backlog.in_work),
        ("Behind", backlog.behind),
        ("Dead", backlog.dead),
        ("Receivers", backlog.receivers),
    ];
    html! {
        dl.tiles {
            @for (name, kind) in kinds {
                div { dt { (name) } dd { (count(kind, kind > most)) } }
            }
            div { dt { "Oldest ready" } dd { (optional_span(backlog.oldest_ready_age)) } }
        }
    }
}

fn log_numbers(log: &LogStats) -> Markup {
    html! {
        dl.tiles {
            div { dt { "Entries" } dd { (count(log.entries, log.is_estimated)) } }
            div { dt { "Size" } dd { (bytes(log.bytes)) } }
            div { dt { "Segments" } dd { (number(log.segments)) } }
            div { dt { "Readers" } dd { (number(log.readers)) } }
            div { dt { "Oldest entry" } dd { (optional_span(log.oldest_age)) } }
        }
    }
}

fn actions(view: &View<'_>, topic: &str, backlog: &TopicBacklog) -> Markup {
    let hidden = [("topic", topic)];
    let button = |text: &str| html! { button type="submit" { (text) } };
    let purge = html! { button.danger type="submit" { "Remove them all" } };
    let question = "Removes all ready and scheduled messages of this topic for good. Messages in work and dead letters stay.";
    html! {
        div.actions {
            @if backlog.is_paused {
                (view.form("/topic/resume", &hidden, button("Resume")))
            } @else {
                (view.form("/topic/pause", &hidden, button("Pause")))
            }
            (confirmed("Purge…", question, view.form("/topic/purge", &hidden, purge)))
        }
    }
}

/// Returns the settings that are not left to their defaults.
fn set_settings(config: &TopicConfig) -> Markup {
    let set = TopicConfig::settings().iter().filter_map(|setting| {
        let value = config.get(setting.name)?;
        Some((setting.name, value))
    });
    let set: Vec<_> = set.collect();
    html! {
        @if set.is_empty() {
            p.empty { "All settings are left to their defaults." }
        } @else {
            dl.facts {
                @for (name, value) in set {
                    div { dt { code { (name) } } dd { (text(&value)) } }
                }
            }
        }
    }
}

/// Returns a size in the largest unit that fits.
fn bytes(bytes: u64) -> String {
    const UNITS: [(&str, u64); 3] = [("GiB", 1 << 30), ("MiB", 1 << 20), ("KiB", 1 << 10)];
    match UNITS.iter().find(|(_, unit)| bytes >= *unit) {
        Some((name, unit)) => format!("{}.{} {name}", bytes / unit, bytes % unit * 10 / unit),
        None => format!("{bytes} B"),
    }
}

pub(crate) fn pause(change: &ChangeForm<'_>) -> Result<Done, PageTrouble> {
    let topic = change.needs("topic")?;
    change.messaging().topic(topic).pause()?;
    Ok(Done::new(format!("Paused {topic}")).of(topic))
}

pub(crate) fn resume(change: &ChangeForm<'_>) -> Result<Done, PageTrouble> {
    let topic = change.needs("topic")?;
    change.messaging().topic(topic).resume()?;
    Ok(Done::new(format!("Resumed {topic}")).of(topic))
}

pub(crate) fn purge(change: &ChangeForm<'_>) -> Result<Done, PageTrouble> {
    let topic = change.needs("topic")?;
    let removed = change.messaging().topic(topic).purge()?;
    Ok(Done::new(format!("Removed {removed} messages of {topic}")).of(topic))
}
