//! The token that lets clients in.

use crate::words::{Error, Result};
use base64::Engine;
use base64::alphabet::STANDARD;
use base64::engine::{DecodePaddingMode, GeneralPurpose, GeneralPurposeConfig};
use std::fmt;
use std::sync::Arc;

/// A shorter one could be guessed.
const SHORTEST: usize = 16;
const LONGEST: usize = 4096;

/// A secret that clients show to be let in: 16 to 4096 bytes. `openssl rand -hex 32` makes one.
///
/// Its `Debug` form does not show it.
#[derive(Clone)]
pub struct Token(Arc<str>);

impl Token {
    /// Makes a token of a text, without the white space around it.
    ///
    /// # Errors
    /// `Invalid` when it is shorter than 16 bytes, as it could be guessed, or longer than 4096.
    pub fn new(text: &str) -> Result<Token> {
        let token = text.trim();
        if !(SHORTEST..=LONGEST).contains(&token.len()) {
            return Err(Error::invalid(format!(
                "the token has {} bytes, {SHORTEST} to {LONGEST} are needed",
                token.len()
            )));
        }
        Ok(Token(token.into()))
    }

    /// Returns whether this is the token. How long that takes does not depend on where it differs.
    pub fn accepts(&self, token: &str) -> bool {
        same(&self.0, token)
    }

    /// Returns whether a header `Authorization` has the token: as `Bearer`, or as the password of
    /// `Basic`, which is how an address `ws://user:password@host` is sent.
    pub fn accepts_header(&self, header: Option<&str>) -> bool {
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
}

impl fmt::Debug for Token {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Token(…)")
    }
}

/// Compares two secrets in a time that does not depend on where they differ.
pub(crate) fn same(expected: &str, shown: &str) -> bool {
    let pairs = expected.bytes().zip(shown.bytes());
    let difference = pairs.fold(0, |difference, (one, other)| difference | (one ^ other));
    difference == 0 && expected.len() == shown.len()
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

    fn token() -> Token {
        Token::new(TOKEN).unwrap()
    }

    #[test]
    fn only_the_token_itself_is_accepted() {
        assert!(token().accepts(TOKEN));
        for wrong in [
            "",
            "0123456789abcde",
            "0123456789abcdeF",
            "0123456789abcdef0",
        ] {
            assert!(!token().accepts(wrong), "{wrong}");
        }
    }

    #[test]
    fn a_token_that_could_be_guessed_is_refused_and_none_is_shown() {
        assert!(Token::new("   0123456789abcde\n").is_err());
        assert!(Token::new(&"x".repeat(5_000)).is_err());
        assert!(!format!("{:?}", token()).contains("0123"));
    }

    #[test]
    fn the_token_comes_as_bearer_or_as_password() {
        assert!(token().accepts_header(Some("Bearer 0123456789abcdef")));
        // dsmq:0123456789abcdef
        assert!(token().accepts_header(Some("Basic ZHNtcTowMTIzNDU2Nzg5YWJjZGVm")));
        for wrong in [
            None,
            Some("Bearer"),
            Some("Bearer x"),
            Some("Basic ZHNtcTowMTIz"),
            Some("Basic §"),
            Some("Digest 0123456789abcdef"),
        ] {
            assert!(!token().accepts_header(wrong), "{wrong:?}");
        }
    }
}
