//! When a recurring message is sent: a cron expression in a time zone. Pure, except that the rules
//! of time zones are read from the system where it has them.

use crate::words::{Error, Result};
use croner::Cron;
use croner::parser::{CronParser, Seconds, Year};
use jiff::Timestamp;
use jiff::tz::TimeZone;
use serde::Serialize;

/// A run that is this late is not left out: a process was restarted, or the database.
const GRACE_US: i64 = 30_000_000;
/// Runs that are made up for at most; of more, the latest.
pub(crate) const MAX_MADE_UP: usize = 1000;
/// Longest expression that is looked at.
const MAX_BYTES: usize = 256;
/// The fields of an expression, without the seconds that may come first.
const FIELDS: [&str; 5] = [
    "minute",
    "hour",
    "day of the month",
    "month",
    "day of the week",
];

/// When a recurring message is sent; for [`Messaging::repeat`](crate::Messaging::repeat).
///
/// ```
/// use outtray::{Missed, Recurrence};
///
/// let nightly = Recurrence::cron("0 3 * * *")?
///     .time_zone("Europe/Berlin")?
///     .missed(Missed::Skip);
/// # Ok::<(), outtray::Error>(())
/// ```
///
/// # Daylight saving time
///
/// When the clocks go forward, a run at a fixed time that does not exist that day (`30 2 * * *` in
/// Berlin) happens at the first moment after the gap, 3:00; runs of `*` and `*/n` are skipped with
/// the hour. When they go back, a run at a fixed time happens once, the first time that the clocks
/// show it; runs of `*` and `*/n` happen in both hours.
#[derive(Debug, Clone)]
pub struct Recurrence {
    pub(crate) cron: String,
    pub(crate) time_zone: String,
    pub(crate) missed: Missed,
    pattern: Box<Cron>,
    zone: TimeZone,
}

/// What happens to runs that were due while no process was there to send them.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default, Serialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum Missed {
    /// Runs that are more than half a minute late are skipped. Each of the others is sent, even if
    /// several are due together: a process that was restarted has missed none.
    Skip,
    /// One message, that of the latest run, stands for all runs that are due together, however late
    /// they are.
    #[default]
    Once,
    /// Every missed run is made up for, the earliest first; of more than 1000, only the latest
    /// 1000.
    All,
}

impl Missed {
    /// Returns the word under which it is stored and printed.
    pub fn as_str(self) -> &'static str {
        match self {
            Missed::Skip => "skip",
            Missed::Once => "once",
            Missed::All => "all",
        }
    }

    /// Reads the stored word.
    pub(crate) fn parse(text: &str) -> Option<Self> {
        [Missed::Skip, Missed::Once, Missed::All]
            .into_iter()
            .find(|missed| missed.as_str() == text)
    }
}

/// What is to be done about a recurring message that is due: times in microseconds since 1970.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Runs {
    /// Those to be sent now, the earliest first.
    pub(crate) due: Vec<i64>,
    pub(crate) next: i64,
}

impl Recurrence {
    /// Parses a cron expression: minute, hour, day of the month, month, day of the week, as in
    /// `*/15 8-18 * * MON-FRI`; with six fields, the first is the second. `@hourly`, `@daily`,
    /// `@weekly`, `@monthly` and `@yearly` work too, and `L` means last. The defaults are UTC and
    /// [`Missed::Once`].
    ///
    /// # Errors
    /// `Invalid` for an expression that cannot be parsed; the text names the wrong field.
    pub fn cron(expression: &str) -> Result<Self> {
        Ok(Recurrence {
            pattern: Box::new(read(expression)?),
            cron: expression.trim().to_owned(),
            time_zone: "UTC".to_owned(),
            missed: Missed::default(),
            zone: TimeZone::UTC,
        })
    }

    /// Sets the time zone of the expression, by its IANA name: `Europe/Berlin`. Default UTC.
    ///
    /// # Errors
    /// `Invalid` for an unknown time zone.
    pub fn time_zone(mut self, name: &str) -> Result<Self> {
        self.zone = TimeZone::get(name).map_err(|error| {
            let shown: String = name.chars().take(64).collect();
            let shown = shown.escape_debug();
            Error::invalid(format!(
                "time zone \"{shown}\" is not known, it is named like Europe/Berlin"
            ))
            .because(error)
        })?;
        self.time_zone = name.to_owned();
        Ok(self)
    }

