//! The meaning of a connection string's keywords here. Each keyword that libpq 18 knows is obeyed,
//! has no bearing, or is refused by its name: none that somebody may rely on is silently ignored.

use crate::connect::conninfo::{Pair, parse};
use crate::connect::endpoints::{Endpoint, Lists};
use crate::connect::tls_wish::TlsWish;
use crate::connect::url_error::{choice, configuration, malformed, not_offered};
use crate::words::{Error, Result};
use postgres::Config;
use postgres::config::{ChannelBinding, LoadBalanceHosts, TargetSessionAttrs};
use std::time::Duration;

/// Keywords that ask for what is not done here, and why that is no loss, or what to do instead.
const REFUSED: [(&[&str], &str); 9] = [
    (
        &["service", "servicefile"],
        "service files are not read, write out what they say",
    ),
    (
        &["passfile"],
        "password files are not read, give the password in the URL",
    ),
    (
        &["require_auth"],
        "the server decides how it asks for the password; channel_binding=require makes it prove itself",
    ),
    (
        &["requirepeer"],
        "the server's user is not looked at, keep others out of the socket's folder",
    ),
    (
        &["sslpassword"],
        "keys that are encrypted are not read, decrypt the key",
    ),
    (
        &["sslcrl", "sslcrldir"],
        "revoked certificates are not told apart, use authorities of short-lived ones",
    ),
    (
        &["sslkeylogfile"],
        "the keys of a connection are written nowhere",
    ),
    (
        &["scram_client_key", "scram_server_key"],
        "keys take the place of passwords only between servers, give the password",
    ),
    (
        &[
            "oauth_issuer",
            "oauth_client_id",
            "oauth_client_secret",
            "oauth_scope",
        ],
        "tokens are not obtained, use a password or a certificate",
    ),
];

/// Keywords about what is never done here, whatever they say: Kerberos, and compression by TLS.
const WITHOUT_EFFECT: [&str; 4] = ["krbsrvname", "gsslib", "gssdelegation", "sslcompression"];

/// Keywords of which only what is so anyway can be said.
const AS_IT_IS: [(&str, &[&str]); 5] = [
    (
        "client_encoding",
        &[
            "UTF8", "UTF-8", "utf8", "utf-8", "unicode", "UNICODE", "auto",
        ],
    ),
    ("gssencmode", &["disable", "prefer"]),
    ("replication", &["false", "off", "no", "0"]),
    ("min_protocol_version", &["3.0"]),
    ("max_protocol_version", &["3.0", "3.2", "latest"]),
];

/// A connection string as it is meant.
#[derive(Debug, Default)]
pub(crate) struct Meant {
    /// All but hosts and TLS.
    pub(crate) config: Config,
    pub(crate) endpoints: Vec<Endpoint>,
    pub(crate) tls: TlsWish,
}

impl Meant {
    /// Reads a connection string. What it does not say is as in `config`, which names no host.
    ///
    /// # Errors
    /// `Configuration` for a string that is none, for a keyword that is unknown or asks for what is
    /// not done here, and for a value that makes no sense.
    pub(crate) fn read(text: &str, config: Config) -> Result<Self> {
        let mut wanted = Meant {
            config,
            ..Meant::default()
        };
        let mut lists = Lists::default();
        let mut pairs = parse(text)?;
        let has_late_at = has_late_at(text);
        let follows =
            |(before, after): (&Pair, &Pair)| (before.0 == "password").then(|| after.0.clone());
        let after_password = pairs.iter().zip(pairs.iter().skip(1)).find_map(follows);
        // It counts only where there is no other.
        pairs.sort_by_key(|(keyword, _)| keyword == "fallback_application_name");
        for (keyword, value) in pairs {
            if !wanted.take(&keyword, value, &mut lists)? {
                let may_be_secret = has_late_at || after_password.as_ref() == Some(&keyword);
                return Err(unknown(&keyword, may_be_secret));
            }
        }
        if lists.hosts.is_empty() && lists.addresses.is_empty() {
            return Err(configuration("the database URL names no host"));
        }
        wanted.endpoints = lists.pair()?;
        wanted.tls.check()?;
        Ok(wanted)
    }

