//! Answers while everything changes: each is one that was true, and none is an error.

use super::{TOPIC, configure};
use crate::support::{PATIENCE, Place, aside, eventually};
use crossbeam_channel::bounded;
use outtray::{
    Backoff, HandlerError, Message, MessageId, Messaging, NewMessage, TopicConfig, Why, WhyState,
};
use std::collections::HashMap;
use std::time::{Duration, Instant};

const MESSAGES: i32 = 120;

/// What was said of a message so far.
#[derive(Default)]
struct Story {
    attempts: u32,
    has_ended: bool,
    /// Names of the states, each as often as it was said anew.
    states: Vec<String>,
}

impl Story {
    /// Checks that an answer can follow those before it.
    #[track_caller]
    fn goes_on(&mut self, why: &Why) {
        let state = serde_json::to_value(&why.state).unwrap()["state"]
            .as_str()
            .unwrap()
            .to_owned();
        let so_far = &self.states;
        assert!(
            !matches!(why.state, WhyState::NotThere { .. }),
            "{why:?} after {so_far:?}"
        );
        let ends = matches!(why.state, WhyState::Ended { .. } | WhyState::Dead { .. });
        assert!(ends || !self.has_ended, "{why:?} after {so_far:?}");
        if !matches!(why.state, WhyState::Ended { .. }) {
            assert!(why.attempts >= self.attempts, "{why:?} after {so_far:?}");
            self.attempts = why.attempts;
        }
        if let WhyState::Behind { heads, .. } = &why.state {
            assert!(heads.iter().all(|head| head.id != why.id), "{why:?}");
        }
        self.has_ended = ends;
        if self.states.last() != Some(&state) {
            self.states.push(state);
        }
    }
}

/// Asks for one message after the other until all have ended, or the time is over.
fn ask_until_all_have_ended(messaging: &Messaging, ids: &[MessageId]) -> HashMap<MessageId, Story> {
    let mut stories: HashMap<MessageId, Story> = HashMap::new();
    let mut left = ids.to_vec();
    let begun = Instant::now();
    while !left.is_empty() && begun.elapsed() < PATIENCE * 3 {
        left.retain(|id| {
            let why = messaging.why(*id).unwrap();
            let story = stories.entry(*id).or_default();
            story.goes_on(&why);
            !story.has_ended
        });
    }
    stories
}

/// A message of each kind, by its number: keyed, delayed, after another one, or plain.
fn of_kind(number: i32, before: Option<MessageId>) -> NewMessage {
    let message = NewMessage::json(TOPIC, &number).unwrap().tracked();
    match (number % 4, before) {
        (0, _) => message.key(format!("key-{}", number % 3)),
        (1, _) => message.delay(Duration::from_millis(50)),
        (2, Some(before)) => message.after(&[before]),
        _ => message,
    }
}

#[test]
fn each_answer_is_one_that_was_true_while_messages_flow_through_all_states() {
    let place = Place::watchful();
    configure(
        &place,
        TopicConfig {
            max_in_work: Some(3),
            ..TopicConfig::default()
        },
    );
    let mut ids: Vec<MessageId> = Vec::new();
    for number in 0..MESSAGES {
        ids.push(place.send_new(of_kind(number, ids.last().copied())));
    }
    let start = |is_leasing| {
        let receiver = place.messaging.receiver(TOPIC).workers(3).max_attempts(3);
        let receiver = if is_leasing {
            receiver.lease(PATIENCE)
        } else {
            receiver
        };
        let receiver = receiver.backoff(Backoff::fixed(Duration::from_millis(20)));
        receiver.start(
            |_, message: Message<i32>| match (message.payload % 7, message.attempt) {
                (0, 1) => Err(HandlerError::from("not yet")),
                // Not those that others come after, which would wait for a redrive.
                (1, _) if message.payload % 5 == 0 && message.payload % 4 != 1 => {
                    Err(HandlerError::reject("never"))
                }
                _ => Ok(()),
            },
        )
    };
    let receivers = [start(false).unwrap(), start(true).unwrap()];
    let (messaging, asked) = (place.messaging.clone(), ids.clone());

    let told = aside(move || ask_until_all_have_ended(&messaging, &asked));

    let stories = told
        .recv_timeout(PATIENCE * 4)
        .expect("each answer is true");
    assert_eq!(stories.len(), ids.len());
    for (id, story) in stories {
        let last = place.messaging.why(id).unwrap();
        assert!(story.has_ended, "{:?}, now {last:?}", story.states);
    }
    for receiver in receivers {
        receiver.stop(PATIENCE);
    }
}

#[test]
fn a_message_that_is_claimed_and_given_back_all_the_time_is_ready_or_in_work() {
    let place = Place::new();
    let id = place.send(TOPIC, &1);
    let (stop, stopped) = bounded::<()>(0);
    let url = place.url.clone();
    let taking = aside(move || {
        let mut client = crate::support::client(&url);
        let mut taken = 0_u32;
        while stopped.try_recv() == Err(crossbeam_channel::TryRecvError::Empty) {
            let mut open = client.transaction().unwrap();
            open.execute("SELECT FROM outtray.message FOR UPDATE", &[])
                .unwrap();
            open.rollback().unwrap();
            taken += 1;
        }
        taken
    });
    let (mut ready, mut locked) = (0, 0);

    eventually("both were seen", || {
        match place.messaging.why(id).unwrap().state {
            WhyState::Ready { .. } => ready += 1,
            WhyState::Locked { .. } => locked += 1,
            state => panic!("{state:?}"),
        }
        ready > 10 && locked > 0
    });

    drop(stop);
    assert!(taking.recv_timeout(PATIENCE).unwrap() > 0);
}
