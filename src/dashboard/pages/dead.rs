//! Dead letters: by what their errors have in common, one by one, and what is done with them.

use crate::dashboard::frame::parts::{
    Column, confirmed, count, live, number, plain, table, text, time, topic_link,
};
use crate::dashboard::frame::view::{ChangeForm, Done, PageTrouble, Rendered, View};
use crate::dashboard::pages::edited::{header_lines, read_headers, visible_json};
use crate::dashboard::pages::messages::{chosen, chosen_link, how_far, search, wishes};
use crate::dashboard::pages::topic_lists::{cut, excerpt, key};
use crate::dead_letters::edit::Edit;
use crate::finding::error_groups::{ErrorGroup, ErrorGroups};
use crate::finding::found::FoundMessage;
use crate::finding::place::MessagePlace;
use crate::finding::search::SearchPage;
use crate::words::outcome::MessageState;
use crate::words::{MessageId, Payload};
use maud::{Markup, html};
use std::time::{Duration, Instant};

/// Groups of errors on a page.
const GROUPS: usize = 20;
/// For how long all that a search finds is redriven or removed at a time: a browser waits for it.
const AT_A_TIME: Duration = Duration::from_millis(1_500);
/// What a form says of a search, by which all that it finds is redriven or removed.
const FIELDS: [&str; 7] = ["key", "type", "filter", "error", "shape", "from", "before"];
/// The largest payload that is put into a form.
const MOST_EDITED: usize = 256 << 10;

pub(crate) fn show(view: &View<'_>) -> Result<Rendered, PageTrouble> {
    match view.query.get("topic") {
        Some(topic) => of_topic(view, topic),
        None => topics(view),
    }
}

fn topics(view: &View<'_>) -> Result<Rendered, PageTrouble> {
    let estimates = view.estimates()?.unwrap_or_default();
    let dead = |kinds: &[i64; 5]| kinds[4].unsigned_abs();
    let mut topics: Vec<_> = estimates
        .iter()
        .filter(|(_, kinds)| dead(kinds) > 0)
        .collect();
    topics.sort_by_key(|(name, kinds)| (std::cmp::Reverse(dead(kinds)), (*name).clone()));
    let rows = topics.iter().take(500).map(|(name, kinds)| {
        let address = view.href("/dead", &[("topic", name)]);
        vec![
            html! { a.topic href=(address) { (text(name)) } },
            count(dead(kinds), dead(kinds) > 10_000),
        ]
    });
    let columns = [Column::text("Topic"), Column::number("Dead letters")];
    let content = html! {
        h1 { "Dead letters" }
        (view.lacks())
        (live("topics", table("Topics with dead letters", &columns, rows.collect(), "There are no dead letters.")))
    };
    Ok(Rendered::new("Dead letters", content))
}

fn of_topic(view: &View<'_>, topic: &str) -> Result<Rendered, PageTrouble> {
    let messages = view.messaging().topic(topic);
    let groups = messages.dead_letter_groups(GROUPS)?;
    let page = messages.search(&search(view)?.place(MessagePlace::Dead))?;
    let content = html! {
        p.crumbs { a href=(view.href("/dead", &[])) { "Dead letters" } }
        h1 { "Dead letters of " (topic_link(view, topic)) }
        (by_error(view, topic, &groups))
        h2 { "One by one" }
        (form(view, topic))
        (letters(view, topic, &page))
        (how_far(view, &page))
    };
    Ok(Rendered::new(format!("Dead letters of {topic}"), content))
}

fn by_error(view: &View<'_>, topic: &str, groups: &ErrorGroups) -> Markup {
    let columns = [
        Column::number("Messages"),
        Column::text("Error"),
        Column::text("Reason"),
        Column::text("First"),
        Column::text("Last"),
    ];
    let rows = groups
        .groups
        .iter()
        .map(|group| group_row(view, topic, group));
    html! {
        @if !groups.groups.is_empty() {
            h2 { "By error" }
            (table("Dead letters by error", &columns, rows.collect(), ""))
            @if groups.is_partial {
                p.dim { "Of the " (number(groups.looked_at)) " that died last; there may be more." }
            }
        }
    }
}

