//! Who may look, who may change something, and how others are refused.

use super::{Place, TOKEN, Visit, encoded, token};
use outtray::ErrorKind;
use outtray::dashboard::{Dashboard, Token};

const FORM: (&str, &str) = ("Content-Type", "application/x-www-form-urlencoded");

fn place() -> Place {
    let place = Place::new();
    place.send("orders", &1);
    place
}

fn is_paused(place: &Place) -> bool {
    place.messaging.topic("orders").is_paused().unwrap()
}

#[test]
fn without_a_token_all_may_look_and_nobody_may_change_anything() {
    let place = place();
    let mut visit = Visit::new(&place.messaging);

    let page = visit.page("/topic?name=orders");
    let refused = visit.post("/topic/pause", &[("topic", "orders"), ("csrf", "")]);

    assert!(!page.contains("action=\"/topic/pause\""));
    assert!(page.contains("Read-only"));
    assert_eq!(refused.status, 403);
    assert!(refused.body.contains("--token-file"), "{refused:?}");
    assert!(!is_paused(&place));
}

#[test]
fn with_a_token_only_those_who_know_it_see_anything() {
    let place = place();
    let mut visit = Visit::with(Dashboard::new(&place.messaging).token(token()));

    for path in ["/", "/topic?name=orders", "/settings?topic=orders"] {
        let answer = visit.get(path);
        assert_eq!(answer.status, 303, "{path}: {answer:?}");
        assert!(
            answer
                .header("location")
                .unwrap()
                .starts_with("/login?back=")
        );
        assert!(!answer.body.contains("orders"));
    }
    let posted = visit.post("/topic/pause", &[("topic", "orders")]);
    assert_eq!(posted.status, 401, "{posted:?}");
    let refreshed = visit.ask("GET", "/", &[("X-Outtray-Refresh", "1")], "");
    assert_eq!(refreshed.status, 401);
    assert!(!is_paused(&place));
}

#[test]
fn a_login_leads_back_and_a_logout_ends_it() {
    let place = place();
    let mut visit = Visit::with(Dashboard::new(&place.messaging).token(token()));
    let page = visit.get("/login?back=%2Ftopic%3Fname%3Dorders");
    let csrf = page.csrf();

    for (name, secret, expected) in [
        ("Ada", "0123456789abcdeF", "This is not the token."),
        ("", TOKEN, "Give a name"),
        ("<b>", TOKEN, "Give a name"),
    ] {
        let fields = [("csrf", csrf.as_str()), ("name", name), ("token", secret)];
        let csrf_before = visit.cookies.clone();
        let refused = visit.post("/login", &fields);
        visit.cookies = csrf_before;
        assert_eq!(refused.status, 401, "{refused:?}");
        assert!(refused.body.contains(expected), "{refused:?}");
    }
    let back = ("back", "/topic?name=orders");
    let fields = [
        ("csrf", csrf.as_str()),
        ("name", "Ada"),
        ("token", TOKEN),
        back,
    ];
    let entered = visit.post("/login", &fields);
    assert_eq!(entered.header("location"), Some("/topic?name=orders"));
    let cookie = entered
        .head
        .lines()
        .find(|line| line.contains("outtray_session="))
        .unwrap();
    assert!(
        cookie.contains("HttpOnly") && cookie.contains("SameSite=Strict"),
        "{cookie}"
    );
    assert!(!cookie.contains(TOKEN));

    let csrf = visit.get("/").csrf();
    assert_eq!(visit.post("/logout", &[("csrf", &csrf)]).status, 303);
    assert_eq!(visit.get("/").status, 303);
}

#[test]
fn a_login_never_leads_to_another_site() {
    let place = place();
    for back in [
        "//evil.example",
        "https://evil.example",
        "/\\evil.example",
        "javascript:alert(1)",
    ] {
        let mut visit = Visit::with(Dashboard::new(&place.messaging).token(token()));
        let csrf = visit.get("/login").csrf();
        let fields = [
            ("csrf", csrf.as_str()),
            ("name", "Ada"),
            ("token", TOKEN),
            ("back", back),
        ];
        let entered = visit.post("/login", &fields);
        assert_eq!(entered.header("location"), Some("/"), "{back}");
    }
}

