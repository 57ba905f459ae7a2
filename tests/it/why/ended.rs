//! What became of messages that nobody waits for any more.

use super::{TOPIC, check_sentence, configure, job, why};
use crate::support::{PATIENCE, Place, awaited, done, eventually, reject, tracked};
use crossbeam_channel::unbounded;
use outtray::{
    DeadReason, Expired, How, Message, MessageId, NewMessage, Position, Remedy, TopicConfig,
    TopicKind, WhyState,
};
use std::time::Duration;

#[test]
fn a_tracked_message_that_is_done_says_when_it_ended_and_until_when_that_is_known() {
    let place = Place::new();
    let id = place.send_new(tracked(TOPIC, 1));
    let receiver = place.messaging.receiver(TOPIC).start(done).unwrap();
    let end = awaited(&place.messaging, id);

    let ended = why(&place, id);

    let WhyState::Ended {
        how,
        ended_at,
        kept_until,
    } = ended.state
    else {
        panic!("{ended:?}");
    };
    assert_eq!((how, ended_at), (How::Done, end.ended_at));
    assert!(kept_until > Some(ended_at));
    check_sentence(&ended, &["ended at", "as done, which is known until"]);
    receiver.stop(PATIENCE);
}

#[test]
fn a_message_that_was_cancelled_or_purged_says_so() {
    let place = Place::new();
    let cancelled = place.send_new(tracked(TOPIC, 1));
    let purged = place.send_new(tracked(TOPIC, 2));
    place.messaging.cancel(cancelled).unwrap();
    place.messaging.topic(TOPIC).purge().unwrap();

    for (id, expected) in [(cancelled, How::Cancelled), (purged, How::Purged)] {
        let ended = why(&place, id);

        let is_so = matches!(ended.state, WhyState::Ended { how, .. } if how == expected);
        assert!(is_so, "{expected}: {ended:?}");
    }
}

#[test]
fn a_message_that_the_history_of_its_topic_has_says_how_it_ended_last() {
    let place = Place::new();
    configure(
        &place,
        TopicConfig {
            keep_done: Some(Duration::from_secs(3600)),
            ..TopicConfig::default()
        },
    );
    let done_id = place.send(TOPIC, &1);
    let receiver = place.messaging.receiver(TOPIC).start(done).unwrap();
    eventually("it is done", || place.is_empty(TOPIC));
    receiver.stop(PATIENCE);
    let dead_id = place.send(TOPIC, &2);
    let receiver = place.messaging.receiver(TOPIC).start(reject).unwrap();
    eventually("it is dead", || place.dead_letters(TOPIC).len() == 1);
    receiver.stop(PATIENCE);
    let dead = why(&place, dead_id);
    assert!(matches!(dead.state, WhyState::Dead { .. }), "{dead:?}");

    let ended = why(&place, done_id);

    let is_so = matches!(
        ended.state,
        WhyState::Ended {
            how: How::Done,
            kept_until: None,
            ..
        }
    );
    assert!(is_so, "{ended:?}");
    check_sentence(&ended, &["ended at", "as done"]);
    assert_eq!(ended.attempts, 1);
    place.messaging.topic(TOPIC).redrive(..).unwrap();
    let again = why(&place, dead_id);
    assert!(matches!(again.state, WhyState::Ready { .. }), "{again:?}");
}

#[test]
fn a_message_whose_end_nobody_tracks_is_not_there() {
    let place = Place::new();
    let id = place.send(TOPIC, &1);
    let receiver = place.messaging.receiver(TOPIC).start(done).unwrap();
    eventually("it is done", || place.is_empty(TOPIC));
    receiver.stop(PATIENCE);
    let unheard_of: MessageId = "01890a5d-ac96-774b-bcce-b302099a8057".parse().unwrap();

    for id in [id, unheard_of, MessageId::from(uuid::Uuid::nil())] {
        let gone = why(&place, id);

        assert_eq!(gone.state, WhyState::NotThere { is_sure: true });
        assert_eq!((gone.topic.as_deref(), gone.sent_at), (None, None));
        check_sentence(&gone, &["is not there: it was never sent"]);
    }
}

