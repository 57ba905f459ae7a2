//! What a connection string says about TLS.
//!
//! `sslmode` takes libpq's words, with one difference: there is no silent way to plain text.
//! `require`, `verify-ca` and `verify-full` all check the certificate and the host name; `allow`
//! and `prefer` are refused. Without `sslmode`, this machine is reached in plain text, and any
//! other host with `verify-full`; so is this one if anything else is said that has to do with TLS.
//! `sslrootcert=FILE` (PEM) names the authority to trust instead of the platform's. Through a
//! socket file there is no TLS, as in libpq.

use crate::connect::endpoints::Endpoint;
use crate::connect::url_error::{choice, configuration};
use crate::words::Result;
use std::path::PathBuf;

/// What a connection string says about TLS.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct TlsWish {
    mode: Option<Mode>,
    trusts_platform: bool,
    /// The authority to trust, if not those of the platform.
    pub(crate) root: Option<PathBuf>,
    /// What this client shows of itself.
    pub(crate) certificate: Option<PathBuf>,
    pub(crate) key: Option<PathBuf>,
    /// Whether the handshake begins without the question for TLS.
    pub(crate) is_direct: bool,
    /// Whether the server is not told which name it is reached by.
    pub(crate) hides_name: bool,
    pub(crate) needs_13: bool,
    pub(crate) refuses_13: bool,
    hides_certificate: bool,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Mode {
    Disable,
    Verify,
}

/// Whether it takes TLS 1.3 to be that new. Versions before 1.2 are not spoken in any case.
const LEAST: [(&str, bool); 4] = [
    ("TLSv1.3", true),
    ("TLSv1.2", false),
    ("TLSv1.1", false),
    ("TLSv1", false),
];

/// Whether TLS 1.3 is too new.
const MOST: [(&str, bool); 2] = [("TLSv1.3", false), ("TLSv1.2", true)];

impl TlsWish {
    /// Takes a keyword, if it is one about TLS.
    pub(crate) fn take(&mut self, keyword: &str, value: &[u8]) -> Result<bool> {
        let text = String::from_utf8_lossy(value);
        match keyword {
            "sslmode" => self.mode = Some(mode(&text)?),
            "sslrootcert" if value == b"system" => self.trusts_platform = true,
            "sslrootcert" => self.root = file(keyword, value)?,
            "sslcert" => self.certificate = file(keyword, value)?,
            "sslkey" => self.key = file(keyword, value)?,
            "sslnegotiation" => {
                self.is_direct = choice(keyword, &text, &[("postgres", false), ("direct", true)])?;
            }
            "sslsni" => self.hides_name = choice(keyword, &text, &[("1", false), ("0", true)])?,
            "ssl_min_protocol_version" => self.needs_13 = choice(keyword, &text, &LEAST)?,
            "ssl_max_protocol_version" => self.refuses_13 = choice(keyword, &text, &MOST)?,
            "sslcertmode" => {
                self.hides_certificate =
                    choice(keyword, &text, &[("allow", false), ("disable", true)])?;
            }
            _ => return Ok(false),
        }
        Ok(true)
    }

    /// Refuses what cannot be had together, when all was taken.
    pub(crate) fn check(&mut self) -> Result<()> {
        if self.hides_certificate {
            (self.certificate, self.key) = (None, None);
        }
        let text = match () {
            () if self.certificate.is_some() != self.key.is_some() => {
                "sslcert and sslkey in the database URL go together: name the certificate and its key"
            }
            () if self.needs_13 && self.refuses_13 => {
                "ssl_min_protocol_version in the database URL is above ssl_max_protocol_version"
            }
            () if self.is_direct && self.mode == Some(Mode::Disable) => {
                "sslnegotiation=direct in the database URL begins with TLS, and sslmode=disable has none"
            }
            () => return Ok(()),
        };
        Err(configuration(text))
    }

    /// Returns whether connections by TCP are encrypted.
    pub(crate) fn is_wanted(&self, endpoints: &[Endpoint]) -> bool {
        match self.mode {
            Some(mode) => mode == Mode::Verify,
            None => self.is_meant() || !endpoints.iter().all(Endpoint::is_this_machine),
        }
    }

    /// Returns whether anything was said for which there has to be TLS.
    fn is_meant(&self) -> bool {
        self.trusts_platform || self.is_direct || self.root.is_some() || self.certificate.is_some()
    }
}

fn mode(text: &str) -> Result<Mode> {
    match text {
        "disable" => Ok(Mode::Disable),
        "require" | "verify-ca" | "verify-full" => Ok(Mode::Verify),
        other @ ("allow" | "prefer") => Err(configuration(format!(
            "sslmode={other} is not offered, because it may send plain text without a word: use \
             verify-full or disable"
        ))),
        // It may be a piece of what follows, the password for one: it is not shown.
        _ => Err(configuration(
            "sslmode has a value that is not known: use verify-full or disable",
        )),
    }
}

/// Returns the file that is named; `None` for an empty name.
fn file(keyword: &str, name: &[u8]) -> Result<Option<PathBuf>> {
    match path(name) {
        _ if name.is_empty() => Ok(None),
        Some(path) if !name.contains(&0) => Ok(Some(path)),
        _ => Err(configuration(format!(
            "{keyword} in the database URL is no name of a file"
        ))),
    }
}

#[cfg(unix)]
fn path(name: &[u8]) -> Option<PathBuf> {
    use std::ffi::OsStr;
    use std::os::unix::ffi::OsStrExt;

    Some(OsStr::from_bytes(name).into())
}

#[cfg(not(unix))]
fn path(name: &[u8]) -> Option<PathBuf> {
    std::str::from_utf8(name).ok().map(PathBuf::from)
}
