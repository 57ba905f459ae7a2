//! Measures other queues on PostgreSQL beside outtray: on one server, in one run, in turns.
//!
//! ```text
//! cargo run --release --manifest-path benches/peers/Cargo.toml -- --write docs/BENCHMARKS.md
//! ```
//!
//! Each system has a runner, a small program in its own language that does one case and prints how
//! long that took; the crate `peer-protocol` says how they talk. This driver starts a throwaway
//! server with fsync and synchronous_commit on, gives each system a database of its own, finds out
//! how many messages take it a few seconds, and then runs round after round, all systems in turns,
//! each round in a fresh copy of the system's database. Medians count. What cannot be built, fails
//! or takes too long is reported as that.

mod bed;
mod document;
mod failure;
mod figures;
mod machine;
mod measuring;
mod program;
mod running;
mod system;
mod systems;
mod table;
mod versions;

use crate::bed::Bed;
use crate::document::Document;
use crate::failure::{Failure, Result};
use crate::figures::Figures;
use crate::machine::Machine;
use crate::measuring::{Measuring, Plan};
use crate::program::Workshop;
use crate::system::System;
use crate::systems::SYSTEMS;
use clap::Parser;
use peer_protocol::Case;
use std::path::PathBuf;
use std::process::ExitCode;
use std::time::Duration;

/// Measures other queues on PostgreSQL beside outtray.
#[derive(Parser)]
struct Arguments {
    /// Systems to measure; all when none is named
    systems: Vec<String>,
    /// Fewer and shorter rounds: to see that all works, not to quote
    #[arg(long)]
    quick: bool,
    /// Rounds of each case; medians count
    #[arg(long)]
    rounds: Option<usize>,
    /// Prints the figures as lines of JSON instead of a table
    #[arg(long)]
    json: bool,
    /// Writes the figures, and all that one needs to judge them, into this file
    #[arg(long, value_name = "FILE")]
    write: Option<PathBuf>,
}

fn main() -> ExitCode {
    match run(&Arguments::parse()) {
        Ok(()) => ExitCode::SUCCESS,
        Err(failure) => {
            eprintln!("peers: {failure}");
            ExitCode::FAILURE
        }
    }
}

fn run(arguments: &Arguments) -> Result<()> {
    let chosen = choose(&arguments.systems)?;
    let (rounds, seconds) = if arguments.quick { (1, 0.5) } else { (3, 2.0) };
    let plan = Plan {
        rounds: arguments.rounds.unwrap_or(rounds).max(1),
        round: Duration::from_secs_f64(seconds),
        patience: Duration::from_secs(60),
    };
    let workshop = Workshop::find()?;
    let mut bed = Bed::start()?;
    let machine = Machine::look(&mut bed)?;
    let mut left_out = Vec::new();
    let mut leave_out = |system: System, failure: Failure| {
        eprintln!("{}: left out: {failure}", system.name);
        left_out.push((system, failure));
    };
    // First of all, before minutes go into building the others.
    let mut installed = Vec::new();
    for system in chosen {
        match find_extension(&mut bed, &system) {
            Ok(()) => installed.push(system),
            Err(failure) => leave_out(system, failure),
        }
    }
    let mut figures = Figures::default();
    let mut measuring = Measuring {
        bed: &mut bed,
        workshop: &workshop,
        plan,
    };
    let mut measured = Vec::new();
    for system in installed {
        match make_ready(&mut measuring, &system) {
            Ok(()) => measured.push(system),
            Err(failure) => leave_out(system, failure),
        }
    }
    for case in Case::TIMED {
        measuring.case(case, &measured, &mut figures);
    }
    let versions = versions::all(&mut bed, &measured)?;
    let rows = table::rows(&measured, &versions, &figures);
    if arguments.json {
        figures.to_json().iter().for_each(|line| println!("{line}"));
    } else {
        println!("{}", table::for_terminal(&rows));
        for (system, failure) in &left_out {
            println!("left out: {}: {failure}", system.title);
        }
    }
    if let Some(file) = &arguments.write {
        let document = Document {
            machine,
            plan,
            systems: &measured,
            rows,
            left_out,
            figures,
        };
        std::fs::write(file, document.to_string())?;
    }
    Ok(())
}

/// Returns the systems of these names, in the order of the table.
fn choose(names: &[String]) -> Result<Vec<System>> {
    let is_known = |name: &&String| SYSTEMS.iter().any(|system| system.name == **name);
    if let Some(unknown) = names.iter().find(|name| !is_known(name)) {
        let known: Vec<&str> = SYSTEMS.iter().map(|system| system.name).collect();
        let text = format!("no system {unknown}, there are {}", known.join(", "));
        return Err(Failure::new(text));
    }
    let is_chosen = |system: &System| names.is_empty() || names.iter().any(|n| n == system.name);
    Ok(SYSTEMS.iter().copied().filter(is_chosen).collect())
}

/// Fails when the server lacks the extension that the system is, and names its package.
fn find_extension(bed: &mut Bed, system: &System) -> Result<()> {
    let Some((extension, package)) = system.extension else {
        return Ok(());
    };
    if bed.extension(extension)?.is_some() {
        return Ok(());
    }
    let release = bed.show("server_version")?;
    let release = release.split('.').next().unwrap_or_default();
    let text = format!("not installed: apt install postgresql-{release}-{package}");
    Err(Failure::new(text))
}

/// Builds or installs what the system needs and makes its database.
fn make_ready(measuring: &mut Measuring<'_>, system: &System) -> Result<()> {
    eprintln!("making {} ready", system.name);
    measuring.workshop.make_ready(system.program)?;
    measuring.set_up(system)
}
