//! What no honest client sends: it is refused, costs nothing, and harms nobody.

mod sockets;

use serde_json::{Value, json};

use crate::{
    agent::MODERN,
    house::{House, SUPPORT},
    wire::listing,
};

/// After everything: no panic, no 500, and an honest client is served.
async fn stands(house: &House) {
    let log = house.operational_log();
    assert!(!log.contains("panick"), "{log}");
    assert!(!log.contains("without passing every guard"), "{log}");
    assert_eq!(house.agent(SUPPORT).tools().await.len(), 3);
}

/// What one request over a connection of its own is answered with.
async fn status(house: &House, request: impl AsRef<[u8]>) -> u16 {
    let mut wire = house.wire().await;
    wire.send(request).await;
    let answer = wire.rest().await;
    let status = answer.split(' ').nth(1).map(str::parse);
    status
        .unwrap_or_else(|| panic!("no answer: {answer:?}"))
        .unwrap()
}

const CLOSE: &str = "Connection: close\r\n";

fn nested(depth: usize) -> String {
    let params = ["[".repeat(depth), "]".repeat(depth)].concat();
    format!(r#"{{"jsonrpc":"2.0","id":1,"method":"x","params":{{"a":{params}}}}}"#)
}

#[tokio::test]
async fn a_body_that_is_not_exactly_one_message_is_refused_before_it_counts() {
    let house = House::start().await;
    let agent = house.agent(SUPPORT);
    let before = agent.post(listing(1)).await.remaining("client");
    let call = |params: &str| {
        format!(r#"{{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{params}}}"#)
    };
    let (one, deep) = (listing(1), nested(31));
    let bodies: [(&str, String, i64); 29] = [
        ("nothing", String::new(), -32700),
        ("spaces", "  \r\n".into(), -32700),
        ("null", "null".into(), -32700),
        ("a number", "7".into(), -32700),
        ("a text", "\"tools/list\"".into(), -32700),
        ("half an object", "{\"jsonrpc\":\"2.0\"".into(), -32700),
        ("half a text", "{\"jsonrpc".into(), -32700),
        ("single quotes", "{'jsonrpc':'2.0'}".into(), -32700),
        ("a trailing comma", one.replace('}', ",}"), -32700),
        ("a comment", format!("/**/{one}"), -32700),
        ("a byte order mark", format!("\u{feff}{one}"), -32700),
        ("trailing garbage", format!("{one}x"), -32700),
        ("two messages", format!("{one}{one}"), -32700),
        ("a NUL", format!("{one}\0"), -32700),
        (
            "a raw line end in a text",
            one.replace("tools", "to\nols"),
            -32700,
        ),
        ("half a surrogate", one.replace("tools", "\\ud800"), -32700),
        (
            "NaN for an id",
            one.replace("\"id\":1", "\"id\":NaN"),
            -32700,
        ),
        ("a batch", format!("[{one}]"), -32600),
        ("an empty batch", "[]".into(), -32600),
        (
            "no version",
            "{\"id\":1,\"method\":\"ping\"}".into(),
            -32600,
        ),
        ("another version", one.replace("2.0", "1.0"), -32600),
        (
            "two ids",
            one.replace("\"id\":1", "\"id\":1,\"id\":2"),
            -32600,
        ),
        ("a null id", one.replace("\"id\":1", "\"id\":null"), -32600),
        ("a broken id", one.replace("\"id\":1", "\"id\":1.5"), -32600),
        (
            "a huge id",
            one.replace("\"id\":1", &format!("\"id\":{}", "9".repeat(30))),
            -32600,
        ),
        (
            "a tool named twice",
            call(r#"{"name":"search_contacts","name":"create_note"}"#),
            -32600,
        ),
        (
            "an escaped second name",
            call(r#"{"name":"search_contacts","n\u0061me":"create_note"}"#),
            -32600,
        ),
        ("a tool without a name", call("{}"), -32602),
        (
            "arguments in a row",
            call(r#"{"name":"search_contacts","arguments":[1]}"#),
            -32602,
        ),
    ];
    for (what, body, code) in bodies {
        let answer = agent.post(body).await;
        assert_eq!(
            (answer.status.as_u16(), answer.code()),
            (400, code),
            "{what}"
        );
        assert_eq!(answer.json()["id"], Value::Null, "{what}");
    }
    for body in [nested(33), "[".repeat(200_000), "{\"a\":".repeat(40_000)] {
        let answer = agent.post(body).await;
        assert_eq!((answer.status.as_u16(), answer.code()), (400, -32700));
    }
    let not_utf8 = agent.post(b"{\"jsonrpc\":\"2.0\xff\"}".to_vec()).await;
    assert_eq!(not_utf8.code(), -32700);
    let after = agent.post(listing(1)).await.remaining("client");
    assert_eq!(before - 1, after, "none of them counted");
    assert_ne!(agent.post(deep).await.status, 500);
    stands(&house).await;
}

#[tokio::test]
async fn a_body_that_is_too_large_or_not_json_is_refused() {
    let house = House::start().await;
    let agent = house.agent(SUPPORT);
    let text = |length: usize| listing("a".repeat(length));
    for length in [256 << 10, 3 << 20] {
        let answer = agent.post(text(length)).await;
        assert_eq!(
            (answer.status.as_u16(), answer.code()),
            (413, 413),
            "{length}"
        );
    }
    let chunk = format!("{:x}\r\n{}\r\n", 64 << 10, "a".repeat(64 << 10)).repeat(5);
    let key = &house.keys[SUPPORT];
    let chunked = format!(
        "POST /mcp HTTP/1.1\r\nHost: localhost\r\nX-API-Key: {key}\r\n{CLOSE}\
         Content-Type: application/json\r\nTransfer-Encoding: chunked\r\n\r\n{chunk}0\r\n\r\n"
    );
    assert_eq!(
        status(&house, chunked).await,
        413,
        "whatever length is announced, or none"
    );
    for kind in [
        "text/plain",
        "application/x-www-form-urlencoded",
        "application/jsonp",
        "",
        "multipart/form-data; application/json",
    ] {
        let answer = house
            .agent(SUPPORT)
            .with("content-type", kind)
            .post(listing(1))
            .await;
        assert_eq!(
            (answer.status.as_u16(), answer.code()),
            (415, 415),
            "{kind}"
        );
    }
    let twice = agent
        .clone()
        .with("content-type", "application/json")
        .with("content-type", "text/plain");
    assert_eq!(twice.post(listing(1)).await.status, 415);
    let spelled = agent.with("content-type", "Application/JSON; charset=utf-8");
    assert_eq!(spelled.post(listing(1)).await.status, 200);
    stands(&house).await;
}

#[tokio::test]
async fn foreign_hosts_and_origins_are_refused_on_every_route() {
    let house = House::with(|setup| {
        setup.set("server.origins", "[\"https://app.example.com\"]");
    })
    .await;
    let allowed = [
        "Host: localhost\r\n",
        "Host: 127.0.0.1:1\r\n",
        "Host: LOCALHOST\r\nOrigin: https://app.example.com\r\n",
    ];
    let refused = [
        "",
        "Host: evil.example\r\n",
        "Host: localhost.evil.example\r\n",
        "Host: localhost@evil.example\r\n",
        "Host: localhost\r\nHost: localhost\r\n",
        "Host: localhost\r\nHost: evil.example\r\n",
        "Host: evil.example\r\nX-Forwarded-Host: localhost\r\n",
        "Host: localhost\r\nOrigin: https://evil.example\r\n",
        "Host: localhost\r\nOrigin: null\r\n",
        "Host: localhost\r\nOrigin: \r\n",
        "Host: localhost\r\nOrigin: https://app.example.com.evil.example\r\n",
        "Host: localhost\r\nOrigin: http://app.example.com\r\n",
        "Host: localhost\r\nOrigin: https://app.example.com\r\nOrigin: https://evil.example\r\n",
    ];
    let key = &house.keys[SUPPORT];
    for (path, method) in [
        ("/mcp", "GET"),
        ("/sse", "POST"),
        ("/messages", "POST"),
        ("/livez", "GET"),
        ("/nowhere", "GET"),
    ] {
        let with = |heads: &str| {
            format!("{method} {path} HTTP/1.1\r\n{heads}X-API-Key: {key}\r\n{CLOSE}\r\n")
        };
        for heads in allowed {
            assert_ne!(status(&house, with(heads)).await, 403, "{path} {heads}");
        }
        for heads in refused {
            let answered = status(&house, with(heads)).await;
            assert!([400, 403].contains(&answered), "{path} {heads}: {answered}");
        }
    }
    let target =
        format!("GET http://evil.example/livez HTTP/1.1\r\nHost: localhost\r\n{CLOSE}\r\n");
    assert_eq!(
        status(&house, target).await,
        403,
        "the target is a host as well"
    );
    stands(&house).await;
}

#[tokio::test]
async fn a_header_that_names_another_tool_than_the_body_spends_nothing() {
    let house = House::start().await;
    let agent = house.agent(SUPPORT);
    let before = agent.post(listing(1)).await.remaining("client");
    let lying = agent
        .clone()
        .with("mcp-protocol-version", MODERN)
        .with("mcp-method", "tools/call")
        .with("mcp-name", "search_contacts");
    let answer = lying.call("get_revenue_report", json!({})).await;
    assert_eq!((answer.status.as_u16(), answer.code()), (400, -32020));
    assert_eq!(before - 1, agent.post(listing(1)).await.remaining("client"));
    // Older revisions know no such headers, so the body alone is what counts there.
    let older = agent.with("mcp-name", "search_contacts");
    let denied = older.call("get_revenue_report", json!({})).await;
    assert!(
        denied
            .failure()
            .contains("'get_revenue_report' is not permitted")
    );
    assert!(house.events("tool_call_start").is_empty());
}