    /// Takes a keyword, if there is such a one.
    fn take(&mut self, keyword: &str, value: Vec<u8>, lists: &mut Lists) -> Result<bool> {
        if self.tls.take(keyword, &value)? {
            return Ok(true);
        }
        if value.contains(&0) {
            return Err(malformed("a value holds the byte 0"));
        }
        match keyword {
            "host" => lists.hosts = value,
            "password" if value.is_empty() => {}
            "password" => {
                self.config.password(value);
            }
            _ => {
                let value = String::from_utf8(value);
                let value = value.map_err(|_| malformed("a value is not UTF-8"))?;
                match keyword {
                    "hostaddr" => lists.addresses = value,
                    "port" => lists.ports = value,
                    _ => return self.take_text(keyword, &value),
                }
            }
        }
        Ok(true)
    }

    /// Takes what is a name or a text; empty is as if it were not there.
    fn take_text(&mut self, keyword: &str, value: &str) -> Result<bool> {
        let config = &mut self.config;
        match keyword {
            "user" | "dbname" | "options" | "application_name" | "fallback_application_name"
                if value.is_empty() =>
            {
                config
            }
            "user" => config.user(value),
            "dbname" => config.dbname(value),
            "options" => config.options(value),
            "application_name" => config.application_name(value),
            "fallback_application_name" if config.get_application_name().is_some() => config,
            "fallback_application_name" => config.application_name(value),
            "target_session_attrs" => {
                config.target_session_attrs(choice(keyword, value, &SESSIONS)?)
            }
            "channel_binding" => config.channel_binding(choice(keyword, value, &BINDINGS)?),
            "load_balance_hosts" => config.load_balance_hosts(choice(keyword, value, &BALANCES)?),
            _ => return self.take_number(keyword, value),
        };
        Ok(true)
    }

    /// Takes a number; zero and less stand for what is usual here.
    fn take_number(&mut self, keyword: &str, value: &str) -> Result<bool> {
        let seconds = |number: u32| Duration::from_secs(number.into());
        let take: &dyn Fn(&mut Config, u32) -> &mut Config = match keyword {
            "connect_timeout" => &|config, number| config.connect_timeout(seconds(number)),
            "keepalives_idle" => &|config, number| config.keepalives_idle(seconds(number)),
            "keepalives_interval" => &|config, number| config.keepalives_interval(seconds(number)),
            "keepalives_count" => &|config, number| config.keepalives_retries(number),
            "tcp_user_timeout" => {
                &|config, number| config.tcp_user_timeout(Duration::from_millis(number.into()))
            }
            "keepalives" => {
                self.config.keepalives(number(keyword, value)? != 0);
                return Ok(true);
            }
            _ => return take_the_rest(keyword, value),
        };
        if let Ok(number @ 1..) = u32::try_from(number(keyword, value)?) {
            take(&mut self.config, number);
        }
        Ok(true)
    }
}

/// Servers that take no writes are passed over in any case, but where somebody wants to look at
/// them.
const SESSIONS: [(&str, TargetSessionAttrs); 4] = [
    ("any", TargetSessionAttrs::Any),
    ("primary", TargetSessionAttrs::Any),
    ("read-write", TargetSessionAttrs::ReadWrite),
    ("read-only", TargetSessionAttrs::ReadOnly),
];

const BINDINGS: [(&str, ChannelBinding); 3] = [
    ("disable", ChannelBinding::Disable),
    ("prefer", ChannelBinding::Prefer),
    ("require", ChannelBinding::Require),
];

const BALANCES: [(&str, LoadBalanceHosts); 2] = [
    ("disable", LoadBalanceHosts::Disable),
    ("random", LoadBalanceHosts::Random),
];

fn number(keyword: &str, value: &str) -> Result<i32> {
    let number = value.trim_ascii().parse();
    number.map_err(|_| malformed(&format!("{keyword} takes a whole number")))
}

