//! Who asks gets the answer to this very question.

use super::{QUOTES, double, doubling, left, two_processes};
use crate::support::{MINUTE, PATIENCE, Place, done, next, process};
use crossbeam_channel::unbounded;
use outtray::{BatchMessage, ErrorKind, HandlerError, Message, NewMessage, ReceiverBuilder};
use serde::Deserialize;
use serde_json::{Value, json};
use std::time::Duration;

#[test]
fn a_reply_reaches_the_asker_and_commits_with_what_the_handler_did() {
    let (mut place, replier) = two_processes();
    place.sql("CREATE TABLE asked (item text)");
    let receiver = replier.start_receiving_messages(QUOTES, |session, ask: Message<Value>| {
        let item = ask.payload["item"].as_str().unwrap_or_default();
        session.execute("INSERT INTO asked (item) VALUES ($1)", &[&item])?;
        session.send_message("log", &item)?;
        session.reply(&ask, &json!({ "item": item, "price": 3 }))?;
        Ok(())
    });
    let receiver = receiver.unwrap();

    #[derive(Deserialize)]
    struct Quote {
        item: String,
        price: u32,
    }
    let ask = json!({ "item": "apples" });
    let quote: Quote = place.messaging.request(QUOTES, &ask, PATIENCE).unwrap();

    assert_eq!((quote.item.as_str(), quote.price), ("apples", 3));
    assert_eq!(place.count("asked"), 1);
    assert_eq!(place.count("outtray.message WHERE topic = 'log'"), 1);
    assert!(place.is_empty(QUOTES));
    receiver.stop(PATIENCE);
}

#[test]
fn a_request_and_its_reply_say_in_headers_what_they_are() {
    let place = Place::new();
    let (tell, told) = unbounded();
    let receiver = place
        .messaging
        .start_receiving_messages(QUOTES, move |session, ask: Message<Value>| {
            let answer = NewMessage::json("", &1)?
                .header("currency", "EUR")
                .priority(3);
            session.reply_message(&ask, answer)?;
            Ok(tell.send((ask.id, ask.headers))?)
        })
        .unwrap();

    let ask = NewMessage::json(QUOTES, &0).unwrap().header("region", "eu");
    let reply = place
        .messaging
        .request_message::<i32>(ask, PATIENCE)
        .unwrap();

    let (id, asked) = next(&told, 1).remove(0);
    assert_eq!(asked["region"], "eu");
    assert_eq!(asked["correlation-id"], id.to_string());
    assert!(asked["reply-to"].starts_with("outtray.reply."), "{asked:?}");
    assert_eq!((reply.payload, reply.priority), (1, 3));
    assert_eq!(reply.headers["currency"], "EUR");
    assert_eq!(reply.headers["correlation-id"], id.to_string());
    assert_eq!(reply.topic, asked["reply-to"]);
    receiver.stop(PATIENCE);
}

#[test]
fn of_several_questions_each_gets_its_own_answer() {
    let (place, replier) = two_processes();
    let ask = |number: i64| {
        let question = NewMessage::json(QUOTES, &number).unwrap();
        place.messaging.begin_request(question, PATIENCE).unwrap()
    };
    let mut pending: Vec<_> = (0..50).map(ask).collect();
    let receiver = doubling(&replier);

    // The last first.
    for (number, pending) in pending.iter_mut().enumerate().rev() {
        let reply = pending.wait::<i64>(PATIENCE).unwrap();
        assert_eq!(reply.payload, 2 * number as i64);
        assert_eq!(reply.headers["correlation-id"], pending.id().to_string());
    }
    receiver.stop(PATIENCE);
}

#[test]
fn every_kind_of_handler_can_answer() {
    let (place, replier) = two_processes();
    let check = |receiver: outtray::Receiver| {
        let answer: i64 = place.messaging.request(QUOTES, &21, PATIENCE).unwrap();
        assert_eq!(answer, 42);
        receiver.stop(PATIENCE);
    };
    let of = |with: fn(ReceiverBuilder<'_>) -> ReceiverBuilder<'_>| with(replier.receiver(QUOTES));

    check(
        of(|receiver| receiver.strict_order())
            .start(double)
            .unwrap(),
    );
    check(of(|receiver| receiver.lease(MINUTE)).start(double).unwrap());
    let batches =
        of(|receiver| receiver).start_batches(10, |session, asked: &[BatchMessage<i64>]| {
            for ask in asked {
                session.reply(ask, &(ask.payload * 2))?;
            }
            Ok(())
        });
    check(batches.unwrap());
}

#[test]
fn a_reply_under_a_lease_commits_with_the_acknowledgement() {
    let (place, replier) = two_processes();
    let question = NewMessage::json(QUOTES, &21).unwrap();
    let mut pending = place.messaging.begin_request(question, PATIENCE).unwrap();
    let taken = replier.topic(QUOTES);
    let taken = taken.receive::<i64>(MINUTE).unwrap().unwrap();

    let failed = taken.settle_in(|session| {
        session.reply(&taken, &0)?;
        Err::<(), _>(HandlerError::failed("not yet"))
    });
    assert_eq!(failed.unwrap_err().kind(), ErrorKind::RolledBack);
    taken
        .settle_in(|session| Ok(session.reply(&taken, &(taken.payload * 2))?))
        .unwrap();

    assert_eq!(pending.wait::<i64>(PATIENCE).unwrap().payload, 42);
    assert!(place.is_empty(QUOTES));
}

#[test]
fn a_program_in_another_language_answers_with_an_ordinary_message() {
    let mut place = Place::new();
    let answer = |place: &mut Place, status: &str, key: &str| {
        place.sql(&format!(
            "WITH question AS (DELETE FROM outtray.message WHERE topic = 'quotes' RETURNING headers)
            SELECT outtray.send(headers ->> 'reply-to', to_json('from SQL'::text),
                headers => jsonb_build_object('correlation-id', headers ->> 'correlation-id' {status}),
                key => {key}, notify => true)
            FROM question"
        ));
    };
    let ask = || NewMessage::json(QUOTES, &0).unwrap();
    for key in ["NULL", "'k'"] {
        let mut pending = place.messaging.begin_request(ask(), PATIENCE).unwrap();
        answer(&mut place, "", key);
        let reply = pending.wait::<String>(PATIENCE).unwrap();
        assert_eq!(reply.payload, "from SQL");
    }

    let mut pending = place.messaging.begin_request(ask(), PATIENCE).unwrap();
    answer(&mut place, ", 'reply-status', 'error'", "NULL");
    let error = pending.wait::<String>(PATIENCE).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Refused);
    assert!(error.to_string().contains("from SQL"), "{error}");
}

