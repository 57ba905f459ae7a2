//! Finding out what a failover lost.

use super::{Desk, check, objects, run};
use crate::support::WORK;
use outtray::{Message, NewMessage};
use std::time::Duration;

const LOST: &str = "01890a5d-ac96-774b-bcce-b302099a8057";

#[test]
fn verify_tells_the_messages_that_left_no_trace_anywhere() {
    let desk = Desk::new();
    let sql = "CREATE TABLE effect (id uuid)";
    desk.messaging
        .session(|session| Ok(session.batch_execute(sql)?))
        .unwrap();
    let send = |message: NewMessage| desk.messaging.send(message).unwrap().id().to_string();
    let plain = |payload: i32| NewMessage::json(WORK, &payload).unwrap();
    let (done, tracked) = (send(plain(1)), send(plain(2).tracked()));
    let dead = send(plain(3));
    let enter = |session: &mut outtray::MessagingSession<'_>, message: Message<i32>| {
        if message.payload == 3 {
            return Err(outtray::HandlerError::reject("no"));
        }
        session.execute("INSERT INTO effect VALUES ($1)", &[&message.id.as_uuid()])?;
        Ok(())
    };
    desk.messaging.drain(WORK, enter).unwrap();
    let ready = send(plain(4));
    let delayed = send(plain(5).delay(Duration::from_secs(60)));
    let (first, behind) = (send(plain(6).key("k")), send(plain(7).key("k")));
    let ids = [
        &done, &tracked, &dead, &ready, LOST, &delayed, &first, &behind, &ready,
    ]
    .map(|id| id.to_owned() + "\n\n");
    let ids = ids.concat();

    let known = run(desk.command(&["verify"]), &ids);
    let query = "SELECT id FROM effect -- of all";
    let all = run(desk.command(&["verify", "--done", query, "--json"]), &ids);
    let fine = desk.done_with(&["verify"], &ready);
    let bad = run(desk.command(&["verify"]), "\nnot an id\n");

    assert_eq!(known.stdout, format!("{done}\n{LOST}\n"));
    check(&known, 1, "2 of 8 messages missing");
    assert_eq!(objects(&all.stdout)[0]["id"], LOST);
    check(&all, 1, "1 of 8 messages missing");
    assert_eq!(fine, "");
    check(&bad, 2, "line 2 is not the id of a message");
}
