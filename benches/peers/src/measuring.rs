//! How a case is measured: a size is found that takes a system some seconds, then all systems take
//! their turns, round by round, so that a slow minute of the machine hits all alike.

use crate::bed::{Bed, Counters};
use crate::failure::Result;
use crate::figures::{Figure, Figures, Round};
use crate::program::Workshop;
use crate::running::{Answer, run};
use crate::system::System;
use peer_protocol::Case;
use std::time::{Duration, Instant};

/// Messages of the first try.
const FIRST_TRY: u64 = 400;
/// Some handle one or two a second unless told otherwise.
const FIRST_TRY_WITH_DEFAULTS: u64 = 20;
const FEWEST_MESSAGES: u64 = 16;
/// More fit into the cases' seconds on no machine so far, and filling takes time too.
const MOST_MESSAGES: u64 = 400_000;
const LATENCY_FIRST_TRY: u64 = 5;
const LATENCY_MESSAGES: std::ops::RangeInclusive<u64> = 20..=200;

/// How much is measured.
#[derive(Debug, Clone, Copy)]
pub struct Plan {
    /// Rounds of each case; medians count.
    pub rounds: usize,
    /// What a round is to take.
    pub round: Duration,
    /// A runner that takes longer is killed.
    pub patience: Duration,
}

/// Measures.
pub struct Measuring<'a> {
    pub bed: &'a mut Bed,
    pub workshop: &'a Workshop,
    pub plan: Plan,
}

/// A case of one system, ready for its rounds.
struct Prepared<'s> {
    system: &'s System,
    messages: u64,
    /// The database that a round gets a copy of.
    database: String,
    rounds: Vec<Round>,
}

impl Measuring<'_> {
    /// Makes the system's database with its schema.
    pub fn set_up(&mut self, system: &System) -> Result<()> {
        let database = schema_database(system);
        self.bed.create(&database)?;
        self.call(system, Case::Setup, &database, 0)?;
        Ok(())
    }

    /// Measures a case of all these systems.
    pub fn case(&mut self, case: Case, systems: &[System], figures: &mut Figures) {
        let mut prepared = Vec::new();
        for system in systems {
            if system.leaves_out.contains(&case) {
                continue;
            }
            eprintln!("{}: sizing {}", case.name(), system.name);
            match self.prepare(system, case) {
                Ok(ready) => prepared.push(ready),
                Err(failure) => figures.fail(system, case, failure),
            }
        }
        for round in 1..=self.plan.rounds {
            eprintln!("{}: round {round} of {}", case.name(), self.plan.rounds);
            prepared.retain_mut(|ready| match self.round(case, ready) {
                Ok(()) => true,
                Err(failure) => {
                    figures.fail(ready.system, case, failure);
                    false
                }
            });
        }
        for ready in prepared {
            if ready.database != schema_database(ready.system) {
                // What stays is removed with the server.
                let _ = self.bed.drop(&ready.database);
            }
            figures.add(ready.system, case, Figure::of(ready.messages, ready.rounds));
        }
    }

    fn prepare<'s>(&mut self, system: &'s System, case: Case) -> Result<Prepared<'s>> {
        let messages = self.size(system, case)?;
        let database = self.filled(system, case, messages)?;
        Ok(Prepared {
            system,
            messages,
            database,
            rounds: Vec::new(),
        })
    }

    /// Returns how many messages take about as long as a round is to take.
    fn size(&mut self, system: &System, case: Case) -> Result<u64> {
        let target = self.plan.round.as_secs_f64();
        if case == Case::Latency {
            let started = Instant::now();
            self.once(system, case, &schema_database(system), LATENCY_FIRST_TRY)?;
            let each = started.elapsed().as_secs_f64() / LATENCY_FIRST_TRY as f64;
            let some = (2.0 * target / each) as u64;
            return Ok(some.clamp(*LATENCY_MESSAGES.start(), *LATENCY_MESSAGES.end()));
        }
        let mut messages = match case {
            Case::DrainDefault => FIRST_TRY_WITH_DEFAULTS,
            _ => FIRST_TRY,
        };
        loop {
            let from = self.filled(system, case, messages)?;
            let seconds = self.once(system, case, &from, messages)?.seconds.max(0.001);
            let wanted = messages as f64 * target / seconds;
            if seconds > target / 2.0 || messages == MOST_MESSAGES {
                return Ok((wanted as u64).clamp(FEWEST_MESSAGES, MOST_MESSAGES));
            }
            // Starting up is most of a short run, so this is less than what is needed.
            messages = (wanted.min(messages as f64 * 20.0) as u64).min(MOST_MESSAGES);
        }
    }

    /// Returns a database with so many messages in queue `work`, if the case needs any.
    fn filled(&mut self, system: &System, case: Case, messages: u64) -> Result<String> {
        let schema = schema_database(system);
        if !case.needs_messages() {
            return Ok(schema);
        }
        let database = format!("{schema}_filled");
        self.bed.copy(&schema, &database)?;
        self.call(system, Case::SendBulk, &database, messages)?;
        self.bed.settle(&database)?;
        Ok(database)
    }

    fn round(&mut self, case: Case, ready: &mut Prepared<'_>) -> Result<()> {
        let round = self.counted(ready.system, case, &ready.database, ready.messages)?;
        ready.rounds.push(round);
        Ok(())
    }

    fn once(&mut self, system: &System, case: Case, from: &str, messages: u64) -> Result<Answer> {
        Ok(self.counted(system, case, from, messages)?.answer)
    }

    /// Runs a case in a copy of a database.
    fn counted(&mut self, system: &System, case: Case, from: &str, messages: u64) -> Result<Round> {
        let database = format!("{}_round", schema_database(system));
        self.bed.copy(from, &database)?;
        let before = self.bed.counters(&database)?;
        let answer = self.call(system, case, &database, messages);
        let after = self.bed.counters(&database)?;
        self.bed.drop(&database)?;
        Ok(Round {
            answer: answer?,
            written: Counters {
                wal: after.wal - before.wal,
                commits: after.commits - before.commits,
            },
        })
    }

    fn call(&self, system: &System, case: Case, database: &str, messages: u64) -> Result<Answer> {
        let mut command = self.workshop.command(system.program);
        command
            .arg(case.name())
            .arg(messages.to_string())
            .args(system.arguments)
            .env("PGBENCH", self.bed.programs().join("pgbench"))
            .envs(self.bed.environment(database));
        let log = self
            .workshop
            .logs()
            .join(format!("{}-{}.log", system.name, case.name()));
        run(command, &log, self.plan.patience)
    }
}

fn schema_database(system: &System) -> String {
    format!("peer_{}", system.name.replace('-', "_"))
}