#[test]
fn a_program_in_another_language_asks_with_an_ordinary_message() {
    let mut place = Place::new();
    place.sql(
        "SELECT outtray.send('quotes', '21',
            headers => '{\"reply-to\": \"answers\", \"correlation-id\": \"mine, 1\"}', notify => true)",
    );
    let receiver = doubling(&place.messaging);

    let answers = place.messaging.topic("answers");
    let answer = answers.receive_timeout::<i64>(PATIENCE, MINUTE).unwrap();

    let answer = answer.unwrap();
    assert_eq!(answer.payload, 42);
    assert_eq!(answer.headers["correlation-id"], "mine, 1");
    receiver.stop(PATIENCE);
}

#[test]
fn what_does_not_belong_into_the_inbox_disturbs_nobody() {
    let mut place = Place::new();
    let ask = NewMessage::json(QUOTES, &0).unwrap();
    let mut pending = place.messaging.begin_request(ask, PATIENCE).unwrap();
    let topic: String = place
        .client
        .query_one("SELECT headers ->> 'reply-to' FROM outtray.message", &[])
        .unwrap()
        .get(0);
    place.sql(&format!(
        "INSERT INTO outtray.message (topic, rank, id, headers, payload)
            SELECT '{topic}', 0, gen_random_uuid(), headers::json, '1'
            FROM unnest(ARRAY[NULL, '[]', '7', '{{}}', '{{\"correlation-id\": 7}}',
                '{{\"correlation-id\": \"x\"}}',
                '{{\"correlation-id\": \"018f0000-0000-7000-8000-000000000000\"}}']) AS odd (headers)"
    ));
    let receiver = doubling(&place.messaging);

    assert_eq!(pending.wait::<i64>(PATIENCE).unwrap().payload, 0);
    receiver.stop(PATIENCE);
    let url = place.url.clone();
    drop(pending);
    drop(place);
    let mut after = Place::over(&url, process(&url, PATIENCE));
    assert_eq!(left(&mut after), 0);
}

#[test]
fn a_second_reply_is_dropped() {
    let (place, replier) = two_processes();
    let receiver = replier.start_receiving_messages(QUOTES, |session, ask: Message<i64>| {
        session.reply(&ask, &1)?;
        session.reply(&ask, &2)?;
        Ok(())
    });
    let receiver = receiver.unwrap();
    for _ in 0..10 {
        let first: i64 = place.messaging.request(QUOTES, &0, PATIENCE).unwrap();
        assert_eq!(first, 1);
    }
    receiver.stop(PATIENCE);
}

#[test]
fn a_handler_may_ask_others_itself() {
    let place = Place::new();
    let asking = place.messaging.clone();
    let outer = place
        .messaging
        .start_receiving_messages("outer", move |session, ask: Message<i64>| {
            let inner: i64 = asking.request(QUOTES, &ask.payload, PATIENCE)?;
            session.reply(&ask, &(inner + 1))?;
            Ok(())
        })
        .unwrap();
    let inner = doubling(&place.messaging);

    let answer: i64 = place.messaging.request("outer", &20, PATIENCE).unwrap();

    assert_eq!(answer, 41);
    outer.stop(PATIENCE);
    inner.stop(PATIENCE);
}

#[test]
fn a_question_has_the_options_of_messages_but_for_two() {
    let place = Place::new();
    let receiver = place
        .messaging
        .start_receiving_messages(QUOTES, double)
        .unwrap();
    let ask = || NewMessage::json(QUOTES, &21).unwrap();
    let others = place
        .messaging
        .start_receiving_messages("others", done)
        .unwrap();

    for good in [
        ask().key("k"),
        ask().tracked(),
        ask().delay(Duration::from_millis(1)),
        ask().expires_in(MINUTE),
        ask().priority(7),
    ] {
        let reply = place
            .messaging
            .request_message::<i64>(good, PATIENCE)
            .unwrap();
        assert_eq!(reply.payload, 42);
    }
    for bad in [
        ask().dedupe("d", MINUTE),
        ask().dedupe_until_end("d"),
        ask().header("correlation-id", "mine"),
        NewMessage::json("no topic", &1).unwrap(),
    ] {
        let refused = place.messaging.request_message::<i64>(bad, PATIENCE);
        assert_eq!(refused.unwrap_err().kind(), ErrorKind::Invalid);
    }
    receiver.stop(PATIENCE);
    others.stop(PATIENCE);
}
