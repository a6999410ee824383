//! The log as evidence: whoever touches it is found out, and the whole story is in its files.

use std::{fs, os::unix::fs::PermissionsExt as _};

use serde_json::json;

use crate::{
    house::{DASHBOARD, House, REPORTING, SUPPORT, command},
    log::{
        a_contact, audit, lines, lines_of_the_last_file, pseudonymous, said, search, signed, stop,
        to_file, verify,
    },
};

/// Calls of one client that are retold.
const CALLS: usize = 1000;

/// A tool, and what the story says of its end.
type Told = (&'static str, &'static str);

/// Calls of every kind by one client, in order; answers what the story has to tell.
async fn a_mixed_hour(house: &House) -> Vec<Told> {
    let contact = a_contact(house).await;
    let mut told = vec![("called search_contacts", "records, after")];
    for n in 1..CALLS {
        told.push(a_call(house, &contact, n).await);
    }
    told
}

async fn a_call(house: &House, contact: &str, n: usize) -> Told {
    let support = house.agent(SUPPORT);
    match n % 5 {
        0 => {
            // Somebody else, in between.
            let dashboard = house.agent(DASHBOARD);
            dashboard.call("get_dashboard_metrics", json!({})).await;
            let name = format!("m{n}");
            let note = json!({ "record_id": contact, "content": name, "idempotency_key": name });
            support.call("create_note", note).await.content();
            ("called create_note", "zoho     POST Notes answered 201")
        }
        1 => {
            let report = support.call("get_revenue_report", json!({}));
            report.await.failure();
            (
                "was not permitted to call get_revenue_report",
                "because  not in role",
            )
        }
        2 => {
            let history = json!({ "contact_id": "1" });
            support.call("get_contact_history", history).await.failure();
            ("called get_contact_history", "failed: not_found")
        }
        3 => {
            support.call("drop_table", json!({})).await;
            (
                "was not permitted to call a tool that does not exist",
                "because  unknown tool",
            )
        }
        // A read of which Zoho knows nothing takes its time, since it is tried again.
        _ if n % 100 == 4 => {
            let fault = json!({ "fault": "status", "status": 503, "path": "/crm", "times": 9 });
            house.zoho.fault(fault).await;
            let search = json!({ "email": "a@b.example" });
            support.call("search_contacts", search).await.failure();
            house.zoho.mend().await;
            ("called search_contacts", "failed: zoho_unavailable")
        }
        _ => {
            let search = json!({ "email": "a@b.example" });
            support.call("search_contacts", search).await.content();
            ("called search_contacts", "0 records, after")
        }
    }
}

#[tokio::test]
async fn the_story_of_a_thousand_calls_is_told_from_the_log_alone() {
    let mut house = House::with(|setup| {
        to_file(setup);
        setup.set(
            "limits.tools.get_dashboard_metrics",
            "{ requests = 3, per = \"1h\" }",
        );
    })
    .await;
    let told = a_mixed_hour(&house).await;
    stop(&mut house).await;
    let story = audit(&["story", "--client", SUPPORT], &house);
    let story = String::from_utf8(story.stdout).unwrap();
    let paragraphs: Vec<_> = story
        .split("\n\n")
        .filter(|text| !text.trim().is_empty())
        .collect();
    let calls: Vec<_> = paragraphs
        .iter()
        .filter(|text| !text.contains("proved who it is"))
        .collect();
    assert_eq!((calls.len(), told.len()), (CALLS, CALLS));
    for (paragraph, (what, end)) in calls.iter().zip(&told) {
        assert!(
            paragraph.contains(what) && paragraph.contains(end),
            "{what}, {end}:\n{paragraph}"
        );
        assert!(paragraph.contains("proven by api_key, key "), "{paragraph}");
    }
    assert!(!story.contains("a@b.example") && story.contains("email (personal: hmac:"));
    let mut lines = lines(&house).into_iter();
    let note = lines.find(|line| line["toolName"] == "create_note");
    let execution = note.unwrap()["executionId"].as_str().unwrap().to_owned();
    let one = said(&audit(&["story", "--execution", &execution], &house));
    for wanted in [
        "asked    content (2 characters)",
        "record_id 6",
        "allowed  by role customer-service",
        "created record ",
    ] {
        assert!(one.contains(wanted), "{wanted} in {one}");
    }
    let other = said(&audit(&["story", "--client", DASHBOARD], &house));
    assert_eq!(
        other.matches("called get_dashboard_metrics").count(),
        3,
        "{other}"
    );
    let limit = "refused  by the limit client:tool, 3 per 1h";
    let asked = (1..CALLS).filter(|n| n % 5 == 0).count();
    assert_eq!(other.matches(limit).count(), asked - 3, "{other}");
    let nothing = audit(&["story", "--client", "nobody"], &house);
    assert_eq!(nothing.status.code(), Some(1));
}

