//! What was measured.

use crate::bed::Counters;
use crate::failure::Failure;
use crate::running::Answer;
use crate::system::System;
use peer_protocol::Case;
use serde_json::{Value, json};
use std::collections::BTreeMap;

/// One run of a case.
pub struct Round {
    pub answer: Answer,
    pub written: Counters,
}

/// A case of one system: medians of its rounds.
#[derive(Debug, Clone)]
pub enum Figure {
    Measured(Measured),
    Failed(String),
}

/// Medians.
#[derive(Debug, Clone)]
pub struct Measured {
    /// Messages in a round.
    pub messages: u64,
    /// Messages a second; 0 where waits were measured.
    pub per_second: f64,
    /// The same of each round, to see how they spread.
    pub rounds: Vec<f64>,
    /// Waits of all rounds in microseconds, sorted.
    pub waits_us: Vec<f64>,
    /// WAL bytes for each message.
    pub wal: f64,
    /// Commits for each message.
    pub commits: f64,
}

impl Figure {
    /// Takes the medians of rounds of so many messages.
    pub fn of(messages: u64, rounds: Vec<Round>) -> Figure {
        let each = |value: i64| value as f64 / messages as f64;
        let rates: Vec<f64> = rounds
            .iter()
            .filter(|round| round.answer.seconds > 0.0)
            .map(|round| messages as f64 / round.answer.seconds)
            .collect();
        let mut waits_us: Vec<f64> = rounds
            .iter()
            .flat_map(|round| round.answer.waits_us.clone())
            .collect();
        waits_us.sort_unstable_by(f64::total_cmp);
        Figure::Measured(Measured {
            messages,
            per_second: median(rates.clone()),
            rounds: rates,
            waits_us,
            wal: median(rounds.iter().map(|round| each(round.written.wal)).collect()),
            commits: median(
                rounds
                    .iter()
                    .map(|round| each(round.written.commits))
                    .collect(),
            ),
        })
    }
}

impl Measured {
    /// Returns the wait, in microseconds, that this share of all messages did not exceed.
    pub fn wait_us(&self, percent: usize) -> f64 {
        let last = self.waits_us.len().saturating_sub(1);
        let index = (self.waits_us.len() * percent / 100).min(last);
        self.waits_us.get(index).copied().unwrap_or_default()
    }
}

/// All figures of a run.
#[derive(Default)]
pub struct Figures(BTreeMap<(&'static str, Case), Figure>);

impl Figures {
    pub fn add(&mut self, system: &System, case: Case, figure: Figure) {
        self.0.insert((system.name, case), figure);
    }

    pub fn fail(&mut self, system: &System, case: Case, failure: Failure) {
        eprintln!("{}: {} failed: {failure}", case.name(), system.name);
        self.add(system, case, Figure::Failed(failure.to_string()));
    }

    pub fn get(&self, system: &System, case: Case) -> Option<&Figure> {
        self.0.get(&(system.name, case))
    }

    /// Returns a line of JSON for each figure.
    pub fn to_json(&self) -> Vec<Value> {
        let lines = self.0.iter().map(|((system, case), figure)| match figure {
            Figure::Failed(why) => json!({"system": system, "case": case.name(), "failed": why}),
            Figure::Measured(measured) if *case == Case::Latency => json!({
                "system": system,
                "case": case.name(),
                "messages": measured.waits_us.len(),
                "p50_us": measured.wait_us(50),
                "p99_us": measured.wait_us(99),
            }),
            Figure::Measured(measured) => json!({
                "system": system,
                "case": case.name(),
                "messages": measured.messages,
                "per_second": measured.per_second,
                "rounds": measured.rounds,
                "wal_bytes_per_message": measured.wal,
                "commits_per_message": measured.commits,
            }),
        });
        lines.collect()
    }
}

fn median(mut values: Vec<f64>) -> f64 {
    values.sort_unstable_by(f64::total_cmp);
    values.get(values.len() / 2).copied().unwrap_or_default()
}
