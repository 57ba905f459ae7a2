//! A throwaway server starts anywhere, keeps tests apart, and leaves nothing behind.

mod ground;

use crate::support::{Child, empty_database, eventually, test_name};
use outtray::ErrorKind;
use outtray::testing::Server;
use postgres::{Client, NoTls};
use std::fs;
use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::thread;

const CHILD: &str = test_name!(what_child_processes_run);

fn embedded() -> Server {
    Server::builder().always_embedded().start().unwrap()
}

fn connect(url: &str) -> Client {
    Client::connect(url, NoTls).unwrap()
}

fn text(client: &mut Client, query: &str) -> String {
    client.query_one(query, &[]).unwrap().get(0)
}

fn count_databases(url: &str, pattern: &str) -> i64 {
    let query = "SELECT count(*) FROM pg_database WHERE datname LIKE $1::text";
    connect(url).query_one(query, &[&pattern]).unwrap().get(0)
}

/// Returns whether this server answers: another one that has its port refuses the password.
fn listens(url: &str) -> bool {
    Client::connect(url, NoTls).is_ok()
}

fn folder_of(data_dir: &Path) -> PathBuf {
    data_dir.parent().unwrap().to_owned()
}

#[test]
fn a_server_starts_and_answers() {
    let server = embedded();

    let mut client = connect(server.url());

    assert_eq!(text(&mut client, "SELECT 'hello'"), "hello");
    assert_eq!(text(&mut client, "SHOW fsync"), "off");
    assert_eq!(
        text(&mut client, "SHOW data_directory"),
        server.data_dir().unwrap().to_str().unwrap()
    );
    assert_eq!(text(&mut client, "SHOW server_encoding"), "UTF8");
    assert!(server.bin_dir().unwrap().join("postgres").is_file());
}

#[test]
fn nobody_gets_in_without_the_password() {
    let server = embedded();
    let (_, place) = server.url().split_once('@').unwrap();

    for who in ["postgres", "postgres:", "postgres:guess"] {
        let refused = Client::connect(&format!("postgresql://{who}@{place}"), NoTls);
        assert!(refused.is_err(), "{who}");
    }
    // The other way in is a folder that others cannot look into.
    let folder = folder_of(server.data_dir().unwrap());
    let mode = fs::metadata(&folder).unwrap().permissions().mode();
    assert_eq!(mode & 0o077, 0, "{mode:o}");
    let secret = fs::metadata(folder.join("secret")).unwrap();
    assert_eq!(secret.permissions().mode() & 0o077, 0);
    let mut inside = connect(server.url());
    let trusting = "SELECT count(*)::text FROM pg_hba_file_rules WHERE auth_method = 'trust'";
    assert_eq!(text(&mut inside, trusting), "0");
}

#[test]
fn a_server_takes_settings_and_can_be_durable() {
    let server = Server::builder()
        .always_embedded()
        .durable(true)
        .setting("application_name", "it's")
        .start()
        .unwrap();

    let mut client = connect(server.url());

    assert_eq!(text(&mut client, "SHOW application_name"), "it's");
    for name in ["fsync", "synchronous_commit", "full_page_writes"] {
        assert_eq!(text(&mut client, &format!("SHOW {name}")), "on");
    }
}

#[test]
fn each_database_is_fresh_and_has_the_schema() {
    let server = embedded();
    let databases: Vec<String> = thread::scope(|scope| {
        let threads: Vec<_> = (0..8)
            .map(|_| scope.spawn(|| server.database().unwrap()))
            .collect();
        threads
            .into_iter()
            .map(|thread| thread.join().unwrap())
            .collect()
    });

    let mut first = connect(&databases[0]);
    first.batch_execute("CREATE TABLE mine ()").unwrap();

    for url in &databases[1..] {
        let seen = "SELECT concat(to_regclass('mine'), to_regclass('outtray.message'))";
        assert_eq!(text(&mut connect(url), seen), "outtray.message");
    }
}

#[test]
fn an_empty_database_has_no_schema() {
    let mut client = connect(&empty_database());

    assert_eq!(
        text(&mut client, "SELECT concat(to_regnamespace('outtray'))"),
        ""
    );
}

#[test]
fn nothing_is_left_when_a_server_is_dropped() {
    let server = embedded();
    let (url, folder) = (
        server.url().to_owned(),
        folder_of(server.data_dir().unwrap()),
    );
    let _still_open = connect(&url);
    assert!(listens(&url) && folder.exists());

    drop(server);

    assert!(!listens(&url) && !folder.exists());
}

#[test]
fn a_server_dies_with_its_killed_process() {
    let mut child = Child::start(Child::this_program(), CHILD, "hold");
    let (url, folder) = (child.listen(), folder_of(child.listen().as_ref()));
    assert!(listens(&url) && folder.exists());

    child.kill();

    eventually("the server is gone", || !listens(&url));
    eventually("its folder is gone", || !folder.exists());
}

#[test]
fn a_server_in_a_static_dies_with_its_process() {
    let mut child = Child::start(Child::this_program(), CHILD, "hold in a static");
    let (url, folder) = (child.listen(), folder_of(child.listen().as_ref()));

    child.finish();

    eventually("the server is gone", || !listens(&url));
    eventually("its folder is gone", || !folder.exists());
}

#[cfg(target_os = "linux")]
#[test]
fn a_server_whose_watchdog_was_killed_is_stopped_all_the_same() {
    let server = embedded();
    let (url, folder) = (
        server.url().to_owned(),
        folder_of(server.data_dir().unwrap()),
    );
    let status = std::process::Command::new("sh")
        .args(["-c", KILL_WATCHDOG, "sh", folder.to_str().unwrap()])
        .status()
        .unwrap();
    assert!(status.success(), "no watchdog found");

    drop(server);

    assert!(!listens(&url) && !folder.exists());
}

