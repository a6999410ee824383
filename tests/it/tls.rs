//! The certificate that the daemon shows, and how it changes.

use std::time::Duration;

use futures_util::future::join_all;
use rcgen::date_time_ymd;
use rustls::{NamedGroup, ProtocolVersion};
use serde_json::json;
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    time::timeout,
};

use crate::{
    house::{House, SUPPORT, command},
    pki::{Ca, TlsHouse, openssl},
};

#[tokio::test]
async fn an_agent_calls_over_tls_with_either_version_of_http() {
    let tls = TlsHouse::with(|_| ()).await;
    let key = &tls.house.keys[SUPPORT];
    let agent = tls.agent(None).with("x-api-key", key);
    assert!(!agent.tools().await.is_empty());
    let probed = command(&["healthcheck", "--url", &tls.house.url]);
    assert!(probed.status.success(), "{probed:?}");
    let mut both = (*tls.client(None)).clone();
    both.alpn_protocols = vec![b"h2".to_vec(), b"http/1.1".to_vec()];
    let stream = tls.connect(&both.into()).await;
    let session = stream.get_ref().1;
    assert_eq!(session.alpn_protocol(), Some(&b"h2"[..]));
    assert_eq!(session.protocol_version(), Some(ProtocolVersion::TLSv1_3));
    let group = session.negotiated_key_exchange_group().unwrap().name();
    assert_eq!(group, NamedGroup::X25519MLKEM768);
}

#[tokio::test]
async fn only_versions_and_ciphers_that_are_sound_are_spoken() {
    let tls = TlsHouse::with(|_| ()).await;
    let address = tls.house.address().to_owned();
    let speaks = |arguments: &[&str]| {
        let connect = ["s_client", "-connect", &address, "-brief"];
        openssl(&[&connect, arguments].concat()).0
    };
    for old in ["-tls1", "-tls1_1"] {
        assert!(!speaks(&[old, "-cipher", "ALL:@SECLEVEL=0"]), "{old}");
    }
    assert!(speaks(&["-tls1_3"]));
    let (_, known) = openssl(&[
        "ciphers",
        "-s",
        "-tls1_2",
        "ALL:COMPLEMENTOFALL:@SECLEVEL=0",
    ]);
    let known: Vec<&str> = known.trim().split(':').collect();
    assert!(known.len() > 50, "{known:?}");
    let spoken = || {
        let spoken = known.iter().filter(|name| {
            let chosen = format!("{name}:@SECLEVEL=0");
            speaks(&["-tls1_2", "-cipher", &chosen])
        });
        spoken.copied().collect::<Vec<&str>>()
    };
    let with_ecdsa = spoken();
    tls.house
        .replace("server.pem", &tls.servers.rsa_server().bundle());
    tls.house.event("config_reload").await;
    let with_rsa = spoken();
    assert!(!with_ecdsa.is_empty() && !with_rsa.is_empty());
    for name in with_ecdsa.into_iter().chain(with_rsa) {
        let forward_secret = name.starts_with("ECDHE-");
        let authenticated = name.contains("GCM") || name.contains("CHACHA20");
        assert!(forward_secret && authenticated, "{name}");
    }
}

#[tokio::test]
async fn certificates_change_under_load_and_no_handshake_is_dropped() {
    let tls = TlsHouse::with(|_| ()).await;
    let key = tls.house.keys[SUPPORT].clone();
    let mut stream = tls.agent(None).with("x-api-key", &key).stream().await;
    stream.initialize().await;
    let load = join_all((0..4).map(|_| {
        let (agent, key) = (&tls, &key);
        async move {
            for _ in 0..40 {
                // A client of its own each time: no connection is used twice.
                let agent = agent.agent(None).with("x-api-key", key);
                assert_eq!(agent.status().await, 200);
            }
        }
    }));
    let reloads = async {
        for n in 1..=100 {
            tls.house
                .replace("server.pem", &tls.servers.server().bundle());
            tls.house.signal("-HUP");
            let taken = |event: &&serde_json::Value| event["policy"] == "server.tls";
            crate::house::eventually("a reload", || {
                let events = tls.house.events("config_reload");
                (events.iter().filter(taken).count() >= n).then_some(())
            })
            .await;
        }
    };
    tokio::join!(load, reloads);
    // A stream of before goes on.
    let listed = stream.ask(7, "tools/list", json!({})).await;
    assert!(listed["result"].is_object(), "{listed}");
    let refused = |event: &serde_json::Value| event["reason"] != "applied";
    assert!(!tls.house.events("config_reload").iter().any(refused));
}

