//! All topics, with what each has.

use crate::dashboard::frame::numbers::SHALLOW;
use crate::dashboard::frame::parts::{
    Column, count, live, number, optional_span, page_number, pager, plain, table, text, topic_link,
};
use crate::dashboard::frame::view::{PageTrouble, Rendered, View};
use crate::dashboard::pages::charts;
use crate::topics::backlogs::{Estimates, TopicBacklog};
use maud::{Markup, html};

/// Topics on a page.
const ROWS: usize = 50;

/// What the list can be sorted by: the name in the address, that of the column, and its place among
/// the estimates.
const KINDS: [(&str, &str, usize); 5] = [
    ("ready", "Ready", 0),
    ("scheduled", "Scheduled", 1),
    ("leased", "In work", 2),
    ("behind", "Behind", 3),
    ("dead", "Dead", 4),
];

pub(crate) fn show(view: &View<'_>) -> Result<Rendered, PageTrouble> {
    let names = view.topic_names()?;
    let estimates = view.estimates()?;
    let wanted = view.query.get("find").unwrap_or_default();
    let mut found: Vec<&String> = names.iter().filter(|name| name.contains(wanted)).collect();
    sort(view, &mut found, &estimates);
    let page = page_number(view).min(found.len().saturating_sub(1) / ROWS);
    let shown: Vec<String> = found
        .iter()
        .skip(page * ROWS)
        .take(ROWS)
        .map(|name| (*name).clone())
        .collect();
    let backlogs = view.backlogs(&shown, SHALLOW)?;
    let rates = view.rates(&shown)?;
    let has_more = found.len() > (page + 1) * ROWS;
    let none = match wanted {
        "" => "There are no topics yet: a topic is there once a message was sent to it.",
        _ => "No topic that is listed has this in its name.",
    };
    let rows = backlogs.iter().map(|backlog| {
        let rate = rates.get(&backlog.topic).copied().unwrap_or_default();
        row(view, backlog, rate)
    });
    let rows = rows.collect();
    let content = html! {
        h1 { "Topics" }
        (live("totals", totals(names.len(), &estimates)))
        (charts::last_hour(view, None)?)
        form.search role="search" {
            label for="find" { "Name has" }
            input id="find" name="find" type="search" value=(plain(wanted)) autocomplete="off";
            @if let Some(sort) = view.query.get("sort") { input type="hidden" name="sort" value=(plain(sort)); }
            button type="submit" { "Find" }
            @if !wanted.is_empty() {
                a href=(view.href("/", &[])) { "All topics" }
                // The list may be some minutes old.
                @if !names.iter().any(|name| name == wanted) {
                    a href=(view.href("/topic", &[("name", wanted)])) { "Look for " (text(wanted)) }
                }
            }
        }
        (live("topics", html! {
            (table("Topics", &columns(view), rows, none))
            p.dim { (number(found.len() as u64)) " topics" @if !wanted.is_empty() { " of " (number(names.len() as u64)) } "." }
            (pager(view, page, has_more))
        }))
    };
    Ok(Rendered::new("Topics", content))
}

/// Sorts by name, or by the largest estimate: to count all topics would cost too much.
fn sort(view: &View<'_>, names: &mut [&String], estimates: &Estimates) {
    let by = view.query.get("sort");
    if let Some((_, _, kind)) = KINDS.iter().find(|(name, ..)| Some(*name) == by) {
        let count = |name: &&String| estimates.get(*name).map_or(0, |kinds| kinds[*kind]);
        names.sort_by_key(|name| std::cmp::Reverse(count(name)));
    }
}

fn columns<'a>(view: &View<'_>) -> Vec<Column<'a>> {
    let by = view.query.get("sort");
    let mut columns = vec![
        Column::text("Topic").sorts(view.here_with("sort", None), by.is_none().then_some(false)),
    ];
    for (name, title, _) in KINDS {
        let sorted = (by == Some(name)).then_some(true);
        columns.push(Column::number(title).sorts(view.here_with("sort", Some(name)), sorted));
    }
    columns.push(Column::number("Oldest"));
    columns.push(Column::number("Done/min"));
    columns.push(Column::number("Receivers"));
    columns.push(Column::text("State"));
    columns
}

fn row(view: &View<'_>, backlog: &TopicBacklog, rate: u64) -> Vec<Markup> {
    let most = SHALLOW.counted.unsigned_abs();
    let cell = |number: u64| count(number, number > most);
    let dead = html! { span.bad[backlog.dead > 0] { (cell(backlog.dead)) } };
    vec![
        topic_link(view, &backlog.topic),
        cell(backlog.ready),
        cell(backlog.scheduled),
        cell(backlog.in_work),
        cell(backlog.behind),
        dead,
        optional_span(backlog.oldest_ready_age),
        count(rate, false),
        count(backlog.receivers, false),
        states(backlog),
    ]
}

/// Returns what is unusual about a topic.
pub(crate) fn states(backlog: &TopicBacklog) -> Markup {
    let is_unheeded = backlog.receivers == 0 && backlog.ready > 0;
    html! {
        @if backlog.is_paused { span.badge.warn { "paused" } " " }
        @if backlog.is_suspect { span.badge.bad { "suspect" } " " }
        @if is_unheeded { span.badge.warn { "no receiver" } }
    }
}

fn totals(topics: usize, estimates: &Estimates) -> Markup {
    let mut sums = [0_u64; 5];
    for kinds in estimates.values() {
        for (sum, kind) in sums.iter_mut().zip(kinds) {
            *sum += kind.unsigned_abs();
        }
    }
    html! {
        dl.tiles {
            div { dt { "Topics" } dd { (number(topics as u64)) } }
            @for (_, title, kind) in KINDS {
                div { dt { (title) } dd { (count(sums[kind], sums[kind] > 10_000)) } }
            }
        }
    }
}
