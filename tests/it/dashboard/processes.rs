//! The processes that receive.

use super::{Place, Visit, text_of_page};
use outtray::Message;
use std::time::Duration;

#[test]
fn processes_are_shown_with_what_they_receive() {
    let mut place = Place::new();
    let receiver = place.messaging.receiver("orders").workers(3);
    let running = receiver.start(|_, _: Message<i32>| Ok(())).unwrap();
    // One that nobody has seen for a while, and whose texts are hostile.
    place.sql(
        "INSERT INTO outtray.worker (topic, process, holds_lock, host, pid, program, version, workers, busy, in_hand, handlers, seen_at)
         VALUES ('mails', 'other', false, '<b>host</b>', 7, E'p\\u202e', '0', 5, 2, 1,
             '[{\"worker\": 2, \"running_ms\": 90000, \"messages\": 1, \"ids\": [], \"attempt\": 4}]', now() - interval '1 hour')",
    );
    let mut visit = Visit::new(&place.messaging);

    let page = visit.page("/processes");

    let text = text_of_page(&page);
    assert!(text.contains(&std::process::id().to_string()), "{text}");
    assert!(text.contains("orders") && text.contains("mails"), "{text}");
    assert!(
        text.contains("silent") && text.contains("1 h 1 min"),
        "{text}"
    );
    assert!(!page.contains("<b>") && !page.contains('\u{202e}'));
    assert!(text.contains("Workers\n8\n"), "{text}");
    running.stop(Duration::from_secs(10));
}

#[test]
fn without_a_receiver_the_page_says_so() {
    let place = Place::new();
    let mut visit = Visit::new(&place.messaging);
    assert!(
        visit
            .page("/processes")
            .contains("No process receives messages")
    );
}