/// Takes what is as it is here, and refuses what is not done.
fn take_the_rest(keyword: &str, value: &str) -> Result<bool> {
    if WITHOUT_EFFECT.contains(&keyword) {
        return Ok(true);
    }
    if let Some((_, words)) = AS_IT_IS.iter().find(|(name, _)| *name == keyword) {
        let is_so = value.is_empty() || words.contains(&value);
        return if is_so {
            Ok(true)
        } else {
            Err(not_offered(keyword, words))
        };
    }
    match REFUSED.iter().find(|(names, _)| names.contains(&keyword)) {
        Some(_) if value.is_empty() => Ok(true),
        Some((_, instead)) => Err(configuration(format!(
            "{keyword} in the database URL is not offered: {instead}"
        ))),
        None => Ok(false),
    }
}

/// Words that are mistyped, or taken from other drivers.
const KNOWN: [&str; 20] = [
    "user",
    "password",
    "passfile",
    "dbname",
    "database",
    "host",
    "hostaddr",
    "port",
    "options",
    "application_name",
    "connect_timeout",
    "ssl",
    "sslmode",
    "sslrootcert",
    "sslcert",
    "sslkey",
    "keepalives",
    "tcp_user_timeout",
    "target_session_attrs",
    "service",
];

/// Refuses a keyword. Where it may be a piece of a password, as after one that may have a space or
/// an `&` in it, it stays out of the text unless it is like one that there is.
fn unknown(keyword: &str, may_be_secret: bool) -> Error {
    let is_in_word = |sign: char| sign.is_ascii_alphanumeric() || matches!(sign, '_' | '-' | '.');
    let is_word = keyword.starts_with(|first: char| first.is_ascii_alphabetic())
        && keyword.chars().all(is_in_word);
    // What is longer is like none of them, and would take its time.
    let is_short = keyword.len() <= 40;
    let is_known = || KNOWN.iter().any(|known| is_like(keyword, known));
    match is_short && (is_known() || (is_word && !may_be_secret)) {
        true => malformed(&format!("there is no keyword {keyword}")),
        false => malformed("a word before an = is no keyword"),
    }
}

/// Returns whether an `@` comes after a `?`, which may have been meant to end a password with a `?`
/// in it.
fn has_late_at(text: &str) -> bool {
    text.split_once('?')
        .is_some_and(|(_, query)| query.contains('@'))
}

/// Returns whether two words are the same but for a sign or two, or for two neighbours that changed
/// places.
fn is_like(word: &str, known: &str) -> bool {
    const MOST: usize = 2;
    let (word, known) = (word.as_bytes(), known.as_bytes());
    let is_swapped = |at: usize| {
        let mut swapped = word.to_vec();
        swapped.swap(at, at - 1);
        swapped == known
    };
    if (1..word.len()).any(is_swapped) {
        return true;
    }
    // How many signs are to be changed, added or taken away for each beginning of `known`.
    let mut changes: Vec<usize> = (0..=known.len()).collect();
    for (row, sign) in word.iter().enumerate() {
        let mut before = changes[0];
        changes[0] = row + 1;
        for (at, other) in known.iter().enumerate() {
            let changed = before + usize::from(sign != other);
            before = changes[at + 1];
            changes[at + 1] = changed.min(before + 1).min(changes[at] + 1);
        }
    }
    changes[known.len()] <= MOST.min(known.len() / 3)
}

#[cfg(test)]
#[expect(clippy::too_many_lines, reason = "tables of connection strings")]
mod tests {
    use super::*;
    use crate::words::ErrorKind;
    use postgres::config::Host;

