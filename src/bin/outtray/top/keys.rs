//! What keys do.

use super::lookout::TopWish;
use super::state::{NextStep, Popup, Sorting, State};
use super::view::TopView;
use crossterm::event::{KeyCode, KeyEvent, KeyModifiers};

/// The keys, for the page of help.
pub(crate) const KEYS: &[(&str, &str)] = &[
    (
        "up down, j k",
        "choose a line; page up, page down, home, end",
    ),
    ("tab", "topics or processes"),
    ("enter", "all about the chosen line; esc goes back"),
    ("/", "show only what has a text in its name; esc shows all"),
    ("s S", "sort by the next column, by the one before"),
    ("r", "sort the other way round"),
    ("p", "pause the topic, or end its pause"),
    ("R", "redrive the dead letters of the topic"),
    ("space", "ask the database now"),
    ("q, ctrl-c", "quit"),
];

/// Lines that a page has.
const PAGE: i64 = 10;

/// Does what a key is for.
pub(crate) fn press(state: &mut State, key: KeyEvent) -> NextStep {
    if key.modifiers.contains(KeyModifiers::CONTROL) {
        return match key.code {
            KeyCode::Char('c' | 'd') => NextStep::End,
            KeyCode::Char('l') => NextStep::Do(TopWish::Refresh),
            _ => NextStep::Nothing,
        };
    }
    match state.popup.clone() {
        Popup::Finding(before) => find(state, key.code, before),
        Popup::Asking(_, wish) => answer(state, key.code, wish),
        Popup::Help => {
            state.popup = Popup::None;
            NextStep::Nothing
        }
        Popup::Details(_) => look(state, key.code),
        Popup::None => choose(state, key.code),
    }
}

fn find(state: &mut State, key: KeyCode, before: String) -> NextStep {
    match key {
        KeyCode::Enter => state.popup = Popup::None,
        KeyCode::Esc => {
            state.find = before;
            state.popup = Popup::None;
        }
        KeyCode::Backspace => drop(state.find.pop()),
        KeyCode::Char(sign) => state.find.push(sign),
        _ => {}
    }
    NextStep::Nothing
}

fn answer(state: &mut State, key: KeyCode, wish: TopWish) -> NextStep {
    state.popup = Popup::None;
    match key {
        KeyCode::Char('y' | 'Y') => NextStep::Do(wish),
        _ => NextStep::Nothing,
    }
}

/// In the details of a line.
fn look(state: &mut State, key: KeyCode) -> NextStep {
    match key {
        KeyCode::Esc | KeyCode::Enter | KeyCode::Char('q') | KeyCode::Backspace => {
            state.popup = Popup::None;
            state.scrolled = 0;
            return NextStep::Do(TopWish::LookAt(None));
        }
        KeyCode::Down | KeyCode::Char('j') => state.scrolled = state.scrolled.saturating_add(1),
        KeyCode::Up | KeyCode::Char('k') => state.scrolled = state.scrolled.saturating_sub(1),
        KeyCode::PageDown => state.scrolled = state.scrolled.saturating_add(10),
        KeyCode::PageUp => state.scrolled = state.scrolled.saturating_sub(10),
        KeyCode::Char('p') => ask_to_pause(state),
        KeyCode::Char('R') => ask_to_redrive(state),
        KeyCode::Char('?') => state.popup = Popup::Help,
        _ => {}
    }
    NextStep::Nothing
}