#[test]
fn a_dead_letter_tells_its_reason_and_what_moves_it_back() {
    let place = Place::new();
    let id = place.send_new(job(1).key("k"));
    let receiver = place.messaging.receiver(TOPIC).start(reject).unwrap();
    eventually("it is dead", || !place.dead_letters(TOPIC).is_empty());

    let dead = why(&place, id);

    let WhyState::Dead { reason, error, .. } = &dead.state else {
        panic!("{dead:?}");
    };
    assert_eq!((*reason, error.as_str()), (DeadReason::Rejected, "no"));
    assert_eq!((dead.attempts, dead.key.as_deref()), (1, Some("k")));
    let redrive = format!("outtray dead redrive {TOPIC} {id}");
    assert_eq!(dead.remedies[0], Remedy::Command(redrive));
    check_sentence(
        &dead,
        &["was given up at", "(rejected) and is a dead letter: no"],
    );
    receiver.stop(PATIENCE);
}

#[test]
fn a_message_that_expired_says_so_until_it_is_taken_out_and_after_that() {
    let mut place = Place::new();
    configure(
        &place,
        TopicConfig {
            expired: Some(Expired::Drop),
            ..TopicConfig::default()
        },
    );
    let id = place.send_new(tracked(TOPIC, 1).expires_in(Duration::from_secs(3600)));
    place.make_expired();

    let late = why(&place, id);
    check_sentence(
        &late,
        &[
            "is ready, but it expired at",
            "and is about to be taken out",
        ],
    );

    let receiver = place.messaging.receiver(TOPIC).start(done).unwrap();
    assert_eq!(awaited(&place.messaging, id).how, How::Expired);
    check_sentence(&why(&place, id), &["as expired"]);
    receiver.stop(PATIENCE);
}

#[test]
fn an_entry_of_a_log_tells_which_readers_have_passed_it() {
    let place = Place::new();
    configure(
        &place,
        TopicConfig {
            kind: TopicKind::Log,
            ..TopicConfig::default()
        },
    );
    let first = place.send(TOPIC, &1);
    let (tell, told) = unbounded();
    let reader = place.messaging.reader(TOPIC, "quick").from(Position::Start);
    let reader = reader.start(move |_, entries: &[Message<i32>]| Ok(tell.send(entries.len())?));
    let reader = reader.unwrap();
    assert_eq!(told.recv_timeout(PATIENCE), Ok(1));
    reader.stop(PATIENCE);
    let second = place.send(TOPIC, &2);

    let passed = why(&place, first);
    let ahead = why(&place, second);

    let WhyState::Kept {
        position: Some(_),
        readers,
    } = &passed.state
    else {
        panic!("{passed:?}");
    };
    assert_eq!((readers.len(), readers[0].has_passed), (1, true));
    check_sentence(&passed, &["is kept in its log at", "passed by quick"]);
    let WhyState::Kept { readers, .. } = &ahead.state else {
        panic!("{ahead:?}");
    };
    assert!(!readers[0].has_passed, "{ahead:?}");
    check_sentence(&ahead, &["still ahead of quick"]);
}

#[test]
fn an_entry_that_a_reader_put_aside_is_a_message_of_its_own_topic() {
    let place = Place::new();
    configure(
        &place,
        TopicConfig {
            kind: TopicKind::Log,
            ..TopicConfig::default()
        },
    );
    let id = place.send(TOPIC, &1);
    let reader = place
        .messaging
        .reader(TOPIC, "billing")
        .from(Position::Start);
    let reader = reader
        .start(|_, _: &[Message<i32>]| Err("no".into()))
        .unwrap();
    let aside = format!("{TOPIC}@billing");

    eventually("it is put aside", || {
        why(&place, id).topic.as_deref() == Some(&aside)
    });
    let retried = why(&place, id);

    check_sentence(&retried, &[&format!("of topic {aside}")]);
    assert!(
        !super::obstacles(&retried).contains(&"no_receiver".to_owned()),
        "{retried:?}"
    );
    reader.stop(PATIENCE);
}

#[test]
fn a_message_that_lies_in_a_log_as_in_a_queue_says_that_it_moves() {
    let place = Place::new();
    let id = place.send_new(NewMessage::json(TOPIC, &1).unwrap());
    let mut place = place;
    place.write_config(TOPIC, r#"{"kind": "log"}"#);

    let stray = why(&place, id);

    assert_eq!(super::obstacles(&stray), ["not_yet_in_log"]);
}
