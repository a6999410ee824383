//! What comes over bare connections: ambiguous requests, no requests at all, too slow or too many.

use std::time::Duration;

use serde_json::json;
use tokio::net::TcpStream;

use super::{CLOSE, stands, status};
use crate::{
    house::{House, SUPPORT},
    wire::{Wire, listing, post},
};

#[tokio::test]
async fn one_request_is_never_taken_for_two() {
    let house = House::start().await;
    let key = &house.keys[SUPPORT];
    let hidden =
        format!("GET /hidden HTTP/1.1\r\nHost: localhost\r\nX-API-Key: {key}\r\n{CLOSE}\r\n");
    let (one, length) = (listing(1), listing(1).len());
    let head = format!(
        "POST /mcp HTTP/1.1\r\nHost: localhost\r\nX-API-Key: {key}\r\nContent-Type: application/json\r\n"
    );
    let chunked = format!("{length:x}\r\n{one}\r\n0\r\n\r\n");
    let smuggling = [
        format!(
            "{head}Content-Length: {length}\r\nContent-Length: {}\r\n\r\n{one}{hidden}",
            length + hidden.len()
        ),
        format!("{head}Content-Length: {length}, {length}\r\n\r\n{one}{hidden}"),
        format!("{head}Content-Length: +{length}\r\n\r\n{one}{hidden}"),
        format!(
            "{head}Content-Length: {}\r\nTransfer-Encoding: chunked\r\n\r\n{chunked}{hidden}",
            chunked.len()
        ),
        format!("{head}Transfer-Encoding: chunked\r\nContent-Length: 4\r\n\r\n{chunked}{hidden}"),
        format!(
            "{head}Transfer-Encoding: xchunked\r\nContent-Length: {length}\r\n\r\n{one}{hidden}"
        ),
        format!("{head}Transfer-Encoding: chunked, identity\r\n\r\n{chunked}{hidden}"),
        format!("{head}Transfer-Encoding : chunked\r\n\r\n{chunked}{hidden}"),
        format!(
            "{head}X: y\r\n Content-Length: 0\r\nContent-Length: {length}\r\n\r\n{one}{hidden}"
        ),
    ];
    let honest = format!("{head}Content-Length: {length}\r\n\r\n{one}{hidden}");
    let mut wire = house.wire().await;
    wire.send(&honest).await;
    assert!(
        wire.rest().await.contains("Not found"),
        "two requests are two"
    );
    for request in smuggling {
        let mut wire = house.wire().await;
        wire.send(&request).await;
        let answers = wire.rest().await;
        assert!(!answers.contains("Not found"), "{request}\n{answers}");
        assert!(!answers.contains("HTTP/1.1 5"), "{request}\n{answers}");
    }
    stands(&house).await;
}

#[tokio::test]
async fn a_body_that_makes_no_sense_is_the_last_of_its_connection() {
    let house = House::start().await;
    let key = &house.keys[SUPPORT];
    let torn = format!(
        "POST /mcp HTTP/1.1\r\nHost: localhost\r\nX-API-Key: {key}\r\n\
         Content-Type: application/json\r\nTransfer-Encoding: chunked\r\n\r\nnonsense\r\n\
         GET /livez HTTP/1.1\r\nHost: localhost\r\n\r\n"
    );
    let mut wire = house.wire().await;
    wire.send(&torn).await;
    let answers = wire.rest().await.to_lowercase();
    assert!(answers.starts_with("http/1.1 400"), "{answers}");
    assert!(answers.contains("\r\nconnection: close\r\n"), "{answers}");
    assert_eq!(answers.matches("http/1.1 ").count(), 1, "{answers}");
}

#[tokio::test]
async fn heads_that_are_too_large_or_no_http_are_refused() {
    let house = House::start().await;
    let head = |more: &str| format!("GET /livez HTTP/1.1\r\nHost: localhost\r\n{CLOSE}{more}\r\n");
    assert_eq!(status(&house, head("")).await, 200);
    let many: String = (0..80).map(|number| format!("X-{number}: y\r\n")).collect();
    let bad = [
        head(&format!("X: {}\r\n", "y".repeat(40_000))),
        head(&many),
        head("X: a\0b\r\n"),
        head("X: a\rb\r\n"),
        head("X\0: a\r\n"),
        head("no colon\r\n"),
        format!(
            "GET /{} HTTP/1.1\r\nHost: localhost\r\n\r\n",
            "a".repeat(40_000)
        ),
        "GET /livez HTTP/9.9\r\nHost: localhost\r\n\r\n".into(),
        "GET /li vez HTTP/1.1\r\nHost: localhost\r\n\r\n".into(),
        "\r\n\r\n\r\nnonsense\r\n\r\n".into(),
        "\u{16}\u{3}\u{1}\u{2}\0\u{1}\0\u{1}".repeat(60),
        "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\nnot frames at all, but long enough to look like one"
            .into(),
    ];
    for request in bad {
        let mut wire = house.wire().await;
        wire.send(&request).await;
        let answer = wire.rest().await;
        let refused = !answer.starts_with("HTTP/1.1 2") && !answer.starts_with("HTTP/1.1 5");
        assert!(refused, "{request:.60}: {answer}");
    }
    let key = &house.keys[SUPPORT];
    for path in ["/mcp%00", "/../mcp", "//mcp", "/mcp/", "/mcp%2f", "/MCP"] {
        let request =
            format!("POST {path} HTTP/1.1\r\nHost: localhost\r\nX-API-Key: {key}\r\n{CLOSE}\r\n");
        assert_eq!(status(&house, request).await, 404, "{path}");
    }
    stands(&house).await;
}