    /// Sets what happens to missed runs. Default [`Missed::Once`].
    pub fn missed(mut self, missed: Missed) -> Self {
        self.missed = missed;
        self
    }

    /// Returns the first run after a time, both in microseconds since 1970.
    ///
    /// # Errors
    /// `Invalid` when there is none: the expression wants a day that does not exist.
    pub(crate) fn next_after(&self, us: i64) -> Result<i64> {
        let found = Timestamp::from_microsecond(us).ok().and_then(|time| {
            let time = time.to_zoned(self.zone.clone());
            self.pattern.find_next_occurrence(&time, false).ok()
        });
        let found = found.map(|time| time.timestamp().as_microsecond());
        found.filter(|next| *next > us).ok_or_else(|| {
            let cron = &self.cron;
            Error::invalid(format!(
                "the time of cron expression \"{cron}\" never comes"
            ))
        })
    }

    /// Returns what is to be sent now that `next`, the first run that was not made, is due.
    pub(crate) fn runs(&self, next: i64, now: i64) -> Result<Runs> {
        let mut due = vec![next];
        let mut following = self.next_after(next)?;
        while following <= now && due.len() <= MAX_MADE_UP {
            due.push(following);
            following = self.next_after(following)?;
        }
        if following <= now {
            // More than one cares to walk through: from the end.
            due = self.latest(now, MAX_MADE_UP);
            following = self.next_after(now)?;
        }
        let is_missed = |run: &i64| now - run > GRACE_US;
        match self.missed {
            Missed::All => drop(due.drain(..due.len().saturating_sub(MAX_MADE_UP))),
            Missed::Once => drop(due.drain(..due.len().saturating_sub(1))),
            Missed::Skip => due.retain(|run| !is_missed(run)),
        }
        Ok(Runs {
            due,
            next: following,
        })
    }

    /// Returns when the next run is by the present clock, if the one that is noted lies further
    /// away than the time between two runs: the clock was set back since it was noted. Not so if
    /// that would repeat the `last` run, and no other: it was made, and the noted one follows it.
    pub(crate) fn corrected(&self, noted: i64, last: Option<i64>, now: i64) -> Result<Option<i64>> {
        let next = self.next_after(now)?;
        if noted <= next || last == Some(next) {
            return Ok(None);
        }
        let period = self.next_after(next)? - next;
        Ok((noted - now > period + GRACE_US).then_some(next))
    }

    /// Returns the latest runs up to `now`, the earliest first.
    fn latest(&self, now: i64, count: usize) -> Vec<i64> {
        let Ok(time) = Timestamp::from_microsecond(now) else {
            return Vec::new();
        };
        let mut time = time.to_zoned(self.zone.clone());
        let mut runs = Vec::with_capacity(count);
        while runs.len() < count
            && let Ok(earlier) = self
                .pattern
                .find_previous_occurrence(&time, runs.is_empty())
        {
            runs.push(earlier.timestamp().as_microsecond());
            time = earlier;
        }
        runs.reverse();
        runs
    }
}

/// Returns a time as it is written in headers: `2026-03-29T01:00:00Z`.
pub(crate) fn written(us: i64) -> String {
    Timestamp::from_microsecond(us).map_or_else(|_| us.to_string(), |time| time.to_string())
}

fn read(expression: &str) -> Result<Cron> {
    let shown: String = expression.chars().take(64).collect();
    let shown = shown.escape_debug();
    if expression.len() > MAX_BYTES {
        return Err(Error::invalid(format!(
            "a cron expression has {MAX_BYTES} bytes at most, \"{shown}…\" has {}",
            expression.len()
        )));
    }
    parse(expression).map_err(|error| {
        let what = match at_fault(expression) {
            Some((field, text)) => format!("the {field} \"{}\" of ", text.escape_debug()),
            None => String::new(),
        };
        Error::invalid(format!("{what}cron expression \"{shown}\" cannot be read")).because(error)
    })
}

fn parse(expression: &str) -> Result<Cron, croner::errors::CronError> {
    let parser = CronParser::builder()
        .seconds(Seconds::Optional)
        .year(Year::Disallowed)
        .build();
    parser.parse(expression)
}

