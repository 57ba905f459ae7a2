//! A drain works off its topic whatever befalls other topics.

use crate::support::{HOUR, Place, done};
use outtray::NewMessage;

/// Sends the numbers 0 to 2, and a message of another topic that is due and that the database does
/// not let go, the first `times` times.
fn place(times: u32) -> Place {
    let mut place = Place::new();
    place.sql(&format!(
        "CREATE SEQUENCE tries;
         CREATE FUNCTION refuse() RETURNS trigger LANGUAGE plpgsql AS $$
         BEGIN
             IF nextval('tries') <= {times} THEN RAISE EXCEPTION 'not now'; END IF;
             RETURN OLD;
         END $$;
         CREATE TRIGGER refused BEFORE DELETE ON outtray.scheduled FOR EACH ROW EXECUTE FUNCTION refuse()"
    ));
    place.send_new(NewMessage::json("others", &1).unwrap().delay(HOUR));
    place.make_due();
    place.send_all("numbers", 0..3);
    place
}

#[test]
fn trouble_with_other_topics_that_passes_does_not_end_it() {
    let mut place = place(2);

    let drained = place.messaging.drain("numbers", done).unwrap();

    assert_eq!(drained.handled, 3);
    assert_eq!(place.count("outtray.message WHERE topic = 'others'"), 1);
}

#[test]
fn trouble_with_other_topics_that_stays_ends_it_after_its_own_messages() {
    let place = place(1_000_000);
    let mut handled = 0;

    let drained = place.messaging.drain("numbers", |_, _: outtray::Message| {
        handled += 1;
        Ok(())
    });

    assert!(drained.is_err());
    assert_eq!(handled, 3);
    assert!(place.is_empty("numbers"));
}
