//! Connection strings, taken apart as libpq does it: `postgresql://…`, or `key=value` words.
//!
//! This is the syntax; [`keywords`](crate::connect::keywords) knows the meaning. The driver's own
//! parser takes an `@` in a parameter for the end of a password, adds hosts where libpq replaces
//! them, and knows half of the keywords.
//!
//! Each part of a string may hold the password, if somebody forgot to quote or to encode it. So
//! errors show only keywords of a string.

use crate::connect::url_error::malformed;
use crate::words::Result;
use std::borrow::Cow;
use std::fmt::Write;

const SCHEMES: [&str; 2] = ["postgresql://", "postgres://"];

/// Keywords of other times and other clients, and what they stand for.
const ALIASES: [(&str, &str); 1] = [("keepalives_retries", "keepalives_count")];

/// A keyword and its value, which need not be UTF-8 where it was percent-encoded.
pub(crate) type Pair = (String, Vec<u8>);

/// Returns the keywords of a connection string, each once: of those that are named twice the last
/// one counts.
///
/// # Errors
/// `Configuration` for a string that is none.
pub(crate) fn parse(text: &str) -> Result<Vec<Pair>> {
    let found = match Uri::split(text)? {
        Some(uri) => uri.pairs()?,
        None => words(text)?
            .into_iter()
            .map(|(keyword, value)| (keyword.to_owned(), value.into_bytes()))
            .collect(),
    };
    let mut pairs: Vec<Pair> = Vec::with_capacity(found.len());
    for (keyword, value) in found.into_iter().map(translated) {
        pairs.retain(|(other, _)| *other != keyword);
        pairs.push((keyword, value));
    }
    Ok(pairs)
}

fn translated((keyword, value): Pair) -> Pair {
    let alias = ALIASES.iter().find(|(alias, _)| *alias == keyword);
    match (keyword.as_str(), value.as_slice(), alias) {
        ("requiressl", b"1", _) => ("sslmode".to_owned(), b"require".to_vec()),
        ("requiressl", b"0", _) => ("sslmode".to_owned(), b"prefer".to_vec()),
        (.., Some((_, name))) => ((*name).to_owned(), value),
        _ => (keyword, value),
    }
}

/// Returns a connection string with another database, which is a plain name. What else it says
/// stays.
///
/// # Errors
/// As [`parse`].
pub(crate) fn with_database(text: &str, name: &str) -> Result<String> {
    if let Some(uri) = Uri::split(text)? {
        return uri.with_database(name);
    }
    let mut other = String::new();
    for (keyword, value) in words(text)? {
        if keyword != "dbname" {
            let value = value.replace('\\', r"\\").replace('\'', r"\'");
            let _ = write!(other, "{keyword}='{value}' ");
        }
    }
    Ok(other + "dbname=" + name)
}

/// What is said where a password may be the reason.
pub(crate) const UNESCAPED_AT: &str = "an @ in a user, a password or a name has to be written %40";

/// The parts of a URI as they are written.
struct Uri<'a> {
    scheme: &'a str,
    credentials: Option<&'a str>,
    /// Hosts and ports.
    places: &'a str,
    database: &'a str,
    query: Option<&'a str>,
}

impl<'a> Uri<'a> {
    /// Takes a URI apart; `None` for what is not meant as one.
    fn split(text: &'a str) -> Result<Option<Self>> {
        // Out of a file or a shell, a string often comes with a line break.
        let text = text.trim_ascii();
        let scheme = SCHEMES.iter().find(|scheme| text.starts_with(**scheme));
        let Some(scheme) = scheme else {
            return Ok(None);
        };
        let rest = &text[scheme.len()..];
        if rest.contains(|sign: char| sign.is_ascii_control()) {
            return Err(malformed("a line break or the like has to be written %0A"));
        }
        // A slash ends the search: it is the one sign that a password cannot have as it is.
        let at = rest
            .find(['@', '/'])
            .filter(|at| rest[*at..].starts_with('@'));
        let (credentials, rest) = match at {
            Some(at) => (Some(&rest[..at]), &rest[at + 1..]),
            None => (None, rest),
        };
        let (rest, query) = match rest.split_once('?') {
            Some((rest, query)) => (rest, Some(query)),
            None => (rest, None),
        };
        let (places, database) = rest.split_once('/').unwrap_or((rest, ""));
        if rest.contains('@') {
            return Err(malformed(UNESCAPED_AT));
        }
        Ok(Some(Uri {
            scheme,
            credentials,
            places,
            database,
            query,
        }))
    }

