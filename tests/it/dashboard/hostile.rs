//! Nothing that others wrote becomes markup, or hides.

use super::{Place, Visit, text_of_page};
use outtray::NewMessage;
use outtray::dashboard::Dashboard;
use std::time::Duration;

const SCRIPT: &str = "</td><script>alert(1)</script><img src=x onerror=alert(1)>\"'";
const UNSEEN: &str = "a\u{202e}b\u{0007}c\u{200b}d";

fn send_all(place: &Place) {
    for text in [SCRIPT, UNSEEN, &"x".repeat((1 << 20) - 2)] {
        let message = NewMessage::json("orders", text).unwrap();
        place.send_new(
            message.key(
                text.chars()
                    .filter(|c| *c != '\0')
                    .take(50)
                    .collect::<String>(),
            ),
        );
        let delayed = NewMessage::json("orders", text).unwrap();
        place.send_new(delayed.delay(Duration::from_secs(600)));
    }
    place.send_new(NewMessage::bytes("orders", vec![0, 255, b'<']));
}

#[test]
fn payloads_and_keys_of_others_stay_text() {
    let place = Place::new();
    send_all(&place);
    let mut visit = Visit::new(&place.messaging);

    let page = visit.page("/topic?name=orders");

    assert!(!page.contains("<script>alert"), "a script");
    assert!(!page.contains("<img"), "an image");
    assert!(page.contains("&lt;script&gt;alert(1)"));
    for unseen in ['\u{202e}', '\u{7}', '\u{200b}'] {
        assert!(!page.contains(unseen), "{}", unseen.escape_unicode());
    }
    assert!(text_of_page(&page).contains("\\u{202e}"));
    assert!(page.len() < 200_000, "{}", page.len());
}

#[test]
fn what_visitors_write_stays_text() {
    let place = Place::new();
    let mut visit = Visit::new(&place.messaging);
    for path in [
        "/?find=%3C%2Ftd%3E%3Cscript%3Ealert(1)%3C%2Fscript%3E%22",
        "/topic?name=%3Cscript%3Ealert(1)%3C%2Fscript%3E",
        "/settings?topic=%3Cscript%3Ealert(1)%3C%2Fscript%3E",
        "/?page=%3Cscript%3Ealert(1)%3C%2Fscript%3E",
        "/?sort=%22%3E%3Cscript%3Ealert(1)%3C%2Fscript%3E",
        "/login?back=%22%3E%3Cscript%3Ealert(1)%3C%2Fscript%3E",
    ] {
        let answer = visit.get(path);
        assert!(answer.status < 500, "{path}: {answer:?}");
        assert!(!answer.body.contains("<script>alert"), "{path}");
    }
}

#[test]
fn hidden_payloads_are_nowhere() {
    let place = Place::new();
    let message = NewMessage::json("orders", "secret-payload").unwrap();
    place.send_new(message.key("secret-key").header("who", "secret-header"));
    let delayed = NewMessage::json("orders", "secret-payload").unwrap();
    place.send_new(delayed.key("secret-key").delay(Duration::from_secs(60)));
    let mut visit = Visit::with(Dashboard::new(&place.messaging).hide_payloads(true));

    let page = visit.page("/topic?name=orders");

    assert!(!page.contains("secret-"), "{page}");
    assert!(page.contains("hidden"));
}
