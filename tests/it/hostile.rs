//! What no honest client sends: it is refused, costs nothing, and harms nobody.

mod sockets;

use serde_json::json;

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

/// What it is, the body, and the code it is refused with.
type Case = (&'static str, String, i64);

fn not_json() -> Vec<Case> {
    let one = listing(1);
    let bodies = [
        ("nothing", String::new()),
        ("spaces", "  \r\n".into()),
        ("null", "null".into()),
        ("a number", "7".into()),
        ("a text", "\"tools/list\"".into()),
        ("half an object", "{\"jsonrpc\":\"2.0\"".into()),
        ("half a text", "{\"jsonrpc".into()),
        ("single quotes", "{'jsonrpc':'2.0'}".into()),
        ("a trailing comma", one.replace('}', ",}")),
        ("a comment", format!("/**/{one}")),
        ("a byte order mark", format!("\u{feff}{one}")),
        ("trailing garbage", format!("{one}x")),
        ("two messages", format!("{one}{one}")),
        ("a NUL", format!("{one}\0")),
        ("a raw line end in a text", one.replace("tools", "to\nols")),
        ("half a surrogate", one.replace("tools", "\\ud800")),
        ("NaN for an id", one.replace(ID, "\"id\":NaN")),
    ];
    bodies.map(|(what, body)| (what, body, -32700)).into()
}

fn not_one_message() -> Vec<Case> {
    let one = listing(1);
    let id = |id: &str| one.replace(ID, id);
    let call = |params: &str| {
        format!(r#"{{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{params}}}"#)
    };
    let huge = format!("\"id\":{}", "9".repeat(30));
    let twice = r#"{"name":"search_contacts","name":"create_note"}"#;
    let escaped = r#"{"name":"search_contacts","n\u0061me":"create_note"}"#;
    let in_a_row = r#"{"name":"search_contacts","arguments":[1]}"#;
    vec![
        ("a batch", format!("[{one}]"), -32600),
        ("an empty batch", "[]".into(), -32600),
        ("no version", one.replace("jsonrpc", "json"), -32600),
        ("another version", one.replace("2.0", "1.0"), -32600),
        ("two ids", id(r#""id":1,"id":2"#), -32600),
        ("a null id", id(r#""id":null"#), -32600),
        ("a broken id", id(r#""id":1.5"#), -32600),
        ("a huge id", id(&huge), -32600),
        ("a tool named twice", call(twice), -32600),
        ("an escaped second name", call(escaped), -32600),
        ("a tool without a name", call("{}"), -32602),
        ("arguments in a row", call(in_a_row), -32602),
    ]
}

const ID: &str = "\"id\":1";

#[tokio::test]
async fn a_body_that_is_not_exactly_one_message_is_refused_before_it_counts() {
    let house = House::start().await;
    let agent = house.agent(SUPPORT);
    let before = agent.post(listing(1)).await.remaining("client");
    let cases = not_json().into_iter().chain(not_one_message());
    for (what, body, code) in cases {
        let answer = agent.post(body).await;
        assert_eq!(
            (answer.status.as_u16(), answer.code()),
            (400, code),
            "{what}"
        );
        let id = &answer.json()["id"];
        assert!(id.is_null() || id == 1, "{what}: {id}");
    }
    for body in [nested(33), "[".repeat(200_000), "{\"a\":".repeat(40_000)] {
        let answer = agent.post(body).await;
        assert_eq!((answer.status.as_u16(), answer.code()), (400, -32700));
    }
    let not_utf8 = agent.post(b"{\"jsonrpc\":\"2.0\xff\"}".to_vec()).await;
    assert_eq!(not_utf8.code(), -32700);
    let after = agent.post(listing(1)).await.remaining("client");
    assert_eq!(before - 1, after, "none of them counted");
    assert_eq!(agent.post(nested(29)).await.code(), -32601, "deep enough");
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
    let announced = format!(
        "POST /mcp HTTP/1.1\r\nHost: localhost\r\nX-API-Key: {key}\r\n{CLOSE}\
         Content-Type: application/json\r\nContent-Length: 999999999\r\n\r\n"
    );
    assert_eq!(
        status(&house, announced).await,
        413,
        "before a byte is sent"
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
    let packed = agent.clone().with("content-encoding", "gzip");
    assert_eq!(packed.post(listing(1)).await.status, 415);
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
    // Whatever the revision: who stands between may have gone by the header.
    let older = agent.clone().with("mcp-name", "search_contacts");
    let answer = older.call("get_revenue_report", json!({})).await;
    assert_eq!((answer.status.as_u16(), answer.code()), (400, -32020));
    let other = agent.clone().with("mcp-method", "tools/list");
    let answer = other.call("get_revenue_report", json!({})).await;
    assert_eq!((answer.status.as_u16(), answer.code()), (400, -32020));
    assert_eq!(before - 2, agent.post(listing(1)).await.remaining("client"));
    assert!(house.events("tool_call_start").is_empty());
}

#[tokio::test]
async fn an_error_has_the_id_of_its_request_and_nothing_else_that_was_sent() {
    let house = House::start().await;
    let agent = house.agent(SUPPORT);
    let twice = r#"{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{"name":"search_contacts","arguments":{"name":"hunter2","name":"b"}}}"#;
    for (body, code) in [
        (r#"{"id":1,"method":"hunter2"}"#, -32600),
        (r#"{"jsonrpc":"2.0","id":1,"method":"hunter2"}"#, -32601),
        (
            r#"{"jsonrpc":"2.0","id":1,"method":"initialize","params":{"x":"hunter2"}}"#,
            -32602,
        ),
        (
            r#"{"jsonrpc":"2.0","id":1,"method":"tools/call","params":["hunter2"]}"#,
            -32602,
        ),
        (twice, -32600),
    ] {
        let answer = agent.post(body).await;
        assert_eq!(answer.code(), code, "{body}: {}", answer.text);
        assert_eq!(answer.json()["id"], 1, "{body}: {}", answer.text);
        let message = answer.json()["error"]["message"].to_string();
        assert!(message.contains(' '), "{body}: {message}");
        assert!(!answer.text.contains("hunter2"), "{body}: {}", answer.text);
    }
    assert!(house.events("tool_call_start").is_empty());
}