#[test]
fn a_form_without_its_mark_or_of_another_page_changes_nothing() {
    let place = place();
    let mut visit = Visit::logged_in(&place.messaging);
    let csrf = visit.get("/").csrf();
    assert_eq!(csrf.len(), 64);
    let body = |csrf: &str| encoded(&[("csrf", csrf), ("topic", "orders")]);

    for (csrf, header) in [
        ("", None),
        (&csrf[1..], None),
        (csrf.as_str(), Some(("Sec-Fetch-Site", "cross-site"))),
        (&csrf, Some(("Sec-Fetch-Site", "same-site"))),
        (&csrf, Some(("Origin", "https://evil.example"))),
        (&csrf, Some(("Origin", "null"))),
    ] {
        let mut headers = vec![FORM];
        headers.extend(header);
        let refused = visit.ask("POST", "/topic/pause", &headers, &body(csrf));
        assert_eq!(refused.status, 403, "{header:?}: {refused:?}");
    }
    let refused = visit.ask(
        "POST",
        "/topic/pause",
        &[("Content-Type", "text/plain")],
        &body(&csrf),
    );
    assert_eq!(refused.status, 415);
    assert_eq!(visit.get("/topic/pause").status, 405);
    assert!(!is_paused(&place));

    let page = visit.change("/topic/pause", &[("topic", "orders")]);
    assert!(page.contains("Paused orders"));
    assert!(is_paused(&place));
    assert!(
        !visit.page("/").contains("Paused orders"),
        "it is said once"
    );
}

#[test]
fn a_program_shows_the_token_with_each_request() {
    let place = place();
    let mut visit = Visit::with(Dashboard::new(&place.messaging).token(token()));
    let bearer = format!("Bearer {TOKEN}");
    let right = ("Authorization", bearer.as_str());
    let body = encoded(&[("topic", "orders")]);

    assert_eq!(visit.ask("GET", "/", &[right], "").status, 200);
    // ada:0123456789abcdef, which a browser would send by itself for a form of another site.
    let password = ("Authorization", "Basic YWRhOjAxMjM0NTY3ODlhYmNkZWY=");
    let refused = visit.ask("POST", "/topic/pause", &[FORM, password], &body);
    assert_eq!(refused.status, 401);
    assert!(!is_paused(&place));
    let done = visit.ask("POST", "/topic/pause", &[FORM, right], &body);
    assert_eq!((done.status, done.body.as_str()), (200, "Paused orders\n"));
    let failed = visit.ask(
        "POST",
        "/topic/pause",
        &[FORM, right],
        &encoded(&[("topic", "a b")]),
    );
    assert_eq!(failed.status, 409, "{failed:?}");
}

#[test]
fn a_name_that_leads_to_this_machine_from_outside_is_refused_without_a_token() {
    let place = place();
    let mut visit = Visit::new(&place.messaging);
    for host in [
        "evil.example",
        "evil.example:9188",
        "192.0.2.1",
        "localhost.evil.example",
    ] {
        let refused = visit.ask("GET", "/topic?name=orders", &[("Host", host)], "");
        assert_eq!(refused.status, 403, "{host}");
        assert!(!refused.body.contains("orders"));
    }
    for host in ["localhost:1", "[::1]:1", "127.0.0.1"] {
        assert_eq!(visit.ask("GET", "/", &[("Host", host)], "").status, 200);
    }
}

#[test]
fn read_only_holds_for_those_who_know_the_token_too() {
    let place = place();
    let mut visit = Visit::with(Dashboard::new(&place.messaging).token(token()).read_only());
    visit.log_in();
    let csrf = visit.get("/").csrf();

    let page = visit.page("/topic?name=orders");
    let refused = visit.post("/topic/pause", &[("csrf", &csrf), ("topic", "orders")]);

    assert!(!page.contains("action=\"/topic/pause\""));
    assert_eq!(refused.status, 403);
    assert!(refused.body.contains("only shows"), "{refused:?}");
    assert!(!is_paused(&place));
}

