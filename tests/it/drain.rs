//! The end: what is promised is kept, and nothing new begins.

use std::time::Duration;

use serde_json::json;
use tokio::{io::AsyncWriteExt as _, net::TcpStream, task::JoinHandle};

use crate::{
    agent::{Agent, Answer},
    house::{DASHBOARD, House, SUPPORT, Setup, eventually},
    pki::TlsHouse,
};

/// A call that Zoho answers late, and that has begun.
pub(crate) async fn running(house: &House, agent: Agent, delay: &str) -> JoinHandle<Answer> {
    let fault = json!({ "fault": "latency", "path": "/crm", "delay": delay });
    house.zoho.fault(fault).await;
    let call = async move { agent.search("Giulia").await };
    let call = tokio::spawn(call);
    house.event("tool_call_start").await;
    call
}

async fn refuses_connections(house: &House) {
    while TcpStream::connect(house.address()).await.is_ok() {
        tokio::task::yield_now().await;
    }
}

/// Waits for the end; the log's last line but one says how it was.
async fn ended(house: &mut House, reason: &str) -> i32 {
    let status = house.ended().await;
    house.event("log_close").await;
    let log = house.audit();
    let [.., told, last] = &log[..] else {
        panic!("{log:?}");
    };
    assert_eq!(
        (&told["event"], &told["reason"]),
        (&json!("drain_end"), &json!(reason))
    );
    assert_eq!(last["event"], "log_close");
    status.code().expect("an exit, not a signal")
}

#[tokio::test]
async fn a_call_in_flight_gets_its_whole_answer_and_nothing_new_begins() {
    for signal in ["-TERM", "-INT"] {
        let mut house = House::start().await;
        let agent = match signal {
            "-TERM" => house.agent(SUPPORT),
            _ => house.agent(SUPPORT).over_http2(),
        };
        // A probe whose head is half sent when the end begins, so that it is answered after it.
        let mut probe = house.wire().await;
        probe
            .send("GET /readyz HTTP/1.1\r\nHost: localhost\r\n")
            .await;
        let mut stream = house.agent(DASHBOARD).stream().await;
        stream.initialize().await;
        let call = running(&house, agent, "800ms").await;
        house.signal(signal);
        house.event("drain_begin").await;
        probe.send("\r\n").await;
        assert!(probe.rest().await.starts_with("HTTP/1.1 503"), "{signal}");
        refuses_connections(&house).await;
        let answer = call.await.unwrap();
        assert!(!answer.content()["items"].as_array().unwrap().is_empty());
        assert!(stream.next().await.is_none(), "the stream ends");
        assert_eq!(ended(&mut house, "clean").await, 0, "{signal}");
        for event in ["tool_call_success", "session_close"] {
            assert_eq!(house.events(event).len(), 1, "{event}");
        }
    }
}

#[tokio::test]
async fn a_call_on_a_stream_is_answered_before_the_stream_ends() {
    let mut house = House::start().await;
    let fault = json!({ "fault": "latency", "path": "/crm", "delay": "700ms" });
    house.zoho.fault(fault).await;
    let mut stream = house.agent(SUPPORT).stream().await;
    stream.initialize().await;
    let params = json!({ "name": "search_contacts", "arguments": { "name": "Giulia" } });
    let call = json!({ "jsonrpc": "2.0", "id": 3, "method": "tools/call", "params": params });
    assert_eq!(stream.post(&call).await.status, 202);
    house.signal("-TERM");
    assert!(stream.answer(3).await["result"]["structuredContent"].is_object());
    assert!(stream.next().await.is_none());
    assert_eq!(ended(&mut house, "clean").await, 0);
}

#[tokio::test]
async fn a_call_that_reports_progress_is_answered_to_its_end() {
    let mut house = House::start().await;
    let fault = json!({ "fault": "latency", "path": "/crm", "delay": "500ms" });
    house.zoho.fault(fault).await;
    let agent = house.agent(DASHBOARD);
    let params = json!({ "name": "get_dashboard_metrics", "arguments": {}, "_meta": { "progressToken": 1 } });
    let call = tokio::spawn(async move { agent.ask("tools/call", params).await });
    house.event("tool_call_start").await;
    house.signal("-TERM");
    let messages = call.await.unwrap().messages();
    let result = messages.last().unwrap();
    assert!(
        result["result"]["structuredContent"].is_object(),
        "{result}"
    );
    assert_eq!(ended(&mut house, "clean").await, 0);
}

