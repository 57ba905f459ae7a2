//! What the tables of both views have: columns, and a line for each topic or receiver.

use super::view::TopView;
use crate::output::number;
use crate::processes;
use crate::table::{Side, age};
use outtray::{RunningHandler, RunningProcess, RunningReceiver, Tally, TopicBacklog};
use std::cmp::Ordering;
use std::collections::HashMap;
use std::time::Duration;

/// A column of a table.
#[derive(Debug, Clone, Copy)]
pub(crate) struct TopColumn {
    pub(crate) title: &'static str,
    pub(crate) side: Side,
    /// On a narrow terminal the columns with the largest numbers go first.
    pub(crate) rank: u8,
    /// Whether it needs two looks.
    pub(crate) is_difference: bool,
}

const fn column(title: &'static str, side: Side, rank: u8) -> TopColumn {
    TopColumn {
        title,
        side,
        rank,
        is_difference: false,
    }
}

const CHANGE: TopColumn = TopColumn {
    is_difference: true,
    ..column("CHANGE/S", Side::Right, 8)
};

const DONE: TopColumn = column("DONE/MIN", Side::Right, 5);
const FAILED: TopColumn = column("FAILED/MIN", Side::Right, 10);

const TOPICS: &[TopColumn] = &[
    column("TOPIC", Side::Left, 0),
    column("READY", Side::Right, 1),
    column("IN WORK", Side::Right, 3),
    column("SCHEDULED", Side::Right, 6),
    column("BEHIND", Side::Right, 9),
    column("DEAD", Side::Right, 2),
    DONE,
    FAILED,
    CHANGE,
    column("OLDEST", Side::Right, 7),
    column("RECEIVERS", Side::Right, 11),
    column("STATE", Side::Left, 4),
];

const PROCESSES: &[TopColumn] = &[
    column("HOST", Side::Left, 0),
    column("PID", Side::Right, 2),
    column("PROGRAM", Side::Left, 8),
    column("TOPIC", Side::Left, 1),
    column("BUSY", Side::Right, 3),
    column("IN HAND", Side::Right, 7),
    column("LONGEST", Side::Right, 4),
    column("MESSAGE", Side::Left, 9),
    column("SEEN", Side::Right, 6),
    column("STATE", Side::Left, 5),
    column("HOLDS BY", Side::Left, 10),
    column("VERSION", Side::Left, 11),
    column("WANTS", Side::Left, 12),
];

/// Returns the columns of a view.
pub(crate) fn columns(view: TopView) -> &'static [TopColumn] {
    match view {
        TopView::Topics => TOPICS,
        TopView::Processes => PROCESSES,
    }
}

/// How a cell stands out.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(crate) enum Emphasis {
    #[default]
    Plain,
    Quiet,
    Odd,
    Bad,
}

/// By what a column is sorted.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Rank {
    Word(String),
    Amount(f64),
}

impl Rank {
    /// Compares: words from the first, amounts from the largest.
    pub(crate) fn compare(&self, other: &Rank) -> Ordering {
        match (self, other) {
            (Rank::Word(one), Rank::Word(other)) => one.cmp(other),
            (Rank::Amount(one), Rank::Amount(other)) => other.total_cmp(one),
            (Rank::Amount(_), Rank::Word(_)) => Ordering::Less,
            (Rank::Word(_), Rank::Amount(_)) => Ordering::Greater,
        }
    }
}

/// A cell of a table.
#[derive(Debug, Clone)]
pub(crate) struct Cell {
    pub(crate) text: String,
    pub(crate) rank: Rank,
    pub(crate) look: Emphasis,
}

fn word(text: impl Into<String>) -> Cell {
    let text = text.into();
    Cell {
        rank: Rank::Word(text.clone()),
        text,
        look: Emphasis::Plain,
    }
}

fn amount(text: String, amount: f64) -> Cell {
    let look = if amount == 0.0 {
        Emphasis::Quiet
    } else {
        Emphasis::Plain
    };
    Cell {
        text,
        rank: Rank::Amount(amount),
        look,
    }
}

fn time(time: Option<Duration>) -> Cell {
    amount(
        time.map_or("-".to_owned(), age),
        time.unwrap_or_default().as_secs_f64(),
    )
}

impl Cell {
    /// Stands out if there is anything to see to.
    fn looks(mut self, look: Emphasis, if_so: bool) -> Self {
        if if_so {
            self.look = look;
        }
        self
    }
}

/// A line of a table.
#[derive(Debug, Clone)]
pub(crate) struct TopLine {
    /// What it is about: a topic, or a receiver by its number.
    pub(crate) id: String,
    /// What a filter is compared with.
    pub(crate) names: String,
    pub(crate) cells: Vec<Cell>,
}

/// What is known of topics beside their numbers.
#[derive(Debug, Default)]
pub(crate) struct Rates {
    /// How the messages of a topic grow in a second.
    pub(crate) changes: HashMap<String, f64>,
    /// How many were done in the last minute that is over, and how many attempts failed.
    pub(crate) last_minute: HashMap<String, (u64, u64)>,
}

