//! A load on all that has to survive a failover: senders that note what was confirmed to them, and
//! receivers of every kind, in two processes' worth of connections, whose handlers write effects.

use super::pair::Node;
use crate::support::{PATIENCE, aside, eventually};
use crossbeam_channel::{Receiver as Told, Sender, bounded, unbounded};
use outtray::{
    ErrorKind, HandlerError, Message, MessageId, Messaging, MessagingSession, NewMessage, Receiver,
    TopicConfig, TopicKind,
};
use postgres::{Client, NoTls};
use std::collections::{BTreeSet, HashMap};
use std::io::{Seek, Write};
use std::process::Command;
use std::sync::atomic::{AtomicI32, Ordering};
use std::sync::{Arc, RwLock};
use std::time::{Duration, Instant};
use uuid::Uuid;

/// Without a unique constraint, so that an effect that happened twice shows.
const TABLES: &str = "CREATE TABLE effect \
    (topic text NOT NULL, id uuid NOT NULL, key text, n bigint NOT NULL, at bigserial)";

/// Plain messages, messages with keys, messages under leases, entries of a log.
const TOPICS: [&str; 4] = ["plain", "keyed", "leased", "ledger"];

/// What a sender was told.
#[derive(Default)]
struct Books {
    confirmed: Vec<Confirmed>,
    unknown: usize,
}

impl Books {
    /// Says when those of `ids` that were confirmed here were confirmed.
    fn told_of(&self, ids: &BTreeSet<Uuid>) -> Vec<String> {
        let all = &self.confirmed;
        let of_ids = (all.iter().enumerate()).filter(|(_, it)| ids.contains(&it.id.as_uuid()));
        let told = of_ids.map(|(place, it)| {
            let later = all[place..].iter().filter(|later| later.port == it.port);
            let (id, port, later) = (it.id, it.port, later.count() - 1);
            format!("{id} by {port}, which confirmed {later} of the topic after it")
        });
        told.collect()
    }
}

struct Confirmed {
    id: MessageId,
    /// Which server said so.
    port: i32,
    /// The port of the primary whose standby was cut off when it was sent; 0 if none was.
    cut_off: i32,
}

impl Confirmed {
    /// Returns whether no standby has it. One that began before the promotion and waited may have
    /// been sent after it.
    fn is_late(&self) -> bool {
        self.cut_off == self.port
    }
}

/// What all senders heed.
#[derive(Default)]
struct Signs {
    /// Held by each sender while it sends.
    pause: RwLock<()>,
    /// The port of a primary whose standby is cut off.
    cut_off: AtomicI32,
}

