//! What is shown and chosen, and how that changes with what is seen. Knows no terminal.

use super::columns::{self, Rates, TopColumn, TopLine};
use super::lookout::{Snapshot, TopNews, TopWish};
use super::view::TopView;
use outtray::TopicBacklog;
use std::collections::HashMap;
use std::time::{Duration, Instant};

/// How long it is said what was done.
const NOTICE: Duration = Duration::from_secs(8);

/// What is to be done after a key or an answer.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum NextStep {
    Nothing,
    Do(TopWish),
    End,
}

/// What lies over the table.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Popup {
    None,
    Help,
    /// The filter is being typed; this is what it was before.
    Finding(String),
    /// A question, and what is done if the answer is yes.
    Asking(String, TopWish),
    /// All about one topic, or one receiver by its number.
    Details(String),
}

/// By which column a table is sorted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Sorting {
    pub(crate) column: usize,
    pub(crate) is_reversed: bool,
}

/// One view as it was left.
#[derive(Debug, Clone)]
struct ViewPlace {
    order: Sorting,
    chosen: Option<String>,
}

/// All that is shown.
#[derive(Debug)]
pub(crate) struct State {
    pub(crate) view: TopView,
    pub(crate) find: String,
    pub(crate) popup: Popup,
    /// The first line of a popup that is shown.
    pub(crate) scrolled: u16,
    places: [ViewPlace; 2],
    pub(crate) seen: Snapshot,
    seen_at: Option<Instant>,
    rates: Rates,
    /// Why it cannot be asked, and since when.
    away: Option<(String, Instant)>,
    notice: Option<(String, bool, Instant)>,
}

impl State {
    pub(crate) fn new(view: TopView, find: &str) -> Self {
        let place = |column| ViewPlace {
            order: Sorting {
                column,
                is_reversed: false,
            },
            chosen: None,
        };
        State {
            view,
            find: find.to_owned(),
            popup: Popup::None,
            scrolled: 0,
            // The fullest topics, and the hosts by their names.
            places: [place(1), place(0)],
            seen: Snapshot::default(),
            seen_at: None,
            rates: Rates::default(),
            away: None,
            notice: None,
        }
    }

    /// Learns what was found or done.
    pub(crate) fn learn(&mut self, answer: TopNews, now: Instant) -> NextStep {
        match answer {
            TopNews::Seen(seen) => self.see(*seen, now),
            TopNews::Away(why) => {
                let since = self.away.take().map_or(now, |(_, since)| since);
                self.away = Some((why, since));
            }
            TopNews::Doing(text) => self.notice = Some((text, false, now + NOTICE)),
            TopNews::Done(text) => {
                self.notice = Some((text, false, now + NOTICE));
                return NextStep::Do(TopWish::Refresh);
            }
            TopNews::Failed(text) => self.notice = Some((text, true, now + NOTICE)),
            TopNews::Fatal(_) => return NextStep::End,
        }
        NextStep::Nothing
    }

    fn see(&mut self, seen: Snapshot, now: Instant) {
        let passed = self.seen_at.map(|at| now.duration_since(at).as_secs_f64());
        if let Some(passed) = passed.filter(|passed| *passed > 0.0) {
            let before = self.seen.topics.iter();
            let before: HashMap<&str, u64> = before
                .map(|topic| (topic.topic.as_str(), waiting(topic)))
                .collect();
            let changes = seen.topics.iter().filter_map(|topic| {
                let before = before.get(topic.topic.as_str())?;
                let change = waiting(topic) as f64 - *before as f64;
                Some((topic.topic.clone(), change / passed))
            });
            self.rates.changes = changes.collect();
        }
        self.rates.last_minute = columns::last_minute(&seen.tallies);
        self.seen = seen;
        self.seen_at = Some(now);
        self.away = None;
    }

    /// Returns whether anything was seen yet.
    pub(crate) fn has_seen(&self) -> bool {
        self.seen_at.is_some()
    }

    /// Returns why the database cannot be asked, and for how long it could not.
    pub(crate) fn away(&self, now: Instant) -> Option<(&str, Duration)> {
        let (why, since) = self.away.as_ref()?;
        Some((why, now.saturating_duration_since(*since)))
    }

    /// Returns what was done or failed a moment ago, and whether it failed.
    pub(crate) fn notice(&self, now: Instant) -> Option<(&str, bool)> {
        let (text, is_bad, until) = self.notice.as_ref()?;
        (*until > now).then_some((text, *is_bad))
    }

    pub(crate) fn columns(&self) -> &'static [TopColumn] {
        columns::columns(self.view)
    }

    fn place(&mut self) -> &mut ViewPlace {
        &mut self.places[self.view as usize]
    }

    pub(crate) fn order(&self) -> Sorting {
        self.places[self.view as usize].order
    }

    pub(crate) fn set_order(&mut self, order: Sorting) {
        self.place().order = order;
    }

    /// Returns the lines of the view that the filter wants, in their order.
    pub(crate) fn lines(&self) -> Vec<TopLine> {
        let mut lines = match self.view {
            TopView::Topics => columns::topics(&self.seen.topics, &self.rates),
            TopView::Processes => columns::receivers(&self.seen.processes),
        };
        let wanted = self.find.to_lowercase();
        lines.retain(|line| line.names.contains(&wanted));
        let order = self.order();
        lines.sort_by(|one, other| {
            let (one_cell, other_cell) = (&one.cells[order.column], &other.cells[order.column]);
            let by_column = one_cell.rank.compare(&other_cell.rank);
            let by_column = match order.is_reversed {
                true => by_column.reverse(),
                false => by_column,
            };
            by_column.then_with(|| one.cells[0].rank.compare(&other.cells[0].rank))
        });
        lines
    }

    /// Returns which of the lines is chosen. The choice stays with what the line is about.
    pub(crate) fn chosen(&self, lines: &[TopLine]) -> Option<usize> {
        let chosen = self.places[self.view as usize].chosen.as_ref();
        let at = chosen.and_then(|id| lines.iter().position(|line| line.id == *id));
        at.or((!lines.is_empty()).then_some(0))
    }

    /// Chooses another line, so many further down.
    pub(crate) fn move_by(&mut self, lines: i64) {
        let all = self.lines();
        let last = i64::try_from(all.len())
            .unwrap_or(i64::MAX)
            .saturating_sub(1);
        let at = self.chosen(&all).unwrap_or(0);
        let at = i64::try_from(at).unwrap_or(0).saturating_add(lines);
        let at = usize::try_from(at.clamp(0, last.max(0))).unwrap_or(0);
        self.place().chosen = all.get(at).map(|line| line.id.clone());
    }

    /// Returns what the chosen line is about.
    pub(crate) fn chosen_id(&self) -> Option<String> {
        let lines = self.lines();
        let at = self.chosen(&lines)?;
        Some(lines[at].id.clone())
    }

    /// Returns the topic that the chosen line is about.
    pub(crate) fn chosen_topic(&self) -> Option<String> {
        let id = match &self.popup {
            Popup::Details(id) => id.clone(),
            _ => self.chosen_id()?,
        };
        match self.view {
            TopView::Topics => Some(id),
            TopView::Processes => {
                let mut receivers = self.seen.processes.iter().flat_map(|one| &one.receivers);
                let receiver = receivers.find(|one| one.receiver.to_string() == id)?;
                Some(receiver.topic.clone())
            }
        }
    }
}

/// Returns how many messages of a topic are not done, but for those that are leased.
fn waiting(topic: &TopicBacklog) -> u64 {
    topic.ready + topic.scheduled + topic.behind
}