#[test]
fn every_page_has_the_headers_that_bind_browsers() {
    let place = place();
    let mut visit = Visit::new(&place.messaging);
    for path in ["/", "/topic?name=orders", "/login", "/topic"] {
        let answer = visit.get(path);
        let policy = answer.header("content-security-policy").unwrap();
        for part in [
            "default-src 'none'",
            "script-src 'self'",
            "style-src 'self'",
            "frame-ancestors 'none'",
        ] {
            assert!(policy.contains(part), "{policy}");
        }
        assert!(!policy.contains("unsafe"));
        assert_eq!(answer.header("x-content-type-options"), Some("nosniff"));
        assert_eq!(answer.header("cache-control"), Some("no-store"));
        for inline in ["<style", " style=", "onclick", "<script>"] {
            assert!(!answer.body.contains(inline), "{inline}");
        }
    }
}

#[test]
fn other_machines_are_served_only_with_a_token() {
    let place = place();
    let refused = Dashboard::new(&place.messaging)
        .start("0.0.0.0:0")
        .unwrap_err();
    assert_eq!(refused.kind(), ErrorKind::Invalid);
    assert!(refused.to_string().contains("a token"), "{refused}");
    for bad in ["", "nowhere", "127.0.0.1", "127.0.0.1:x"] {
        let refused = Dashboard::new(&place.messaging).start(bad).unwrap_err();
        assert_eq!(refused.kind(), ErrorKind::Invalid, "{refused}");
    }
    assert!(Token::new("short").is_err());
    for bad in ["", "queues", "/queues/", "/a//b", "/a b", "/a?b"] {
        assert!(
            Dashboard::new(&place.messaging).below(bad).is_err(),
            "{bad}"
        );
    }
    let own = Dashboard::new(&place.messaging).token(token());
    assert!(own.start("0.0.0.0:0").is_ok());
}

#[test]
fn a_dashboard_below_a_path_links_to_itself() {
    let place = place();
    let dashboard = Dashboard::new(&place.messaging).below("/queues").unwrap();
    let mut visit = Visit::with(dashboard);

    let page = visit.page("/queues/");

    assert!(
        page.contains("href=\"/queues/topic?name=orders\""),
        "{page}"
    );
    assert_eq!(visit.get("/queues").header("location"), Some("/queues/"));
    assert_eq!(visit.get("/").status, 404);
}

#[test]
fn behind_a_proxy_with_tls_the_cookies_are_never_sent_in_the_clear() {
    let place = place();
    for (proto, is_secure) in [(None, false), (Some("http"), false), (Some("https"), true)] {
        let mut visit = Visit::with(Dashboard::new(&place.messaging).token(token()));
        let forwarded = proto.map(|proto| ("X-Forwarded-Proto", proto));
        let host = ("Host", "queue.example");
        let headers: Vec<_> = forwarded.into_iter().chain([host]).collect();
        let page = visit.ask("GET", "/login", &headers, "");
        let csrf = page.csrf();
        let fields = [("csrf", csrf.as_str()), ("name", "Ada"), ("token", TOKEN)];
        let headers = [&headers[..], &[FORM]].concat();

        let entered = visit.ask("POST", "/login", &headers, &encoded(&fields));

        assert_eq!(entered.status, 303, "{entered:?}");
        for answer in [page, entered] {
            let cookies = answer.head.lines().filter(|line| {
                let line = line.to_ascii_lowercase();
                line.starts_with("set-cookie: ")
            });
            let cookies: Vec<_> = cookies.collect();
            assert!(!cookies.is_empty());
            for cookie in cookies {
                assert_eq!(
                    cookie.contains("; Secure"),
                    is_secure,
                    "{proto:?}: {cookie}"
                );
            }
        }
    }
}