    fn pairs(&self) -> Result<Vec<Pair>> {
        let (user, password) = match self.credentials.unwrap_or_default().split_once(':') {
            Some((user, password)) => (user, password),
            None => (self.credentials.unwrap_or_default(), ""),
        };
        let (hosts, ports) = self.places()?;
        let named = [
            ("user", user),
            ("password", password),
            ("host", &hosts),
            ("port", &ports),
            ("dbname", self.database),
        ];
        let mut pairs = Vec::new();
        for (keyword, value) in named.into_iter().filter(|(_, value)| !value.is_empty()) {
            pairs.push((keyword.to_owned(), decoded(value)?));
        }
        for parameter in self.parameters() {
            let (keyword, value) = read_parameter(parameter)?;
            pairs.push(match (keyword.as_str(), value.as_slice()) {
                // As other clients say it.
                ("ssl", b"true") => ("sslmode".to_owned(), b"require".to_vec()),
                _ => (keyword, value),
            });
        }
        Ok(pairs)
    }

    /// Returns the hosts and the ports, each as a list with commas; `None` where no port is named.
    fn places(&self) -> Result<(String, String)> {
        let (mut hosts, mut ports) = (Vec::new(), Vec::new());
        for place in self.places.split(',') {
            let (host, port) = match place.strip_prefix('[') {
                Some(address) => bracketed(address)?,
                None => place.split_once(':').unwrap_or((place, "")),
            };
            hosts.push(host);
            ports.push(port);
        }
        let is_any = ports.iter().any(|port| !port.is_empty());
        let ports = if is_any {
            ports.join(",")
        } else {
            String::new()
        };
        Ok((hosts.join(","), ports))
    }

    /// Returns what follows the question mark, one by one; nothing need follow the last `&`.
    fn parameters(&self) -> impl Iterator<Item = &'a str> {
        let query = self.query.unwrap_or_default();
        let query = query.strip_suffix('&').unwrap_or(query);
        query.split('&').filter(move |_| !query.is_empty())
    }

    fn with_database(&self, name: &str) -> Result<String> {
        let credentials = self
            .credentials
            .map(|credentials| format!("{credentials}@"));
        let mut kept = Vec::new();
        for parameter in self.parameters() {
            if read_parameter(parameter)?.0 != "dbname" {
                kept.push(parameter);
            }
        }
        let mark = if kept.is_empty() { "" } else { "?" };
        let (scheme, places) = (self.scheme, self.places);
        let credentials = credentials.unwrap_or_default();
        let kept = kept.join("&");
        Ok(format!("{scheme}{credentials}{places}/{name}{mark}{kept}"))
    }
}

/// Returns an IPv6 address, of which the opening bracket is gone, and the port after it.
fn bracketed(address: &str) -> Result<(&str, &str)> {
    let parts = address.split_once(']').filter(|(host, _)| !host.is_empty());
    let Some((host, rest)) = parts else {
        return Err(malformed("an address in brackets is written [::1]"));
    };
    match rest.strip_prefix(':') {
        Some(port) => Ok((host, port)),
        None if rest.is_empty() => Ok((host, "")),
        None => Err(malformed("only a port may follow an address in brackets")),
    }
}

fn read_parameter(parameter: &str) -> Result<Pair> {
    let Some((keyword, value)) = parameter.split_once('=') else {
        return Err(malformed("a parameter after the ? has no ="));
    };
    // Those of the server are full of them, and an & that was forgotten shows in no other.
    if value.contains('=') && keyword != "options" {
        return Err(malformed("an = in a value has to be written %3D"));
    }
    let keyword = String::from_utf8(decoded(keyword)?);
    let keyword = keyword.map_err(|_| malformed("a keyword is not UTF-8"))?;
    Ok((keyword, decoded(value)?))
}