    /// Returns what a connection string means: `user:password@servers/database`, how it is
    /// encrypted, and what else is not as usual.
    fn meaning(text: &str) -> Result<String> {
        let wanted = Meant::read(text, Config::default())?;
        let (config, usual) = (&wanted.config, Config::default());
        let servers: Vec<String> = wanted
            .endpoints
            .iter()
            .map(|endpoint| {
                let alone = endpoint.alone(config);
                let address = alone
                    .get_hostaddrs()
                    .first()
                    .map(|address| format!("={address}"));
                let Host::Tcp(_) = &alone.get_hosts()[0] else {
                    return format!("file {endpoint}");
                };
                format!("{endpoint}{}", address.unwrap_or_default())
            })
            .collect();
        let password = config
            .get_password()
            .map(|password| format!(":{}", password.escape_ascii()));
        let mut shown = format!(
            "{}{}@{}/{} {}",
            config.get_user().unwrap_or_default(),
            password.unwrap_or_default(),
            servers.join(","),
            config.get_dbname().unwrap_or_default(),
            if wanted.tls.is_wanted(&wanted.endpoints) {
                "tls"
            } else {
                "plain"
            }
        );
        let mut show = |name: &str, value: &dyn std::fmt::Debug, usual: &dyn std::fmt::Debug| {
            let (value, usual) = (format!("{value:?}"), format!("{usual:?}"));
            if value != usual {
                let bare = value
                    .strip_prefix("Some(")
                    .and_then(|value| value.strip_suffix(')'));
                shown += &format!(" {name}={}", bare.unwrap_or(&value));
            }
        };
        macro_rules! show {
            ($($name:literal $get:ident)*) => { $(show($name, &config.$get(), &usual.$get());)* };
        }
        show! {
            "name" get_application_name "options" get_options "connect" get_connect_timeout
            "user_timeout" get_tcp_user_timeout "keepalives" get_keepalives "idle" get_keepalives_idle
            "interval" get_keepalives_interval "count" get_keepalives_retries
            "session" get_target_session_attrs "binding" get_channel_binding "balance" get_load_balance_hosts
        }
        for (name, file) in [
            ("root", &wanted.tls.root),
            ("certificate", &wanted.tls.certificate),
            ("key", &wanted.tls.key),
        ] {
            if let Some(file) = file {
                shown += &format!(" {name}={}", file.display());
            }
        }
        for (name, is_so) in [
            ("direct", wanted.tls.is_direct),
            ("no name", wanted.tls.hides_name),
            ("1.3", wanted.tls.needs_13),
            ("1.2", wanted.tls.refuses_13),
        ] {
            shown += if is_so { " " } else { "" };
            shown += if is_so { name } else { "" };
        }
        Ok(shown)
    }

    #[track_caller]
    fn check(table: &[(&str, &str)]) {
        for (text, expected) in table {
            let meaning = meaning(text).unwrap_or_else(|error| panic!("{text}: {error}"));
            assert_eq!(meaning, *expected, "{text}");
        }
    }

    #[track_caller]
    fn check_refused(table: &[(&str, &str)]) {
        for (text, says) in table {
            let error = meaning(text).expect_err(text);
            let told = error.to_string();
            assert_eq!(error.kind(), ErrorKind::Configuration, "{text}");
            assert!(told.contains(says), "{text}: {told}");
            assert!(!told.contains("sesame"), "{text}: {told}");
        }
    }

