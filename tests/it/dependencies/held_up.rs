//! What cannot be released holds up no other.

use crate::support::{Place, eventually, tracked};

#[test]
fn a_message_that_the_database_does_not_release_keeps_no_other_waiting() {
    let mut place = Place::new();
    let first = place.send_new(tracked("a", 1));
    for payload in 0..20 {
        place.send_new(tracked("b", payload).after(&[first]));
    }
    place.sql(
        "CREATE FUNCTION refuse() RETURNS trigger LANGUAGE plpgsql AS $$
         BEGIN
             IF NEW.payload::text = '0' THEN RAISE EXCEPTION 'not this one'; END IF;
             RETURN NEW;
         END $$;
         CREATE TRIGGER refused BEFORE UPDATE ON outtray.scheduled FOR EACH ROW EXECUTE FUNCTION refuse()",
    );

    assert_eq!(place.drained("a"), 1);
    assert_eq!(place.drained("b"), 19);

    assert_eq!(place.count("outtray.scheduled"), 1);
}

#[test]
fn one_that_is_a_dead_letter_already_stops_no_other() {
    let mut place = Place::watchful();
    let first = place.send_new(tracked("a", 1));
    for payload in [0, 1] {
        place.send_new(tracked("b", payload).after(&[first]));
    }
    place.sql(
        "INSERT INTO outtray.dead_letter (topic, id, rank, attempts, reason, error, sent_at, payload)
            SELECT topic, id, rank, 1, 'rejected', 'by hand', sent_at, payload
            FROM outtray.scheduled WHERE payload::text = '0'",
    );
    place.messaging.cancel(first).unwrap();
    let _upkeep = place.idle_receiver();

    eventually("the other is", || place.dead_letters("b").len() == 2);
    assert_eq!(place.count("outtray.scheduled"), 1);
}