/// In the table.
fn choose(state: &mut State, key: KeyCode) -> NextStep {
    match key {
        KeyCode::Char('q') => return NextStep::End,
        KeyCode::Char(' ') => return NextStep::Do(TopWish::Refresh),
        KeyCode::Enter => return open(state),
        KeyCode::Esc => state.find.clear(),
        KeyCode::Char('?' | 'h') | KeyCode::F(1) => state.popup = Popup::Help,
        KeyCode::Char('/') => state.popup = Popup::Finding(state.find.clone()),
        KeyCode::Tab | KeyCode::BackTab => {
            state.view = match state.view {
                TopView::Topics => TopView::Processes,
                TopView::Processes => TopView::Topics,
            }
        }
        KeyCode::Down | KeyCode::Char('j') => state.move_by(1),
        KeyCode::Up | KeyCode::Char('k') => state.move_by(-1),
        KeyCode::PageDown => state.move_by(PAGE),
        KeyCode::PageUp => state.move_by(-PAGE),
        KeyCode::Home | KeyCode::Char('g') => state.move_by(i64::MIN / 2),
        KeyCode::End | KeyCode::Char('G') => state.move_by(i64::MAX / 2),
        KeyCode::Char('s') => sort_by_next(state, 1),
        KeyCode::Char('S') => sort_by_next(state, state.columns().len() - 1),
        KeyCode::Char('r') => {
            let order = state.order();
            state.set_order(Sorting {
                is_reversed: !order.is_reversed,
                ..order
            });
        }
        KeyCode::Char('p') => ask_to_pause(state),
        KeyCode::Char('R') => ask_to_redrive(state),
        _ => {}
    }
    NextStep::Nothing
}

fn open(state: &mut State) -> NextStep {
    let Some(id) = state.chosen_id() else {
        return NextStep::Nothing;
    };
    state.popup = Popup::Details(id);
    state.scrolled = 0;
    NextStep::Do(TopWish::LookAt(state.chosen_topic()))
}

fn sort_by_next(state: &mut State, further: usize) {
    let column = (state.order().column + further) % state.columns().len();
    state.set_order(Sorting {
        column,
        is_reversed: false,
    });
}

fn ask_to_pause(state: &mut State) {
    let Some(topic) = state.chosen_topic() else {
        return;
    };
    let is_paused = is_paused(state, &topic);
    state.popup = match is_paused {
        true => Popup::Asking(
            format!("Resume {topic} in all processes?"),
            TopWish::Resume(topic),
        ),
        false => Popup::Asking(
            format!("Pause {topic} in all processes?"),
            TopWish::Pause(topic),
        ),
    };
}

fn is_paused(state: &State, topic: &str) -> bool {
    let mut topics = state.seen.topics.iter();
    topics.any(|one| one.topic == topic && one.is_paused)
}

