//! Where servers are: the lists of hosts, addresses and ports of a connection string, paired as
//! libpq does it.

use crate::connect::url_error::malformed;
use crate::words::Result;
use postgres::Config;
use postgres::config::Host;
use std::fmt;
use std::net::{IpAddr, ToSocketAddrs};

const PORT: u16 = 5432;

/// One place to try.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Endpoint {
    /// A folder of socket files, or the name that a certificate has to be for.
    host: Host,
    /// Where to go instead of asking for the name.
    address: Option<IpAddr>,
    port: u16,
}

/// The lists, as they are written.
#[derive(Debug, Default)]
pub(crate) struct Lists {
    pub(crate) hosts: Vec<u8>,
    pub(crate) addresses: String,
    pub(crate) ports: String,
}

impl Lists {
    /// Pairs the lists.
    ///
    /// # Errors
    /// `Configuration` for lists of different lengths, parts that are missing, and what is no
    /// address or port.
    pub(crate) fn pair(&self) -> Result<Vec<Endpoint>> {
        let hosts = split(&self.hosts, b',');
        let addresses = split(self.addresses.as_bytes(), b',');
        let ports = split(self.ports.as_bytes(), b',');
        let count = hosts.len().max(addresses.len());
        let is_paired = |list: &[&[u8]]| list.is_empty() || list.len() == count;
        if !is_paired(&hosts) || !is_paired(&addresses) {
            return Err(malformed(
                "host and hostaddr name different numbers of servers",
            ));
        }
        if !is_paired(&ports) && ports.len() != 1 {
            return Err(malformed("port names another number of servers than host"));
        }
        let endpoint = |index: usize| {
            let port = ports.get(index).or(ports.first()).copied();
            Endpoint::new(
                hosts.get(index).copied().unwrap_or_default(),
                addresses.get(index).copied().unwrap_or_default(),
                port.unwrap_or_default(),
            )
        };
        (0..count).map(endpoint).collect()
    }
}

fn split(list: &[u8], at: u8) -> Vec<&[u8]> {
    match list.is_empty() {
        true => Vec::new(),
        false => list.split(|byte| *byte == at).collect(),
    }
}

impl Endpoint {
    fn new(host: &[u8], address: &[u8], port: &[u8]) -> Result<Self> {
        let address: Option<IpAddr> =
            match address {
                b"" => None,
                address => Some(parsed(address).ok_or_else(|| {
                    malformed("hostaddr takes addresses, such as 10.0.0.1 or ::1")
                })?),
            };
        let host = match (host, address) {
            (b"", None) => return Err(malformed("a host of the list is empty")),
            (b"", Some(address)) => Host::Tcp(address.to_string()),
            ([b'/', ..], Some(_)) => {
                return Err(malformed(
                    "hostaddr goes with the name of a host, not with a folder",
                ));
            }
            (host, _) => named(host)?,
        };
        let port = match port.trim_ascii() {
            b"" => Some(PORT),
            port => parsed(port).filter(|port| *port != 0),
        };
        let port = port.ok_or_else(|| malformed("port takes numbers from 1 to 65535"))?;
        Ok(Endpoint {
            host,
            address,
            port,
        })
    }

    /// Returns whether no network lies between: a socket file, or a loopback address.
    pub(crate) fn is_this_machine(&self) -> bool {
        let is_local = match &self.host {
            Host::Tcp(name) => {
                let address = name.parse::<IpAddr>();
                name.eq_ignore_ascii_case("localhost")
                    || address.is_ok_and(|address| address.is_loopback())
            }
            #[cfg(unix)]
            Host::Unix(_) => true,
        };
        is_local && self.address.is_none_or(|address| address.is_loopback())
    }

    /// Returns whether a name leads there, which may be moved to another machine.
    pub(crate) fn may_move(&self) -> bool {
        let is_name = match &self.host {
            Host::Tcp(name) => name.parse::<IpAddr>().is_err(),
            #[cfg(unix)]
            Host::Unix(_) => false,
        };
        is_name && self.address.is_none() && !self.is_this_machine()
    }

    /// Returns the addresses that the name leads to now. Blocks for as long as the resolver takes;
    /// none where it does not know.
    pub(crate) fn resolve(&self) -> Vec<IpAddr> {
        let Host::Tcp(name) = &self.host else {
            return Vec::new();
        };
        let found = (name.as_str(), self.port).to_socket_addrs();
        found.map_or_else(|_| Vec::new(), |all| all.map(|at| at.ip()).collect())
    }

    /// Returns whether a socket file leads there, where there is no TLS.
    pub(crate) fn is_file(&self) -> bool {
        !matches!(self.host, Host::Tcp(_))
    }

    /// Returns `config`, which names no host, for this place alone.
    pub(crate) fn alone(&self, config: &Config) -> Config {
        let mut config = config.clone();
        match &self.host {
            Host::Tcp(name) => config.host(name),
            #[cfg(unix)]
            Host::Unix(folder) => config.host_path(folder),
        };
        if let Some(address) = self.address {
            config.hostaddr(address);
        }
        config.port(self.port);
        config
    }
}

impl fmt::Display for Endpoint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let port = self.port;
        match &self.host {
            Host::Tcp(name) if name.contains(':') => write!(f, "[{name}]:{port}"),
            Host::Tcp(name) => write!(f, "{name}:{port}"),
            #[cfg(unix)]
            Host::Unix(folder) => write!(f, "{}:{port}", folder.display()),
        }
    }
}

fn parsed<T: std::str::FromStr>(text: &[u8]) -> Option<T> {
    std::str::from_utf8(text).ok()?.parse().ok()
}

#[cfg(unix)]
fn named(host: &[u8]) -> Result<Host> {
    use std::ffi::OsStr;
    use std::os::unix::ffi::OsStrExt;

    match host {
        [b'/', ..] => Ok(Host::Unix(OsStr::from_bytes(host).into())),
        [b'@', ..] => Err(malformed("sockets without a file are not reached")),
        _ => tcp(host),
    }
}

#[cfg(not(unix))]
fn named(host: &[u8]) -> Result<Host> {
    tcp(host)
}

fn tcp(host: &[u8]) -> Result<Host> {
    let name = std::str::from_utf8(host);
    let name = name.map_err(|_| malformed("host is not UTF-8"))?;
    Ok(Host::Tcp(name.to_owned()))
}
