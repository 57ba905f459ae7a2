//! Databases of the shared server, each dropped once the test that had it made is over: a thousand
//! of them would take eight gigabytes.

use super::{client, server};
use crossbeam_channel::{Receiver, Sender, unbounded};
use postgres::{Client, Config};
use std::cell::RefCell;
use std::sync::OnceLock;
use std::thread;

/// The databases of this thread, which is a test's.
struct Owned(Vec<String>);

thread_local! {
    static OWNED: RefCell<Owned> = const { RefCell::new(Owned(Vec::new())) };
}

impl Drop for Owned {
    fn drop(&mut self) {
        for url in self.0.drain(..) {
            let _ = janitor().send(url);
        }
    }
}

/// Makes a database with the schema, for as long as this thread lives, and returns its URL.
pub(crate) fn database() -> String {
    own(server().database().unwrap())
}

/// Makes a database with nothing in it, for as long as this thread lives, and returns its URL.
pub(crate) fn empty_database() -> String {
    own(server().empty_database().unwrap())
}

fn own(url: String) -> String {
    OWNED.with_borrow_mut(|owned| owned.0.push(url.clone()));
    url
}

/// The thread that drops them: a thread that ends can use no connection.
fn janitor() -> &'static Sender<String> {
    static JANITOR: OnceLock<Sender<String>> = OnceLock::new();
    JANITOR.get_or_init(|| {
        let (tell, told) = unbounded();
        thread::Builder::new()
            .name("janitor of databases".to_owned())
            .spawn(move || drop_all(&told))
            .unwrap();
        tell
    })
}

fn drop_all(told: &Receiver<String>) {
    let mut connection = client(server().url());
    for url in told {
        if let Err(error) = drop_one(&mut connection, &url) {
            eprintln!("the database of a test stays: {error}");
        }
    }
}

fn drop_one(connection: &mut Client, url: &str) -> Result<(), postgres::Error> {
    let config: Config = url.parse()?;
    let name = config.get_dbname().unwrap_or_default();
    connection.batch_execute(&format!("DROP DATABASE \"{name}\" WITH (FORCE)"))
}