/// Kills the one process whose arguments name the watchdog and the folder `$1`.
#[cfg(target_os = "linux")]
const KILL_WATCHDOG: &str = r#"
    for process in /proc/[0-9]*; do
        if tr '\0' ' ' <"$process/cmdline" 2>/dev/null | grep -q "outtray-watchdog $1 "; then
            kill -KILL "${process#/proc/}" && exit 0
        fi
    done
    exit 1
"#;

#[test]
fn a_restart_at_once_keeps_what_was_committed() {
    let server = embedded();
    let database = server.database().unwrap();
    let mut client = connect(&database);
    client
        .batch_execute("CREATE TABLE kept AS SELECT 'here' AS it")
        .unwrap();

    server.restart_immediately().unwrap();

    assert!(client.batch_execute("SELECT").is_err(), "connections break");
    assert_eq!(text(&mut connect(&database), "SELECT it FROM kept"), "here");
    assert_eq!(
        text(
            &mut connect(&database),
            "SELECT to_regclass('outtray.message')::text"
        ),
        "outtray.message"
    );
    connect(&server.database().unwrap());
    let folder = folder_of(server.data_dir().unwrap());
    server.stop().unwrap();
    assert!(!folder.exists());
}

#[test]
fn an_error_says_which_folder_has_no_binaries() {
    let error = Server::builder()
        .always_embedded()
        .bin_dir("/nowhere")
        .start()
        .unwrap_err();

    assert_eq!(error.kind(), ErrorKind::Server);
    assert!(
        error.to_string().contains("no initdb in /nowhere"),
        "{error}"
    );
}

#[test]
fn an_error_quotes_the_log_of_a_server_that_does_not_start() {
    let error = Server::builder()
        .always_embedded()
        .setting("work_mem", "a lot")
        .start()
        .unwrap_err();

    assert_eq!(error.kind(), ErrorKind::Server);
    assert!(error.to_string().contains("work_mem"), "{error}");
}

#[test]
fn any_user_can_have_a_server() {
    let copies = tempfile::tempdir().unwrap();
    if fs::metadata(copies.path()).unwrap().uid() != 0 {
        // Not root: all the other tests have shown it.
        return;
    }
    let program = copies.path().join("it");
    // By another process: what this one writes, children of other threads have open for a moment,
    // and as long as anybody has, nobody can run it.
    let mut copying = std::process::Command::new("cp");
    copying.arg(std::env::current_exe().unwrap()).arg(&program);
    assert!(copying.status().unwrap().success());
    for path in [copies.path(), &program] {
        fs::set_permissions(path, fs::Permissions::from_mode(0o755)).unwrap();
    }
    let mut nobody = std::process::Command::new(program);
    nobody.uid(65_534).gid(65_534).current_dir("/");

    let mut child = Child::start(nobody, CHILD, "hold");
    let (url, data) = (child.listen(), child.listen());
    let owner = fs::metadata(&data).unwrap().uid();
    child.finish();

    assert_eq!(owner, 65_534);
    assert!(!listens(&url) && !Path::new(&data).exists());
}

#[test]
fn databases_on_a_server_that_stays_are_dropped_with_their_server() {
    let somebody_else = embedded();
    let mut program = Child::this_program();
    program.env("DATABASE_URL", somebody_else.url());

    let mut child = Child::start(program, CHILD, "make a database");
    let database = child.listen();
    connect(&database)
        .batch_execute("SELECT FROM outtray.message")
        .unwrap();
    child.finish();

    assert_eq!(count_databases(somebody_else.url(), "outtray_test_%"), 0);
    assert_eq!(
        count_databases(somebody_else.url(), "outtray_template_%"),
        1
    );
}

#[test]
fn databases_of_a_killed_process_are_dropped_by_the_next_one() {
    let somebody_else = embedded();
    let start = || {
        let mut program = Child::this_program();
        program.env("DATABASE_URL", somebody_else.url());
        Child::start(program, CHILD, "make a database")
    };
    let mut killed = start();
    let mut alive = start();
    killed.listen();
    let kept = alive.listen();
    killed.kill();
    eventually("the killed process has let go", || {
        let query = "SELECT count(*)::text FROM pg_locks WHERE locktype = 'advisory'";
        text(&mut connect(somebody_else.url()), query) == "1"
    });

    let mut next = start();
    next.listen();

    assert_eq!(count_databases(somebody_else.url(), "outtray_test_%"), 2);
    connect(&kept);
    alive.finish();
    next.finish();
    assert_eq!(count_databases(somebody_else.url(), "outtray_test_%"), 0);
}

/// Does nothing in the test run itself.
#[test]
fn what_child_processes_run() {
    match Child::role().as_deref() {
        Some("hold") => {
            let server = embedded();
            show(&server);
            Child::await_parent();
        }
        Some("try to start") => {
            let started = Server::builder().always_embedded().start();
            let stopped = started.and_then(Server::stop);
            Child::tell(&stopped.map_or_else(|error| error.to_string(), |()| "started".to_owned()));
            Child::await_parent();
        }
        Some("hold in a static") => {
            let server: &'static Server = Box::leak(Box::new(embedded()));
            show(server);
            Child::await_parent();
        }
        Some("make a database") => {
            let server = Server::start().unwrap();
            Child::tell(&server.database().unwrap());
            Child::await_parent();
        }
        _ => {}
    }
}

fn show(server: &Server) {
    Child::tell(server.url());
    Child::tell(server.data_dir().unwrap().to_str().unwrap());
}