/// Finds the field that cannot be read even among the plainest neighbours.
fn at_fault(expression: &str) -> Option<(&'static str, &str)> {
    let fields: Vec<&str> = expression.split_whitespace().collect();
    let names: Vec<&'static str> = match fields.len() {
        5 => FIELDS.to_vec(),
        6 => ["second"].into_iter().chain(FIELDS).collect(),
        _ => return None,
    };
    (0..fields.len())
        .find(|&at| {
            let mut plain = vec!["*"; fields.len()];
            plain[at] = fields[at];
            parse(&plain.join(" ")).is_err()
        })
        .map(|at| (names[at], fields[at]))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn us(time: &str) -> i64 {
        time.parse::<Timestamp>().unwrap().as_microsecond()
    }

    fn berlin(cron: &str) -> Recurrence {
        let recurrence = Recurrence::cron(cron).unwrap();
        recurrence.time_zone("Europe/Berlin").unwrap()
    }

    /// Checks the runs after a time; all in UTC.
    #[track_caller]
    fn check_runs(recurrence: &Recurrence, after: &str, expected: &[&str]) {
        let mut time = us(after);
        for expected in expected {
            time = recurrence.next_after(time).unwrap();
            assert_eq!(written(time), *expected);
        }
    }

    #[track_caller]
    fn check_refused(cron: &str, part: &str) {
        let error = Recurrence::cron(cron).unwrap_err();
        assert_eq!(error.kind(), crate::words::ErrorKind::Invalid);
        assert!(error.to_string().contains(part), "{error}");
    }

    #[test]
    fn clocks_that_go_forward_move_a_fixed_time_past_the_gap_and_leave_out_the_others() {
        // In Berlin the hour from 2:00 to 3:00 does not exist on 2026-03-29; 3:00 there is 1:00
        // UTC.
        check_runs(
            &berlin("30 2 * * *"),
            "2026-03-28T00:00:00Z",
            &[
                "2026-03-28T01:30:00Z",
                "2026-03-29T01:00:00Z",
                "2026-03-30T00:30:00Z",
            ],
        );
        check_runs(
            &berlin("*/30 * * * *"),
            "2026-03-29T00:15:00Z",
            &[
                "2026-03-29T00:30:00Z",
                "2026-03-29T01:00:00Z",
                "2026-03-29T01:30:00Z",
            ],
        );
    }

    #[test]
    fn clocks_that_go_back_have_a_fixed_time_once_and_the_others_twice() {
        // In Berlin the hour from 2:00 to 3:00 comes twice on 2026-10-25, from 0:00 to 2:00 UTC.
        check_runs(
            &berlin("30 2 * * *"),
            "2026-10-24T12:00:00Z",
            &["2026-10-25T00:30:00Z", "2026-10-26T01:30:00Z"],
        );
        check_runs(
            &berlin("30 * * * *"),
            "2026-10-24T23:45:00Z",
            &[
                "2026-10-25T00:30:00Z",
                "2026-10-25T01:30:00Z",
                "2026-10-25T02:30:00Z",
            ],
        );
    }

    #[test]
    fn expressions_are_read_with_and_without_seconds_and_by_name() {
        let utc = |cron| Recurrence::cron(cron).unwrap();
        check_runs(
            &utc("*/10 * * * * *"),
            "2026-01-01T00:00:05.5Z",
            &["2026-01-01T00:00:10Z", "2026-01-01T00:00:20Z"],
        );
        check_runs(
            &utc("0 12 * * MON-FRI"),
            "2026-01-02T12:00:00Z",
            &["2026-01-05T12:00:00Z"],
        );
        check_runs(
            &utc("@monthly"),
            "2026-01-01T00:00:00Z",
            &["2026-02-01T00:00:00Z"],
        );
    }

    #[test]
    fn what_cannot_be_read_is_refused_with_the_field_at_fault() {
        check_refused("", "cron expression \"\"");
        check_refused("0 25 * * *", "the hour \"25\" of");
        check_refused("x * * * *", "the minute \"x\" of");
        check_refused("61 0 0 * * *", "the second \"61\" of");
        check_refused("* * * 13 *", "the month \"13\" of");
        check_refused("* * * * BAD", "the day of the week \"BAD\" of");
        check_refused("* * * *", "cannot be read");
        check_refused(&"1,".repeat(200), "256 bytes at most");
        let never = Recurrence::cron("0 0 30 2 *").unwrap();
        let error = never.next_after(us("2026-01-01T00:00:00Z")).unwrap_err();
        assert!(error.to_string().contains("never comes"), "{error}");
        let zone = Recurrence::cron("@daily")
            .unwrap()
            .time_zone("Mars/Olympus");
        assert!(zone.unwrap_err().to_string().contains("\"Mars/Olympus\""));
    }

    #[track_caller]
    fn check_missed(missed: Missed, now: &str, due: &[&str], next: &str) {
        let hourly = Recurrence::cron("@hourly").unwrap().missed(missed);
        let runs = hourly.runs(us("2026-01-01T01:00:00Z"), us(now)).unwrap();
        let written_due: Vec<String> = runs.due.into_iter().map(written).collect();
        assert_eq!(written_due, due, "{missed:?}");
        assert_eq!(written(runs.next), next);
    }

    #[test]
    fn missed_runs_are_left_out_stood_for_or_made_up_for() {
        let [one, two, three] = [1, 2, 3].map(|hour| format!("2026-01-01T0{hour}:00:00Z"));
        let four = "2026-01-01T04:00:00Z";
        for missed in [Missed::Skip, Missed::Once, Missed::All] {
            check_missed(missed, "2026-01-01T01:00:00.003Z", &[&one], &two);
        }
        let late = "2026-01-01T03:10:00Z";
        check_missed(Missed::Skip, late, &[], four);
        check_missed(Missed::Once, late, &[&three], four);
        check_missed(Missed::All, late, &[&one, &two, &three], four);
        check_missed(Missed::Skip, "2026-01-01T03:00:20Z", &[&three], four);
    }

    #[test]
    fn of_very_many_missed_runs_the_latest_thousand_are_made_up_for() {
        let every_second = Recurrence::cron("* * * * * *").unwrap();
        let (from, now) = (us("2026-01-01T00:00:00Z"), us("2026-01-02T00:00:00.5Z"));

        let all = every_second
            .clone()
            .missed(Missed::All)
            .runs(from, now)
            .unwrap();
        let once = every_second.runs(from, now).unwrap();

        assert_eq!(all.due.len(), MAX_MADE_UP);
        assert_eq!(written(all.due[0]), "2026-01-01T23:43:21Z");
        assert_eq!(written(all.due[999]), "2026-01-02T00:00:00Z");
        assert_eq!(once.due, [us("2026-01-02T00:00:00Z")]);
        assert_eq!(once.next, us("2026-01-02T00:00:01Z"));
    }

    #[test]
    fn a_clock_that_is_set_back_repeats_no_run_where_another_one_follows_as_well() {
        let daily = Recurrence::cron("0 3 * * *").unwrap();
        let [before, last, noted] = [2, 3, 27].map(|hours| hours * 3_600_000_000);
        let before = before + 300_000_000;
        assert_eq!(daily.corrected(noted, None, before).unwrap(), Some(last));
        assert_eq!(daily.corrected(noted, Some(last), before).unwrap(), None);
        let often = Recurrence::cron("* * * * *").unwrap();
        let next = before + 60_000_000;
        let corrected = often.corrected(noted, Some(last), before);
        assert_eq!(corrected.unwrap(), Some(next));
    }

    #[test]
    fn of_several_that_are_due_together_those_that_are_hardly_late_are_not_left_out() {
        let every_second = Recurrence::cron("* * * * * *").unwrap();
        let (from, now) = (us("2026-01-01T00:00:00Z"), us("2026-01-01T00:01:04Z"));
        let due = |missed| {
            every_second
                .clone()
                .missed(missed)
                .runs(from, now)
                .unwrap()
                .due
        };

        let [skip, once, all] = [Missed::Skip, Missed::Once, Missed::All].map(due);

        assert_eq!(skip.len(), 31);
        assert_eq!(written(skip[0]), "2026-01-01T00:00:34Z");
        assert_eq!(once, skip[30..]);
        assert_eq!(all.len(), 65);
    }
}