#[tokio::test]
async fn a_stream_has_a_story_of_its_own() {
    let mut house = House::with(to_file).await;
    let mut stream = house.agent(REPORTING).stream().await;
    stream.initialize().await;
    stream.call(1, "get_deal_summary", json!({})).await;
    house
        .agent(REPORTING)
        .call("get_deal_summary", json!({}))
        .await
        .content();
    let endpoint = stream.endpoint.clone();
    drop(stream);
    stop(&mut house).await;
    let lines = lines(&house);
    let open = lines
        .iter()
        .find(|line| line["event"] == "session_open")
        .unwrap();
    let session = open["sessionId"].as_str().unwrap();
    assert!(
        !endpoint.contains(session),
        "the log does not have what opens a session"
    );
    let story = said(&audit(&["story", "--session", session], &house));
    assert_eq!(
        story.matches("called get_deal_summary").count(),
        1,
        "{story}"
    );
    assert!(
        story.contains("opened a stream") && story.contains("the stream of reporting-agent ended"),
        "{story}"
    );
}

#[tokio::test]
async fn whoever_touches_the_file_is_found_out_and_the_place_is_named() {
    let mut house = signed(|_| ()).await;
    let contact = a_contact(&house).await;
    for n in 0..5 {
        let note =
            json!({ "record_id": contact, "content": "x", "idempotency_key": format!("k{n}") });
        house
            .agent(SUPPORT)
            .call("create_note", note)
            .await
            .content();
    }
    stop(&mut house).await;
    let whole = said(&verify(&house));
    assert!(
        whole.contains("to its last line") && whole.contains("PROVEN  whoever wrote it held"),
        "{whole}"
    );
    let log = house.file("audit.jsonl");
    let text = fs::read_to_string(&log).unwrap();
    let lines: Vec<_> = text.lines().collect();
    let without = |n: usize| [&lines[..n], &lines[n + 1..]].concat().join("\n");
    let swapped = [&lines[..4], &[lines[5], lines[4]], &lines[6..]]
        .concat()
        .join("\n");
    for (changed, says) in [
        (
            text.replacen("create_note", "create_nota", 1),
            "the line was changed",
        ),
        (without(6), ":7 (seq 8): lines with seq 7 to 7 are missing"),
        (without(0), ":1 (seq 2): the run does not begin here"),
        (
            lines[..8].join("\n"),
            ":8 (seq 8): the run has no closing line",
        ),
        (swapped, ":5 (seq 6): lines with seq 5 to 5 are missing"),
        (format!("{text}{}\n", lines[3]), "is out of place"),
        (text.replacen("{", "x", 1), ":1: this is no line of the log"),
    ] {
        fs::write(&log, changed).unwrap();
        let verified = verify(&house);
        assert_eq!(verified.status.code(), Some(1));
        assert!(
            said(&verified).contains(says),
            "{says} in {}",
            said(&verified)
        );
    }
    assert_eq!(
        command(&["audit", "verify", "no-such-file"]).status.code(),
        Some(64)
    );
}

