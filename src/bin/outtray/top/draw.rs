//! What is drawn: a line that says what this is, the numbers of all, a table, and the keys.

use super::colours::Colours;
use super::columns::{Cell, Emphasis, TopColumn, TopLine};
use super::popups;
use super::state::{Popup, State};
use super::view::TopView;
use crate::output::{counted, escaped, number};
use crate::table::{Side, age};
use ratatui::Frame;
use ratatui::layout::{Constraint, Layout, Rect};
use ratatui::style::Style;
use ratatui::text::{Line, Span};
use ratatui::widgets::Paragraph;
use std::time::Instant;

/// Between two columns.
const GAP: usize = 2;
/// The least width of the first column: before it is less, others go.
const LEAST_NAME: usize = 20;
/// On a lower terminal there is only the table.
const LEAST_LINES: u16 = 6;

pub(crate) fn frame(frame: &mut Frame<'_>, state: &mut State, colours: Colours) {
    let area = frame.area();
    let has_frame = area.height >= LEAST_LINES;
    let edge = Constraint::Length(u16::from(has_frame));
    let [head, sums, body, foot] =
        Layout::vertical([edge, edge, Constraint::Fill(1), edge]).areas(area);
    let now = Instant::now();
    frame.render_widget(heading(state, now, colours), head);
    frame.render_widget(totals(state, colours), sums);
    table(frame, body, state, colours);
    frame.render_widget(footing(state, now, colours), foot);
    popups::over(frame, body, state, now, colours);
}

fn heading(state: &State, now: Instant, colours: Colours) -> Paragraph<'static> {
    let view = match state.view {
        TopView::Topics => "topics",
        TopView::Processes => "processes",
    };
    let mut spans = vec![Span::styled(
        format!("outtray top  {view}"),
        colours.title(),
    )];
    if let Some((why, since)) = state.away(now) {
        let text = format!("  no answer for {}: {}", age(since), escaped(why));
        spans.push(Span::styled(text, colours.bad()));
    } else if !state.has_seen() {
        spans.push(Span::raw("  connecting"));
    } else {
        let text = format!("  every {}", age(state.seen.every));
        spans.push(Span::styled(text, colours.quiet()));
        spans.push(Span::styled(
            format!("  asked in {}", age(state.seen.took)),
            colours.quiet(),
        ));
    }
    if !state.find.is_empty() {
        let text = format!("  only /{}", escaped(&state.find));
        spans.push(Span::styled(text, colours.odd()));
    }
    Paragraph::new(Line::from(spans))
}

fn totals(state: &State, colours: Colours) -> Paragraph<'static> {
    let topics = &state.seen.topics;
    let is_estimate = topics.iter().any(|topic| topic.is_estimated);
    let sum = |of: fn(&outtray::TopicBacklog) -> u64| topics.iter().map(of).sum::<u64>();
    let shown = |count: u64| number(count, is_estimate && count > 10_000);
    let dead = sum(|topic| topic.dead);
    let processes = &state.seen.processes;
    let silent = processes.iter().filter(|process| process.is_silent).count();
    let text = format!(
        "{}  {} ready  {} in work  {} scheduled  ",
        counted(topics.len() as u64, "topic"),
        shown(sum(|topic| topic.ready)),
        shown(sum(|topic| topic.in_work)),
        shown(sum(|topic| topic.scheduled)),
    );
    let mut spans = vec![Span::raw(text)];
    let is_bad = |count: u64| {
        if count > 0 {
            colours.bad()
        } else {
            Style::new()
        }
    };
    spans.push(Span::styled(format!("{} dead", shown(dead)), is_bad(dead)));
    spans.push(Span::raw(format!(
        "  {}",
        counted_processes(processes.len())
    )));
    if silent > 0 {
        spans.push(Span::styled(format!("  {silent} silent"), colours.bad()));
    }
    Paragraph::new(Line::from(spans))
}

fn counted_processes(count: usize) -> String {
    match count {
        1 => "1 process".to_owned(),
        count => format!("{count} processes"),
    }
}