fn group_row(view: &View<'_>, topic: &str, group: &ErrorGroup) -> Vec<Markup> {
    let address = view.href("/dead", &[("topic", topic), ("shape", &group.shape)]);
    vec![
        html! { (number(group.messages)) },
        html! { a href=(address) { (cut(&group.shape)) } },
        html! { (group.reason) },
        time(group.first_at),
        time(group.last_at),
    ]
}

fn form(view: &View<'_>, topic: &str) -> Markup {
    let value = |name| plain(view.query.get(name).unwrap_or_default());
    let fields = [
        ("error", "Error has"),
        ("key", "Key"),
        ("filter", "Headers"),
    ];
    let is_narrowed = FIELDS.iter().any(|name| view.query.get(name).is_some());
    html! {
        form.search role="search" {
            input type="hidden" name="topic" value=(topic);
            @for (name, title) in fields {
                span.field {
                    label for=(name) { (title) }
                    input id=(name) name=(name) value=(value(name)) autocomplete="off";
                }
            }
            @if let Some(shape) = view.query.get("shape") {
                span.dim { "Error like " (cut(shape)) }
                input type="hidden" name="shape" value=(shape);
            }
            button type="submit" { "Search" }
            @if is_narrowed { a href=(view.href("/dead", &[("topic", topic)])) { "All" } }
        }
    }
}

fn letters(view: &View<'_>, topic: &str, page: &SearchPage) -> Markup {
    let columns = [
        Column::text("Id"),
        Column::text("Reason"),
        Column::number("Attempts"),
        Column::text("Key"),
        Column::text("Died"),
        Column::text("Error"),
        Column::text("Payload"),
    ];
    let rows = page.messages.iter().map(|letter| row(view, letter));
    let list = table(
        "Dead letters",
        &columns,
        rows.collect(),
        "No dead letter was found.",
    );
    html! {
        @if view.may_change() && !page.messages.is_empty() {
            (view.form("/dead/redrive", &[("topic", topic)], html! { (list) (of_chosen(view)) }))
            (of_all(view, topic))
        } @else {
            (list)
        }
    }
}

fn row(view: &View<'_>, letter: &FoundMessage) -> Vec<Markup> {
    let reason = match &letter.state {
        MessageState::Dead { reason } => html! { (reason) },
        _ => html! {},
    };
    vec![
        chosen_link(view, letter),
        reason,
        html! { (letter.attempts) },
        key(view, letter.key.as_deref()),
        html! { @if let Some(at) = letter.died_at { (time(at)) } },
        cut(letter.error.as_deref().unwrap_or_default()),
        excerpt(view, &letter.payload),
    ]
}

fn of_chosen(view: &View<'_>) -> Markup {
    let delete = html! {
        button.danger type="submit" formaction=(view.site.path("/dead/purge")) { "Delete the chosen" }
    };
    html! {
        div.actions {
            button type="submit" { "Redrive the chosen" }
            (confirmed("Delete the chosen…", "Removes the chosen dead letters for good.", delete))
        }
    }
}

/// Returns what is done with all that the search finds, on this page or not.
fn of_all(view: &View<'_>, topic: &str) -> Markup {
    let said = FIELDS
        .iter()
        .filter_map(|name| Some((*name, view.query.get(name)?)));
    let mut hidden = vec![("topic", topic)];
    hidden.extend(said);
    let which = match hidden.len() {
        1 => "all dead letters of this topic",
        _ => "all dead letters that this search finds",
    };
    let redrive = html! { button.primary type="submit" { "Redrive " (which) } };
    let delete = html! { button.danger type="submit" { "Delete " (which) } };
    html! {
        div.actions {
            (confirmed(
                "Redrive all found…",
                &format!("Moves {which} back, on this page or not."),
                view.form("/dead/redrive-all", &hidden, redrive),
            ))
            (confirmed(
                "Delete all found…",
                &format!("Removes {which} for good, on this page or not."),
                view.form("/dead/purge-all", &hidden, delete),
            ))
        }
    }
}