    #[test]
    fn uris_mean_what_they_mean_to_libpq() {
        check(&[
            ("postgresql://h", "@h:5432/ tls"),
            ("postgres://localhost", "@localhost:5432/ plain"),
            (
                "postgresql://u@127.0.0.1:6000/d",
                "u@127.0.0.1:6000/d plain",
            ),
            ("postgresql://u:p@[::1]:6000/d", "u:p@[::1]:6000/d plain"),
            (
                "postgresql://u:p@[2001:db8::1]/d",
                "u:p@[2001:db8::1]:5432/d tls",
            ),
            (
                "postgresql://u%3A%40:p%2F%3F%23@h/d%2Fe",
                "u:@:p/?#@h:5432/d/e tls",
            ),
            ("postgresql://u:%FF@h", r"u:\xff@h:5432/ tls"),
            (
                "postgresql://u@%2Fvar%2Frun%2Fpostgresql/d",
                "u@file /var/run/postgresql:5432/d plain",
            ),
            (
                "postgresql://u@%2Fvar%2Frun:6000/d?sslmode=require",
                "u@file /var/run:6000/d tls",
            ),
            (
                "postgresql:///d?host=/run/my%20pg&user=u&port=7",
                "u@file /run/my pg:7/d plain",
            ),
            ("postgresql://a,b:6,[::1]:7/d", "@a:5432,b:6,[::1]:7/d tls"),
            (
                "postgresql://localhost,127.0.0.1/d",
                "@localhost:5432,127.0.0.1:5432/d plain",
            ),
            (
                "postgresql://localhost,db/d",
                "@localhost:5432,db:5432/d tls",
            ),
            ("postgresql://%2Frun,db/d", "@file /run:5432,db:5432/d tls"),
            ("postgresql:///d?host=a,b&port=6,7", "@a:6,b:7/d tls"),
            (
                "postgresql://a:1/d?host=b&port=2&user=u&dbname=e",
                "u@b:2/e tls",
            ),
            (
                "postgresql://db/d?hostaddr=10.0.0.1",
                "@db:5432=10.0.0.1/d tls",
            ),
            (
                "postgresql://localhost/d?hostaddr=10.0.0.1",
                "@localhost:5432=10.0.0.1/d tls",
            ),
            (
                "postgresql://db/d?hostaddr=127.0.0.1",
                "@db:5432=127.0.0.1/d tls",
            ),
            (
                "postgresql://h/d?application_name=me@here",
                r#"@h:5432/d tls name="me@here""#,
            ),
            (
                "postgresql://h/d?options=-c%20a=b%20-c%20c%3Dd",
                r#"@h:5432/d tls options="-c a=b -c c=d""#,
            ),
            ("postgresql://h/d?ssl%6Dode=d%69sable", "@h:5432/d plain"),
            ("postgresql://localhost/d?ssl=true", "@localhost:5432/d tls"),
            (
                "postgresql://h/d?sslrootcert=%2Fmy%20keys%2F100%25.pem",
                "@h:5432/d tls root=/my keys/100%.pem",
            ),
            (
                "postgresql://h/d?sslmode=disable&sslmode=verify-full",
                "@h:5432/d tls",
            ),
        ]);
    }

