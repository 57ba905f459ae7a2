//! Dead letters are mended: those that a search finds are redriven or removed, one is changed
//! before it is redriven, and what waits for its time runs before it.

use crate::support::{HOUR, Place, next, reject};
use outtray::{
    Backoff, Edit, ErrorKind, HandlerError, Headers, Message, MessageId, MessageState, NewMessage,
    Search,
};
use serde_json::Value;

/// Makes dead letters of 0 to 9, the odd ones with another error.
fn buried(place: &Place) {
    let job = |n: i32| {
        NewMessage::json("jobs", &n)
            .unwrap()
            .header("n", n.to_string())
    };
    place
        .messaging
        .session(|session| Ok(session.send_all((0..10).map(job))?))
        .unwrap();
    let give_up = |_: &mut outtray::MessagingSession<'_>,
                   message: Message<i32>|
     -> Result<(), HandlerError> {
        Err(HandlerError::reject(match message.payload % 2 {
            0 => "even",
            _ => "odd",
        }))
    };
    place.messaging.drain("jobs", give_up).unwrap();
}

fn bury(place: &Place, message: NewMessage) -> MessageId {
    let id = place.send_new(message);
    place.messaging.drain("jobs", reject).unwrap();
    id
}

#[test]
fn the_dead_letters_that_a_search_finds_are_redriven_or_removed_and_no_others() {
    let place = Place::new();
    buried(&place);
    let jobs = place.messaging.topic("jobs");
    let mut told = Vec::new();

    let odd = Search::new().error("odd");
    let redriven = jobs.redrive_matching(&odd, |so_far| told.push(so_far));
    assert_eq!((redriven.unwrap(), told), (5, vec![5]));
    let small = Search::new().filter(&"n < 5".parse().unwrap());
    assert_eq!(jobs.purge_dead_letters_matching(&small, |_| ()).unwrap(), 3);

    let mut handled: Vec<i32> = place.handled("jobs");
    handled.sort_unstable();
    assert_eq!(handled, [1, 3, 5, 7, 9]);
    let left = place.dead_letters("jobs");
    let left: Vec<String> = left.iter().map(|one| one.payload.to_string()).collect();
    assert_eq!(left, ["6", "8"]);
}

#[test]
fn a_search_through_many_dead_letters_redrives_all_that_it_finds() {
    let mut place = Place::new();
    place.sql(
        "INSERT INTO outtray.dead_letter (topic, id, rank, attempts, reason, error, sent_at, payload)
        SELECT 'jobs', gen_random_uuid(), 0, 1, 'exhausted', CASE WHEN n % 10 = 0 THEN 'rare' ELSE 'no' END, now(), '1'
        FROM generate_series(1, 25000) AS n",
    );
    let mut told = Vec::new();

    let rare = Search::new().error("rare");
    let redriven = place
        .jobs()
        .redrive_matching(&rare, |so_far| told.push(so_far));

    assert_eq!(redriven.unwrap(), 2_500);
    assert!(told.is_sorted() && told.len() >= 3, "{told:?}");
    assert_eq!(place.numbers(), [2_500, 0, 0, 22_500]);
}

#[test]
fn a_dead_letter_is_handled_as_it_was_edited_under_its_own_id() {
    let place = Place::new();
    let message = NewMessage::json("jobs", &1).unwrap().priority(2).key("k");
    let message = message.header("a", "1").header("b", "2").null_header("c");
    let id = bury(&place, message);
    let edit = Edit::new().json(&"mended").unwrap();
    let edit = edit.header("a", "9").without_header("b");

    assert!(place.jobs().redrive_edited(id, &edit).unwrap());

    let (tell, told) = crossbeam_channel::unbounded();
    let handler = move |_: &mut outtray::MessagingSession<'_>, message: Message<Value>| {
        Ok(tell.send(message)?)
    };
    place.messaging.drain("jobs", handler).unwrap();
    let handled = next(&told, 1).remove(0);
    assert_eq!((handled.id, handled.payload), (id, Value::from("mended")));
    assert_eq!((handled.priority, handled.attempt), (2, 1));
    assert_eq!(
        handled.headers,
        Headers::from([("a".to_owned(), "9".to_owned())])
    );
    assert!(place.dead_letters("jobs").is_empty());
}

