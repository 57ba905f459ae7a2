//! A setting that a hand or a later release wrote, and that cannot be read, keeps no history, for
//! every process and every statement.

use crate::support::Place;
use std::time::Duration;

#[test]
fn what_cannot_be_read_counts_as_not_set_for_processes_and_statements_alike() {
    let mut place = Place::new();
    let values = [
        ("60000", Some(60_000)),
        ("2592000000", Some(2_592_000_000)),
        ("2592000001", None),
        ("59999", None),
        ("0", None),
        ("-1", None),
        ("1.5", None),
        ("1e400", None),
        ("99999999999999999999", None),
        ("\"60000\"", None),
        ("null", None),
        ("[60000]", None),
    ];
    for (index, (value, meant)) in values.iter().enumerate() {
        let topic = format!("topic-{index}");
        let document = format!(r#"{{"keep_done_ms": {value}, "keep_done_payload": {value}}}"#);
        place.write_config(&topic, &document);

        let config = place.messaging.topic(&topic).config().unwrap();
        let read = "SELECT keep_done_ms, keep_done_payload FROM outtray.topic WHERE topic = $1";
        let row = place.client.query_one(read, &[&topic]).unwrap();

        assert_eq!(
            config.keep_done,
            meant.map(Duration::from_millis),
            "{value}"
        );
        let column: Option<i64> = row.get(0);
        assert_eq!(column.map(i64::unsigned_abs), *meant, "{value}");
        assert!(
            !config.keep_done_payload && !row.get::<_, bool>(1),
            "{value}"
        );
        place.send(&topic, &1);
        assert_eq!(place.drained(&topic), 1, "{value}");
    }
    let kept = "outtray.history WHERE topic IN ('topic-0', 'topic-1')";
    assert_eq!((place.count(kept), place.count("outtray.history")), (2, 2));
}
