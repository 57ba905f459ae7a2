//! The routes of the dashboard in a server of somebody else's.

use super::{Place, TOKEN, Visit, token};
use crate::support::spawn;
use axum::Router;
use axum::routing::get;
use hyper::server::conn::http1;
use hyper_util::rt::TokioIo;
use hyper_util::service::TowerToHyperService;
use outtray::dashboard::Dashboard;
use std::net::SocketAddr;
use std::sync::mpsc;
use std::thread::JoinHandle;
use tokio::net::TcpListener;
use tokio::sync::oneshot;

/// A server as programs have it that know nothing of this one. Ends when it is dropped.
struct OtherServer {
    stop: Option<oneshot::Sender<()>>,
    thread: Option<JoinHandle<()>>,
}

impl OtherServer {
    fn start(app: Router) -> (SocketAddr, OtherServer) {
        let (told, hears) = mpsc::channel();
        let (stop, stopped) = oneshot::channel();
        let thread = spawn("another server", move || {
            let runtime = tokio::runtime::Builder::new_current_thread()
                .enable_all()
                .build()
                .unwrap();
            runtime.block_on(async {
                let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
                told.send(listener.local_addr().unwrap()).unwrap();
                tokio::select! {
                    _ = stopped => {}
                    () = accept(listener, app) => {}
                }
            });
        });
        let server = OtherServer {
            stop: Some(stop),
            thread: Some(thread),
        };
        (hears.recv().unwrap(), server)
    }
}

async fn accept(listener: TcpListener, app: Router) {
    loop {
        let (stream, _) = listener.accept().await.unwrap();
        let service = TowerToHyperService::new(app.clone());
        tokio::spawn(http1::Builder::new().serve_connection(TokioIo::new(stream), service));
    }
}

impl Drop for OtherServer {
    fn drop(&mut self) {
        drop(self.stop.take());
        let _ = self.thread.take().unwrap().join();
    }
}

#[test]
fn a_program_serves_it_below_a_path_of_a_server_of_its_own() {
    let place = Place::new();
    place.send("orders", &1);
    let dashboard = Dashboard::new(&place.messaging).token(token());
    let routes = dashboard.below("/admin/queues").unwrap().router();
    let own = Router::new().route("/hello", get(async || "hello"));
    let (address, server) = OtherServer::start(own.merge(routes));
    let mut visit = Visit::at(address, server);

    assert_eq!(visit.get("/hello").body, "hello");
    let asked = visit.get("/admin/queues/topic?name=orders");
    let login = "/admin/queues/login?back=%2Fadmin%2Fqueues%2Ftopic%3Fname%3Dorders";
    assert_eq!(asked.header("location"), Some(login));
    let csrf = visit.get(login).csrf();
    let back = ("back", "/admin/queues/topic?name=orders");
    let fields = [
        ("csrf", csrf.as_str()),
        ("name", "Ada"),
        ("token", TOKEN),
        back,
    ];
    let entered = visit.post("/admin/queues/login", &fields);
    assert_eq!(entered.header("location"), Some(back.1), "{entered:?}");

    let page = visit.page(back.1);
    assert!(
        page.contains("action=\"/admin/queues/topic/pause\""),
        "{page}"
    );
    let linked: Vec<&str> = page.split("href=\"/").skip(1).collect();
    assert!(
        linked.iter().all(|link| link.starts_with("admin/queues/")),
        "{page}"
    );
    for file in page.split("src=\"").skip(1) {
        let file = file.split('"').next().unwrap();
        assert_eq!(visit.get(file).status, 200, "{file}");
    }
    let csrf = visit.get(back.1).csrf();
    let fields = [("csrf", csrf.as_str()), ("topic", "orders"), back];
    let paused = visit.post("/admin/queues/topic/pause", &fields);
    assert_eq!(paused.header("location"), Some(back.1), "{paused:?}");
    assert!(place.messaging.topic("orders").is_paused().unwrap());
    assert_eq!(visit.get("/login").status, 404);
}