/// What happened on a topic at a time.
type News = (&'static str, Instant);

pub(super) struct Load {
    signs: Arc<Signs>,
    receivers: Vec<Receiver>,
    sent: Told<News>,
    handled: Told<News>,
    stop: Vec<Sender<()>>,
    books: Vec<Told<Books>>,
    asking: Messaging,
}

impl Load {
    /// Makes what is needed in the database `url`, and starts the load by way of `both`.
    pub(super) fn on(url: &str, both: &str) -> Load {
        Client::connect(url, NoTls)
            .unwrap()
            .batch_execute(TABLES)
            .unwrap();
        let [one, other] = [(); 2].map(|()| Messaging::connect(both).unwrap());
        let log = TopicConfig {
            kind: TopicKind::Log,
            ..TopicConfig::default()
        };
        one.topic("ledger").configure(log).unwrap();
        let (tell, handled) = unbounded();
        let mut receivers = [&one, &other]
            .map(|it| receivers(it, &tell))
            .into_iter()
            .flatten()
            .collect::<Vec<_>>();
        receivers.push(answering(&other));
        let (signs, (tell, sent)) = (Arc::<Signs>::default(), unbounded());
        let (mut stop, mut books) = (Vec::new(), Vec::new());
        for topic in TOPICS {
            let (ask, asked) = bounded(1);
            let (messaging, signs, tell) = (one.clone(), Arc::clone(&signs), tell.clone());
            books.push(aside(move || {
                send_on(topic, &messaging, &signs, &asked, &tell)
            }));
            stop.push(ask);
        }
        Load {
            signs,
            receivers,
            sent,
            handled,
            stop,
            books,
            asking: one,
        }
    }

    /// Waits until messages of every topic were sent and handled after `moment`, and a question was
    /// answered; returns how long after.
    #[track_caller]
    pub(super) fn since(&self, moment: Instant) -> Duration {
        let sent = all_since(moment, &self.sent);
        let handled = all_since(moment, &self.handled);
        let started = Instant::now();
        while self
            .asking
            .request::<i64>("squares", &3, Duration::from_secs(5))
            .ok()
            != Some(9)
        {
            assert!(started.elapsed() < PATIENCE, "nobody answers");
        }
        sent.max(handled)
    }

    /// Cuts the standby off by `cut`, exactly: it has all that was confirmed before, and nothing of
    /// what is sent from then on.
    pub(super) fn cut_off(&self, primary: &Node, url: &str, cut: impl FnOnce()) {
        let pause = self.signs.pause.write().unwrap();
        Node::await_caught_up(&primary.here(url));
        cut();
        self.signs.cut_off.store(primary.port(), Ordering::SeqCst);
        drop(pause);
    }

    /// Says that the primary whose standby was cut off is gone.
    pub(super) fn is_gone(&self) {
        self.signs.cut_off.store(0, Ordering::SeqCst);
    }

    /// Ends it, and checks the books against the database `url`: nothing happened twice, keys kept
    /// their order, and what is missing is just what was confirmed while the standby was cut off.
    /// Returns how many were confirmed, and how many are missing.
    #[track_caller]
    pub(super) fn check(self, url: &str) -> (usize, usize) {
        self.stop.iter().for_each(|stop| stop.send(()).unwrap());
        let books: Vec<Books> = self
            .books
            .iter()
            .map(|told| told.recv_timeout(PATIENCE).unwrap())
            .collect();
        let mut client = Client::connect(url, NoTls).unwrap();
        let left = "SELECT (SELECT count(*) FROM outtray.message WHERE topic = ANY ($1))
            + (SELECT count(*) FROM outtray.scheduled WHERE topic = ANY ($1))
            + (SELECT count(*) FROM outtray.follower WHERE topic = ANY ($1))
            + (SELECT count(*) FROM outtray.log_entry
                WHERE id NOT IN (SELECT id FROM effect WHERE topic = 'ledger'))";
        eventually("all is handled", || {
            client
                .query_one(left, &[&&TOPICS[..]])
                .unwrap()
                .get::<_, i64>(0)
                == 0
        });
        self.receivers.into_iter().for_each(|receiver| {
            receiver.stop(PATIENCE);
        });
        let done = effects(&mut client);
        let confirmed = || books.iter().flat_map(|books| &books.confirmed);
        let late = confirmed().filter(|it| it.is_late());
        let late: BTreeSet<Uuid> = late.map(|it| it.id.as_uuid()).collect();
        let missing = confirmed()
            .map(|it| it.id.as_uuid())
            .filter(|id| !done.contains(id));
        let missing: BTreeSet<Uuid> = missing.collect();
        let dead = "SELECT topic || ' ' || id || ': ' || error FROM outtray.dead_letter";
        let dead: Vec<String> = (client.query(dead, &[]).unwrap().iter())
            .map(|row| row.get(0))
            .collect();
        assert_eq!(dead, <[String; 0]>::default(), "dead letters");
        let told: Vec<String> = books.iter().flat_map(|it| it.told_of(&missing)).collect();
        assert_eq!(
            missing, late,
            "missing, and confirmed while the standby was cut off: {told:?}"
        );
        let confirmed_ids = confirmed().map(|it| it.id.to_string() + "\n");
        let found = verified(url, &confirmed_ids.collect::<String>());
        assert_eq!(found, late, "verify");
        let unknown: usize = books.iter().map(|books| books.unknown).sum();
        let most = confirmed().count() + unknown - missing.len();
        assert!(
            done.len() <= most,
            "{} of {most}: some came from nowhere",
            done.len()
        );
        (confirmed().count(), missing.len())
    }
}

/// Returns what `outtray verify` finds to be missing.
#[track_caller]
fn verified(url: &str, ids: &str) -> BTreeSet<Uuid> {
    let mut input = tempfile::tempfile().unwrap();
    input.write_all(ids.as_bytes()).unwrap();
    input.rewind().unwrap();
    let verify = Command::new(env!("CARGO_BIN_EXE_outtray"))
        .args(["verify", "--done", "SELECT id FROM effect"])
        .env("DATABASE_URL", url)
        .stdin(input)
        .output()
        .unwrap();
    let found = String::from_utf8(verify.stdout).unwrap();
    assert_eq!(verify.status.code(), Some(i32::from(!found.is_empty())));
    found.lines().map(|id| id.parse().unwrap()).collect()
}

/// Returns whose effects happened: each once, those of a key in order.
#[track_caller]
fn effects(client: &mut Client) -> BTreeSet<Uuid> {
    let mut done = BTreeSet::new();
    let mut last = HashMap::new();
    for row in client
        .query("SELECT id, key, n FROM effect ORDER BY at", &[])
        .unwrap()
    {
        let id: Uuid = row.get("id");
        assert!(done.insert(id), "{id} happened twice");
        let (key, n): (Option<String>, i64) = (row.get("key"), row.get("n"));
        if let Some(key) = key {
            let before = last.insert(key.clone(), n);
            assert!(before < Some(n), "key {key}: {n} after {before:?}");
        }
    }
    done
}

#[track_caller]
fn all_since(moment: Instant, told: &Told<News>) -> Duration {
    let mut waited = BTreeSet::from(TOPICS);
    let mut last = Duration::ZERO;
    while !waited.is_empty() {
        let (topic, at) = told
            .recv_timeout(PATIENCE)
            .unwrap_or_else(|_| panic!("not of {waited:?}"));
        if at > moment && waited.remove(topic) {
            last = last.max(at - moment);
        }
    }
    last
}

fn send_on(
    topic: &'static str,
    messaging: &Messaging,
    signs: &Signs,
    stop: &Told<()>,
    tell: &Sender<News>,
) -> Books {
    let mut books = Books::default();
    let mut n = 0;
    loop {
        let pause = signs.pause.read().unwrap();
        let cut_off = signs.cut_off.load(Ordering::SeqCst);
        n += 1;
        let mut port = 0;
        let sent = messaging.session(|session| {
            port = session.query_one("SELECT inet_server_port()", &[])?.get(0);
            let mut message = NewMessage::json(topic, &n)?;
            if topic == "keyed" {
                message = message.key(format!("key {}", n % 3));
            }
            Ok(session.send(message)?.id())
        });
        match sent {
            Ok(id) => {
                books.confirmed.push(Confirmed { id, port, cut_off });
                let _ = tell.send((topic, Instant::now()));
            }
            Err(error) => match error.kind() {
                ErrorKind::OutcomeUnknown => books.unknown += 1,
                kind => assert_eq!(kind, ErrorKind::Unavailable, "{error:?}"),
            },
        }
        drop(pause);
        // No more than is handled meanwhile.
        if stop.recv_timeout(Duration::from_millis(2)).is_ok() {
            break;
        }
    }
    books
}

fn enter(session: &mut MessagingSession<'_>, message: &Message<i64>) -> Result<(), HandlerError> {
    session.execute(
        "INSERT INTO effect (topic, id, key, n) VALUES ($1, $2, $3, $4)",
        &[
            &message.topic,
            &message.id.as_uuid(),
            &message.key,
            &message.payload,
        ],
    )?;
    Ok(())
}

fn receivers(messaging: &Messaging, tell: &Sender<News>) -> Vec<Receiver> {
    let mut receivers = Vec::new();
    for topic in ["plain", "keyed", "leased"] {
        let tell = tell.clone();
        let mut receiver = messaging.receiver(topic).workers(2);
        let mut attempts = 1;
        if topic == "leased" {
            receiver = receiver.lease(Duration::from_secs(5));
            // A lease whose acknowledgement was lost with the tail runs out.
            attempts = 2;
        }
        let started = receiver.start(move |session, message: Message<i64>| {
            assert!(message.attempt <= attempts, "nobody is charged");
            enter(session, &message)?;
            Ok(tell.send((topic, Instant::now()))?)
        });
        receivers.push(started.unwrap());
    }
    let tell = tell.clone();
    let started =
        messaging
            .reader("ledger", "one")
            .start(move |session, entries: &[Message<i64>]| {
                entries.iter().try_for_each(|entry| enter(session, entry))?;
                Ok(tell.send(("ledger", Instant::now()))?)
            });
    receivers.push(started.unwrap());
    receivers
}

fn answering(messaging: &Messaging) -> Receiver {
    let started = messaging.start_receiving_messages("squares", |session, asked: Message<i64>| {
        session.reply(&asked, &(asked.payload * asked.payload))?;
        Ok(())
    });
    started.unwrap()
}
