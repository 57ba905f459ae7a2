//! What is over goes a partition at a time.

use super::{ended, place};
use crate::support::{DAY, Place};
use outtray::TopicConfig;

fn prune(place: &mut Place) -> bool {
    let row = place
        .client
        .query_one("SELECT outtray.history_prune()", &[]);
    row.unwrap().get(0)
}

#[test]
fn rows_are_shown_as_long_as_they_are_kept_and_go_with_their_partition() {
    let mut place = place();
    place.send_all("jobs", 0..3);
    place.drained("jobs");
    assert_eq!(ended(&place.messaging).len(), 3);
    assert!(!prune(&mut place));
    assert!(place.count("outtray.history") > 0);

    place.sql("UPDATE outtray.history SET day = day - 2");

    assert!(ended(&place.messaging).is_empty());
    place.sql("UPDATE outtray.history SET day = day - 4");
    assert!(prune(&mut place));
    assert_eq!(place.count("outtray.history"), 0);
    assert!(!prune(&mut place));
}

#[test]
fn what_was_written_stays_when_a_topic_keeps_no_more() {
    let mut place = place();
    place.send("jobs", &1);
    place.drained("jobs");
    place.jobs().configure(TopicConfig::default()).unwrap();
    place.send("jobs", &2);

    place.drained("jobs");

    assert_eq!(ended(&place.messaging).len(), 1);
    assert!(!prune(&mut place));
}

#[test]
fn topics_share_partitions_however_long_each_keeps_its_rows() {
    let mut place = place();
    for days in 1..=30 {
        let config = TopicConfig {
            keep_done: Some(days * DAY),
            ..TopicConfig::default()
        };
        place.jobs().configure(config).unwrap();
        place.send("jobs", &1);
        place.drained("jobs");
    }

    assert_eq!(ended(&place.messaging).len(), 30);
    assert_eq!(
        place.count("(SELECT DISTINCT day FROM outtray.history) AS days"),
        30
    );
    assert!(!prune(&mut place));
}
