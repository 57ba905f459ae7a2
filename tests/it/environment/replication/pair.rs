//! Two servers of which one replicates the other: made by `pg_basebackup`, each with its own port
//! for good.

use crate::support::{Frozen, PATIENCE, aside, eventually, not_checked};
use crossbeam_channel::{Receiver, bounded};
use outtray::testing::Server;
use postgres::{Client, Config, NoTls};
use std::fs;
use std::os::unix::fs::MetadataExt;
use std::os::unix::process::CommandExt;
use std::process::Command;

/// A server that may be a primary, a standby of another, or dead.
pub(crate) struct Node {
    server: Server,
    /// How it was started the first time: its folder and its port.
    started_with: String,
}

impl Node {
    /// Starts a server; nothing where the installed one cannot be replicated, which is said loudly,
    /// and in CI a failure.
    pub(super) fn started() -> Option<Node> {
        let builder = Server::builder()
            .always_embedded()
            .setting("wal_level", "replica")
            .setting("max_wal_senders", "4");
        let server = builder.start().unwrap();
        if !server.bin_dir().unwrap().join("pg_basebackup").exists() {
            not_checked("pg_basebackup is not installed");
            return None;
        }
        let options = server.data_dir().unwrap().join("postmaster.opts");
        let started_with = fs::read_to_string(options).unwrap();
        Some(Node {
            server,
            started_with,
        })
    }

    /// Makes a database with the schema; returns its URL.
    pub(crate) fn database(&self) -> String {
        self.server.database().unwrap()
    }

    /// Returns the host and port.
    pub(super) fn place(&self) -> String {
        let config: Config = self.server.url().parse().unwrap();
        format!("127.0.0.1:{}", config.get_ports()[0])
    }

    /// Returns the way to the database of `url`, on this server.
    pub(crate) fn here(&self, url: &str) -> String {
        let (credentials, rest) = url.rsplit_once('@').unwrap();
        let (_, database) = rest.split_once('/').unwrap();
        format!("{credentials}@{}/{database}", self.place())
    }

    /// Ends the server at once, as if the machine was gone; it stays away.
    pub(crate) fn die(&self) {
        self.control(&["stop", "-m", "immediate"]);
    }

    /// Stops the server in its tracks: it keeps its connections and says nothing any more. It dies
    /// at the end, so that there are never two primaries.
    pub(super) fn freeze(&self) -> Frozen {
        Frozen::server(&self.server).doomed()
    }

    /// Becomes a standby of the server with the database `url`, which from then on commits nothing
    /// that is not here, too.
    pub(crate) fn follow(&self, url: &str) {
        self.copy(url);
        let mut primary = Client::connect(url, NoTls).unwrap();
        // The state of a standby says nothing of other processes: a commit waits from when the
        // checkpointer has read the setting, which may be later. So a commit waits here for a
        // standby that does not exist before commits wait for the one that does.
        Node::wait_for_standbys(&mut primary, "nobody");
        let committed = Node::await_waiting_commit(&mut primary, url);
        Node::wait_for_standbys(&mut primary, "*");
        Node::await_standby(&mut primary, "sync");
        committed.recv_timeout(PATIENCE).unwrap();
    }

    /// Has commits wait for the standbys of these names.
    fn wait_for_standbys(primary: &mut Client, names: &str) {
        let alter = format!("ALTER SYSTEM SET synchronous_standby_names = '{names}'");
        primary.batch_execute(&alter).unwrap();
        primary.batch_execute("SELECT pg_reload_conf()").unwrap();
    }

    /// Commits on a connection of its own until a commit waits for a standby. Who told so is told
    /// of its end.
    fn await_waiting_commit(primary: &mut Client, url: &str) -> Receiver<()> {
        let mut client = Client::connect(url, NoTls).unwrap();
        let pid = "SELECT pg_backend_pid()";
        let pid: i32 = client.query_one(pid, &[]).unwrap().get(0);
        let (is_waiting, stop) = bounded(1);
        let ended = aside(move || {
            while stop.is_empty() {
                let commit = "SELECT pg_logical_emit_message(true, 'outtray', 'waits')";
                client.batch_execute(commit).unwrap();
            }
        });
        let query = "SELECT wait_event FROM pg_stat_activity WHERE pid = $1";
        eventually("a commit waits for a standby", || {
            let event: Option<String> = primary.query_one(query, &[&pid]).unwrap().get(0);
            event.as_deref() == Some("SyncRep")
        });
        is_waiting.send(()).unwrap();
        ended
    }