    #[test]
    fn words_mean_what_they_mean_to_libpq() {
        check(&[
            ("host=h", "@h:5432/ tls"),
            (
                "host = localhost\n user = u\tdbname = d",
                "u@localhost:5432/d plain",
            ),
            ("host='localhost' sslmode = require", "@localhost:5432/ tls"),
            ("host=localhost sslmode='require'", "@localhost:5432/ tls"),
            (
                "host=localhost sslmode = 'verify-ca'user=u",
                "u@localhost:5432/ tls",
            ),
            (r"host=localhost sslmode=req\uire", "@localhost:5432/ tls"),
            ("sslmode= disable host=h", "@h:5432/ plain"),
            (
                r"host=h user='o\'hara' password='a b\\c'",
                r"o'hara:a b\\c@h:5432/ tls",
            ),
            (r"host=h password=a\ b", ":a b@h:5432/ tls"),
            ("host=/run,/tmp port=6,7", "@file /run:6,file /tmp:7/ plain"),
            ("host=a,b,c port=6,,8", "@a:6,b:5432,c:8/ tls"),
            ("host=a,b port=6", "@a:6,b:6/ tls"),
            (
                "hostaddr=127.0.0.1,::1",
                "@127.0.0.1:5432=127.0.0.1,[::1]:5432=::1/ plain",
            ),
            (
                "host=a, hostaddr=10.0.0.1,10.0.0.2",
                "@a:5432=10.0.0.1,10.0.0.2:5432=10.0.0.2/ tls",
            ),
            (
                "host=a,b hostaddr=,10.0.0.2 port=''",
                "@a:5432,b:5432=10.0.0.2/ tls",
            ),
            (
                "host=h user='' password='' dbname='' options=''",
                "@h:5432/ tls",
            ),
            ("host=localhost requiressl=1", "@localhost:5432/ tls"),
            (
                "host=localhost sslrootcert='/my keys/root.pem'",
                "@localhost:5432/ tls root=/my keys/root.pem",
            ),
            ("host=localhost sslrootcert=system", "@localhost:5432/ tls"),
            (
                "host=localhost sslrootcert=/r.pem sslmode=disable",
                "@localhost:5432/ plain root=/r.pem",
            ),
            (
                "host=localhost sslcert=/c.pem sslkey=/k.pem",
                "@localhost:5432/ tls certificate=/c.pem key=/k.pem",
            ),
            ("host=h sslcert=/c.pem sslcertmode=disable", "@h:5432/ tls"),
            (
                "host=localhost sslnegotiation=direct",
                "@localhost:5432/ tls direct",
            ),
            (
                "host=h sslnegotiation=postgres sslsni=0",
                "@h:5432/ tls no name",
            ),
            (
                "host=h ssl_min_protocol_version=TLSv1.3",
                "@h:5432/ tls 1.3",
            ),
            (
                "host=h ssl_min_protocol_version=TLSv1 ssl_max_protocol_version=TLSv1.2",
                "@h:5432/ tls 1.2",
            ),
            (
                "host=h application_name='a b' fallback_application_name=c",
                r#"@h:5432/ tls name="a b""#,
            ),
            (
                "host=h fallback_application_name=c application_name=b",
                r#"@h:5432/ tls name="b""#,
            ),
            (
                "host=h fallback_application_name=c",
                r#"@h:5432/ tls name="c""#,
            ),
            ("host=h connect_timeout=' 3 '", "@h:5432/ tls connect=3s"),
            (
                "host=h connect_timeout=0 tcp_user_timeout=-1 keepalives_idle=0",
                "@h:5432/ tls",
            ),
            (
                "host=h tcp_user_timeout=1500",
                "@h:5432/ tls user_timeout=1.5s",
            ),
            ("host=h keepalives=0", "@h:5432/ tls keepalives=false"),
            (
                "host=h keepalives=1 keepalives_idle=2 keepalives_interval=3 keepalives_count=4",
                "@h:5432/ tls idle=2s interval=3s count=4",
            ),
            ("host=h keepalives_retries=4", "@h:5432/ tls count=4"),
            (
                "host=h target_session_attrs=any load_balance_hosts=disable channel_binding=prefer",
                "@h:5432/ tls",
            ),
            ("host=h target_session_attrs=primary", "@h:5432/ tls"),
            (
                "host=h target_session_attrs=read-write",
                "@h:5432/ tls session=ReadWrite",
            ),
            (
                "host=h target_session_attrs=read-only",
                "@h:5432/ tls session=ReadOnly",
            ),
            (
                "host=h channel_binding=require load_balance_hosts=random",
                "@h:5432/ tls binding=Require balance=Random",
            ),
            (
                "host=h krbsrvname=x gsslib=gssapi gssdelegation=1 sslcompression=1",
                "@h:5432/ tls",
            ),
            (
                "host=h gssencmode=prefer client_encoding=UTF8 replication=false",
                "@h:5432/ tls",
            ),
            (
                "host=h min_protocol_version=3.0 max_protocol_version=latest",
                "@h:5432/ tls",
            ),
            ("host=h passfile='' service=''", "@h:5432/ tls"),
        ]);
    }

