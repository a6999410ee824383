//! Sockets that mean no good or mean well and are slow, load balancers that pass bytes on, and how
//! the daemon ends.

use std::{
    collections::HashSet,
    net::SocketAddr,
    sync::atomic::{AtomicUsize, Ordering},
    time::Duration,
};

use futures_util::future::join_all;
use reqwest::Method;
use serde_json::json;
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::TcpStream,
    time::timeout,
};

use crate::{
    agent::Agent,
    house::{House, SUPPORT, eventually},
    pki::TlsHouse,
    wire::listing,
};

/// Reads until the other side has closed.
pub(crate) async fn closed(mut socket: TcpStream) {
    let mut sink = vec![0; 64 << 10];
    while matches!(socket.read(&mut sink).await, Ok(1..)) {}
}

/// A request that can be answered, over and over, by somebody who does not listen. The answers are more
/// than the buffers of the kernel hold.
fn deaf(key: &str) -> String {
    let body = listing(1);
    let head = format!(
        "POST /mcp HTTP/1.1\r\nHost: localhost\r\nX-API-Key: {key}\r\nAccept: application/json, text/event-stream\r\nContent-Type: application/json\r\nContent-Length: {}\r\n\r\n",
        body.len()
    );
    (head + &body).repeat(2000)
}

#[tokio::test]
async fn slow_sockets_of_every_kind_are_gone_and_an_honest_client_is_served() {
    let house = House::with(|setup| {
        setup.set("server.max_connections_per_address", "5000");
        setup.set("server.write_timeout", "3s");
    })
    .await;
    let key = &house.keys[SUPPORT];
    let slow_body = format!(
        "POST /mcp HTTP/1.1\r\nHost: localhost\r\nX-API-Key: {key}\r\nContent-Type: application/json\r\nContent-Length: 999\r\n\r\n{{"
    );
    let kinds = [
        ("", 150),
        ("POST /mcp HTTP/1.1\r\nHo", 150),
        (&slow_body, 150),
        (&deaf(key), 10),
    ];
    let mut sockets = Vec::new();
    let mut clients = Vec::new();
    for (text, how_many) in kinds {
        for _ in 0..how_many {
            let mut socket = house.socket().await;
            clients.push(socket.local_addr().unwrap());
            let bytes = text.as_bytes().to_vec();
            // A peer that reads nothing takes nothing either, in the end.
            let sent = tokio::spawn(async move {
                let _ = socket.write_all(&bytes).await;
                socket
            });
            sockets.push(sent);
        }
    }
    let honest = async {
        for _ in 0..10 {
            let answer = house.agent(SUPPORT).list().await;
            assert_eq!(answer.status, 200);
        }
    };
    honest.await;
    eventually("every slow connection to end", || {
        (!holds_connections_from(&clients)).then_some(())
    })
    .await;
    let sockets = join_all(sockets)
        .await
        .into_iter()
        .map(|socket| closed(socket.unwrap()));
    timeout(Duration::from_secs(10), join_all(sockets))
        .await
        .unwrap();
}

/// Whether a process still holds its end of a connection from one of these addresses.
///
/// The kernel lists a socket that nobody holds, or that nobody took yet, with inode 0.
pub(crate) fn holds_connections_from(clients: &[SocketAddr]) -> bool {
    let peer = |client: &SocketAddr| format!("0100007F:{:04X}", client.port());
    let peers: HashSet<_> = clients.iter().map(peer).collect();
    // Once for all of them: the table also lists what every other test has closed lately.
    let table = std::fs::read_to_string("/proc/net/tcp").unwrap();
    table.lines().any(|line| {
        let fields: Vec<_> = line.split_whitespace().collect();
        let is_peer = fields.get(2).is_some_and(|it| peers.contains(*it));
        is_peer && fields.get(9).is_some_and(|inode| *inode != "0")
    })
}

const PROBE: &[u8] = b"GET /livez HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n";

/// A PROXY header for a client at 203.0.113.9.
fn proxied() -> Vec<u8> {
    proxied_from([203, 0, 113, 9])
}

