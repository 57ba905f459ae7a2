//! A search finds what it is for, page by page, and looks at no more than it may.

use crate::log;
use crate::support::{HOUR, Place, reject};
use outtray::{
    ErrorKind, Filter, FoundMessage, HandlerError, Message, MessagePlace, NewMessage, Search,
    SearchCursor,
};
use std::time::{Duration, SystemTime};

fn job(payload: i32) -> NewMessage {
    NewMessage::json("jobs", &payload).unwrap()
}

/// Returns the payloads of all that is found, whatever the pages are, and how many pages these are.
fn all(place: &Place, topic: &str, mut search: Search) -> (Vec<String>, usize) {
    let topic = place.messaging.topic(topic);
    let (mut found, mut pages) = (Vec::new(), 0);
    loop {
        let page = topic.search(&search).unwrap();
        pages += 1;
        assert!(pages < 1_000, "it comes to an end");
        let payload = |message: &FoundMessage| message.payload.to_string();
        found.extend(page.messages.iter().map(payload));
        // As it goes through a link.
        let next = page
            .next
            .map(|next| next.to_string().parse::<SearchCursor>());
        match next {
            Some(next) => search = search.after(next.unwrap()),
            None => return (found, pages),
        }
    }
}

/// Fills every place of a topic: three ready, two behind, two scheduled, five dead.
fn filled() -> Place {
    let place = Place::new();
    let messages = (0..5).map(|n| job(100 + n).header("n", n.to_string()).key(format!("d{n}")));
    place
        .messaging
        .session(|session| Ok(session.send_all(messages)?))
        .unwrap();
    let give_up = |_: &mut outtray::MessagingSession<'_>,
                   message: Message<i32>|
     -> Result<(), HandlerError> {
        let text = format!("order {} Timed Out after 30 s", message.payload);
        Err(HandlerError::reject(text))
    };
    place.messaging.drain("jobs", give_up).unwrap();
    place.send_new(job(1).header("country", "ch"));
    place.send_new(job(2).key("k").message_type("job.made"));
    place.send_new(job(3).key("l"));
    place.send_new(job(4).key("k"));
    place.send_new(job(5).key("k").header("country", "ch"));
    place.send_new(job(6).delay(HOUR));
    place.send_new(job(7).delay(HOUR).header("country", "de").key("k"));
    place
}

#[test]
fn without_a_wish_everything_is_found_place_by_place_in_pages_of_any_size() {
    let place = filled();
    let everything = [
        "1", "2", "3", "4", "5", "6", "7", "100", "101", "102", "103", "104",
    ];

    for limit in [1, 2, 5, 1_000] {
        let (found, _) = all(&place, "jobs", Search::new().limit(limit));
        assert_eq!(found, everything, "{limit} a page");
    }
    for look_at in [1, 3, 12, 13] {
        let (found, _) = all(&place, "jobs", Search::new().look_at(look_at));
        assert_eq!(found, everything, "{look_at} looked at");
    }
}

#[test]
fn each_wish_narrows_what_is_found() {
    let place = filled();
    let large: Filter = "country in (ch, de)".parse().unwrap();
    for (search, expected) in [
        (Search::new().key("k"), &["2", "4", "5", "7"][..]),
        (Search::new().key("d3"), &["103"]),
        (Search::new().header("country", "ch"), &["1", "5"]),
        (Search::new().filter(&large), &["1", "5", "7"]),
        (Search::new().filter(&large).key("k"), &["5", "7"]),
        (Search::new().message_type("job.made"), &["2"]),
        (Search::new().place(MessagePlace::Behind), &["4", "5"]),
        (
            Search::new().place(MessagePlace::Dead).header("n", "2"),
            &["102"],
        ),
        (
            Search::new().error("timed out"),
            &["100", "101", "102", "103", "104"],
        ),
        (Search::new().error("order 103"), &["103"]),
        (Search::new().error("%"), &[]),
        (
            Search::new()
                .error_shape("order # Timed Out after # s")
                .limit(2),
            &["100", "101", "102", "103", "104"],
        ),
        (
            Search::new().error("timed out").place(MessagePlace::Ready),
            &[],
        ),
    ] {
        assert_eq!(
            all(&place, "jobs", search.clone()).0,
            expected,
            "{search:?}"
        );
    }
}

#[test]
fn a_search_by_time_finds_what_was_sent_then() {
    let mut place = Place::new();
    place.send_all("jobs", 0..4);
    place.sql("UPDATE outtray.message SET sent_at = '2030-01-01 00:00:00+00'::timestamptz + (payload::text || ' min')::interval");
    let minute =
        |minutes: u64| SystemTime::UNIX_EPOCH + Duration::from_secs(1_893_456_000 + 60 * minutes);

    let search = Search::new().sent_from(minute(1)).sent_before(minute(3));

    assert_eq!(all(&place, "jobs", search).0, ["1", "2"]);
}

#[test]
fn a_search_that_stops_early_says_so_and_where_to_go_on() {
    let place = Place::new();
    place.send_all("jobs", 0..1_000);
    let id = place.send_new(job(1_000).header("rare", "yes"));
    let jobs = place.messaging.topic("jobs");
    let search = Search::new().header("rare", "yes").look_at(300);

    let first = jobs.search(&search).unwrap();

    assert_eq!((first.messages.len(), first.looked_at), (0, 300));
    assert!(first.is_stopped_early);
    let (found, pages) = all(&place, "jobs", search);
    assert_eq!((found, pages), (vec!["1000".to_owned()], 4));
    let everything = jobs.search(&Search::new().header("rare", "yes")).unwrap();
    assert_eq!(everything.messages[0].id, id);
    assert!(everything.next.is_none() && !everything.is_stopped_early);
}