#[test]
fn an_edit_may_leave_the_payload_or_replace_all_headers_or_make_bytes_of_it() {
    let mut place = Place::new();
    let id = bury(
        &place,
        NewMessage::json("jobs", &1).unwrap().header("a", "1"),
    );
    let headers = Headers::from([("b".to_owned(), "2".to_owned())]);

    place
        .jobs()
        .redrive_edited(id, &Edit::new().headers(headers.clone()))
        .unwrap();
    let kept = place.jobs().peek(1).unwrap().remove(0);
    assert_eq!(
        (kept.payload.to_string(), kept.headers),
        ("1".to_owned(), headers)
    );
    place.messaging.drain("jobs", reject).unwrap();
    // Headers that a hand wrote.
    place.sql("UPDATE outtray.dead_letter SET headers = '[1]'");
    let refused = place.jobs().redrive_edited(id, &Edit::new().bytes([1, 2]));
    assert_eq!(refused.unwrap_err().kind(), ErrorKind::Invalid);
    let anew = Edit::new().bytes([1, 2]).headers(Headers::new());
    place.jobs().redrive_edited(id, &anew).unwrap();

    let bytes = place.jobs().peek(1).unwrap().remove(0);
    assert_eq!(
        (bytes.payload.as_bytes(), bytes.headers.len()),
        (&[1, 2][..], 0)
    );
}

#[test]
fn an_edit_that_could_not_be_sent_is_refused_and_nothing_is_changed() {
    let place = Place::new();
    let id = bury(&place, NewMessage::json("jobs", &1).unwrap());
    for (edit, kind) in [
        (Edit::new().json_text("{no"), ErrorKind::Payload),
        (Edit::new().json_text("\"\\u0000\""), ErrorKind::Payload),
        (
            Edit::new().bytes(vec![0; (1 << 20) + 1]),
            ErrorKind::TooLarge,
        ),
        (Edit::new().header("", "x"), ErrorKind::Invalid),
        (Edit::new().header("a", "x\0"), ErrorKind::Invalid),
        (
            Edit::new().header("a", "x".repeat(20_000)),
            ErrorKind::Invalid,
        ),
    ] {
        let refused = place.jobs().redrive_edited(id, &edit).unwrap_err();
        assert_eq!(refused.kind(), kind, "{refused}");
    }

    let letter = place.dead_letters("jobs").remove(0);
    assert_eq!(
        (letter.payload.to_string(), letter.headers.len()),
        ("1".to_owned(), 0)
    );
    let nowhere = place.send("elsewhere", &1);
    assert!(!place.jobs().redrive_edited(nowhere, &Edit::new()).unwrap());
}

#[test]
fn an_edit_of_a_message_whose_dedupe_key_another_has_changes_nothing() {
    let place = Place::new();
    let unique = || {
        NewMessage::json("jobs", &1)
            .unwrap()
            .dedupe_until_end("once")
    };
    let id = bury(&place, unique());
    place.send_new(unique());

    let refused = place.jobs().redrive_edited(id, &Edit::new().json_text("2"));

    assert_eq!(refused.unwrap_err().kind(), ErrorKind::InUse);
    assert_eq!(place.dead_letters("jobs")[0].payload.to_string(), "1");
}

#[test]
fn a_scheduled_message_runs_before_its_time() {
    let place = Place::new();
    let delayed = |n: i32| NewMessage::json("jobs", &n).unwrap().delay(HOUR);
    let ids = [1, 2].map(|n| place.send_new(delayed(n)));
    let ready = place.send("jobs", &3);
    assert_eq!(place.handled::<i32>("jobs"), [3]);

    assert_eq!(place.jobs().run_now(&[ids[1], ready]).unwrap(), 1);

    assert_eq!(place.handled::<i32>("jobs"), [2]);
    assert_eq!(place.numbers(), [0, 1, 0, 0]);
}

#[test]
fn the_failed_head_of_a_topic_in_strict_order_runs_before_its_time() {
    let place = Place::new();
    place.send_all("jobs", 0..2);
    let (tell, told) = crossbeam_channel::unbounded();
    let receiver = place.messaging.receiver("jobs").strict_order();
    let receiver = receiver
        .backoff(Backoff::fixed(HOUR))
        .start(move |_, message: Message<i32>| {
            let _ = tell.send((message.payload, message.attempt));
            match message.attempt {
                1 if message.payload == 0 => Err(HandlerError::failed("not yet")),
                _ => Ok(()),
            }
        });
    let receiver = receiver.unwrap();
    assert_eq!(next(&told, 1), [(0, 1)]);
    let mut head = None;
    crate::support::eventually("it waits in its place", || {
        let first = place.jobs().peek(1).unwrap().remove(0);
        head = Some(first.id);
        matches!(first.state, MessageState::Retrying { .. })
    });

    // A worker may be looking at it.
    crate::support::eventually("it is run", || {
        place.jobs().run_now(&[head.unwrap()]).unwrap() == 1
    });

    assert_eq!(next(&told, 2), [(0, 2), (1, 1)]);
    receiver.stop(crate::support::PATIENCE);
}