#[tokio::test]
async fn under_load_every_call_that_began_is_answered_whole() {
    let mut house = House::start().await;
    let callers: Vec<JoinHandle<usize>> = (0..8)
        .map(|_| tokio::spawn(calls_until_refused(house.agent(SUPPORT))))
        .collect();
    house.event("tool_call_success").await;
    house.signal("-TERM");
    let mut answered = 0;
    for caller in callers {
        answered += caller.await.unwrap();
    }
    assert_eq!(ended(&mut house, "clean").await, 0);
    let count = |event| house.events(event).len();
    assert_eq!(count("tool_call_start"), answered);
    assert_eq!(count("tool_call_success"), answered);
}

/// Calls again and again until there is nobody to call, and counts the whole answers.
async fn calls_until_refused(agent: Agent) -> usize {
    let search = json!({ "name": "search_contacts", "arguments": { "name": "Giulia" } });
    let mut answered = 0;
    while let Some(answer) = agent.try_ask("tools/call", search.clone()).await {
        assert!(answer.content()["items"].is_array());
        answered += 1;
    }
    answered
}

#[tokio::test]
async fn what_takes_too_long_is_cut_off_and_says_so() {
    let mut house = House::with(|setup| {
        setup.set("server.drain_timeout", "300ms");
    })
    .await;
    let call = running(&house, house.agent(SUPPORT), "20s").await;
    house.signal("-TERM");
    let failure = call.await.unwrap().failure();
    assert!(
        failure.starts_with("The service is going down"),
        "{failure}"
    );
    assert_eq!(ended(&mut house, "cut_off").await, 1);
    assert_eq!(house.events("tool_call_cancelled").len(), 1);
}

#[tokio::test]
async fn asked_twice_it_does_not_wait() {
    let mut house = House::start().await;
    let call = running(&house, house.agent(SUPPORT), "20s").await;
    house.signal("-TERM");
    house.event("drain_begin").await;
    house.signal("-TERM");
    assert!(
        call.await
            .unwrap()
            .failure()
            .starts_with("The service is going down")
    );
    assert_eq!(ended(&mut house, "cut_off").await, 1);
    assert_eq!(house.events("tool_call_cancelled").len(), 1);
}

#[tokio::test]
async fn connections_without_a_request_do_not_hold_up_the_end() {
    let mut house = House::start().await;
    let silent = house.socket().await;
    let mut half = house.wire().await;
    half.send("POST /mcp HTTP/1.1\r\nHost: ").await;
    let mut used = house.wire().await;
    used.send("GET /livez HTTP/1.1\r\nHost: localhost\r\n\r\n")
        .await;
    used.until("ok").await;
    let framed = house.agent(SUPPORT).over_http2();
    assert_eq!(framed.tools().await.len(), 3);
    house.signal("-TERM");
    assert_eq!(ended(&mut house, "clean").await, 0);
    drop(silent);
}

#[tokio::test]
async fn it_ends_while_a_client_reads_nothing_of_its_stream() {
    let mut house = House::start().await;
    let mut deaf = house.wire().await;
    let key = &house.keys[SUPPORT];
    deaf.send(format!(
        "GET /sse HTTP/1.1\r\nHost: localhost\r\nX-API-Key: {key}\r\n\r\n"
    ))
    .await;
    house.event("session_open").await;
    house.signal("-TERM");
    assert_eq!(ended(&mut house, "clean").await, 0);
    let closed = eventually("the session's end", || house.events("session_close").pop()).await;
    assert_eq!(closed["clientId"], SUPPORT);
    tokio::time::timeout(Duration::from_secs(5), deaf.rest())
        .await
        .unwrap();
}

#[tokio::test]
async fn who_has_not_even_shaken_hands_is_no_call_that_is_cut_off() {
    let mut tls = TlsHouse::with(|_| ()).await;
    let proxied = |setup: &mut Setup| {
        setup.set("server.trusted_proxies", "[\"127.0.0.1/32\"]");
        setup.set("server.proxy_protocol", "true");
    };
    let mut proxied = House::with(proxied).await;
    for (house, begun) in [
        (&mut tls.house, &b"\x16\x03\x01\x02\x00\x01"[..]),
        (&mut proxied, b"\r\n\r\n\0\r\nQUIT"),
    ] {
        let mut sockets = Vec::new();
        for bytes in [begun, b""].repeat(5) {
            let mut socket = house.socket().await;
            socket.write_all(bytes).await.unwrap();
            sockets.push(socket);
        }
        house.signal("-TERM");
        assert_eq!(ended(house, "clean").await, 0);
    }
}
