//! The first flight on a new connection: what it is told and asked before anybody uses it.
//!
//! Session settings are set here and not by start-up options: poolers refuse options that they do
//! not know, including poolers that give each client its own server connection. Settings that the
//! URL's `options` name are the caller's, and values that the role, the database or the server has
//! stay. Until it is known what is between, nothing is set behind a pooler: if the pooler gives the
//! server connection to another client next, that client would get the settings.

use crate::connect::url_error::configuration;
use crate::connect::wired::Standby;
use crate::words::{DriverResult, Error, ErrorKind, Result};
use postgres::{Client, SimpleQueryMessage};
use std::sync::atomic::AtomicBool;
use std::sync::atomic::Ordering::Relaxed;

/// Session settings of every connection: each with what it is changed from, and to. 0 is what
/// nobody set.
///
/// A killed client frees its rows within half a second even in the middle of a statement
/// (`client_connection_check_interval`, in ms), and a peer that is cut off within 25 s, or 30 s
/// with data on the way (the server's own keepalives; the kernel's default is two hours). A
/// transaction that does nothing for ten minutes is a bug that pins the vacuum horizon. A plan that
/// has to do what is disabled looks so dear that the server would compile it: hundreds of ms for a
/// statement of µs. Messages are written also by roles that only read unless told otherwise. A wait
/// for a lock is for ever by PostgreSQL's own default, also for what the same thread holds on
/// another connection.
const SESSION_SETTINGS: [(&str, &str, &str); 9] = [
    ("client_connection_check_interval", "0", "500"),
    ("tcp_keepalives_idle", "0", "10"),
    ("tcp_keepalives_interval", "0", "5"),
    ("tcp_keepalives_count", "0", "3"),
    ("tcp_user_timeout", "0", "30000"),
    ("idle_in_transaction_session_timeout", "0", "600000"),
    ("jit", "on", "off"),
    (READ_ONLY, "on", "off"),
    ("lock_timeout", "0", "20000"),
];

/// The setting of whoever reads unless told otherwise.
pub(crate) const READ_ONLY: &str = "default_transaction_read_only";

/// Changes those of `VALUES` that are what is to be changed. `SHOW` would not do: it tells the
/// kernel's defaults of the network's settings.
const CHANGE: [&str; 2] = [
    "; SELECT ours.name, pg_catalog.set_config(ours.name, ours.value, false) FROM (VALUES ",
    ") AS ours (name, before, value), pg_catalog.pg_show_all_settings() AS theirs \
     WHERE theirs.name OPERATOR(pg_catalog.=) ours.name AND theirs.reset_val OPERATOR(pg_catalog.=) ours.before",
];

/// Encodings that every text of ours can be stored in: text is UTF-8 here, and in the second the
/// server takes it as it is.
const ENCODINGS: [&str; 2] = ["UTF8", "SQL_ASCII"];

/// How many rows answer what is asked.
const QUESTIONS: usize = 6;

/// What is asked, in the order of the answers; the server process and the start of the server last.
pub(crate) const ASK: &str = "SHOW server_encoding; SHOW search_path; SHOW in_hot_standby; SHOW default_transaction_read_only; \
    SELECT count(*) OPERATOR(pg_catalog.>) 0 FROM pg_catalog.pg_extension WHERE extname OPERATOR(pg_catalog.=) 'citus'; \
    SELECT pg_catalog.pg_backend_pid(), pg_catalog.extract('epoch'::text, pg_catalog.pg_postmaster_start_time())";

/// What a greeting comes to.
#[derive(Debug, Default)]
pub(crate) struct Greeted {
    /// The server process, but where the next statement may have another.
    pub(crate) process: Option<i32>,
    /// When the server started, in its microseconds: by that servers are told apart.
    pub(crate) server: Option<i64>,
    /// The statements that set what was set.
    pub(crate) settings: String,
    /// Whether the tables may be on other servers: the database has Citus.
    pub(crate) is_distributed: bool,
}

/// What greets new connections.
pub(crate) struct Greeting {
    sql: String,
    is_pooler_safe: bool,
    /// Whether a client keeps its server connection, whatever is between.
    is_trusted: AtomicBool,
    /// Whether a pooler's server was found fit: asked once, since a look at each client connection
    /// would need a server connection.
    is_known: AtomicBool,
    /// Whether it had Citus then.
    is_distributed: AtomicBool,
}

