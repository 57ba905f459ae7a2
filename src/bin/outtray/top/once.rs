//! What there is, once: for scripts, and where there is no terminal.

use super::columns::{self, Rates, TopLine};
use super::lookout::LAST_MINUTES;
use super::view::TopView;
use crate::failure::CommandFailure;
use crate::output::Output;
use crate::table::{self, Side, glance};
use outtray::Messaging;

pub(crate) fn print(
    view: TopView,
    find: &str,
    messaging: &Messaging,
    output: &mut Output,
) -> Result<(), CommandFailure> {
    let wanted = find.to_lowercase();
    let has = |name: &str| name.to_lowercase().contains(&wanted);
    let lines = match view {
        TopView::Topics => {
            let mut topics = messaging.backlogs()?;
            topics.retain(|topic| has(&topic.topic));
            if output.is_json() {
                return Ok(output.objects(&topics)?);
            }
            let tallies = messaging.tallies(None, LAST_MINUTES)?;
            let rates = Rates {
                last_minute: columns::last_minute(&tallies),
                ..Rates::default()
            };
            columns::topics(&topics, &rates)
        }
        TopView::Processes => {
            let mut processes = messaging.processes()?;
            for process in &mut processes {
                let names = [process.host.as_deref(), process.program.as_deref()];
                if !names.into_iter().flatten().any(has) {
                    process.receivers.retain(|receiver| has(&receiver.topic));
                }
            }
            processes.retain(|process| !process.receivers.is_empty());
            if output.is_json() {
                return Ok(output.objects(&processes)?);
            }
            columns::receivers(&processes)
        }
    };
    print_lines(view, &lines, output)
}

fn print_lines(
    view: TopView,
    lines: &[TopLine],
    output: &mut Output,
) -> Result<(), CommandFailure> {
    if lines.is_empty() {
        output.line(match view {
            TopView::Topics => "no topics",
            TopView::Processes => "no process receives",
        })?;
    }
    let shown: Vec<usize> = (0..columns::columns(view).len())
        .filter(|at| !columns::columns(view)[*at].is_difference)
        .collect();
    let titles: Vec<(&str, Side)> = shown
        .iter()
        .map(|at| &columns::columns(view)[*at])
        .map(|column| (column.title, column.side))
        .collect();
    let row = |line: &TopLine| {
        shown
            .iter()
            .map(|at| glance(&line.cells[*at].text))
            .collect()
    };
    let rows: Vec<Vec<String>> = lines.iter().map(row).collect();
    Ok(table::print_rows(output, &titles, &rows)?)
}
