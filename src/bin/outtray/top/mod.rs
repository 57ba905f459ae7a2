//! `outtray top`: topics and processes, live in the terminal.
//!
//! ```text
//!   keys ──► input thread ──┐
//!   database ──► lookout ───┼─► this thread: state, and what is drawn of it
//!   signals ────────────────┘        │
//!               lookout ◄── wishes ──┘
//! ```
//!
//! The database is asked on a thread of its own, so that keys work while it is slow or away. What a
//! refresh costs is bounded (`lookout`). However this ends, the terminal is as it was (`screen`).

mod lookout;
mod colours;
mod columns;
mod details;
mod draw;
mod keys;
mod once;
mod popups;
mod screen;
mod state;
mod view;

use crate::failure::CommandFailure;
use crate::global::Global;
use crate::output::Output;
use crate::signals::Interrupts;
use clap::Args;
use colours::Colours;
use crossbeam_channel::{after, select};
use crossterm::event::{Event, KeyEventKind};
use lookout::{Lookout, TopNews};
use screen::{Input, Screen};
use state::{NextStep, State};
use std::io::{self, IsTerminal};
use std::time::{Duration, Instant};
use view::TopView;

const AFTER_HELP: &str = "\
In the terminal: ? shows the keys. What a refresh costs the database is bounded: no topic is counted over 10,000 \
messages of a kind, and where asking takes long, it is done more rarely.

Examples:
  outtray top
  outtray top --every 10s --find mail
  outtray top --once --json";

#[derive(Debug, Args)]
#[command(after_help = AFTER_HELP)]
pub(crate) struct TopOptions {
    /// How often to ask the database; 100ms to 1h
    #[arg(long, value_name = "DURATION", default_value = "2s", value_parser = interval)]
    every: Duration,

    /// What to show first
    #[arg(long, value_enum, default_value_t = TopView::Topics)]
    view: TopView,

    /// Shows only what has this text in its name; / changes it
    #[arg(long, value_name = "TEXT")]
    find: Option<String>,

    /// Prints what there is once, and ends
    #[arg(long)]
    once: bool,
}

/// Reads an interval between refreshes.
fn interval(text: &str) -> Result<Duration, String> {
    let every = humantime::parse_duration(text).map_err(|error| error.to_string())?;
    let (least, most) = (Duration::from_millis(100), Duration::from_secs(3600));
    match (least..=most).contains(&every) {
        true => Ok(every),
        false => Err("it must be 100ms to 1h".to_owned()),
    }
}

impl TopOptions {
    /// Returns whether the terminal is drawn on, so that nothing else may write there.
    pub(crate) fn draws(&self) -> bool {
        !self.once
    }
}

pub(crate) fn run(
    options: &TopOptions,
    global: &Global,
    output: &mut Output,
) -> Result<(), CommandFailure> {
    let find = options.find.as_deref().unwrap_or_default();
    if options.once {
        return once::print(options.view, find, &global.connect()?, output);
    }
    if output.is_json() {
        return Err(CommandFailure::usage("--json shows one look: add --once"));
    }
    if !io::stdin().is_terminal() || !io::stdout().is_terminal() {
        return Err(
            CommandFailure::usage("standard input and output are to be a terminal")
                .hint("pass --once to print what there is once"),
        );
    }
    let lookout = Lookout::start(global.builder()?, options.every)?;
    let interrupts = Interrupts::catch()?;
    let state = State::new(options.view, find);
    let mut screen = Screen::open()?;
    let shown = show(state, &lookout, &interrupts, &mut screen);
    drop(screen);
    shown
}

/// Shows what there is until somebody has seen enough.
fn show(
    mut state: State,
    lookout: &Lookout,
    interrupts: &Interrupts,
    screen: &mut Screen,
) -> Result<(), CommandFailure> {
    let input = Input::start()?;
    let colours = Colours::of_terminal();
    loop {
        screen.draw(|frame| draw::frame(frame, &mut state, colours))?;
        let step = select! {
            recv(input.events()) -> event => match event {
                Ok(event) => heed(&mut state, &event),
                Err(_) => NextStep::End,
            },
            recv(lookout.answers()) -> answer => match answer {
                Ok(TopNews::Fatal(failure)) => return Err(failure),
                Ok(answer) => state.learn(answer, Instant::now()),
                Err(_) => NextStep::End,
            },
            recv(interrupts.received()) -> _ => NextStep::End,
            // The clock of what is shown goes on.
            recv(after(Duration::from_secs(1))) -> _ => NextStep::Nothing,
        };
        match step {
            NextStep::End => return Ok(()),
            NextStep::Do(wish) => lookout.wish(wish),
            NextStep::Nothing => {}
        }
        if screen::is_gone() {
            return Ok(());
        }
    }
}

fn heed(state: &mut State, event: &Event) -> NextStep {
    match event {
        Event::Key(key) if key.kind != KeyEventKind::Release => keys::press(state, *key),
        _ => NextStep::Nothing,
    }
}