/// Returns the last line: what was done a moment ago, what is being typed, or the keys.
fn footing(state: &State, now: Instant, colours: Colours) -> Paragraph<'static> {
    if let Popup::Finding(_) = state.popup {
        let text = format!("/{}_  enter keeps it, esc does not", escaped(&state.find));
        return Paragraph::new(Line::from(Span::raw(text)));
    }
    if let Some((text, is_bad)) = state.notice(now) {
        let style = if is_bad {
            colours.bad()
        } else {
            colours.good()
        };
        return Paragraph::new(Line::from(Span::styled(escaped(text), style)));
    }
    let keys = "? help  q quit  tab view  / find  s sort  enter details  p pause  R redrive";
    Paragraph::new(Line::from(Span::styled(keys, colours.quiet())))
}

/// Draws the table, as far down as the chosen line needs.
fn table(frame: &mut Frame<'_>, area: Rect, state: &State, colours: Colours) {
    let lines = state.lines();
    if lines.is_empty() || area.height < 2 {
        let text = match (state.has_seen(), state.find.is_empty(), state.view) {
            (false, ..) => "",
            (_, false, _) => "nothing has that in its name",
            (_, _, TopView::Topics) => "no topics yet",
            (_, _, TopView::Processes) => "no process receives",
        };
        let shown = Paragraph::new(Span::styled(text, colours.quiet()));
        return frame.render_widget(shown, area);
    }
    let columns = state.columns();
    let fitted = fit(columns, &lines, usize::from(area.width));
    let chosen = state.chosen(&lines).unwrap_or(0);
    let room = usize::from(area.height) - 1;
    let first = chosen.saturating_sub(room.saturating_sub(1)).min(chosen);
    let mut shown = vec![titles(state, &fitted, colours)];
    for (at, line) in lines.iter().enumerate().skip(first).take(room) {
        let is_chosen = at == chosen;
        shown.push(drawn(columns, line, &fitted, is_chosen, colours));
    }
    frame.render_widget(Paragraph::new(shown), area);
}

/// Returns which columns fit into so many characters, and how wide each is.
fn fit(columns: &[TopColumn], lines: &[TopLine], width: usize) -> Vec<(usize, usize)> {
    let wanted = |at: usize| {
        let cells = lines.iter().map(|line| shown_width(&line.cells[at].text));
        // One more for the sign of the order.
        cells
            .chain([columns[at].title.len() + 1])
            .max()
            .unwrap_or(0)
    };
    let mut fitted: Vec<(usize, usize)> = (0..columns.len()).map(|at| (at, wanted(at))).collect();
    // A column in which there is nothing has nothing to say.
    let is_empty = |at: usize| lines.iter().all(|line| line.cells[at].text.is_empty());
    fitted.retain(|(at, _)| *at == 0 || !is_empty(*at));
    while fitted.len() > 1 {
        let others: usize = fitted[1..].iter().map(|(_, width)| width + GAP).sum();
        let least = LEAST_NAME.min(fitted[0].1);
        if others + least <= width {
            break;
        }
        let last = fitted
            .iter()
            .enumerate()
            .max_by_key(|(_, (at, _))| columns[*at].rank);
        let Some((place, _)) = last else { break };
        fitted.remove(place);
    }
    let others: usize = fitted[1..].iter().map(|(_, width)| width + GAP).sum();
    fitted[0].1 = fitted[0].1.min(width.saturating_sub(others));
    fitted
}

fn shown_width(text: &str) -> usize {
    Span::raw(escaped(text)).width()
}

fn titles(state: &State, fitted: &[(usize, usize)], colours: Colours) -> Line<'static> {
    let (columns, order) = (state.columns(), state.order());
    let title = |(at, width): &(usize, usize)| {
        let TopColumn { title, side, .. } = columns[*at];
        let sign = match (*at == order.column, order.is_reversed) {
            (false, _) => "",
            (true, false) => "*",
            (true, true) => "^",
        };
        Span::styled(
            padded(&format!("{title}{sign}"), *width, side),
            colours.title(),
        )
    };
    joined(fitted.iter().map(title).collect(), Style::new())
}

fn drawn(
    columns: &[TopColumn],
    line: &TopLine,
    fitted: &[(usize, usize)],
    is_chosen: bool,
    colours: Colours,
) -> Line<'static> {
    let style = match is_chosen {
        true => colours.chosen(),
        false => Style::new(),
    };
    let cell = |(at, width): &(usize, usize)| {
        let Cell { text, look, .. } = &line.cells[*at];
        let look = match look {
            Emphasis::Plain => Style::new(),
            Emphasis::Quiet => colours.quiet(),
            Emphasis::Odd => colours.odd(),
            Emphasis::Bad => colours.bad(),
        };
        Span::styled(padded(&escaped(text), *width, columns[*at].side), look)
    };
    joined(fitted.iter().map(cell).collect(), style)
}