#[test]
fn a_log_is_searched_from_its_newest_entry() {
    let place = log::place();
    place.send_all("ledger", 0..10);
    let message = NewMessage::json("ledger", &10).unwrap();
    place.send_new(message.key("k").header("a", "b"));

    let (found, _) = all(&place, "ledger", Search::new().limit(3));
    assert_eq!(
        found,
        ["10", "9", "8", "7", "6", "5", "4", "3", "2", "1", "0"]
    );
    assert_eq!(all(&place, "ledger", Search::new().key("k")).0, ["10"]);
    assert_eq!(
        all(&place, "ledger", Search::new().header("a", "b")).0,
        ["10"]
    );
}

#[test]
fn a_search_that_makes_no_sense_is_refused_with_what_is_wrong() {
    let place = Place::new();
    let jobs = place.messaging.topic("jobs");
    for (search, flaw) in [
        (Search::new().limit(0), "limit of a search is 0"),
        (Search::new().limit(1_001), "use 1 to 1000"),
        (Search::new().look_at(100_001), "use 1 to 100000"),
        (Search::new().key(""), "key has 0 bytes"),
        (Search::new().error("a\0"), "NUL"),
        (Search::new().header("a\0", "b"), "control character"),
    ] {
        let error = jobs.search(&search).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Invalid);
        assert!(error.to_string().contains(flaw), "{error}");
    }
    let search = Search::new().error("it's 100% \\ _ '; DROP TABLE x");
    assert!(jobs.search(&search).unwrap().messages.is_empty());
}

#[test]
fn dead_letters_are_grouped_by_what_their_errors_have_in_common() {
    let mut place = filled();
    place.sql(
        "INSERT INTO outtray.dead_letter (topic, id, rank, attempts, reason, error, sent_at, died_at, payload)
        SELECT 'jobs', gen_random_uuid(), 0, 1, 'exhausted', 'no message ' || gen_random_uuid() || ' at 0x' || to_hex(n), now(), now() - n * interval '1 s', '1'
        FROM generate_series(1, 7) AS n",
    );

    let groups = place
        .messaging
        .topic("jobs")
        .dead_letter_groups(10)
        .unwrap();

    let shapes = groups
        .groups
        .iter()
        .map(|group| (group.messages, group.shape.as_str()));
    assert_eq!(
        shapes.collect::<Vec<_>>(),
        [(7, "no message # at #"), (5, "order # Timed Out after # s")]
    );
    assert_eq!((groups.looked_at, groups.is_partial), (12, false));
    assert!(groups.groups[0].first_at < groups.groups[0].last_at);
    assert!(groups.groups[1].last_error.starts_with("order 10"));
    let one = place.messaging.topic("jobs").dead_letter_groups(1).unwrap();
    assert_eq!(one.groups.len(), 1);
    let none = place
        .messaging
        .topic("never")
        .dead_letter_groups(1)
        .unwrap();
    assert_eq!((none.groups.len(), none.looked_at), (0, 0));
}

#[test]
fn all_topics_are_searched_one_after_the_other_and_a_page_goes_on_in_the_midst_of_one() {
    let place = Place::new();
    for topic in ["a", "b", "c", "d"] {
        let messages = (0..5).map(|n| NewMessage::json(topic, &n).unwrap().key(format!("k{n}")));
        for message in messages {
            place.send_new(message);
        }
    }
    place.messaging.drain("b", reject).unwrap();
    let topics = |search: Search| {
        let (mut found, mut pages, mut search) = (Vec::new(), 0, search);
        loop {
            let page = place.messaging.search(&search).unwrap();
            pages += 1;
            found.extend(
                page.messages
                    .iter()
                    .map(|message| format!("{}{}", message.topic, message.payload)),
            );
            match page.next {
                // As it goes through a link.
                Some(next) => search = search.after(next.to_string().parse().unwrap()),
                None => return (found, pages),
            }
        }
    };

    let (by_key, pages) = topics(Search::new().key("k3"));
    let (all, many_pages) = topics(Search::new().limit(3));
    let (looked, _) = topics(Search::new().look_at(4));

    assert_eq!(
        (by_key, pages),
        (["a3", "b3", "c3", "d3"].map(String::from).to_vec(), 1)
    );
    assert_eq!(all.len(), 20);
    assert!(many_pages >= 7, "{many_pages}");
    assert_eq!(looked, all);
    let page = place.messaging.search(&Search::new().look_at(7)).unwrap();
    assert!(page.is_stopped_early);
    assert_eq!((page.looked_at, page.topics), (7, 2));
    let next = page.next.unwrap();
    let of_one = place
        .messaging
        .topic("b")
        .search(&Search::new().after(next));
    assert_eq!(of_one.unwrap_err().kind(), ErrorKind::Invalid);
    let next = place.messaging.topic("a").search(&Search::new().limit(1));
    let of_all = place
        .messaging
        .search(&Search::new().after(next.unwrap().next.unwrap()));
    assert_eq!(of_all.unwrap_err().kind(), ErrorKind::Invalid);
}
