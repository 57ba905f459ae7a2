//! What most handlers of tests do.

use super::PATIENCE;
use crossbeam_channel::{Receiver as Told, unbounded};
use outtray::{
    Completion, HandlerError, Message, MessageId, Messaging, MessagingSession, NewMessage,
    Receiver, ReceiverBuilder,
};
use serde::de::DeserializeOwned;

/// Handles a message.
pub(crate) fn done(_: &mut MessagingSession<'_>, _: Message) -> Result<(), HandlerError> {
    Ok(())
}

/// Makes a message a dead letter.
pub(crate) fn reject(_: &mut MessagingSession<'_>, _: Message) -> Result<(), HandlerError> {
    Err(HandlerError::reject("no"))
}

/// Starts a receiver that tells the payload of each message.
pub(crate) fn telling<T>(receiver: ReceiverBuilder<'_>) -> (Receiver, Told<T>)
where
    T: DeserializeOwned + Send + Sync + 'static,
{
    let (tell, told) = unbounded();
    let receiver = receiver.start(move |_, message: Message<T>| Ok(tell.send(message.payload)?));
    (receiver.unwrap(), told)
}

/// Makes a message of which others can learn how it ended.
pub(crate) fn tracked(topic: &str, payload: i32) -> NewMessage {
    NewMessage::json(topic, &payload).unwrap().tracked()
}

/// Waits until a tracked message has ended.
#[track_caller]
pub(crate) fn awaited(messaging: &Messaging, id: MessageId) -> Completion {
    let end = messaging.wait_for_completion(id, PATIENCE).unwrap();
    end.expect("it ends in time")
}