#[tokio::test]
async fn a_bad_file_changes_nothing_and_is_told_once() {
    let tls = TlsHouse::with(|_| ()).await;
    let agent = tls.agent(None).with("x-api-key", &tls.house.keys[SUPPORT]);
    let whole = tls.servers.server().bundle();
    let expired = tls
        .servers
        .leaf(|leaf| leaf.not_after = date_time_ymd(2021, 1, 1));
    let torn = tls.servers.server().chain + &tls.servers.server().key;
    let bad = [
        ("holds no usable", "garbage".to_owned()),
        ("holds no usable", whole[..whole.len() / 3].to_owned()),
        ("does not belong", torn),
        ("was valid until", expired.bundle()),
    ];
    for (n, (says, text)) in bad.into_iter().enumerate() {
        tls.house.replace("server.pem", &text);
        let refused = |event: &serde_json::Value| {
            event["policy"] == "server.tls" && event["reason"] == "refused_last_good_keeps_serving"
        };
        crate::house::eventually("a refused reload", || {
            let events = tls.house.events("config_reload");
            (events.into_iter().filter(refused).count() > n).then_some(())
        })
        .await;
        crate::house::eventually(says, || {
            let log = tls.house.operational_log();
            let told = |line: &str| line.contains(says) && line.contains("server.pem");
            log.lines().any(told).then_some(())
        })
        .await;
        assert_eq!(agent.status().await, 200);
    }
    tls.house.replace("server.pem", &whole);
    tls.house
        .recorded("the good one again", |event| {
            event["policy"] == "server.tls" && event["reason"] == "applied"
        })
        .await;
    assert_eq!(tls.house.events("config_reload").len(), 5);
}

#[tokio::test]
async fn a_certificate_that_is_not_valid_yet_is_taken_once_it_is() {
    let tls = TlsHouse::with(|_| ()).await;
    let now = std::time::SystemTime::UNIX_EPOCH.elapsed().unwrap();
    let begins = date_time_ymd(1970, 1, 1) + Duration::from_secs(now.as_secs() + 8);
    let early = tls.servers.leaf(|leaf| leaf.not_before = begins);
    tls.house.replace("server.pem", &early.bundle());
    let was = |reason: &'static str| {
        move |event: &serde_json::Value| {
            event["policy"] == "server.tls" && event["reason"] == reason
        }
    };
    let refused = was("refused_last_good_keeps_serving");
    tls.house.recorded("too early", &refused).await;
    tls.house.recorded("in time", was("applied")).await;
    let told = tls.house.audit().into_iter().filter(refused).count();
    assert_eq!(told, 1, "the same problem is told once");
}

#[tokio::test]
async fn handshakes_that_go_nowhere_are_given_up() {
    let tls = TlsHouse::with(|setup| {
        setup.set("server.max_connections_per_address", "2000");
    })
    .await;
    let house = &tls.house;
    let mut sockets = join_all((0..300).map(|_| house.socket())).await;
    for (n, socket) in sockets.iter_mut().enumerate() {
        // Nothing, or the beginning of a hello.
        if n % 2 == 0 {
            socket.write_all(b"\x16\x03\x01\x02\x00\x01").await.unwrap();
        }
    }
    let agent = tls.agent(None).with("x-api-key", &house.keys[SUPPORT]);
    assert_eq!(agent.status().await, 200);
    let gone = sockets.into_iter().map(|mut socket| async move {
        let mut rest = Vec::new();
        let _ = socket.read_to_end(&mut rest).await;
    });
    timeout(Duration::from_secs(15), join_all(gone))
        .await
        .expect("all gone after the handshake's 5 s");
}

#[tokio::test]
async fn check_says_which_file_is_wrong_and_what_is_about_to_be() {
    let house = House::start().await;
    let ca = Ca::root("servers");
    let mine = ca.server();
    std::fs::write(house.file("server.pem"), &mine.chain).unwrap();
    std::fs::write(house.file("server.key"), &ca.server().key).unwrap();
    let config = std::fs::read_to_string(house.file("zoho-mcp.toml")).unwrap();
    let tls = "[server.tls]\ncert = \"server.pem\"\nkey = \"server.key\"\n";
    std::fs::write(house.file("tls.toml"), format!("{config}{tls}{ZOHO}")).unwrap();
    let config = house.file("tls.toml");
    let check = || {
        let output = command(&["check", "--config", config.to_str().unwrap()]);
        let text = [output.stdout, output.stderr].concat();
        (output.status.code(), String::from_utf8(text).unwrap())
    };
    let (code, text) = check();
    assert_eq!(code, Some(64), "{text}");
    for part in ["server.tls.key", "server.key", "does not belong", "remedy:"] {
        assert!(text.contains(part), "{part}: {text}");
    }
    std::fs::remove_file(house.file("server.key")).unwrap();
    assert!(check().1.contains("server.key"));
    std::fs::write(house.file("server.key"), &mine.key).unwrap();
    let (code, text) = check();
    assert_eq!(code, Some(0), "{text}");
    assert!(!text.contains("valid only until"), "{text}");
    let soon = jiff::Zoned::now()
        .date()
        .saturating_add(jiff::Span::new().days(5));
    let soon = date_time_ymd(soon.year().into(), soon.month() as u8, soon.day() as u8);
    let last = ca.leaf(|leaf| leaf.not_after = soon);
    std::fs::write(house.file("server.pem"), &last.chain).unwrap();
    std::fs::write(house.file("server.key"), &last.key).unwrap();
    let (code, text) = check();
    assert_eq!(code, Some(0), "{text}");
    assert!(text.contains("valid only until"), "{text}");
}

const ZOHO: &str = "[zoho]\ncredentials = \"file:zoho.json\"\n";
