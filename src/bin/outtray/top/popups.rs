//! What lies over the table: help, a question, all about one line.

use super::colours::Colours;
use super::details;
use super::keys::KEYS;
use super::lookout::Snapshot;
use super::state::{Popup, State};
use super::view::TopView;
use crate::output::escaped;
use ratatui::Frame;
use ratatui::layout::Rect;
use ratatui::text::{Line, Span};
use ratatui::widgets::{Block, Clear, Paragraph, Wrap};
use std::time::Instant;

/// Draws what is open over the table.
pub(crate) fn over(
    frame: &mut Frame<'_>,
    area: Rect,
    state: &mut State,
    now: Instant,
    colours: Colours,
) {
    match state.popup.clone() {
        Popup::None | Popup::Finding(_) => {}
        Popup::Help => {
            let lines = KEYS.iter().map(|(keys, what)| {
                let keys = Span::styled(format!("{keys:<14}"), colours.title());
                Line::from(vec![keys, Span::raw(*what)])
            });
            boxed(frame, area, " keys ", lines.collect(), &mut 0);
        }
        Popup::Asking(question, _) => {
            let question = vec![
                Line::from(escaped(&question)),
                Line::from(Span::styled(
                    "y does it, any other key does not",
                    colours.quiet(),
                )),
            ];
            boxed(frame, area, " sure? ", question, &mut 0);
        }
        Popup::Details(id) => {
            let (title, lines) = described(&state.seen, state.view, &id, now);
            boxed(frame, area, &title, lines, &mut state.scrolled);
        }
    }
}

fn described(seen: &Snapshot, view: TopView, id: &str, _: Instant) -> (String, Vec<Line<'static>>) {
    let texts = match view {
        TopView::Topics => details::topic(seen, id),
        TopView::Processes => details::process(seen, id),
    };
    let lines = texts.into_iter().map(|text| Line::from(escaped(&text)));
    let title = match view {
        TopView::Topics => format!(" {} ", escaped(id)),
        TopView::Processes => " process ".to_owned(),
    };
    (title, lines.collect())
}

/// Draws lines in a box in the middle, from the one to which somebody scrolled.
fn boxed(
    frame: &mut Frame<'_>,
    area: Rect,
    title: &str,
    lines: Vec<Line<'static>>,
    scrolled: &mut u16,
) {
    let widest = lines.iter().map(Line::width).max().unwrap_or(0);
    let width = u16::try_from(widest.max(title.len()) + 4).unwrap_or(u16::MAX);
    let width = width.min(area.width);
    let inner = usize::from(width.saturating_sub(2)).max(1);
    let wrapped: usize = lines
        .iter()
        .map(|line| line.width().div_ceil(inner).max(1))
        .sum();
    let wrapped = u16::try_from(wrapped).unwrap_or(u16::MAX);
    let height = wrapped.saturating_add(2).min(area.height);
    *scrolled = (*scrolled).min(wrapped.saturating_sub(height.saturating_sub(2)));
    let place = Rect {
        x: area.x + (area.width - width) / 2,
        y: area.y + (area.height - height) / 2,
        width,
        height,
    };
    let shown = Paragraph::new(lines)
        .wrap(Wrap { trim: false })
        .scroll((*scrolled, 0))
        .block(Block::bordered().title(title.to_owned()));
    frame.render_widget(Clear, place);
    frame.render_widget(shown, place);
}
