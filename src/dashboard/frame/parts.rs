//! What pages are made of: texts of others made visible, numbers, tables, buttons.

use crate::dashboard::frame::view::View;
use maud::{Markup, html};
use std::fmt::Write;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

/// The last time that is written: the year 9999 ends soon after.
const LAST: Duration = Duration::from_secs(253_402_214_400);

/// Returns a text of somebody else, in which nothing hides: signs that cannot be seen, or that turn
/// the order of what follows around, are written as escapes. Line breaks and tabs stay.
pub(crate) fn text(text: &str) -> Markup {
    html! {
        @for piece in pieces(text) {
            @match piece {
                Piece::Plain(text) => (text),
                Piece::Hidden(sign) => span.escape { (escaped(sign)) },
            }
        }
    }
}

/// Returns the same as plain text, for titles and attributes.
pub(crate) fn plain(text: &str) -> String {
    let pieces = pieces(text).into_iter();
    pieces
        .map(|piece| match piece {
            Piece::Plain(text) => text.to_owned(),
            Piece::Hidden(sign) => escaped(sign),
        })
        .collect()
}

enum Piece<'a> {
    Plain(&'a str),
    Hidden(char),
}

fn pieces(text: &str) -> Vec<Piece<'_>> {
    let mut pieces = Vec::new();
    let mut rest = text;
    while let Some((at, sign)) = rest.char_indices().find(|(_, sign)| is_hidden(*sign)) {
        if at > 0 {
            pieces.push(Piece::Plain(&rest[..at]));
        }
        pieces.push(Piece::Hidden(sign));
        rest = &rest[at + sign.len_utf8()..];
    }
    if !rest.is_empty() {
        pieces.push(Piece::Plain(rest));
    }
    pieces
}

/// Returns whether a sign cannot be seen, or changes how others are shown.
pub(crate) fn is_hidden(sign: char) -> bool {
    match sign {
        '\n' | '\t' => false,
        // Zero width, marks and embeddings of direction, isolates, separators, tags.
        '\u{ad}'
        | '\u{61c}'
        | '\u{115f}'
        | '\u{1160}'
        | '\u{180e}'
        | '\u{200b}'..='\u{200f}'
        | '\u{2028}'..='\u{202e}'
        | '\u{2060}'..='\u{206f}'
        | '\u{3164}'
        | '\u{feff}'
        | '\u{ffa0}'
        | '\u{fff9}'..='\u{fffb}'
        | '\u{e0000}'..='\u{e007f}' => true,
        sign => sign.is_control(),
    }
}

fn escaped(sign: char) -> String {
    match sign {
        '\r' => "\\r".to_owned(),
        '\0' => "\\0".to_owned(),
        sign => format!("\\u{{{:x}}}", u32::from(sign)),
    }
}

/// Returns a number with its thousands apart.
pub(crate) fn number(number: u64) -> String {
    let digits = number.to_string();
    let mut grouped = String::with_capacity(digits.len() + digits.len() / 3);
    for (at, digit) in digits.chars().enumerate() {
        if at > 0 && (digits.len() - at).is_multiple_of(3) {
            // Narrow, and no place for a line to break.
            grouped.push('\u{202f}');
        }
        grouped.push(digit);
    }
    grouped
}

/// Returns a count of messages: an estimate is marked as one, and none is a dim zero.
pub(crate) fn count(count: u64, is_estimated: bool) -> Markup {
    html! {
        @if is_estimated {
            span.estimate title="An estimate" { "≈\u{202f}" (number(count)) }
        } @else if count == 0 {
            span.none { "0" }
        } @else {
            (number(count))
        }
    }
}

/// Returns a time span in its two largest units: `3 min 20 s`.
pub(crate) fn span(span: Duration) -> String {
    const UNITS: [(&str, u64); 4] = [("d", 86_400), ("h", 3_600), ("min", 60), ("s", 1)];
    let seconds = span.as_secs();
    if seconds == 0 {
        return format!("{} ms", span.as_millis());
    }
    let first = UNITS.iter().position(|(_, unit)| seconds >= *unit);
    let first = first.unwrap_or(UNITS.len() - 1);
    let mut left = seconds;
    let mut text = String::new();
    for (name, unit) in UNITS.iter().skip(first).take(2) {
        if left >= *unit {
            let space = if text.is_empty() { "" } else { " " };
            let _ = write!(text, "{space}{} {name}", left / unit);
            left %= unit;
        }
    }
    text
}

/// Returns a time span where there is one, and a dash where there is none.
pub(crate) fn optional_span(time: Option<Duration>) -> Markup {
    match time {
        Some(time) => html! { (span(time)) },
        None => html! { span.none { "–" } },
    }
}

/// Returns when something is due.
pub(crate) fn due(due_in: Option<Duration>) -> Markup {
    html! {
        @match due_in {
            None => span.none { "–" },
            Some(time) if time.is_zero() => "now",
            Some(time) => { "in " (span(time)) }
        }
    }
}

/// Returns a moment, in UTC. A hand may have written others than those of 1970 to 9999: they become
/// the nearest.
pub(crate) fn time(at: SystemTime) -> Markup {
    let at = at.clamp(UNIX_EPOCH, UNIX_EPOCH + LAST);
    let text = humantime::format_rfc3339_seconds(at).to_string();
    let shown = text.replace('T', " ").replace('Z', "");
    html! { time datetime=(text) title="UTC" { (shown) } }
}

