//! Who is waiting for what, in this process.

use crate::threads::mutex::Mutex;
use crossbeam_channel::{Receiver, Sender, bounded};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Weak};
use std::time::{Duration, Instant};

/// Where the workers of one receiver park.
pub(crate) struct Station {
    topic: String,
    permits: Sender<()>,
    parked: Receiver<()>,
    care: Mutex<CareUntil>,
}

/// Until when attempts are counted before handlers run.
#[derive(Default)]
struct CareUntil {
    /// As the topic is suspect.
    suspect: Option<Instant>,
    /// As its receiver is new, and others may just have died.
    wary: Option<Instant>,
}

impl Station {
    /// Makes a station for `workers` workers.
    ///
    /// A permit wakes one worker. There are as many as workers at most: one more would wake
    /// nobody, and a worker that is busy looks for the next message anyway.
    pub(crate) fn new(topic: &str, workers: usize) -> Self {
        let (permits, parked) = bounded(workers.max(1));
        Station::with(topic, permits, parked)
    }

    /// Makes a station for each of the topics, all with the same permits: for one who waits for any
    /// of them.
    pub(crate) fn shared(topics: &[&str]) -> Vec<Arc<Self>> {
        let (permits, parked) = bounded(1);
        let station = |topic: &&str| Station::with(topic, permits.clone(), parked.clone());
        topics.iter().map(station).map(Arc::new).collect()
    }

    fn with(topic: &str, permits: Sender<()>, parked: Receiver<()>) -> Self {
        Station {
            topic: topic.to_owned(),
            permits,
            parked,
            care: Mutex::default(),
        }
    }

    /// Wakes up to `workers` parked workers; returns whether there was a permit for each. One that
    /// no parked worker takes is taken by the next that parks. Never blocks.
    pub(crate) fn ring(&self, workers: usize) -> bool {
        (0..workers).all(|_| self.permits.try_send(()).is_ok())
    }

    /// The channel on which a parked worker waits.
    pub(crate) fn permits(&self) -> &Receiver<()> {
        &self.parked
    }

    /// Notes for how long attempts are to be counted before handlers run, zero for no longer.
    /// Returns whether that is news.
    pub(crate) fn suspect(&self, duration: Duration) -> bool {
        let until = &mut self.care.lock().suspect;
        let was_suspect = until.is_some();
        *until = match duration.is_zero() {
            true => None,
            false => Instant::now().checked_add(duration),
        };
        was_suspect != until.is_some()
    }

    /// Has attempts be counted for so long whatever is heard of suspicions meanwhile.
    pub(crate) fn be_wary(&self, duration: Duration) {
        self.care.lock().wary = Instant::now().checked_add(duration);
    }

    /// Returns whether attempts are to be counted before handlers run.
    pub(crate) fn is_suspect(&self) -> bool {
        let care = self.care.lock();
        let mut until = care.suspect.into_iter().chain(care.wary).peekable();
        // Mostly there is none, and nobody asks for the time.
        until.peek().is_some() && {
            let now = Instant::now();
            until.any(|until| now < until)
        }
    }
}

/// All stations of a process. A station leaves by being dropped.
#[derive(Default)]
pub(crate) struct Board {
    stations: Mutex<Vec<Weak<Station>>>,
    /// Whether a worker parked since the last poll. It saw that nothing is free; others may hold
    /// messages, and nobody tells when they die.
    has_parked: AtomicBool,
}

impl Board {
    pub(crate) fn add(&self, station: &Arc<Station>) {
        let mut stations = self.stations.lock();
        stations.retain(|station| station.strong_count() > 0);
        stations.push(Arc::downgrade(station));
    }

    /// Notes that a worker parks, having found nothing free.
    pub(crate) fn note_parked(&self) {
        self.has_parked.store(true, Ordering::Relaxed);
    }

    /// Returns whether a worker parked since the last time.
    pub(crate) fn take_parked(&self) -> bool {
        self.has_parked.swap(false, Ordering::Relaxed)
    }

    /// Wakes up to `workers` workers at each station of `topic`; returns whether some station had a
    /// permit for each.
    pub(crate) fn ring(&self, topic: &str, workers: usize) -> bool {
        let mut are_here = false;
        for station in self.stations() {
            if station.topic == topic {
                are_here |= station.ring(workers);
            }
        }
        are_here
    }

    /// Wakes one worker everywhere: after a time in which hints may have been lost.
    pub(crate) fn ring_all(&self) {
        for station in self.stations() {
            station.ring(1);
        }
    }

    /// Makes the stations of `topic` suspect for so long, zero for no longer. Returns whether that
    /// is news to one.
    pub(crate) fn suspect(&self, topic: &str, duration: Duration) -> bool {
        let mut is_news = false;
        for station in self.stations() {
            if station.topic == topic {
                is_news |= station.suspect(duration);
            }
        }
        is_news
    }

    /// Returns the topics that somebody here waits for, each once.
    pub(crate) fn topics(&self) -> Vec<String> {
        let mut topics: Vec<String> = self
            .stations()
            .map(|station| station.topic.clone())
            .collect();
        topics.sort_unstable();
        topics.dedup();
        topics
    }

    fn stations(&self) -> impl Iterator<Item = Arc<Station>> {
        let stations: Vec<_> = self
            .stations
            .lock()
            .iter()
            .filter_map(Weak::upgrade)
            .collect();
        stations.into_iter()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_ring_wakes_as_many_as_asked_and_no_more_than_there_are() {
        let board = Board::default();
        let one = Arc::new(Station::new("a", 2));
        let other = Arc::new(Station::new("b", 2));
        board.add(&one);
        board.add(&other);

        board.ring("a", 1);
        assert_eq!((one.permits().len(), other.permits().len()), (1, 0));
        board.ring("a", 9);
        assert_eq!(one.permits().len(), 2);

        drop(one);
        assert_eq!(board.topics(), ["b"]);
    }

    #[test]
    fn suspicion_ends_by_itself() {
        let station = Station::new("a", 1);
        assert!(!station.is_suspect());
        station.suspect(Duration::from_secs(60));
        assert!(station.is_suspect());
        station.suspect(Duration::ZERO);
        assert!(!station.is_suspect());
    }

    #[test]
    fn who_is_wary_stays_so_although_nobody_is_suspect() {
        let station = Station::new("a", 1);
        station.be_wary(Duration::from_secs(60));
        station.suspect(Duration::ZERO);
        assert!(station.is_suspect());
        station.be_wary(Duration::ZERO);
        assert!(!station.is_suspect());
    }
}
