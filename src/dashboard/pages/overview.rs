//! All topics, with what each has.

use crate::dashboard::frame::numbers::{SHALLOW, TopicNames};
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
    let charts = charts::of_all(view)?;
    let wanted = view.query.get("find").unwrap_or_default();
    let list = match names.as_deref() {
        Some(TopicNames::All(names)) => of_all(view, names, estimates.as_deref(), wanted),
        _ => first(view, wanted)?,
    };
    let backlogs = view.backlogs(&list.shown, SHALLOW)?;
    let rates = view.rates(&list.shown)?;
    let rows = backlogs.iter().map(|backlog| {
        let rate = rates.get(&backlog.topic).copied().unwrap_or_default();
        row(view, backlog, rate)
    });
    let rows = rows.collect();
    let content = html! {
        h1 { "Topics" }
        (view.lacks())
        (live("totals", totals(list.all, estimates.as_deref())))
        (charts)
        form.search role="search" {
            label for="find" { "Name has" }
            input id="find" name="find" type="search" value=(plain(wanted)) autocomplete="off";
            @if let Some(sort) = view.query.get("sort") { input type="hidden" name="sort" value=(plain(sort)); }
            button type="submit" { "Find" }
            @if !wanted.is_empty() {
                a href=(view.href("/", &[])) { "All topics" }
                // The list may be some minutes old.
                @if !list.has_wanted {
                    a href=(view.href("/topic", &[("name", wanted)])) { "Look for " (text(wanted)) }
                }
            }
        }
        (live("topics", html! {
            (table("Topics", &columns(view), rows, list.none))
            @if let (Some(found), Some(all)) = (list.found, list.all) {
                p.dim { (number(found as u64)) " topics" @if !wanted.is_empty() { " of " (number(all as u64)) } "." }
            } @else if matches!(names.as_deref(), Some(TopicNames::TooMany)) {
                p.dim { "There are too many topics to list them all." }
            }
            (pager(view, list.page, list.has_more))
        }))
    };
    Ok(Rendered::new("Topics", content))
}

/// The topics of a page, and how many there are, where that is known.
struct TopicPage {
    shown: Vec<String>,
    page: usize,
    has_more: bool,
    found: Option<usize>,
    all: Option<usize>,
    /// Whether one has the very name that is wanted.
    has_wanted: bool,
    /// What is said where none is shown.
    none: &'static str,
}

/// Chooses from the names of all topics.
fn of_all(
    view: &View<'_>,
    names: &[String],
    estimates: Option<&Estimates>,
    wanted: &str,
) -> TopicPage {
    let mut found: Vec<&String> = names.iter().filter(|name| name.contains(wanted)).collect();
    if let Some(estimates) = estimates {
        sort(view, &mut found, estimates);
    }
    let page = page_number(view).min(found.len().saturating_sub(1) / ROWS);
    let shown = found.iter().skip(page * ROWS).take(ROWS);
    TopicPage {
        shown: shown.map(|name| (*name).clone()).collect(),
        page,
        has_more: found.len() > (page + 1) * ROWS,
        found: Some(found.len()),
        all: Some(names.len()),
        has_wanted: names.iter().any(|name| name == wanted),
        none: match wanted {
            "" => "There are no topics yet: a topic is there once a message was sent to it.",
            _ => "No topic that is listed has this in its name.",
        },
    }
}

/// Shows the first topics by name, without the names of all.
fn first(view: &View<'_>, wanted: &str) -> Result<TopicPage, PageTrouble> {
    let is_first = wanted.is_empty() && view.query.get("sort").is_none() && page_number(view) == 0;
    let shown = match is_first {
        true => view.first_topic_names(ROWS)?.to_vec(),
        false => Vec::new(),
    };
    Ok(TopicPage {
        shown,
        page: 0,
        has_more: false,
        found: None,
        all: None,
        has_wanted: false,
        none: "The names of all topics are not known yet.",
    })
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

fn totals(topics: Option<usize>, estimates: Option<&Estimates>) -> Markup {
    let mut sums = [0_u64; 5];
    for kinds in estimates.iter().flat_map(|estimates| estimates.values()) {
        for (sum, kind) in sums.iter_mut().zip(kinds) {
            *sum += kind.unsigned_abs();
        }
    }
    let unknown = html! { span.none { "–" } };
    html! {
        dl.tiles {
            div {
                dt { "Topics" }
                dd { @match topics { Some(topics) => (number(topics as u64)), None => (unknown) } }
            }
            @for (_, title, kind) in KINDS {
                div {
                    dt { (title) }
                    dd { @if estimates.is_some() { (count(sums[kind], sums[kind] > 10_000)) } @else { (unknown) } }
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_not_known_yet_is_no_zero() {
        let unknown = totals(None, None).into_string();
        assert_eq!(unknown.matches("–").count(), 6, "{unknown}");

        let known = totals(Some(1), Some(&Estimates::default())).into_string();
        assert!(!known.contains("–"), "{known}");
    }
}
