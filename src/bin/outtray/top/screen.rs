//! The terminal: taken over, read and given back, whatever happens in between.

use crate::failure::CommandFailure;
use crossbeam_channel::{Receiver, bounded};
use crossterm::cursor::Show;
use crossterm::event::{self, Event};
use crossterm::execute;
use ratatui::{DefaultTerminal, Frame};
use rustix::event::{PollFd, PollFlags, Timespec, poll};
use std::io::{self, stdout};
use std::thread::Builder;

/// Keys that are typed ahead.
const TYPED_AHEAD: usize = 64;

/// The terminal, as long as this is drawn on it. A panic gives it back before it is told.
pub(crate) struct Screen {
    terminal: DefaultTerminal,
}

impl Screen {
    pub(crate) fn open() -> Result<Self, CommandFailure> {
        match ratatui::try_init() {
            Ok(terminal) => Ok(Screen { terminal }),
            Err(error) => {
                give_back();
                Err(cannot(&error))
            }
        }
    }

    pub(crate) fn draw(&mut self, draw: impl FnOnce(&mut Frame<'_>)) -> Result<(), CommandFailure> {
        let drawn = self.terminal.draw(draw);
        drawn.map(drop).map_err(|error| cannot(&error))
    }
}

impl Drop for Screen {
    fn drop(&mut self) {
        give_back();
    }
}

/// Leaves the terminal as it was. Nothing is left to be done if that fails: it is gone.
fn give_back() {
    let _ = ratatui::try_restore();
    let _ = execute!(stdout(), Show);
}

/// Returns whether the terminal is gone. Reading from it would not tell.
pub(crate) fn is_gone() -> bool {
    let stdin = io::stdin();
    let mut asked = [PollFd::new(&stdin, PollFlags::empty())];
    let now = Timespec {
        tv_sec: 0,
        tv_nsec: 0,
    };
    let gone = PollFlags::HUP | PollFlags::ERR | PollFlags::NVAL;
    poll(&mut asked, Some(&now)).is_ok() && asked[0].revents().intersects(gone)
}

/// What is typed, and changes of the terminal's size.
pub(crate) struct Input {
    events: Receiver<Event>,
}

impl Input {
    /// Starts to read. The thread ends with the process: it waits for keys, and once the terminal
    /// is gone, for ever.
    pub(crate) fn start() -> Result<Self, CommandFailure> {
        let (typed, events) = bounded(TYPED_AHEAD);
        let read = move || {
            while let Ok(event) = event::read() {
                if typed.send(event).is_err() {
                    return;
                }
            }
        };
        let started = Builder::new().name("outtray-keys".to_owned()).spawn(read);
        started.map_err(|error| cannot(&error))?;
        Ok(Input { events })
    }

    pub(crate) fn events(&self) -> &Receiver<Event> {
        &self.events
    }
}

fn cannot(error: &io::Error) -> CommandFailure {
    CommandFailure::failed(format!("cannot use the terminal: {error}"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::env;
    use std::process::{Command, Stdio};

    /// Says that the test is to panic on the terminal that it runs in.
    const PANICS: &str = "OUTTRAY_PANICS_ON_A_TERMINAL";

    #[test]
    fn a_panic_is_told_on_the_terminal_as_it_was_before() {
        if env::var_os(PANICS).is_some() {
            let _screen = Screen::open().unwrap_or_else(|_| panic!("no terminal"));
            panic!("planted");
        }
        let test = "top::screen::tests::a_panic_is_told_on_the_terminal_as_it_was_before";
        let this = env::current_exe().unwrap();
        let command = format!("{} --exact {test} --nocapture", this.display());

        let mut on_terminal = Command::new("script");
        on_terminal
            .args(["-qec", &command, "/dev/null"])
            .env(PANICS, "1")
            .env("TERM", "xterm")
            .stdin(Stdio::null());
        let written = on_terminal.output().unwrap().stdout;

        let written = String::from_utf8_lossy(&written);
        let [entered, left, told] =
            ["\x1b[?1049h", "\x1b[?1049l", "planted"].map(|what| written.find(what));
        assert!(
            entered.is_some() && entered < left && left < told,
            "{written:?}"
        );
    }
}
