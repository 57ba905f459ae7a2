//! Messages of which their sender does not know whether they were sent.

use crate::support::{
    COMMIT, Cut, NO_POLLING, PATIENCE, Place, Wire, next, pass_time, process, send, telling,
};
use outtray::ErrorKind;
use std::time::Duration;

#[test]
fn a_receiver_has_a_message_soon_whose_commit_is_unknown() {
    let place = Place::polling(NO_POLLING);
    let wire = Wire::to(&place.url);
    let behind = process(wire.url(), NO_POLLING);
    let (receiver, told) = telling::<i32>(behind.receiver("jobs").workers(1));
    send(&behind, "jobs", &1);
    assert_eq!(next(&told, 1), [1]);
    // The process polls once more, since its worker parked.
    pass_time(Duration::from_secs(2));

    wire.cut(Cut::After(COMMIT));
    let sent = behind.session(|session| {
        session.execute("SELECT 1", &[])?;
        Ok(session.send_message("jobs", &2)?)
    });

    assert_eq!(sent.unwrap_err().kind(), ErrorKind::OutcomeUnknown);
    assert_eq!(next(&told, 1), [2]);
    receiver.stop(PATIENCE);
}