/// Returns the form that changes a dead letter before it is redriven.
pub(crate) fn edit_form(view: &View<'_>, letter: &FoundMessage) -> Markup {
    let Payload::Json(json) = &letter.payload else {
        return html! {};
    };
    if json.get().len() > MOST_EDITED || letter.unreadable.is_some() {
        return html! {};
    }
    let id = letter.id.to_string();
    let hidden = [("topic", letter.topic.as_str()), ("id", id.as_str())];
    let fields = html! {
        div.stacked {
            label for="payload" { "Payload, as JSON" }
            textarea id="payload" name="payload" rows="12" spellcheck="false" required { "\n" (visible_json(json.get())) }
            label for="headers" { "Headers, a line NAME=VALUE for each" }
            textarea id="headers" name="headers" rows="5" spellcheck="false" aria-describedby="headers-help" { "\n" (header_lines(&letter.headers)) }
            p.help id="headers-help" { "A line break is written as \\n, a backslash as \\\\, what cannot be seen as \\u{202e}." }
        }
        p.actions { button.primary type="submit" { "Save and redrive" } }
    };
    let form = view.form("/dead/edit", &hidden, fields);
    html! {
        h2 { "Edit and redrive" }
        (confirmed("Edit…", "The old payload is not kept: the list of changes has its size and its SHA-256.", form))
    }
}

pub(crate) fn redrive(change: &ChangeForm<'_>) -> Result<Done, PageTrouble> {
    let (topic, ids) = (change.needs("topic")?, chosen(change)?);
    let moved = change.messaging().topic(topic).redrive(ids)?;
    let text = format!("Redriven {moved} dead letters of {topic}");
    Ok(Done::new(text).of(topic).then(list(change, topic)))
}

pub(crate) fn purge(change: &ChangeForm<'_>) -> Result<Done, PageTrouble> {
    let (topic, ids) = (change.needs("topic")?, chosen(change)?);
    let removed = change.messaging().topic(topic).purge_dead_letters(ids)?;
    let text = format!("Deleted {removed} dead letters of {topic}");
    Ok(Done::new(text).of(topic).then(list(change, topic)))
}

pub(crate) fn redrive_all(change: &ChangeForm<'_>) -> Result<Done, PageTrouble> {
    let topic = change.needs("topic")?;
    let search = wishes(|name| change.form.get(name))?;
    let until = Instant::now() + AT_A_TIME;
    let (moved, is_done) = change
        .messaging()
        .topic(topic)
        .redrive_some(&search, until)?;
    Ok(told("Redriven", moved, is_done, topic))
}

pub(crate) fn purge_all(change: &ChangeForm<'_>) -> Result<Done, PageTrouble> {
    let topic = change.needs("topic")?;
    let search = wishes(|name| change.form.get(name))?;
    let until = Instant::now() + AT_A_TIME;
    let (removed, is_done) = change.messaging().topic(topic).purge_some(&search, until)?;
    Ok(told("Deleted", removed, is_done, topic))
}

fn told(word: &str, messages: u64, is_done: bool, topic: &str) -> Done {
    let rest = match is_done {
        true => "",
        false => "; there are more: do it again for the rest",
    };
    Done::new(format!("{word} {messages} dead letters of {topic}{rest}")).of(topic)
}

pub(crate) fn edit(change: &ChangeForm<'_>) -> Result<Done, PageTrouble> {
    let topic = change.needs("topic")?;
    let id: MessageId = change.needs("id")?.parse()?;
    let headers = read_headers(change.form.get("headers").unwrap_or_default())?;
    let edit = Edit::new()
        .json_text(change.needs("payload")?)
        .headers(headers);
    if !change.messaging().topic(topic).redrive_edited(id, &edit)? {
        return Err(PageTrouble::NotFound(format!(
            "{id} is no dead letter any more"
        )));
    }
    let text = format!("Edited and redriven {id} of {topic}");
    Ok(Done::new(text).of(topic).then(list(change, topic)))
}

fn list(change: &ChangeForm<'_>, topic: &str) -> String {
    change.href("/dead", &[("topic", topic)])
}