/// Returns a part of a page that is refreshed while it is seen. Its id is one of the page's own; a
/// form that somebody may be filling in does not belong into one.
pub(crate) fn live(id: &str, content: Markup) -> Markup {
    html! { div id=(id) data-live { (content) } }
}

/// A column of a table.
pub(crate) struct Column<'a> {
    title: &'a str,
    is_number: bool,
    /// Where its head leads to, and whether the table is sorted by it, descending or not.
    sort: Option<(String, Option<bool>)>,
}

impl<'a> Column<'a> {
    pub(crate) fn text(title: &'a str) -> Column<'a> {
        Column {
            title,
            is_number: false,
            sort: None,
        }
    }

    /// A column whose values end at the same place.
    pub(crate) fn number(title: &'a str) -> Column<'a> {
        Column {
            is_number: true,
            ..Column::text(title)
        }
    }

    /// Has the head of the column sort by it. `sorted` says whether the table is, and descending.
    pub(crate) fn sorts(mut self, address: String, sorted: Option<bool>) -> Column<'a> {
        self.sort = Some((address, sorted));
        self
    }

    fn head(&self) -> Markup {
        let sorted = self.sort.as_ref().and_then(|(_, sorted)| *sorted);
        let order = sorted.map(|descends| match descends {
            true => "descending",
            false => "ascending",
        });
        html! {
            th scope="col" .number[self.is_number] aria-sort=[order] {
                @match &self.sort {
                    Some((address, _)) => a href=(address) { (self.title) },
                    None => (self.title),
                }
            }
        }
    }
}

/// Returns a table, which scrolls where it is too wide, and whose rows become cards on a narrow
/// screen. `empty` is said where there are no rows.
pub(crate) fn table(
    caption: &str,
    columns: &[Column<'_>],
    rows: Vec<Vec<Markup>>,
    empty: &str,
) -> Markup {
    html! {
        @if rows.is_empty() {
            p.empty { (empty) }
        } @else {
            div.scroll tabindex="0" role="region" aria-label=(caption) {
                table {
                    caption.unseen { (caption) }
                    thead { tr { @for column in columns { (column.head()) } } }
                    tbody {
                        @for row in rows {
                            tr {
                                @for (column, cell) in columns.iter().zip(row) {
                                    td .number[column.is_number] data-label=(column.title) { (cell) }
                                }
                            }
                        }
                    }
                }
            }
        }
    }
}

/// Returns the number of the page of a long list that is asked for, from 0.
pub(crate) fn page_number(view: &View<'_>) -> usize {
    let page = view
        .query
        .get("page")
        .and_then(|page| page.parse::<usize>().ok());
    page.map_or(0, |page| page.saturating_sub(1)).min(1_000_000)
}

/// Returns links to the pages before and after this one.
pub(crate) fn pager(view: &View<'_>, page: usize, has_more: bool) -> Markup {
    let to = |page: usize| {
        let text = page.to_string();
        view.here_with("page", (page > 1).then_some(text.as_str()))
    };
    html! {
        @if page > 0 || has_more {
            nav.pager aria-label="Pages of the list" {
                @if page > 0 { a rel="prev" href=(to(page)) { "← Previous" } }
                span { "Page " (page + 1) }
                @if has_more { a rel="next" href=(to(page + 2)) { "Next →" } }
            }
        }
    }
}

/// Returns what asks once more before something is changed for good, without a script: the form is
/// seen once the first button was pressed.
pub(crate) fn confirmed(button: &str, question: &str, form: Markup) -> Markup {
    html! {
        details.confirmed {
            summary { (button) }
            div.question {
                p { (question) }
                (form)
            }
        }
    }
}

/// Returns terms with what they stand for.
pub(crate) fn facts(facts: Vec<(&str, Markup)>) -> Markup {
    html! {
        dl.facts {
            @for (term, fact) in facts {
                div { dt { (term) } dd { (fact) } }
            }
        }
    }
}

/// Returns a link to a topic's page.
pub(crate) fn topic_link(view: &View<'_>, topic: &str) -> Markup {
    html! { a.topic href=(view.href("/topic", &[("name", topic)])) { (text(topic)) } }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_cannot_be_seen_is_shown_and_markup_stays_text() {
        let shown = text("<b>\u{202e}x\u{0}\r\n&\u{1b}[0m\u{200b}").into_string();
        assert_eq!(
            shown,
            "&lt;b&gt;<span class=\"escape\">\\u{202e}</span>x<span class=\"escape\">\\0</span>\
             <span class=\"escape\">\\r</span>\n&amp;<span class=\"escape\">\\u{1b}</span>[0m\
             <span class=\"escape\">\\u{200b}</span>"
        );
        assert_eq!(plain("a\u{2066}b\u{7f}"), "a\\u{2066}b\\u{7f}");
        assert_eq!(plain("żółć 日本 🦀\tx"), "żółć 日本 🦀\tx");
    }

    #[test]
    fn numbers_have_their_thousands_apart() {
        for (given, expected) in [
            (0, "0"),
            (999, "999"),
            (1_000, "1 000"),
            (5_000_123, "5 000 123"),
        ] {
            assert_eq!(number(given).replace('\u{202f}', " "), expected);
        }
    }

    #[test]
    fn spans_have_two_units() {
        for (ms, expected) in [
            (0, "0 ms"),
            (999, "999 ms"),
            (59_000, "59 s"),
            (200_000, "3 min 20 s"),
            (7_200_000, "2 h"),
            (90_061_000, "1 d 1 h"),
            (86_460_000, "1 d"),
        ] {
            assert_eq!(span(Duration::from_millis(ms)), expected);
        }
    }
}