impl Greeting {
    /// Makes the greeting beside these start-up options. Behind a pooler that gives a server
    /// connection for each transaction nothing is set: somebody else would find it there.
    pub(crate) fn new(options: &str, is_pooler_safe: bool) -> Self {
        let named = names(options);
        let ours: Vec<_> = SESSION_SETTINGS
            .iter()
            .filter(|(name, ..)| !is_pooler_safe && !named.iter().any(|other| other == name))
            .map(|(name, before, value)| format!("('{name}', '{before}', '{value}')"))
            .collect();
        // What is asked comes first, and the answers with it.
        let mut sql = ASK.to_owned();
        if !ours.is_empty() {
            sql += &[CHANGE[0], &ours.join(", "), CHANGE[1]].concat();
        }
        Greeting {
            sql,
            is_pooler_safe,
            is_trusted: AtomicBool::new(is_pooler_safe),
            is_known: AtomicBool::new(false),
            is_distributed: AtomicBool::new(false),
        }
    }

    /// Says that a client keeps its server connection, whatever is between.
    pub(crate) fn trust(&self) {
        self.is_trusted.store(true, Relaxed);
    }

    /// Greets a connection. The inner error says why the database is not fit for use. `announced`
    /// is the server process as the protocol names it. One round trip; one more where the search
    /// path has to be changed.
    pub(crate) fn say(
        &self,
        client: &mut Client,
        announced: Option<i32>,
        takes_standby: bool,
    ) -> DriverResult<Result<Greeted>> {
        if self.is_pooler_safe && self.is_known.load(Relaxed) {
            return Ok(Ok(self.of_before()));
        }
        let is_trusted = self.is_trusted.load(Relaxed);
        let answers = match is_trusted {
            true => client.simple_query(&self.sql)?,
            false => client.simple_query(&self.doubting(announced))?,
        };
        let mut rows = answers.iter().filter_map(|answer| match answer {
            SimpleQueryMessage::Row(row) => Some(row),
            _ => None,
        });
        let mut server = None;
        let mut answers = rows.by_ref().take(QUESTIONS).filter_map(|row| {
            server = row.get(row.len() - 1).and_then(microseconds);
            row.get(0)
        });
        let encoding = answers.next().unwrap_or_default();
        let path = answers.next();
        let mut is_on = || answers.next() == Some("on");
        let (is_standby, is_read_only) = (is_on(), is_on());
        if let Some(unfit) = self.unfit(encoding, is_standby, is_read_only, takes_standby) {
            return Ok(Err(unfit));
        }
        let is_distributed = answers.next() == Some("t");
        let process = answers.next().and_then(|process| process.parse().ok());
        if !is_trusted && (announced.is_none() || process != announced) {
            // Whoever doubts opens another one when it knows.
            return Ok(Ok(Greeted {
                process,
                is_distributed,
                server,
                ..Greeted::default()
            }));
        }
        let mut settings: String = rows
            .filter_map(|row| Some(format!("SET {} = '{}';", row.get(0)?, row.get(1)?)))
            .collect();
        if let Some(path) = path.and_then(without_pg_catalog) {
            match self.set_path(client, &path)? {
                Ok(set) => settings += &set,
                Err(unfit) => return Ok(Err(unfit)),
            }
        }
        self.is_distributed.store(is_distributed, Relaxed);
        self.is_known.store(true, Relaxed);
        Ok(Ok(Greeted {
            process: process.filter(|_| !self.is_pooler_safe),
            server,
            settings,
            is_distributed,
        }))
    }

    /// Sets the search path; returns the statement that does it.
    fn set_path(&self, client: &mut Client, path: &str) -> DriverResult<Result<String>> {
        if self.is_pooler_safe {
            return Ok(Err(configuration(
                "search_path names pg_catalog after other schemas, whose operators would then be taken for the \
                 server's own: take pg_catalog out of it, it comes first by itself",
            )));
        }
        let set = format!("SET search_path = {path};");
        client.batch_execute(&set)?;
        Ok(Ok(set))
    }

    /// Returns what was found out when it was asked.
    fn of_before(&self) -> Greeted {
        Greeted {
            is_distributed: self.is_distributed.load(Relaxed),
            ..Greeted::default()
        }
    }

    /// Says why a database is not fit for use, if it is not.
    fn unfit(
        &self,
        encoding: &str,
        is_standby: bool,
        is_read_only: bool,
        takes_standby: bool,
    ) -> Option<Error> {
        if !ENCODINGS.contains(&encoding) {
            return Some(configuration(format!(
                "the database is encoded in {encoding}, which cannot hold every text: messages need a database \
                 with the encoding UTF8 (or SQL_ASCII)"
            )));
        }
        if takes_standby {
            return None;
        }
        if is_standby {
            let text = format!("the server does not do: {Standby}");
            return Some(Error::new(ErrorKind::Unavailable, text));
        }
        let is_fixed = is_read_only && self.is_pooler_safe;
        is_fixed.then(|| {
            configuration(
                "default_transaction_read_only is on, and a pooler's connection cannot be told otherwise: set it off for the \
                 role that sends and receives messages",
            )
        })
    }