fn proxied_from(client: [u8; 4]) -> Vec<u8> {
    let mut header = b"\r\n\r\n\0\r\nQUIT\n\x21\x11\0\x0c".to_vec();
    header.extend(client);
    header.extend([127, 0, 0, 1, 0x30, 0x39, 0x0b, 0xb8]);
    header
}

/// All that comes back.
async fn say(house: &House, parts: &[&[u8]]) -> String {
    let mut socket = house.socket().await;
    let mut heard = Vec::new();
    let talk = async {
        for part in parts {
            socket.write_all(part).await?;
        }
        socket.read_to_end(&mut heard).await
    };
    let _ = timeout(Duration::from_secs(20), talk)
        .await
        .expect("an end");
    String::from_utf8_lossy(&heard).into_owned()
}

#[tokio::test]
async fn a_trusted_load_balancer_says_where_a_connection_comes_from() {
    let house = House::with(|setup| {
        setup.set("server.trusted_proxies", "[\"127.0.0.1/32\"]");
        setup.set("server.proxy_protocol", "true");
        setup.set("server.header_timeout", "1s");
    })
    .await;
    drop(house.socket().await);
    assert!(
        say(&house, &[&proxied(), PROBE])
            .await
            .starts_with("HTTP/1.1 200")
    );
    let list = b"POST /mcp HTTP/1.1\r\nHost: localhost\r\nX-Forwarded-For: 192.0.2.66\r\nConnection: close\r\nContent-Length: 0\r\n\r\n";
    assert!(
        say(&house, &[&proxied(), list])
            .await
            .starts_with("HTTP/1.1 401")
    );
    // Where the connection comes from is known, and that is no proxy.
    assert_eq!(house.event("auth_failed").await["ip"], "203.0.113.9");
    // Nor is it one where it shares its network with the load balancer, which reads no headers.
    assert!(
        say(&house, &[&proxied_from([127, 0, 0, 1]), list])
            .await
            .starts_with("HTTP/1.1 401")
    );
    let second = || house.events("auth_failed").get(1).cloned();
    let second = eventually("the second failure", second).await;
    assert_eq!(second["ip"], "127.0.0.1");
    let own = b"\r\n\r\n\0\r\nQUIT\n\x20\0\0\0";
    assert!(say(&house, &[own, PROBE]).await.starts_with("HTTP/1.1 200"));
    // Not even on a connection of its own.
    assert!(say(&house, &[own, list]).await.starts_with("HTTP/1.1 401"));
    let third = || house.events("auth_failed").get(2).cloned();
    let third = eventually("the third failure", third).await;
    assert_eq!(third["ip"], "127.0.0.1");
    let mut long = proxied();
    long[14] = 0xff;
    let mut other_version = proxied();
    other_version[12] = 0x31;
    for bad in [
        PROBE,
        &long,
        &other_version,
        &proxied()[..20],
        b"PROXY TCP4 1.1.1.1 ",
    ] {
        assert_eq!(say(&house, &[bad]).await, "");
    }
    // Not a word of whoever only connects, to see whether somebody listens.
    let told = || {
        house
            .operational_log()
            .matches("no usable PROXY header")
            .count()
    };
    let all = || (told() >= 4).then_some(());
    eventually("a word for each that said something", all).await;
    assert_eq!(told(), 4, "{}", house.operational_log());
}

#[tokio::test]
async fn a_stranger_cannot_say_where_it_comes_from() {
    let house = House::with(|setup| {
        setup.set("server.trusted_proxies", "[\"192.0.2.0/24\"]");
        setup.set("server.proxy_protocol", "true");
    })
    .await;
    assert!(say(&house, &[PROBE]).await.starts_with("HTTP/1.1 200"));
    let refused = say(&house, &[&proxied(), PROBE]).await;
    assert!(
        refused.starts_with("HTTP/1.1 400") || refused.is_empty(),
        "{refused}"
    );
}

