//! Connections that prove nothing: they hold no place for long, and none that another needs.

use std::time::Duration;

use futures_util::future::join_all;
use serde_json::json;
use tokio::{
    io::AsyncWriteExt as _,
    time::{Instant, timeout},
};

use crate::{
    house::{House, REPORTING, SUPPORT, Setup, command, eventually},
    http2::{frame, opening},
    listener::{closed, holds_connections_from},
    wire::{Wire, listing, post},
};

/// Heads are given a second, and idle connections the time that they have by default.
async fn house(change: impl FnOnce(&mut Setup)) -> House {
    House::with(|setup| {
        setup.set("server.max_connections_per_address", "5000");
        setup.set("server.header_timeout", "1s");
        setup.set(
            "limits.failed_logins",
            "{ requests = 100000, per = \"1m\" }",
        );
        change(setup);
    })
    .await
}

/// One request after the other on a connection that stays open.
async fn ask(wire: &mut Wire, key: &str, id: &str) {
    wire.send(post(key, "", &listing(id))).await;
    wire.until(&format!("\"id\":\"{id}\"")).await;
}

#[tokio::test]
async fn whoever_was_answered_401_does_not_stay_and_whoever_proved_something_does() {
    let house = house(|_| ()).await;
    let key = &house.keys[SUPPORT];
    let mut known = house.wire().await;
    ask(&mut known, key, "first").await;
    let began = Instant::now();
    let strangers = (0..50).map(|_| async {
        let mut stranger = house.wire().await;
        stranger.send(post("nobody", "", &listing(1))).await;
        stranger.rest().await
    });
    for heard in join_all(strangers).await {
        assert!(heard.starts_with("HTTP/1.1 401"), "{heard}");
    }
    assert!(began.elapsed() < Duration::from_secs(20));
    // Longer than a stranger may rest.
    tokio::time::sleep(Duration::from_secs(2).saturating_sub(began.elapsed())).await;
    ask(&mut known, key, "second").await;
}

#[tokio::test]
async fn whoever_reads_nothing_is_gone_also_where_the_kernel_holds_the_answers() {
    let house = house(|setup| {
        setup.set("server.write_timeout", "2s");
    })
    .await;
    let mut deaf = Vec::new();
    let mut clients = Vec::new();
    // The first ten fit into the buffers of the kernel, and the others do not.
    for requests in [10, 10, 10, 4000, 4000] {
        let mut socket = house.socket().await;
        clients.push(socket.local_addr().unwrap());
        let request = post("nobody", "", &listing(1));
        socket.write_all(request.as_bytes()).await.unwrap();
        // The first answer has come, and nobody reads it.
        socket.readable().await.unwrap();
        deaf.push(tokio::spawn(async move {
            let _ = socket.write_all(request.repeat(requests).as_bytes()).await;
            socket
        }));
    }
    eventually("every connection to end", || {
        (!holds_connections_from(&clients)).then_some(())
    })
    .await;
    drop(join_all(deaf).await);
}

#[tokio::test]
async fn a_connection_over_http2_without_a_request_has_the_time_of_a_head() {
    let house = house(|_| ()).await;
    let pings = [frame(4, 1, 0, &[]), frame(6, 0, 0, &[7; 8])].concat();
    let all = (0..30).map(|n| {
        let (house, pings) = (&house, &pings);
        async move {
            let (mut reader, mut writer) = house.socket().await.into_split();
            writer.write_all(&opening()).await.unwrap();
            let pinging = async {
                // Half of them show that they are alive.
                while n % 2 == 0 && writer.write_all(pings).await.is_ok() {
                    tokio::time::sleep(Duration::from_millis(200)).await;
                }
                std::future::pending::<()>().await;
            };
            let heard = async {
                let mut sink = [0; 1024];
                while matches!(
                    tokio::io::AsyncReadExt::read(&mut reader, &mut sink).await,
                    Ok(1..)
                ) {}
            };
            tokio::select! { () = pinging => {}, () = heard => {} }
        }
    });
    timeout(Duration::from_secs(20), join_all(all))
        .await
        .expect("every connection to be ended");
}