    #[test]
    fn what_cannot_be_had_is_refused_by_its_keyword() {
        let table: Vec<(String, &str)> = REFUSED
            .iter()
            .flat_map(|(keywords, _)| *keywords)
            .map(|keyword| (format!("host=h password=sesame {keyword}=x"), *keyword))
            .collect();
        let table: Vec<(&str, &str)> = table
            .iter()
            .map(|(text, says)| (text.as_str(), *says))
            .collect();
        check_refused(&table);
        check_refused(&[
            ("host=h sslmode=prefer", "sslmode=prefer is not offered"),
            ("host=h sslmode=' require'", "use verify-full or disable"),
            ("host=h sslmode=''", "use verify-full or disable"),
            ("postgresql://h?sslmode=allow", "use verify-full or disable"),
            ("host=h requiressl=0", "sslmode=prefer is not offered"),
            ("host=h sslcert=/c.pem", "sslcert and sslkey"),
            ("host=h sslkey=/k.pem", "sslcert and sslkey"),
            (
                "host=h sslcertmode=require",
                "sslcertmode in the database URL may be allow or disable",
            ),
            (
                "host=h sslmode=disable sslnegotiation=direct",
                "sslnegotiation=direct",
            ),
            (
                "host=h ssl_min_protocol_version=TLSv1.3 ssl_max_protocol_version=TLSv1.2",
                "ssl_min_protocol_version",
            ),
            (
                "host=h ssl_max_protocol_version=TLSv1.1",
                "ssl_max_protocol_version",
            ),
            (
                "host=h target_session_attrs=prefer-standby",
                "target_session_attrs",
            ),
            (
                "host=h target_session_attrs=standby",
                "read-write or read-only",
            ),
            ("host=h channel_binding=never", "channel_binding"),
            ("host=h load_balance_hosts=all", "load_balance_hosts"),
            (
                "host=h gssencmode=require",
                "gssencmode in the database URL may be disable or prefer",
            ),
            ("host=h client_encoding=LATIN1", "client_encoding"),
            ("host=h replication=database", "replication"),
            ("host=h min_protocol_version=3.2", "min_protocol_version"),
            (
                "host=h connect_timeout=soon",
                "connect_timeout takes a whole number",
            ),
            (
                "host=h connect_timeout=''",
                "connect_timeout takes a whole number",
            ),
            ("host=h keepalives=yes", "keepalives takes a whole number"),
            (
                "host=h password=sesame sslmod=require",
                "there is no keyword sslmod",
            ),
            (
                "postgresql://u:sesame@h/d?pssword=sesame",
                "there is no keyword pssword",
            ),
            ("postgresql://h?ssl=false", "there is no keyword ssl"),
            ("host=h SSLMode=require", "there is no keyword SSLMode"),
            (
                "postgresql://h?ssl-mode=require",
                "there is no keyword ssl-mode",
            ),
            ("host=h bogus=1", "there is no keyword bogus"),
            (
                "postgresql://u:sesame@h/d?bogus=1",
                "there is no keyword bogus",
            ),
            ("host=h =x", "a word before an = is no keyword"),
            (
                "host=h password=my sesame=x",
                "a word before an = is no keyword",
            ),
            (
                "postgresql://u:1/b?sesame=c@h",
                "a word before an = is no keyword",
            ),
            (
                "postgresql://h?password=my&sesame=c",
                "a word before an = is no keyword",
            ),
            (
                "host=h password=my sesame!=x",
                "a word before an = is no keyword",
            ),
        ]);
    }

    #[test]
    fn places_that_make_no_sense_are_refused() {
        check_refused(&[
            ("", "names no host"),
            ("user=me dbname=app", "names no host"),
            ("postgresql://", "names no host"),
            ("postgresql:///d?host=", "names no host"),
            ("postgresql://:6000/d", "names no host"),
            ("postgresql://a,,b/d", "a host of the list is empty"),
            ("host=a, user=u", "a host of the list is empty"),
            (
                "host=a,b port=1,2,3",
                "port names another number of servers",
            ),
            (
                "host=a,b hostaddr=10.0.0.1",
                "host and hostaddr name different numbers",
            ),
            ("host=a hostaddr=db", "hostaddr takes addresses"),
            ("host=/run hostaddr=10.0.0.1", "not with a folder"),
            ("host=@abstract", "sockets without a file"),
            ("host=a port=0", "port takes numbers"),
            ("host=a port=65536", "port takes numbers"),
            ("postgresql://u:sesame@h:port", "port takes numbers"),
            ("postgresql://%ff", "host is not UTF-8"),
            ("postgresql://h/%ff", "a value is not UTF-8"),
            ("postgresql://h/d%00", "the byte 0"),
            ("postgresql://u:sesame%00@h/d", "the byte 0"),
        ]);
    }
}