/// Decodes percent signs. Spaces around are nothing, and inside they are refused: what follows one
/// may be a parameter that somebody separated by it.
fn decoded(text: &str) -> Result<Vec<u8>> {
    let text = text.trim_matches(' ');
    if text.contains(' ') {
        return Err(malformed("a space inside has to be written %20"));
    }
    let mut parts = text.split('%');
    let mut bytes = parts.next().unwrap_or_default().as_bytes().to_vec();
    for part in parts {
        let code = part
            .get(..2)
            .filter(|code| code.bytes().all(|digit| digit.is_ascii_hexdigit()));
        let byte = code.and_then(|code| u8::from_str_radix(code, 16).ok());
        let byte = byte
            .ok_or_else(|| malformed("a % without two hexadecimal digits has to be written %25"))?;
        bytes.push(byte);
        bytes.extend_from_slice(&part.as_bytes()[2..]);
    }
    Ok(bytes)
}

fn is_space(sign: char) -> bool {
    matches!(sign, ' ' | '\t'..='\r')
}

/// Takes `key=value` words apart.
fn words(text: &str) -> Result<Vec<(&str, String)>> {
    let mut words = Vec::new();
    let mut rest = text.trim_start_matches(is_space);
    while !rest.is_empty() {
        let end = rest.find(|sign| sign == '=' || is_space(sign));
        let (keyword, after) = rest.split_at(end.unwrap_or(rest.len()));
        let Some(after) = after.trim_start_matches(is_space).strip_prefix('=') else {
            return Err(malformed(
                "a word has no =, or a value with spaces has no quotes",
            ));
        };
        let (value, after) = value(after.trim_start_matches(is_space))?;
        words.push((keyword, value.into_owned()));
        rest = after.trim_start_matches(is_space);
    }
    Ok(words)
}

