//! Where a request comes from, as its browser says: which host it believes to talk to, and whose
//! page asks.

use axum::http::HeaderMap;
use axum::http::header::{HOST, ORIGIN};
use std::net::IpAddr;

/// Returns whether the request is for this machine by one of its own names.
///
/// A page of another site can have its name lead to 127.0.0.1, and would be let in like a person on
/// this machine. Its browser then names that site as the host.
pub(crate) fn is_for_this_machine(headers: &HeaderMap) -> bool {
    let host = headers.get(HOST).and_then(|host| host.to_str().ok());
    host.is_some_and(|host| is_this_machine(without_port(host)))
}

fn is_this_machine(host: &str) -> bool {
    let host = host.trim_end_matches('.').to_ascii_lowercase();
    let address = host.trim_start_matches('[').trim_end_matches(']');
    let is_loopback = |address: IpAddr| address.to_canonical().is_loopback();
    host == "localhost" || host.ends_with(".localhost") || address.parse().is_ok_and(is_loopback)
}

fn without_port(host: &str) -> &str {
    match host.rsplit_once(':') {
        Some((name, port)) if port.bytes().all(|byte| byte.is_ascii_digit()) => {
            // An address of version 6 has colons of its own, and brackets around it.
            match name.contains(':') && !name.ends_with(']') {
                true => host,
                false => name,
            }
        }
        _ => host,
    }
}

/// Returns whether a form comes from a page of this server, as far as the browser tells.
///
/// `Sec-Fetch-Site` is right behind a proxy, too, which may change the host. An older browser has
/// `Origin` alone. A program has neither, and no cookie that it did not ask for.
pub(crate) fn is_from_own_page(headers: &HeaderMap) -> bool {
    let text = |name: &str| headers.get(name).map(|value| value.to_str().unwrap_or(""));
    match text("sec-fetch-site") {
        Some(site) => site == "same-origin",
        None => match text(ORIGIN.as_str()) {
            Some(origin) => {
                let host = origin.split_once("://").map(|(_, host)| host);
                host.is_some() && host == text(HOST.as_str())
            }
            None => true,
        },
    }
}

/// Returns the value of a cookie.
pub(crate) fn cookie<'a>(headers: &'a HeaderMap, name: &str) -> Option<&'a str> {
    let all = headers.get_all(axum::http::header::COOKIE);
    let pairs = all
        .iter()
        .filter_map(|header| header.to_str().ok())
        .flat_map(|header| header.split(';'));
    pairs
        .filter_map(|pair| pair.trim().split_once('='))
        .find(|(own, _)| *own == name)
        .map(|(_, value)| value)
}

#[cfg(test)]
mod tests {
    use super::*;
    use axum::http::HeaderName;

    fn headers(all: &[(&str, &str)]) -> HeaderMap {
        let pairs = all.iter().map(|(name, value)| {
            let name = HeaderName::from_bytes(name.as_bytes()).unwrap();
            (name, value.parse().unwrap())
        });
        pairs.collect()
    }

    #[test]
    fn only_names_of_this_machine_are_its_own() {
        for own in [
            "localhost",
            "LOCALHOST:9187",
            "localhost.:1",
            "127.0.0.1:9187",
            "127.8.8.8",
            "[::1]:9187",
            "[::1]",
            "[::ffff:127.0.0.1]:1",
        ] {
            assert!(is_for_this_machine(&headers(&[("host", own)])), "{own}");
        }
        for other in [
            "",
            "evil.example",
            "127.0.0.1.evil.example:9187",
            "localhost.evil.example",
            "192.0.2.1",
            "[2001:db8::1]:1",
        ] {
            assert!(
                !is_for_this_machine(&headers(&[("host", other)])),
                "{other}"
            );
        }
        assert!(!is_for_this_machine(&headers(&[])));
    }

    #[test]
    fn a_form_of_another_page_is_noticed() {
        let host = ("host", "queue.example:9187");
        for own in [
            &[host][..],
            &[host, ("origin", "https://queue.example:9187")],
            &[
                host,
                ("sec-fetch-site", "same-origin"),
                ("origin", "https://front.example"),
            ],
        ] {
            assert!(is_from_own_page(&headers(own)), "{own:?}");
        }
        for other in [
            &[host, ("origin", "https://evil.example")][..],
            &[host, ("origin", "null")],
            &[host, ("origin", "http://queue.example:9188")],
            &[host, ("sec-fetch-site", "same-site")],
            &[
                host,
                ("sec-fetch-site", "cross-site"),
                ("origin", "https://queue.example:9187"),
            ],
            &[host, ("sec-fetch-site", "none")],
        ] {
            assert!(!is_from_own_page(&headers(other)), "{other:?}");
        }
    }

    #[test]
    fn a_cookie_is_found_among_others() {
        let headers = headers(&[("cookie", "a=1; bb=2"), ("cookie", "b=3=4")]);
        assert_eq!(cookie(&headers, "b"), Some("3=4"));
        assert_eq!(cookie(&headers, "c"), None);
    }
}
