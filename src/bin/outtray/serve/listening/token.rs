//! Who may connect: anybody on this machine, or whoever has the token.

use crate::failure::CommandFailure;
use base64::Engine;
use base64::alphabet::STANDARD;
use base64::engine::{DecodePaddingMode, GeneralPurpose, GeneralPurposeConfig};
use std::fs;
use std::net::SocketAddr;
use std::path::Path;

/// A shorter one could be guessed.
const SHORTEST: usize = 16;
const LONGEST: usize = 4096;

/// Decides who is let in, and what they may do.
#[derive(Clone)]
pub(crate) struct Gatekeeper {
    token: Option<String>,
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

    /// Returns whether there is a token.
    pub(crate) fn has_token(&self) -> bool {
        self.token.is_some()
    }

    /// Returns whether a client needs no token: without one, it is on this machine.
    pub(crate) fn admits(&self, peer: SocketAddr) -> bool {
        self.token.is_none() && peer.ip().to_canonical().is_loopback()
    }

    /// Returns whether it is the token. How long that takes does not depend on where it differs.
    pub(crate) fn accepts(&self, token: &str) -> bool {
        let Some(expected) = self.token.as_deref() else {
            // Nobody is asked for one.
            return true;
        };
        let pairs = expected.bytes().zip(token.bytes());
        let difference = pairs.fold(0, |difference, (one, other)| difference | (one ^ other));
        difference == 0 && expected.len() == token.len()
    }

    /// Returns whether a header `Authorization` has the token: as `Bearer`, or as the password of
    /// `Basic`, which is how an address `ws://user:password@host` is sent.
    pub(crate) fn accepts_header(&self, header: Option<&str>) -> bool {
        let Some((scheme, credentials)) = header.and_then(|header| header.split_once(' ')) else {
            return false;
        };
        match scheme.to_ascii_lowercase().as_str() {
            "bearer" => self.accepts(credentials.trim()),
            "basic" => decoded(credentials.trim())
                .and_then(|text| {
                    text.split_once(':')
                        .map(|(_, password)| self.accepts(password))
                })
                .unwrap_or(false),
            _ => false,
        }
    }

    /// Returns whether a client may stop the server.
    pub(crate) fn allows_shutdown(&self) -> bool {
        self.allows_shutdown
    }
}

fn read(file: &Path) -> Result<String, CommandFailure> {
    let shown = file.display();
    let text = fs::read_to_string(file).map_err(|error| {
        CommandFailure::failed(format!("cannot read the token of {shown}: {error}"))
    })?;
    let token = text.trim();
    if !(SHORTEST..=LONGEST).contains(&token.len()) {
        let text = format!(
            "the token of {shown} has {} bytes, {SHORTEST} to {LONGEST} are needed",
            token.len()
        );
        return Err(CommandFailure::failed(text).hint("openssl rand -hex 32 > FILE makes one"));
    }
    Ok(token.to_owned())
}

/// Decodes base 64, padded or not; `None` when it is none, or no text.
fn decoded(text: &str) -> Option<String> {
    let any_padding = GeneralPurposeConfig::new()
        .with_decode_padding_mode(DecodePaddingMode::Indifferent)
        .with_decode_allow_trailing_bits(true);
    let engine = GeneralPurpose::new(&STANDARD, any_padding);
    String::from_utf8(engine.decode(text).ok()?).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    const TOKEN: &str = "0123456789abcdef";

    fn guard() -> Gatekeeper {
        Gatekeeper {
            token: Some(TOKEN.to_owned()),
            allows_shutdown: true,
        }
    }

    #[test]
    fn only_the_token_itself_is_accepted() {
        assert!(guard().accepts(TOKEN));
        for wrong in [
            "",
            "0123456789abcde",
            "0123456789abcdeF",
            "0123456789abcdef0",
        ] {
            assert!(!guard().accepts(wrong), "{wrong}");
        }
    }

    #[test]
    fn the_token_comes_as_bearer_or_as_password() {
        assert!(guard().accepts_header(Some("Bearer 0123456789abcdef")));
        // dsmq:0123456789abcdef
        assert!(guard().accepts_header(Some("Basic ZHNtcTowMTIzNDU2Nzg5YWJjZGVm")));
        for wrong in [
            None,
            Some("Bearer"),
            Some("Bearer x"),
            Some("Basic ZHNtcTowMTIz"),
            Some("Basic §"),
            Some("Digest 0123456789abcdef"),
        ] {
            assert!(!guard().accepts_header(wrong), "{wrong:?}");
        }
    }

    #[test]
    fn without_a_token_only_this_machine_is_let_in() {
        let open = Gatekeeper {
            token: None,
            allows_shutdown: true,
        };
        assert!(open.admits("127.0.0.1:1".parse().unwrap()));
        assert!(open.admits("[::1]:1".parse().unwrap()));
        assert!(open.admits("[::ffff:127.0.0.1]:1".parse().unwrap()));
        assert!(!open.admits("192.0.2.1:1".parse().unwrap()));
        assert!(!guard().admits("127.0.0.1:1".parse().unwrap()));
    }
}
