//! The limits and rates of topics, and how far each is used.

use crate::dashboard::frame::in_use::{LimitsInUse, limits_in_use};
use crate::dashboard::frame::numbers::SHALLOW;
use crate::dashboard::frame::parts::{Column, live, number, page_number, pager, table, topic_link};
use crate::dashboard::frame::view::{PageTrouble, Rendered, View};
use crate::settings;
use crate::topics::backlogs::TopicBacklog;
use crate::words::topic_config::{Rate, TopicConfig};
use maud::{Markup, html};
use std::sync::Arc;
use std::time::Duration;

/// Topics on a page.
const ROWS: usize = 50;
/// How long the settings of all topics are kept at least.
const KEEP_SETTINGS: Duration = Duration::from_secs(10);
/// How long it is kept how far limits are used.
const KEEP: Duration = Duration::from_secs(2);

pub(crate) fn show(view: &View<'_>) -> Result<Rendered, PageTrouble> {
    let limited = limited(view)?;
    let page = page_number(view).min(limited.len().saturating_sub(1) / ROWS);
    let shown: Vec<_> = limited.iter().skip(page * ROWS).take(ROWS).collect();
    let names: Vec<String> = shown.iter().map(|(topic, _)| topic.clone()).collect();
    let backlogs = view.backlogs(&names, SHALLOW)?;
    let used = view.kept(&format!("limits {}", names.join("\n")), KEEP, || {
        Ok(view.look(|run| limits_in_use(run, &names))?)
    })?;
    let rows = shown.iter().map(|(topic, config)| {
        let backlog = backlogs.iter().find(|one| one.topic == *topic);
        let used = used.get(topic).copied().unwrap_or_default();
        row(view, topic, config, backlog, used)
    });
    let columns = [
        Column::text("Topic"),
        Column::text("In work"),
        Column::text("Messages"),
        Column::text("Rate"),
        Column::text("Tokens"),
        Column::text("Per key"),
    ];
    let none = "No topic has a limit or a rate.";
    let content = html! {
        h1 { "Limits and rates" }
        (view.lacks())
        (live("limits", html! {
            (table("Limits and rates", &columns, rows.collect(), none))
            (pager(view, page, limited.len() > (page + 1) * ROWS))
        }))
    };
    Ok(Rendered::new("Limits and rates", content))
}

/// Returns the topics that have any limit, with their settings, by their names.
fn limited(view: &View<'_>) -> Result<Arc<Vec<(String, TopicConfig)>>, PageTrouble> {
    view.kept("limited", KEEP_SETTINGS, || {
        let all = view.look(|run| settings::settings(run))?;
        let mut limited: Vec<_> = all
            .into_iter()
            .map(|(topic, setting)| (topic, setting.config))
            .filter(|(_, config)| is_limited(config))
            .collect();
        limited.sort_by(|(one, _), (other, _)| one.cmp(other));
        Ok(limited)
    })
}

fn is_limited(config: &TopicConfig) -> bool {
    config.max_in_work.is_some()
        || config.max_in_work_per_key.is_some()
        || config.max_length.is_some()
        || config.rate.is_some()
        || config.rate_per_key.is_some()
}

fn row(
    view: &View<'_>,
    topic: &str,
    config: &TopicConfig,
    backlog: Option<&TopicBacklog>,
    used: LimitsInUse,
) -> Vec<Markup> {
    let in_work = backlog.map_or(0, |backlog| backlog.in_work);
    vec![
        topic_link(view, topic),
        usage("In work", Some(in_work), config.max_in_work.map(u64::from)),
        usage("Messages", used.used, config.max_length),
        html! { @match config.get("rate") { Some(rate) => (rate), None => span.none { "–" } } },
        match config.rate {
            Some(rate) => usage(
                "Tokens",
                Some(tokens(rate, used.full_in)),
                Some(u64::from(rate.burst)),
            ),
            None => html! { span.none { "–" } },
        },
        per_key(config),
    ]
}

/// Returns how much of a limit is used: as a bar and in numbers.
fn usage(what: &str, used: Option<u64>, limit: Option<u64>) -> Markup {
    html! {
        @match (used, limit) {
            (_, None) => span.none { "–" },
            (None, Some(limit)) => { "of " (number(limit)) },
            (Some(used), Some(limit)) => {
                meter min="0" max=(limit) value=(used.min(limit)) aria-label=(what) {}
                " " span.amount { (number(used)) " of " (number(limit)) }
            },
        }
    }
}

/// Returns how many tokens are in a bucket that is full again after this time.
fn tokens(rate: Rate, full_in: Duration) -> u64 {
    let each = rate.per.as_secs_f64() / f64::from(rate.messages.max(1));
    let missing = (full_in.as_secs_f64() / each).ceil();
    let left = f64::from(rate.burst) - missing;
    #[expect(
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        reason = "between zero and the burst"
    )]
    let left = left.max(0.0) as u64;
    left
}

fn per_key(config: &TopicConfig) -> Markup {
    let limits = ["max_in_work_per_key", "rate_per_key"];
    let set = limits.map(|name| config.get(name));
    html! {
        @match set {
            [None, None] => span.none { "–" },
            [limit, rate] => {
                @if let Some(limit) = &limit { (limit) " in work" }
                @if limit.is_some() && rate.is_some() { ", " }
                @if let Some(rate) = &rate { (rate) }
            },
        }
    }
}