    /// Returns what is said where a pooler may be between: one makes up names of server processes.
    fn doubting(&self, announced: Option<i32>) -> String {
        if self.sql == ASK {
            return self.sql.clone();
        }
        format!(
            "{} AND pg_catalog.pg_backend_pid() OPERATOR(pg_catalog.=) {}",
            self.sql,
            announced.unwrap_or_default()
        )
    }
}

/// Reads seconds with six places after the point.
fn microseconds(seconds: &str) -> Option<i64> {
    let (whole, places) = seconds.split_once('.')?;
    let is_whole = places.len() == 6;
    is_whole.then(|| [whole, places].concat().parse().ok())?
}

/// Returns the search path without `pg_catalog`, if others come before it. It then comes first, as
/// it does for all who do not name it: else a function or operator of somebody's own could stand in
/// for one of the server's.
fn without_pg_catalog(path: &str) -> Option<String> {
    let mut schemas = Vec::new();
    let mut rest = path;
    while !rest.is_empty() {
        let mut is_quoted = false;
        let end = rest.find(|sign| {
            is_quoted ^= sign == '"';
            sign == ',' && !is_quoted
        });
        let schema = rest[..end.unwrap_or(rest.len())].trim();
        schemas.push(if schema.is_empty() { "''" } else { schema });
        rest = end.map_or("", |end| &rest[end + 1..]);
    }
    let is_catalog = |schema: &&str| matches!(*schema, "pg_catalog" | "\"pg_catalog\"");
    let at = schemas.iter().position(&is_catalog)?;
    if schemas[..at].iter().all(|schema| *schema == "pg_temp") {
        return None;
    }
    schemas.retain(|schema| !is_catalog(schema));
    Some(schemas.join(", "))
}

/// Returns the names of the settings in start-up options: `-c name=value`, `-cname=value`, or
/// `--name=value`, where `-` in a name stands for `_`, and a backslash for the sign after it.
pub(crate) fn names(options: &str) -> Vec<String> {
    let mut names = Vec::new();
    let mut is_name = false;
    for word in words(options) {
        let setting = match (is_name, word.strip_prefix("--"), word.strip_prefix("-c")) {
            (true, ..) => Some(word.as_str()),
            (false, Some(setting), _) => Some(setting),
            (false, None, Some(setting)) => (!setting.is_empty()).then_some(setting),
            (false, None, None) => None,
        };
        is_name = !is_name && word == "-c";
        let name = setting.and_then(|setting| setting.split('=').next());
        names.extend(name.map(|name| name.replace('-', "_").to_ascii_lowercase()));
    }
    names
}

fn words(options: &str) -> Vec<String> {
    let mut words = vec![String::new()];
    let mut signs = options.chars();
    while let Some(sign) = signs.next() {
        match sign {
            '\\' => words.last_mut().expect("there is one").extend(signs.next()),
            sign if sign.is_ascii_whitespace() => words.push(String::new()),
            sign => words.last_mut().expect("there is one").push(sign),
        }
    }
    words.retain(|word| !word.is_empty());
    words
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(options: &str, expected: &[&str]) {
        assert_eq!(names(options), expected, "{options}");
    }

    #[test]
    fn settings_are_found_in_start_up_options_however_they_are_written() {
        check("", &[]);
        check("-c lock_timeout=9", &["lock_timeout"]);
        check(
            "  -clock_timeout=9\t--Work-Mem=1MB ",
            &["lock_timeout", "work_mem"],
        );
        check(r"-c search_path=a,\ b -c x.y=1\\", &["search_path", "x.y"]);
        check("-c -c -d 5 -e", &["_c"]);
        check("-c", &[]);
    }

    #[test]
    fn what_the_urls_options_name_is_left_as_it_is() {
        let sql = Greeting::new("-c tcp_keepalives_idle=60", false).sql;

        assert!(
            sql.contains("('tcp_keepalives_interval', '0', '5')"),
            "{sql}"
        );
        assert!(!sql.contains("tcp_keepalives_idle"), "{sql}");
        assert!(sql.contains("lock_timeout"), "{sql}");
        let sql = Greeting::new("-c lock_timeout=9", false).sql;
        assert!(!sql.contains("lock_timeout"), "{sql}");
        assert_eq!(Greeting::new("", true).sql, ASK);
    }

    #[track_caller]
    fn check_path(path: &str, expected: Option<&str>) {
        assert_eq!(without_pg_catalog(path).as_deref(), expected, "{path}");
    }

    #[test]
    fn the_servers_own_schema_comes_first_in_every_search_path() {
        check_path(r#""$user", public"#, None);
        check_path("", None);
        check_path("pg_catalog, public", None);
        check_path("pg_temp, pg_catalog", None);
        check_path("public, pg_catalog", Some("public"));
        check_path(
            r#""$user", "a, pg_catalog", "pg_catalog", pg_temp"#,
            Some(r#""$user", "a, pg_catalog", pg_temp"#),
        );
        check_path(r#""pg_""catalog", b"#, None);
    }
}
