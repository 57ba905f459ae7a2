//! Why a connection is closed, and the code that says so on a WebSocket.

use std::fmt;
use tungstenite::protocol::frame::coding::CloseCode;

/// Why a connection is closed by the server.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Closing {
    pub(crate) kind: ClosingKind,
    text: String,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum ClosingKind {
    /// A request that cannot be served, or a failure of ours.
    Failed,
    /// A request that is too large or too deep.
    TooBig,
    /// Something that is not allowed, or that took too long.
    Policy,
    /// Bytes that are no WebSocket.
    Protocol,
    /// A text frame that is no text.
    NoText,
    /// The token is missing or wrong.
    Unknown,
    /// The server stops.
    GoingAway,
}

/// A WebSocket's control frame has room for so many bytes of text.
const LONGEST_REASON: usize = 120;

impl Closing {
    pub(crate) fn new(kind: ClosingKind, text: impl Into<String>) -> Self {
        Closing {
            kind,
            text: text.into(),
        }
    }

    pub(crate) fn failed(text: impl Into<String>) -> Self {
        Closing::new(ClosingKind::Failed, text)
    }

    pub(crate) fn policy(text: impl Into<String>) -> Self {
        Closing::new(ClosingKind::Policy, text)
    }

    pub(crate) fn code(&self) -> CloseCode {
        match self.kind {
            ClosingKind::Failed => CloseCode::Error,
            ClosingKind::TooBig => CloseCode::Size,
            ClosingKind::Policy | ClosingKind::Unknown => CloseCode::Policy,
            ClosingKind::Protocol => CloseCode::Protocol,
            ClosingKind::NoText => CloseCode::Invalid,
            ClosingKind::GoingAway => CloseCode::Away,
        }
    }

    /// Returns the line with which HTTP says it, to one who is not yet a WebSocket.
    pub(crate) fn status(&self) -> &'static str {
        match self.kind {
            ClosingKind::Failed | ClosingKind::GoingAway => "503 Service Unavailable",
            ClosingKind::TooBig => "431 Request Header Fields Too Large",
            ClosingKind::Policy => "403 Forbidden",
            ClosingKind::Protocol | ClosingKind::NoText => "400 Bad Request",
            ClosingKind::Unknown => "401 Unauthorized",
        }
    }

    /// Returns the text, as long as a control frame has room for it.
    pub(crate) fn reason(&self) -> &str {
        let longest = (0..=LONGEST_REASON.min(self.text.len())).rev();
        let end = longest
            .into_iter()
            .find(|end| self.text.is_char_boundary(*end));
        &self.text[..end.unwrap_or_default()]
    }
}

impl fmt::Display for Closing {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_reason_fits_a_control_frame_and_is_cut_between_characters() {
        assert_eq!(Closing::failed("short").reason(), "short");
        let long = Closing::failed("ü".repeat(100));
        assert_eq!(long.reason(), "ü".repeat(60));
    }
}
