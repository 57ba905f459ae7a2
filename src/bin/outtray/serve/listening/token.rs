//! Who may connect: anybody on this machine, or whoever has the token.

use crate::failure::CommandFailure;
use outtray::dashboard::Token;
use std::fs;
use std::net::SocketAddr;
use std::path::Path;

/// Decides who is let in, and what they may do.
#[derive(Clone)]
pub(crate) struct Gatekeeper {
    token: Option<Token>,
    allows_shutdown: bool,
}

impl Gatekeeper {
    /// Reads the token, if there is a file of one.
    ///
    /// # Errors
    /// When the file cannot be read, or the token is too short.
    pub(crate) fn new(file: Option<&Path>, allows_shutdown: bool) -> Result<Self, CommandFailure> {
        let token = file.map(read).transpose()?;
        Ok(Gatekeeper {
            token,
            allows_shutdown,
        })
    }

    /// Returns the token, if there is one.
    pub(crate) fn token(&self) -> Option<&Token> {
        self.token.as_ref()
    }

    /// Returns whether there is a token.
    pub(crate) fn has_token(&self) -> bool {
        self.token.is_some()
    }

    /// Returns whether a client needs no token: without one, it is on this machine.
    pub(crate) fn admits(&self, peer: SocketAddr) -> bool {
        self.token.is_none() && peer.ip().to_canonical().is_loopback()
    }

    /// Returns whether it is the token, or nobody is asked for one.
    pub(crate) fn accepts(&self, token: &str) -> bool {
        self.token.as_ref().is_none_or(|own| own.accepts(token))
    }

    /// Returns whether a header `Authorization` has the token.
    pub(crate) fn accepts_header(&self, header: Option<&str>) -> bool {
        self.token
            .as_ref()
            .is_some_and(|own| own.accepts_header(header))
    }

    /// Returns whether a client may stop the server.
    pub(crate) fn allows_shutdown(&self) -> bool {
        self.allows_shutdown
    }
}

fn read(file: &Path) -> Result<Token, CommandFailure> {
    let shown = file.display();
    let text = fs::read_to_string(file).map_err(|error| {
        CommandFailure::failed(format!("cannot read the token of {shown}: {error}"))
    })?;
    Token::new(&text).map_err(|error| {
        CommandFailure::failed(format!("{shown}: {error}"))
            .hint("openssl rand -hex 32 > FILE makes one")
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn guard(token: Option<&str>) -> Gatekeeper {
        Gatekeeper {
            token: token.map(|token| Token::new(token).unwrap()),
            allows_shutdown: true,
        }
    }

    #[test]
    fn without_a_token_only_this_machine_is_let_in() {
        let open = guard(None);
        assert!(open.admits("127.0.0.1:1".parse().unwrap()));
        assert!(open.admits("[::1]:1".parse().unwrap()));
        assert!(open.admits("[::ffff:127.0.0.1]:1".parse().unwrap()));
        assert!(!open.admits("192.0.2.1:1".parse().unwrap()));
        let guarded = guard(Some("0123456789abcdef"));
        assert!(!guarded.admits("127.0.0.1:1".parse().unwrap()));
    }
}
