//! Handlers that set something, through a socket file, where nobody sees the server's answers but
//! the driver.

use super::{BY, TRACES, Way, check, prepare};
use crate::support::{Place, by_socket};
use outtray::Messaging;

#[test]
fn the_next_message_finds_nothing_of_what_one_set_through_a_socket_file() {
    let place = Place::new();
    let messaging = Messaging::connect(&by_socket(&place.url)).unwrap();
    let mut place = Place { messaging, ..place };
    prepare(&mut place);
    for (index, trace) in TRACES.iter().enumerate() {
        check(&mut place, Way::Fixed, trace, BY[index % 4]);
    }
}