#[tokio::test]
async fn when_every_place_is_taken_strangers_make_room() {
    let house = house(|setup| {
        setup.set("server.max_connections", "20");
        setup.set("server.header_timeout", "5m");
    })
    .await;
    let key = &house.keys[SUPPORT];
    let mut known = house.wire().await;
    ask(&mut known, key, "first").await;
    let first = house.socket().await;
    let crowd = join_all((0..60).map(|_| house.socket())).await;
    // The one that has been silent for longest goes first.
    timeout(Duration::from_secs(20), closed(first))
        .await
        .expect("the first stranger to make room");
    for _ in 0..5 {
        let answer = house.agent(SUPPORT).list().await;
        assert_eq!(answer.status, 200);
    }
    ask(&mut known, key, "second").await;
    drop(crowd);
}

#[tokio::test]
async fn whose_credential_is_refused_is_a_stranger_again() {
    let house = house(|_| ()).await;
    let began = Instant::now();
    let mut known = house.wire().await;
    ask(&mut known, &house.keys[SUPPORT], "first").await;
    known.send(post("nobody", "", &listing(1))).await;
    let heard = known.rest().await;
    assert!(heard.contains("HTTP/1.1 401"), "{heard}");
    // It would have rested for longer.
    assert!(began.elapsed() < Duration::from_secs(60));
}

/// Requests that need no credential, one after the other, and as fast as they are answered.
async fn probe(mut wire: Wire) {
    for number in 0.. {
        let path = format!("/livez?{number}");
        wire.send(format!("GET {path} HTTP/1.1\r\nHost: localhost\r\n\r\n"))
            .await;
        if !wire.has_answered(number + 2).await {
            return;
        }
        tokio::time::sleep(Duration::from_millis(200)).await;
    }
}

#[tokio::test]
async fn a_key_that_was_revoked_holds_no_place_that_another_needs() {
    let house = house(|setup| {
        setup.set("server.max_connections", "8");
        setup.set("auth.api_keys.refresh", "1s");
    })
    .await;
    let leaked = &house.keys[REPORTING];
    let mut held = Vec::new();
    for _ in 0..8 {
        let mut wire = house.wire().await;
        ask(&mut wire, leaked, "first").await;
        held.push(wire);
    }
    let store = house.file("keys.json");
    let store = store.to_str().unwrap();
    let retired = ["keys", "retire", "--revoked", "--store", store, "--key"];
    let retired = command(&[&retired[..], &[&leaked[10..20]]].concat());
    assert!(retired.status.success());
    let holding = join_all(held.into_iter().map(probe));
    let newcomers = async {
        for _ in 0..5 {
            let answer = house.agent(SUPPORT).list().await;
            assert_eq!(answer.status, 200);
        }
    };
    tokio::select! {
        _ = holding => panic!("a few places are enough"),
        () = newcomers => {}
    }
}

#[tokio::test]
async fn who_proved_something_makes_room_at_rest_and_never_within_a_request() {
    let house = house(|setup| {
        setup.set("server.max_connections", "8");
    })
    .await;
    let key = &house.keys[SUPPORT];
    let slow = json!({ "fault": "latency", "path": "/crm/v8/Contacts/search", "delay": "8s" });
    house.zoho.fault(slow).await;
    let (mut first, mut second) = (house.wire().await, house.wire().await);
    ask(&mut first, key, "first").await;
    ask(&mut second, key, "first").await;
    ask(&mut first, key, "second").await;
    let mut streams = Vec::new();
    for _ in 0..5 {
        streams.push(house.agent(SUPPORT).stream().await);
    }
    let mut busy = house.wire().await;
    let call = json!({
        "jsonrpc": "2.0", "id": "slow", "method": "tools/call",
        "params": { "name": "search_contacts", "arguments": { "name": "a" } },
    });
    busy.send(post(key, "", &call.to_string())).await;
    eventually("the call to begin", || {
        house.events("tool_call_start").pop()
    })
    .await;
    let mut newcomer = house.wire().await;
    ask(&mut newcomer, key, "first").await;
    // The one at rest for longest has gone, and the other one has not.
    assert!(!second.rest().await.contains("\"second\""));
    ask(&mut first, key, "third").await;
    let (_one, _other) = (
        house.agent(SUPPORT).stream().await,
        house.agent(SUPPORT).stream().await,
    );
    assert_eq!(house.wire().await.rest().await, "");
    busy.until("\"id\":\"slow\"").await;
    for stream in &mut streams {
        stream.initialize().await;
    }
}