#[tokio::test]
async fn pings_between_the_requests_of_http2_are_no_slow_head() {
    let tls = TlsHouse::with(|setup| {
        setup.set("server.header_timeout", "1s");
    })
    .await;
    let root = reqwest::Certificate::from_pem(tls.servers.pem().as_bytes()).unwrap();
    let http = reqwest::Client::builder()
        .no_proxy()
        .tls_certs_only([root])
        .http2_keep_alive_interval(Duration::from_millis(200))
        .http2_keep_alive_while_idle(true)
        .build()
        .unwrap();
    let agent = tls.house.agent(SUPPORT).over(http);
    for _ in 0..2 {
        assert_eq!(agent.status().await, 200);
        // The span itself is the subject: longer than a head may take.
        tokio::time::sleep(Duration::from_millis(2500)).await;
    }
    agent.tools().await;
    assert_eq!(tls.house.events("auth_success").len(), 1, "one connection");
}

/// Calls, and calls again only when it is certain that nobody heard.
async fn call_until_heard(agent: &Agent) -> Result<u16, String> {
    let arguments = json!({ "name": "search_contacts", "arguments": { "name": "Giulia" } });
    let body = json!({ "jsonrpc": "2.0", "id": 1, "method": "tools/call", "params": arguments });
    loop {
        match agent.attempt(Method::POST, "/mcp", body.to_string()).await {
            Ok(answer) => return Ok(answer.status.as_u16()),
            Err(error) if error.is_connect() => {
                tokio::time::sleep(Duration::from_millis(20)).await;
            }
            Err(error) => return Err(format!("{error:?}")),
        }
    }
}

/// 200 calls, eight at a time, while the daemon is restarted.
async fn calls_across_a_restart(house: &mut House, agents: Vec<Agent>) {
    let done = AtomicUsize::new(0);
    let all = join_all(agents.iter().map(|agent| async {
        for _ in 0..25 {
            assert_eq!(call_until_heard(agent).await, Ok(200));
            done.fetch_add(1, Ordering::Relaxed);
        }
    }));
    let restart = async {
        eventually("calls", || {
            (done.load(Ordering::Relaxed) > 40).then_some(())
        })
        .await;
        assert!(house.restart().await.success(), "a clean end");
    };
    tokio::join!(all, restart);
    assert_eq!(done.load(Ordering::Relaxed), 200);
}

#[tokio::test]
async fn a_restart_under_load_loses_no_call() {
    let mut house = House::start().await;
    let agents = (0..8).map(|_| house.agent(SUPPORT)).collect();
    calls_across_a_restart(&mut house, agents).await;
}

#[tokio::test]
async fn a_restart_under_load_loses_no_call_over_tls_and_http2() {
    let mut tls = TlsHouse::with(|_| ()).await;
    let key = tls.house.keys[SUPPORT].clone();
    // Half of them share a connection.
    let shared = tls.agent(None).with("x-api-key", &key);
    let own = |_| tls.agent(None).with("x-api-key", &key);
    let agents = (0..4)
        .map(own)
        .chain((0..4).map(|_| shared.clone()))
        .collect();
    calls_across_a_restart(&mut tls.house, agents).await;
}

#[tokio::test]
async fn readiness_goes_before_the_door_is_closed() {
    let mut house = House::with(|setup| {
        setup.set("server.drain_delay", "3s");
    })
    .await;
    house.signal("-TERM");
    house.event("drain_begin").await;
    assert_eq!(house.stranger(None).get("/readyz").await.status, 503);
    assert_eq!(house.stranger(None).get("/health").await.status, 503);
    let answer = house.agent(SUPPORT).list().await;
    assert_eq!(
        (answer.status.as_u16(), answer.header("connection")),
        (200, "close")
    );
    assert!(house.ended().await.success());
}

#[tokio::test]
async fn who_stands_in_the_queue_is_still_served() {
    let mut house = House::start().await;
    // While the daemon stands still the kernel accepts for it.
    house.signal("-STOP");
    let mut sockets = join_all((0..20).map(|_| house.socket())).await;
    house.signal("-TERM");
    house.signal("-CONT");
    let answers = sockets.iter_mut().map(|socket| async {
        socket.write_all(PROBE).await.unwrap();
        let mut heard = String::new();
        socket.read_to_string(&mut heard).await.unwrap();
        heard
    });
    for answer in join_all(answers).await {
        assert!(answer.starts_with("HTTP/1.1 200"), "{answer}");
    }
    assert!(house.ended().await.success());
}