fn ask_to_redrive(state: &mut State) {
    let Some(topic) = state.chosen_topic() else {
        return;
    };
    let seen = state.seen.topics.iter().find(|one| one.topic == topic);
    let dead = seen.map_or(0, |one| one.dead);
    let how_many = match seen.is_some_and(|one| one.is_estimated && dead > 10_000) {
        true => format!("all dead letters, over {dead},"),
        false => format!("all {dead} dead letters"),
    };
    let question = format!("Redrive {how_many} of {topic}?");
    state.popup = Popup::Asking(question, TopWish::Redrive(topic));
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::top::lookout::{Snapshot, TopNews};
    use outtray::TopicBacklog;
    use std::time::{Duration, Instant};

    fn topic(name: &str, ready: u64, dead: u64) -> TopicBacklog {
        let mut topic = TopicBacklog::default();
        name.clone_into(&mut topic.topic);
        (topic.ready, topic.dead) = (ready, dead);
        topic
    }

    fn seeing(topics: Vec<TopicBacklog>) -> State {
        let mut state = State::new(TopView::Topics, "");
        see(&mut state, topics, Instant::now());
        state
    }

    fn see(state: &mut State, topics: Vec<TopicBacklog>, now: Instant) {
        let seen = Snapshot {
            topics,
            ..Snapshot::default()
        };
        state.learn(TopNews::Seen(Box::new(seen)), now);
    }

    fn typed(state: &mut State, keys: &str) -> Vec<NextStep> {
        let press_one = |sign| {
            let code = match sign {
                '\n' => KeyCode::Enter,
                '\t' => KeyCode::Tab,
                '\x1b' => KeyCode::Esc,
                sign => KeyCode::Char(sign),
            };
            press(state, KeyEvent::from(code))
        };
        keys.chars().map(press_one).collect()
    }

    fn names(state: &State) -> Vec<String> {
        state.lines().into_iter().map(|line| line.id).collect()
    }

    #[test]
    fn topics_are_sorted_by_what_is_ready_and_by_each_column() {
        let mut state = seeing(vec![topic("b", 1, 9), topic("a", 1, 0), topic("c", 5, 1)]);
        assert_eq!(names(&state), ["c", "a", "b"]);

        typed(&mut state, "ssss");
        assert_eq!(names(&state), ["b", "c", "a"], "by the dead");
        typed(&mut state, "r");
        assert_eq!(names(&state), ["a", "c", "b"]);
        typed(&mut state, "SSSSS");
        assert_eq!(names(&state), ["a", "b", "c"], "by name");
    }

    #[test]
    fn a_choice_stays_with_its_topic_wherever_that_goes() {
        let mut state = seeing(vec![topic("a", 3, 0), topic("b", 2, 0), topic("c", 1, 0)]);
        typed(&mut state, "j");
        assert_eq!(state.chosen_id().as_deref(), Some("b"));

        see(
            &mut state,
            vec![topic("a", 1, 0), topic("b", 9, 0)],
            Instant::now(),
        );

        assert_eq!(names(&state), ["b", "a"]);
        assert_eq!(state.chosen_id().as_deref(), Some("b"));
        see(&mut state, vec![topic("a", 1, 0)], Instant::now());
        assert_eq!(state.chosen_id().as_deref(), Some("a"), "it is gone");
    }

    #[test]
    fn a_filter_is_typed_kept_and_taken_back() {
        let mut state = seeing(vec![topic("Mails", 0, 0), topic("orders", 0, 0)]);

        typed(&mut state, "/mq");
        assert_eq!(names(&state), Vec::<String>::new());
        press(&mut state, KeyEvent::from(KeyCode::Backspace));
        typed(&mut state, "a\n");
        assert_eq!(names(&state), ["Mails"]);
        typed(&mut state, "/xyz\x1b");
        assert_eq!(names(&state), ["Mails"]);
        typed(&mut state, "\x1b");
        assert_eq!(names(&state), ["Mails", "orders"]);
    }

    #[test]
    fn nothing_is_changed_without_a_yes() {
        let mut state = seeing(vec![topic("mails", 0, 3)]);

        for keys in ["pn", "p\x1b", "p\n", "Rn", "R "] {
            let steps = typed(&mut state, keys);
            assert!(
                steps.iter().all(|step| *step == NextStep::Nothing),
                "{keys}"
            );
        }
        let paused = NextStep::Do(TopWish::Pause("mails".to_owned()));
        assert_eq!(typed(&mut state, "py")[1], paused);
        let redriven = NextStep::Do(TopWish::Redrive("mails".to_owned()));
        assert_eq!(typed(&mut state, "RY")[1], redriven);
    }

    #[test]
    fn a_topic_changes_by_the_difference_of_two_looks() {
        let (mut state, now) = (State::new(TopView::Topics, ""), Instant::now());
        see(&mut state, vec![topic("mails", 100, 0)], now);
        assert_eq!(state.lines()[0].cells[8].text, "-");

        see(
            &mut state,
            vec![topic("mails", 40, 0)],
            now + Duration::from_secs(2),
        );

        assert_eq!(state.lines()[0].cells[8].text, "-30");
    }

    #[test]
    fn an_end_is_asked_for_from_everywhere_by_control_c() {
        let control_c = KeyEvent::new(KeyCode::Char('c'), KeyModifiers::CONTROL);
        for keys in ["", "/abc", "?", "p", "\n"] {
            let mut state = seeing(vec![topic("mails", 0, 0)]);
            typed(&mut state, keys);
            assert_eq!(press(&mut state, control_c), NextStep::End);
        }
    }
}
