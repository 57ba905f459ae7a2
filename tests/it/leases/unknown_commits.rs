//! Leases of which nobody knows at once whether they were settled.

use crate::support::{
    COMMIT, Cut, Gate, MINUTE, NO_POLLING, PATIENCE, Place, Wire, eventually, keep_log, logged,
    process,
};

#[test]
fn a_lease_that_may_have_been_settled_is_not_said_to_be_lost() {
    keep_log();
    let mut place = Place::polling(NO_POLLING);
    let id = place.send("jobs", &1).to_string();
    let wire = Wire::to(&place.url);
    let behind = process(wire.url(), NO_POLLING);
    let gate = Gate::new();
    let receiver = gate.holding(behind.receiver("jobs").workers(1).lease(MINUTE));
    gate.await_arrivals(1);

    wire.cut(Cut::After(COMMIT));
    gate.open_for(1);

    eventually("it is settled or lost", || !logged(&id).is_empty());
    assert!(wire.is_cut());
    assert_eq!(place.count("outtray.scheduled"), 0);
    let lines = logged(&id);
    assert!(
        lines
            .iter()
            .all(|(_, line)| line.contains("it was settled when the connection broke")),
        "{lines:?}"
    );
    receiver.stop(PATIENCE);
}