fn joined(cells: Vec<Span<'static>>, style: Style) -> Line<'static> {
    let mut spans = Vec::with_capacity(cells.len() * 2);
    for cell in cells {
        if !spans.is_empty() {
            spans.push(Span::raw(" ".repeat(GAP)));
        }
        spans.push(cell);
    }
    Line::from(spans).style(style)
}

/// Returns a text in exactly so many columns of the terminal.
fn padded(text: &str, width: usize, side: Side) -> String {
    let mut shown = text.to_owned();
    while Span::raw(shown.as_str()).width() > width {
        shown.pop();
    }
    if shown.len() < text.len() && width > 1 {
        while Span::raw(shown.as_str()).width() >= width {
            shown.pop();
        }
        shown.push('…');
    }
    let space = " ".repeat(width.saturating_sub(Span::raw(shown.as_str()).width()));
    match side {
        Side::Left => shown + &space,
        Side::Right => space + &shown,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::top::keys;
    use crate::top::lookout::{Snapshot, TopNews};
    use crossterm::event::{KeyCode, KeyEvent};
    use outtray::TopicBacklog;
    use ratatui::Terminal;
    use ratatui::backend::TestBackend;

    /// Draws some topics on a terminal of this size, after these keys.
    fn drawn_on(width: u16, height: u16, keys: &str) -> Vec<String> {
        let topics = [
            "größe",
            "mails",
            "a.very.long.name.of.a.topic.that.nobody.reads.to.its.end",
        ];
        let topics = topics.map(|name| {
            let mut topic = TopicBacklog::default();
            name.clone_into(&mut topic.topic);
            topic
        });
        let mut state = State::new(TopView::Topics, "");
        let seen = Snapshot {
            topics: topics.to_vec(),
            ..Snapshot::default()
        };
        state.learn(TopNews::Seen(Box::new(seen)), Instant::now());
        for key in keys.chars() {
            keys::press(&mut state, KeyEvent::from(KeyCode::Char(key)));
        }
        let mut terminal = Terminal::new(TestBackend::new(width, height)).unwrap();
        let colours = Colours::of_terminal();
        terminal
            .draw(|drawn| frame(drawn, &mut state, colours))
            .unwrap();
        let buffer = terminal.backend().buffer().clone();
        let row = |y| {
            (0..width)
                .map(|x| buffer[(x, y)].symbol())
                .collect::<String>()
        };
        (0..height).map(row).collect()
    }

    #[test]
    fn a_narrow_terminal_has_the_columns_that_matter_most() {
        let wide = drawn_on(160, 10, "");
        let usual = drawn_on(80, 10, "");
        let narrow = drawn_on(36, 10, "");

        for title in ["TOPIC", "READY", "IN WORK", "BEHIND", "RECEIVERS"] {
            assert!(wide[2].contains(title), "{wide:?}");
        }
        assert!(
            usual[2].contains("DEAD") && !usual[2].contains("RECEIVERS"),
            "{usual:?}"
        );
        assert!(
            narrow[2].contains("READY") && !narrow[2].contains("BEHIND"),
            "{narrow:?}"
        );
        assert!(narrow[3].contains('…'), "{narrow:?}");
    }

    #[test]
    fn every_size_of_a_terminal_can_be_drawn_on() {
        for keys in ["", "?", "/x", "p", "R"] {
            for (width, height) in [(1, 1), (2, 30), (300, 1), (10, 3), (20, 6), (80, 24)] {
                drawn_on(width, height, keys);
            }
        }
    }

    #[test]
    fn a_text_fills_its_column() {
        for (text, side, expected) in [
            ("ab", Side::Left, "ab  "),
            ("ab", Side::Right, "  ab"),
            ("abcdef", Side::Left, "abc…"),
            ("größe", Side::Left, "grö…"),
            ("注文注文", Side::Left, "注… "),
        ] {
            assert_eq!(padded(text, 4, side), expected);
        }
    }
}
