//! What stands out, in colours or, where none are wanted, in bold.

use ratatui::style::{Color, Modifier, Style};
use std::env;

/// Whether there are colours.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Colours {
    are_wanted: bool,
}

impl Colours {
    /// Returns what the terminal can and its user wants.
    pub(crate) fn of_terminal() -> Self {
        let is_set =
            |name| env::var_os(name).is_some_and(|value: std::ffi::OsString| !value.is_empty());
        let is_dumb = env::var_os("TERM").is_none_or(|term| term == "dumb");
        Colours {
            are_wanted: !is_set("NO_COLOR") && !is_dumb,
        }
    }

    pub(crate) fn title(self) -> Style {
        Style::new().add_modifier(Modifier::BOLD)
    }

    pub(crate) fn quiet(self) -> Style {
        match self.are_wanted {
            true => Style::new().add_modifier(Modifier::DIM),
            false => Style::new(),
        }
    }

    pub(crate) fn chosen(self) -> Style {
        Style::new().add_modifier(Modifier::REVERSED)
    }

    /// What somebody has to see to.
    pub(crate) fn bad(self) -> Style {
        self.strong(Color::Red)
    }

    /// What is not as usual.
    pub(crate) fn odd(self) -> Style {
        self.strong(Color::Yellow)
    }

    pub(crate) fn good(self) -> Style {
        self.strong(Color::Green)
    }

    fn strong(self, colour: Color) -> Style {
        match self.are_wanted {
            true => Style::new().fg(colour),
            false => Style::new().add_modifier(Modifier::BOLD),
        }
    }
}