/// Returns what was done and what failed in the last minute that is over: of the last two minutes
/// the first in which anything was counted, since processes count the second one yet.
pub(crate) fn last_minute(tallies: &[Tally]) -> HashMap<String, (u64, u64)> {
    let first = tallies.iter().map(|tally| tally.minute).min();
    let of_first = tallies.iter().filter(|tally| Some(tally.minute) == first);
    let counts = of_first.map(|tally| (tally.topic.clone(), (tally.done, tally.failed)));
    counts.collect()
}

/// Returns a line for each topic.
pub(crate) fn topics(topics: &[TopicBacklog], rates: &Rates) -> Vec<TopLine> {
    let line = |topic: &TopicBacklog| {
        // Of estimates the difference says nothing.
        let change = rates
            .changes
            .get(&topic.topic)
            .filter(|_| !topic.is_estimated);
        let count = |count: u64| {
            amount(
                number(count, topic.is_estimated && count > 10_000),
                count as f64,
            )
        };
        let (done, failed) = rates
            .last_minute
            .get(&topic.topic)
            .copied()
            .unwrap_or_default();
        TopLine {
            id: topic.topic.clone(),
            names: topic.topic.to_lowercase(),
            cells: vec![
                word(&topic.topic),
                count(topic.ready),
                count(topic.in_work),
                count(topic.scheduled),
                count(topic.behind),
                count(topic.dead).looks(Emphasis::Bad, topic.dead > 0),
                amount(done.to_string(), done as f64),
                amount(failed.to_string(), failed as f64).looks(Emphasis::Odd, failed > 0),
                change.map_or(amount("-".to_owned(), 0.0), |change| {
                    amount(per_second(*change), *change)
                }),
                time(topic.oldest_ready_age),
                count(topic.receivers),
                word(topic_state(topic)).looks(Emphasis::Odd, true),
            ],
        }
    };
    topics.iter().map(line).collect()
}

/// Says what is not as usual with a topic.
pub(crate) fn topic_state(topic: &TopicBacklog) -> String {
    let waits = topic.ready > topic.in_work;
    let words = [
        topic.is_paused.then_some("paused"),
        topic.is_suspect.then_some("suspect"),
        (waits && topic.receivers == 0).then_some("no receiver"),
    ];
    words.into_iter().flatten().collect::<Vec<_>>().join(", ")
}

/// Returns a change with its sign, and one place after the point where that is much of it.
fn per_second(change: f64) -> String {
    match change {
        0.0 => "0".to_owned(),
        change if change.abs() < 10.0 => format!("{change:+.1}"),
        change => format!("{change:+.0}"),
    }
}

/// Returns a line for each receiver.
pub(crate) fn receivers(processes: &[RunningProcess]) -> Vec<TopLine> {
    let mut lines = Vec::new();
    for process in processes {
        lines.extend(
            process
                .receivers
                .iter()
                .map(|receiver| line(process, receiver)),
        );
    }
    lines
}

fn line(process: &RunningProcess, receiver: &RunningReceiver) -> TopLine {
    let longest = receiver.handlers.first();
    let running_for = longest.map(|handler| handler.running_for);
    let host = processes::host(process);
    let program = processes::text(process.program.as_deref());
    let filter = processes::text(receiver.filter.as_deref());
    TopLine {
        id: receiver.receiver.to_string(),
        names: format!("{host} {program} {}", receiver.topic).to_lowercase(),
        cells: vec![
            word(host),
            amount(processes::pid(process), f64::from(process.pid.unwrap_or(0))),
            word(program),
            word(&receiver.topic),
            amount(
                format!("{}/{}", receiver.busy, receiver.workers),
                receiver.busy as f64,
            ),
            amount(receiver.in_hand.to_string(), receiver.in_hand as f64),
            time(running_for),
            word(longest.map_or("-".to_owned(), first_message)),
            time(Some(process.seen_ago)).looks(Emphasis::Bad, process.is_silent),
            word(processes::state(process, receiver)).looks(Emphasis::Odd, true),
            word(processes::holds_by(receiver)),
            word(processes::text(process.version.as_deref())),
            word(filter),
        ],
    }
}

fn first_message(handler: &RunningHandler) -> String {
    let more = handler.messages.saturating_sub(1);
    let first = handler.ids.first().map(ToString::to_string);
    let first = first.unwrap_or_else(|| "-".to_owned());
    match more {
        0 => first,
        more => format!("{first} +{more}"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_line_has_a_cell_for_each_column() {
        let topic = TopicBacklog::default();
        let lines = topics(&[topic], &Rates::default());

        assert_eq!(lines[0].cells.len(), TOPICS.len());
    }

    #[test]
    fn a_change_has_a_sign_and_few_digits() {
        let shown = [0.0, 0.25, -3.0, 12.4, -1234.5].map(per_second);

        assert_eq!(shown, ["0", "+0.2", "-3.0", "+12", "-1234"]);
    }
}