#[tokio::test]
async fn who_dawdles_is_let_go() {
    let house = House::with(|setup| {
        setup
            .set("server.header_timeout", "1s")
            .set("mcp.body_timeout", "500ms");
    })
    .await;
    let silent = house.wire().await;
    let mut head = house.wire().await;
    head.send("POST /mcp HTTP/1.1\r\nHost: local").await;
    let mut next = house.wire().await;
    next.send("GET /livez HTTP/1.1\r\nHost: localhost\r\n\r\n")
        .await;
    next.until("ok").await;
    next.send("GET /liv").await;
    let whole = post(&house.keys[SUPPORT], "", &listing(1));
    let mut body = house.wire().await;
    body.send(&whole[..whole.len() - 3]).await;
    let late = body.until("took too long").await;
    assert!(late.starts_with("HTTP/1.1 408"), "{late}");
    assert!(late.contains("4 bytes a millisecond"), "{late}");
    assert_eq!(silent.rest().await, "", "a connection without a byte");
    assert_eq!(head.rest().await, "", "a head that stops");
    let answers = next.rest().await.matches("HTTP/1.1").count();
    assert_eq!(answers, 1, "a second head that stops");
    stands(&house).await;
}

#[tokio::test]
async fn an_http2_connection_may_rest_between_requests() {
    let house = House::with(|setup| {
        setup.set("server.header_timeout", "700ms");
    })
    .await;
    let agent = house.agent(SUPPORT).over_http2();
    assert_eq!(agent.tools().await.len(), 3);
    let other = house.agent(SUPPORT);
    // Longer than a head may take; the client's own frames arrive meanwhile.
    let patience = std::time::Instant::now();
    while patience.elapsed().as_millis() < 1800 {
        other.ask("ping", json!({})).await;
    }
    let search = agent.search("Giulia");
    assert!(search.await.content()["items"].is_array());
    // Later in the log than whatever connections there were.
    house.event("tool_call_success").await;
    let connections = house.events("auth_success").len();
    assert_eq!(connections, 2, "one for each client: none was cut off");
}

#[tokio::test]
async fn a_crowd_from_one_address_does_not_keep_others_out() {
    let house = House::start().await;
    let mut crowd = Vec::new();
    for _ in 0..300 {
        let mut wire = Wire::new(TcpStream::connect(house.address()).await.unwrap());
        wire.send("GET /livez HTTP/1.1\r\nHost: localhost\r\n")
            .await;
        crowd.push(wire);
    }
    let honest = house.agent(SUPPORT).from([127, 0, 0, 2]);
    assert_eq!(honest.tools().await.len(), 3);
    let mut served = 0;
    for mut wire in crowd {
        wire.send(format!("{CLOSE}\r\n")).await;
        served += usize::from(wire.rest().await.starts_with("HTTP/1.1 200"));
    }
    assert!(
        (1..=256).contains(&served),
        "{served} of 300 connections were let in"
    );
    stands(&house).await;
}

#[tokio::test]
async fn who_is_refused_early_does_not_take_the_next_request_along() {
    let house = House::start().await;
    let key = &house.keys[SUPPORT];
    let body = r#"{"jsonrpc":"2.0","id":1,"method":"ping"}"#;
    let length = body.len();
    let head = |path: &str, host: &str, key: &str, kind: &str| {
        format!(
            "POST {path} HTTP/1.1\r\nHost: {host}\r\nX-API-Key: {key}\r\n\
             Content-Type: {kind}\r\nContent-Length: {length}\r\n\r\n"
        )
    };
    let json = "application/json";
    for (status, refused) in [
        (401, head("/mcp", "localhost", "nobody's", json)),
        (403, head("/mcp", "evil.example", key, json)),
        (404, head("/nothing", "localhost", key, json)),
        (415, head("/mcp", "localhost", key, "text/plain")),
    ] {
        let mut wire = house.wire().await;
        wire.send(refused).await;
        // What the answer would be to is on its way, and nothing of it is there yet.
        tokio::time::sleep(Duration::from_millis(50)).await;
        wire.send(body).await;
        let told = wire.until(&format!("HTTP/1.1 {status}")).await;
        assert!(!told.to_lowercase().contains("connection: close"), "{told}");
        let good = head("/mcp", "localhost", key, json);
        wire.send(good + body).await;
        wire.until("HTTP/1.1 200").await;
    }
}

#[tokio::test]
async fn who_is_refused_and_sends_no_body_is_told_that_the_connection_ends() {
    let house = House::start().await;
    for more in ["", "Expect: 100-continue\r\n"] {
        let mut wire = house.wire().await;
        let head = "POST /mcp HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\n";
        wire.send(format!("{head}{more}Content-Length: 40\r\n\r\n"))
            .await;
        let told = wire.rest().await.to_lowercase();
        assert!(told.starts_with("http/1.1 401"), "{told}");
        assert!(told.contains("connection: close"), "{told}");
    }
}