    /// Becomes a standby of the server with the database `url`, by way of `via`. The server does
    /// not wait for it.
    pub(super) fn follow_loosely(&self, via: &str, url: &str) {
        self.copy(via);
        Node::await_standby(&mut Client::connect(url, NoTls).unwrap(), "async");
    }

    fn await_standby(primary: &mut Client, state: &str) {
        let query = "SELECT count(*) FROM pg_stat_replication WHERE sync_state = $1 AND state = 'streaming'";
        eventually("it replicates", || {
            let count: i64 = primary.query_one(query, &[&state]).unwrap().get(0);
            count == 1
        });
    }

    /// Waits until the standby has all that is committed on the primary with the database `url`.
    pub(super) fn await_caught_up(url: &str) {
        let mut primary = Client::connect(url, NoTls).unwrap();
        let query = "SELECT pg_current_wal_lsn()::text";
        let now: String = primary.query_one(query, &[]).unwrap().get(0);
        let query = "SELECT count(*) FROM pg_stat_replication WHERE replay_lsn >= $1::text::pg_lsn";
        eventually("the standby has it all", || {
            let count: i64 = primary.query_one(query, &[&now]).unwrap().get(0);
            count == 1
        });
    }

    /// Begins anew as a copy of a server, and as its standby.
    fn copy(&self, url: &str) {
        let data = self.server.data_dir().unwrap();
        if data.join("postmaster.pid").exists() {
            self.die();
        }
        fs::remove_dir_all(data).unwrap();
        let copied = self
            .as_its_user("pg_basebackup")
            .args(["-X", "stream", "-c", "fast", "-R", "-d", url, "-D"])
            .arg(data)
            .status();
        assert!(copied.unwrap().success());
        let options = data.join("postmaster.opts");
        fs::write(&options, &self.started_with).unwrap();
        let owner = fs::metadata(data).unwrap();
        std::os::unix::fs::chown(&options, Some(owner.uid()), Some(owner.gid())).unwrap();
        self.server.restart_immediately().unwrap();
    }

    /// Returns the port.
    pub(super) fn port(&self) -> i32 {
        let config: Config = self.server.url().parse().unwrap();
        config.get_ports()[0].into()
    }

    /// Becomes a primary, with no standby of its own yet.
    pub(super) fn promote(&self, url: &str) {
        let mut client = Client::connect(&self.here(url), NoTls).unwrap();
        client
            .batch_execute("ALTER SYSTEM RESET synchronous_standby_names")
            .unwrap();
        client.batch_execute("SELECT pg_reload_conf()").unwrap();
        client.query_one("SELECT pg_promote()", &[]).unwrap();
    }

    /// Returns how many connections of ours there are.
    pub(super) fn connections(&self, url: &str) -> i64 {
        let mut client = Client::connect(&self.here(url), NoTls).unwrap();
        let query = "SELECT count(*) FROM pg_stat_activity WHERE application_name = 'outtray'";
        client.query_one(query, &[]).unwrap().get(0)
    }

    fn control(&self, command: &[&str]) {
        let done = self
            .as_its_user("pg_ctl")
            .args(command)
            .args(["-s", "-w", "-D"])
            .arg(self.server.data_dir().unwrap())
            .status();
        assert!(done.unwrap().success(), "{command:?}");
    }

    /// Returns one of the server's programs, to be run as whoever runs the server.
    fn as_its_user(&self, program: &str) -> Command {
        let folder = self.server.data_dir().unwrap().parent().unwrap();
        let owner = fs::metadata(folder).unwrap();
        let mut command = Command::new(self.server.bin_dir().unwrap().join(program));
        command.current_dir(folder);
        if owner.uid() != fs::metadata("/proc/self").unwrap().uid() {
            command.uid(owner.uid()).gid(owner.gid());
        }
        command
    }
}
