//! Who is told of events.

use crate::observe::clock::DatabaseClock;
use crate::observe::event::{Event, KINDS};
use crate::observe::tallies::Tallies;
use crate::words::panics::{CallersValue, catch};
use std::cell::RefCell;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

/// The caller's closure.
pub(crate) type Observer = dyn Fn(&Event<'_>) + Send + Sync;

/// All who are told of events.
pub(crate) struct Observers {
    /// In the order in which they were added.
    list: CallersValue<Vec<Arc<Observer>>>,
    /// The kinds of events in whose telling an observer panicked.
    has_panicked: [AtomicBool; KINDS],
    pub(crate) clock: DatabaseClock,
    /// Counts what became of messages, whether or not anybody looks.
    pub(crate) tallies: Tallies,
}

thread_local! {
    /// The observers that are being told something on this thread, by where they are in memory.
    /// None of them is told of what it does itself meanwhile: one that sends a message whenever one
    /// is sent would never end.
    static BUSY: RefCell<Vec<usize>> = const { RefCell::new(Vec::new()) };
}

impl Observers {
    pub(crate) fn new(list: Vec<Arc<Observer>>, tallies: Tallies) -> Self {
        Observers {
            list: CallersValue::new(list),
            has_panicked: [const { AtomicBool::new(false) }; KINDS],
            clock: DatabaseClock::new(),
            tallies,
        }
    }

    /// Returns whether anybody looks.
    pub(crate) fn are_any(&self) -> bool {
        !self.list.is_empty()
    }

    /// Tells all observers of an event, which is only put together if there are any, or if it may
    /// have to be counted. Runs the caller's code: hold no lock meanwhile, and no connection of the
    /// pool.
    pub(crate) fn tell<'e>(&self, event: impl FnOnce() -> Event<'e>) {
        if self.are_any() || self.tallies.are_kept() {
            let event = event();
            self.tallies.count(&event);
            self.tell_all(&event);
        }
    }

    fn tell_all(&self, event: &Event<'_>) {
        for observer in self.list.iter() {
            let place = Arc::as_ptr(observer).cast::<()>().addr();
            if !begin(place) {
                continue;
            }
            let told = catch(|| observer(event));
            BUSY.with_borrow_mut(|busy| busy.pop());
            if let Err(text) = told {
                self.note_panic(event, &text);
            }
        }
    }

    /// Says once for each kind of event that an observer panicked.
    fn note_panic(&self, event: &Event<'_>, text: &str) {
        let (kind, name) = event.kind();
        if !self.has_panicked[kind].swap(true, Ordering::Relaxed) {
            tracing::error!(
                "an observer panicked when it was told {name}; further panics at this are not logged: {text}"
            );
        }
    }
}

/// Notes that an observer is being told something; returns false if it is already.
fn begin(place: usize) -> bool {
    BUSY.with_borrow_mut(|busy| {
        let is_free = !busy.contains(&place);
        if is_free {
            busy.push(place);
        }
        is_free
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::words::MessageId;
    use std::sync::Mutex;

    fn expired<'e>() -> Event<'e> {
        Event::Expired {
            topic: "a",
            id: MessageId::new(),
        }
    }

    #[test]
    fn observers_are_told_in_order_and_a_panic_of_one_keeps_nothing_from_the_next() {
        let told = Arc::new(Mutex::new(Vec::new()));
        let noting = |name: &'static str| -> Arc<Observer> {
            let told = Arc::clone(&told);
            Arc::new(move |_| told.lock().unwrap().push(name))
        };
        let list = vec![
            noting("first"),
            Arc::new(|_: &Event<'_>| panic!("why")),
            noting("last"),
        ];
        let observers = Observers::new(list, Tallies::default());

        observers.tell(expired);
        observers.tell(expired);

        assert_eq!(*told.lock().unwrap(), ["first", "last", "first", "last"]);
        assert!(observers.has_panicked[expired().kind().0].load(Ordering::Relaxed));
    }

    #[test]
    fn without_observers_no_event_is_put_together() {
        Observers::new(Vec::new(), Tallies::default()).tell(|| unreachable!("nobody looks"));
    }

    #[test]
    fn an_observer_is_not_told_of_what_it_does_itself_but_others_are() {
        let (mine, others) = (Arc::new(Mutex::new(0)), Arc::new(Mutex::new(0)));
        let slot: Arc<Mutex<Option<Arc<Observers>>>> = Arc::default();
        let (count, again) = (Arc::clone(&mine), Arc::clone(&slot));
        let acting = move |_: &Event<'_>| {
            *count.lock().unwrap() += 1;
            let observers = again.lock().unwrap().clone().unwrap();
            observers.tell(expired);
        };
        let count = Arc::clone(&others);
        let counting = move |_: &Event<'_>| *count.lock().unwrap() += 1;
        let observers = Arc::new(Observers::new(
            vec![Arc::new(acting), Arc::new(counting)],
            Tallies::default(),
        ));
        *slot.lock().unwrap() = Some(Arc::clone(&observers));

        observers.tell(expired);

        assert_eq!((*mine.lock().unwrap(), *others.lock().unwrap()), (1, 2));
        slot.lock().unwrap().take();
    }
}