/// Returns the value at the beginning of `text`, without quotes and backslashes, and what follows
/// it.
fn value(text: &str) -> Result<(Cow<'_, str>, &str)> {
    let (is_quoted, text) = match text.strip_prefix('\'') {
        Some(quoted) => (true, quoted),
        None => (false, text),
    };
    let mut value = String::new();
    let mut signs = text.char_indices();
    while let Some((at, sign)) = signs.next() {
        match sign {
            '\\' => value.extend(signs.next().map(|(_, sign)| sign)),
            '\'' if is_quoted => return Ok((value.into(), &text[at + 1..])),
            sign if !is_quoted && is_space(sign) => return Ok((value.into(), &text[at..])),
            sign => value.push(sign),
        }
    }
    match is_quoted {
        true => Err(malformed("a quote is never closed")),
        false => Ok((value.into(), "")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(text: &str, expected: &str) {
        let pairs = parse(text).unwrap_or_else(|error| panic!("{text}: {error}"));
        let shown: Vec<String> = pairs
            .iter()
            .map(|(keyword, value)| format!("{keyword}={}", value.escape_ascii()))
            .collect();
        assert_eq!(shown.join(" "), expected, "{text}");
    }

    #[test]
    fn words_have_spaces_quotes_and_backslashes_as_in_libpq() {
        check("", "");
        check(" \t\n", "");
        check("host=h", "host=h");
        check("host = h\tport\n=\r5", "host=h port=5");
        check("sslmode = 'require'user=u", "sslmode=require user=u");
        check(r"password='it\'s a \\'", r"password=it\'s a \\");
        check(r"password=a\ b\'\\", r"password=a b\'\\");
        check(r"password=a\", "password=a");
        check("user=''", "user=");
        check("user=", "user=");
        // No quotes, no empty value: as in libpq, the next word is the value.
        check("user= dbname=x", "user=dbname=x");
        check("password=a=b host=h", "password=a=b host=h");
        check("application_name=a'b", r"application_name=a\'b");
        check("host=a host=b", "host=b");
        check("requiressl=1", "sslmode=require");
        check("keepalives_retries=2", "keepalives_count=2");
    }

    #[test]
    fn a_uri_has_its_parts_decoded_one_by_one() {
        check("postgres://", "");
        check("  postgresql://h/d\n", "host=h dbname=d");
        check(
            "postgresql://u:p@h:5/d?connect_timeout=3",
            "user=u password=p host=h port=5 dbname=d connect_timeout=3",
        );
        check(
            "postgresql://%75%40x:%3a%2F%40@%2Frun%2Fpg:6/my%20db",
            "user=u@x password=:/@ host=/run/pg port=6 dbname=my db",
        );
        check("postgresql://u:a:b?c#d@h", "user=u password=a:b?c#d host=h");
        check("postgresql://u:@h", "user=u host=h");
        check("postgresql://:p@h", "password=p host=h");
        check("postgresql://@h", "host=h");
        check(r"postgresql://u:%ff@h", r"user=u password=\xff host=h");
        check("postgresql://a:1,b,[::1]:3/", "host=a,b,::1 port=1,,3");
        check("postgresql://[::1]", "host=::1");
        check("postgresql://a,/d", "host=a, dbname=d");
        check("postgresql://:5/d", "port=5 dbname=d");
        check(
            "postgresql:///d?host=/run&port=7",
            "dbname=d host=/run port=7",
        );
        check("postgresql://a:1/d?host=b&port=2", "dbname=d host=b port=2");
        check("postgresql://h?user=u&", "host=h user=u");
        check("postgresql://h?", "host=h");
        check(
            "postgresql://h/d?application_name=a@b/c:d?e",
            "host=h dbname=d application_name=a@b/c:d?e",
        );
        check(
            "postgresql://h/?ss%6Cmode=%72equire",
            "host=h sslmode=require",
        );
        check(
            "postgresql://h/?sslmode= require ",
            "host=h sslmode=require",
        );
        check("postgresql://h/?ssl=true", "host=h sslmode=require");
        check("postgresql://h/?options=-c%20a=b", "host=h options=-c a=b");
    }

    #[test]
    fn what_cannot_be_read_is_refused_without_being_shown() {
        for text in [
            "secret",
            "host=h password=my secret user=u",
            "host=h password",
            "host=h password='secret",
            r"password='secret\'",
            "mysql://me:secret@h/d",
            "POSTGRESQL://me:secret@h/d",
            "postgresql://me:secret@sesame@h/d",
            "postgresql://me:secret/sesame@h/d",
            "postgresql://me:secret@sesame?x@h/d",
            "postgresql://me:100%secret@h/d",
            "postgresql://me:secret%4@h/d",
            "postgresql://me:secret%é@h/d",
            "postgresql://me:sec\nret@h/d",
            "postgresql://me:se cret@h/d",
            "postgresql://me:secret@[::1/d",
            "postgresql://me:secret@[]/d",
            "postgresql://me:secret@[::1]5/d",
            "postgresql://h/d?password=secret&&user=u",
            "postgresql://h/d?secret",
            "postgresql://h/d?password=secret=",
            "postgresql://h/d?application_name=secret sslmode=require",
            "postgresql://h/d?%ff=secret",
        ] {
            let error = parse(text).expect_err(text).to_string();
            assert!(
                error.starts_with("the database URL is malformed"),
                "{error}"
            );
            assert!(
                !error.contains("secret") && !error.contains("sesame"),
                "{text}: {error}"
            );
        }
    }

    #[test]
    fn another_database_leaves_the_rest_as_it_is() {
        for (text, expected) in [
            ("postgresql://u:p@h:5/old", "postgresql://u:p@h:5/new"),
            ("postgres://h", "postgres://h/new"),
            (
                "postgres://h?application_name=b",
                "postgres://h/new?application_name=b",
            ),
            (
                "postgres:///old?host=/run&dbname=old",
                "postgres:///new?host=/run",
            ),
            ("postgres://h/old?dbname=old", "postgres://h/new"),
            ("postgres://h/old?db%6eame=old&", "postgres://h/new"),
            ("postgres://u:a%2Fb?c@h/old\n", "postgres://u:a%2Fb?c@h/new"),
            ("host=h dbname=old", "host='h' dbname=new"),
            (
                r"password = 'a \' \\' dbname= old",
                r"password='a \' \\' dbname=new",
            ),
            (
                r"application_name=a://b?c/d password=x\",
                r"application_name='a://b?c/d' password='x' dbname=new",
            ),
        ] {
            let other = with_database(text, "new").unwrap();
            assert_eq!(other, expected);
            let (before, after) = (parse(text).unwrap(), parse(&other).unwrap());
            let rest = |pairs: &[Pair]| -> Vec<Pair> {
                pairs
                    .iter()
                    .filter(|(keyword, _)| keyword != "dbname")
                    .cloned()
                    .collect()
            };
            assert_eq!(rest(&before), rest(&after), "{text}");
            assert!(
                after.contains(&("dbname".to_owned(), b"new".to_vec())),
                "{other}"
            );
        }
    }
}