#[tokio::test]
async fn a_refusal_is_explained_down_to_the_line_of_the_configuration() {
    let mut house = House::with(|setup| {
        to_file(setup);
        setup.set(
            "limits.tools.get_dashboard_metrics",
            "{ requests = 1, per = \"1h\" }",
        );
    })
    .await;
    let denied = house
        .agent(SUPPORT)
        .call("get_revenue_report", json!({}))
        .await;
    let dashboard = house.agent(DASHBOARD);
    dashboard
        .call("get_dashboard_metrics", json!({}))
        .await
        .content();
    let limited = dashboard.call("get_dashboard_metrics", json!({})).await;
    let stranger = house.stranger(Some("nonsense")).call("x", json!({})).await;
    let fine = house
        .agent(REPORTING)
        .call("get_deal_summary", json!({}))
        .await;
    stop(&mut house).await;
    let config = house.file("zoho-mcp.toml");
    let config = config.to_str().unwrap();
    for (answer, says) in [
        (
            &denied,
            "zoho-mcp.toml:5: tools = [\"search_contacts\", \"get_contact_history\", \"create_note\"]",
        ),
        (
            &limited,
            "does not set it: add get_dashboard_metrics under [limits.tools]",
        ),
        (&stranger, "copy it again, all of it"),
        (&fine, "no refusal and no failure of it"),
    ] {
        let request = answer.header("x-request-id");
        let explained = audit(
            &["explain", "--request", request, "--config", config],
            &house,
        );
        assert!(
            said(&explained).contains(says),
            "{says} in {}",
            said(&explained)
        );
    }
}

#[tokio::test]
async fn a_key_is_made_once_and_for_its_owner_only() {
    let house = House::start().await;
    let out = house.file("audit-key.pem");
    let keygen = || command(&["audit", "keygen", "--out", out.to_str().unwrap()]);
    let made = keygen();
    assert!(made.stdout.starts_with(b"-----BEGIN PUBLIC KEY-----\n"));
    let private = fs::read_to_string(&out).unwrap();
    assert!(!said(&made).contains(private.lines().nth(1).unwrap()));
    assert_eq!(
        fs::metadata(&out).unwrap().permissions().mode() & 0o777,
        0o600
    );
    assert_eq!(keygen().status.code(), Some(64));
    assert_eq!(fs::read_to_string(&out).unwrap(), private);
    let (out, public) = (house.file("another.pem"), house.file("public.pem"));
    let [out, public_out] = [&out, &public].map(|path| path.to_str().unwrap());
    let pair = ["audit", "keygen", "--out", out, "--public-out", public_out];
    let made = command(&pair);
    assert!(
        made.status.success() && made.stdout.is_empty(),
        "{}",
        said(&made)
    );
    let printed = fs::read_to_string(&public).unwrap();
    assert!(printed.starts_with("-----BEGIN PUBLIC KEY-----\n"));
    fs::remove_file(out).unwrap();
    assert_eq!(
        command(&pair).status.code(),
        Some(64),
        "it is not overwritten"
    );
    assert!(
        !std::path::Path::new(out).exists(),
        "half a pair is of no use"
    );
    assert_eq!(fs::read_to_string(&public).unwrap(), printed);
}

#[tokio::test]
async fn what_is_no_log_at_all_is_no_proof_and_stops_nobody() {
    let mut house = House::with(to_file).await;
    stop(&mut house).await;
    let bytes: Vec<u8> = (0..200_000_u32)
        .map(|n| (n.wrapping_mul(2_654_435_761) >> 13) as u8)
        .collect();
    let texts = [
        &b""[..],
        b"{}\n[]\nnull\n\"x\"\n{\"event\":7,\"zoho\":{}}\n",
        &bytes,
    ];
    for text in texts {
        fs::write(house.file("audit.jsonl"), text).unwrap();
        for what in [
            &["verify", "--open", "--partial"][..],
            &["story", "--client", SUPPORT],
            &["explain", "--request", "x"],
        ] {
            let output = audit(what, &house);
            assert_eq!(output.status.code(), Some(1), "{what:?}: {}", said(&output));
        }
    }
}

#[tokio::test]
async fn who_knows_a_value_finds_it() {
    let mut house = House::with(pseudonymous).await;
    let email = json!({ "email": "Anna@Example.org" });
    house.agent(SUPPORT).call("search_contacts", email).await;
    a_contact(&house).await;
    stop(&mut house).await;
    assert!(search(&house, "anna@example.org").contains("\"tool_call_start\""));
    assert!(search(&house, "bert@example.org").starts_with("0 lines"));
    assert!(!lines_of_the_last_file(&house).contains("nna@"));
}
