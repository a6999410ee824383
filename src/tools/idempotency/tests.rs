use super::*;
use jiff::SignedDuration;
use serde_json::json;

fn key(text: &str) -> Key {
    serde_json::from_value(json!(text)).unwrap()
}

fn at(hours: i64) -> Timestamp {
    Timestamp::UNIX_EPOCH + SignedDuration::from_hours(hours)
}

fn remembering() -> Idempotency {
    Idempotency::new(Duration::from_secs(10), Duration::from_secs(30))
}

async fn begin(
    memory: &Idempotency,
    name: &str,
    arguments: u8,
    hours: i64,
) -> Result<Begun, ToolError> {
    memory
        .begin(
            ("client", &Scope::Org),
            "create_note",
            &key(name),
            [arguments; 32],
            at(hours),
        )
        .await
}

async fn new(memory: &Idempotency, name: &str, hours: i64) -> Claim {
    match begin(memory, name, 1, hours).await.unwrap() {
        Begun::New(claim) => claim,
        other => panic!("{other:?}"),
    }
}

#[tokio::test]
async fn the_same_key_gets_the_first_result() {
    let memory = remembering();
    new(&memory, "k", 0)
        .await
        .finish(Some("1"), json!({"noteId": "1"}))
        .await;
    let again = begin(&memory, "k", 1, 1).await.unwrap();
    assert!(matches!(again, Begun::Done(result) if result["noteId"] == "1"));
    assert!(matches!(
        begin(&memory, "k", 2, 1).await,
        Err(ToolError::KeyReused)
    ));
}

#[tokio::test]
async fn a_running_key_is_in_use_and_a_failed_one_is_free() {
    let memory = remembering();
    let claim = new(&memory, "k", 0).await;
    let late = SignedDuration::from_secs(12);
    for (since, left) in [(SignedDuration::ZERO, 30), (late, 18), (late * 10, 0)] {
        let key = key("k");
        let name = ("client", &Scope::Org);
        let begun = memory.begin(name, "create_note", &key, [1; 32], at(0) + since);
        match begun.await {
            Err(ToolError::KeyInUse { retry_after }) => assert_eq!(retry_after.as_secs(), left),
            other => panic!("{other:?}"),
        }
    }
    claim.forget().await;
    new(&memory, "k", 0).await.forget().await;
}

#[tokio::test]
async fn a_dropped_claim_leaves_the_fate_unknown() {
    let memory = remembering();
    drop(new(&memory, "k", 3).await);
    match begin(&memory, "k", 1, 5).await.unwrap() {
        Begun::Unknown(mut claim, since) => {
            assert_eq!(since, at(3));
            claim.finish(Some("1"), json!(1)).await;
        }
        other => panic!("{other:?}"),
    }
    assert!(matches!(
        begin(&memory, "k", 1, 5).await.unwrap(),
        Begun::Done(_)
    ));
}

/// Of a key whose fate is unknown.
async fn unknown(memory: &Idempotency) -> Claim {
    match begin(memory, "k", 1, 0).await.unwrap() {
        Begun::Unknown(claim, _) => claim,
        other => panic!("{other:?}"),
    }
}

#[tokio::test(start_paused = true)]
async fn a_lost_write_is_in_doubt_for_twice_the_time_of_a_request_since_its_last_attempt() {
    let memory = remembering();
    let second = Duration::from_secs(1);
    drop(new(&memory, "k", 0).await);
    assert_eq!(unknown(&memory).await.doubtful(), Some(20 * second));
    tokio::time::advance(19 * second).await;
    assert_eq!(unknown(&memory).await.doubtful(), Some(second));
    tokio::time::advance(second).await;
    let mut claim = unknown(&memory).await;
    assert_eq!(claim.doubtful(), None);
    claim.resend().await.unwrap();
    tokio::time::advance(5 * second).await;
    drop(claim);
    assert_eq!(unknown(&memory).await.doubtful(), Some(20 * second));
}

#[tokio::test]
async fn a_key_belongs_to_its_client_its_user_and_its_tool() {
    let memory = remembering();
    new(&memory, "k", 0).await.finish(Some("1"), json!(1)).await;
    let user = Scope::User("ann".into());
    for (client, scope, tool) in [
        ("other", &Scope::Org, "create_note"),
        ("client", &user, "create_note"),
        ("client", &Scope::Org, "create_task"),
    ] {
        let begun = memory
            .begin((client, scope), tool, &key("k"), [1; 32], at(0))
            .await
            .unwrap();
        assert!(matches!(begun, Begun::New(_)), "{client} {tool}");
    }
}

#[tokio::test]
async fn a_key_is_forgotten_after_a_day() {
    let memory = remembering();
    new(&memory, "k", 0).await.finish(Some("1"), json!(1)).await;
    assert!(matches!(
        begin(&memory, "k", 1, 23).await.unwrap(),
        Begun::Done(_)
    ));
    assert!(matches!(
        begin(&memory, "k", 1, 24).await.unwrap(),
        Begun::New(_)
    ));
}

#[tokio::test]
async fn a_full_memory_refuses_and_keeps_what_lives() {
    let memory = Idempotency {
        most_keys: 3,
        ..remembering()
    };
    let running = new(&memory, "running", 0).await;
    new(&memory, "done", 0)
        .await
        .finish(Some("1"), json!(1))
        .await;
    drop(new(&memory, "unknown", 0).await);
    let full = begin(&memory, "full", 1, 23).await;
    assert!(matches!(full, Err(ToolError::KeysExhausted)), "{full:?}");
    let scope = Scope::Org;
    let k = key("k");
    let other = memory.begin(("other", &scope), "t", &k, [1; 32], at(23));
    assert!(matches!(other.await, Ok(Begun::New(_))), "another client's");
    assert!(matches!(
        begin(&memory, "done", 1, 23).await,
        Ok(Begun::Done(_))
    ));
    let unknown = begin(&memory, "unknown", 1, 23).await;
    assert!(matches!(unknown, Ok(Begun::Unknown(..))));
    // A day later the running one alone is left.
    drop(unknown);
    new(&memory, "more", 24).await;
    assert!(matches!(
        begin(&memory, "running", 1, 24).await,
        Err(ToolError::KeyInUse { .. })
    ));
    drop(running);
}

#[tokio::test]
async fn a_record_belongs_to_the_call_that_wrote_it() {
    let memory = remembering();
    new(&memory, "a", 0).await.finish(Some("7"), json!(1)).await;
    memory.wrote("8", at(0)).await;
    let claim = new(&memory, "b", 0).await;
    assert!(!claim.take("7").await.unwrap());
    assert!(!claim.take("8").await.unwrap());
    assert!(claim.take("9").await.unwrap());
    assert!(claim.take("9").await.unwrap());
    let other = new(&memory, "c", 0).await;
    assert!(!other.take("9").await.unwrap());
}

#[test]
fn a_key_is_of_plain_characters() {
    for text in ["", "a b", "ä", "a/b", &"x".repeat(65)] {
        assert!(
            serde_json::from_value::<Key>(json!(text)).is_err(),
            "{text}"
        );
    }
    assert_eq!(key("A-1_b.c:d").0, "A-1_b.c:d");
}
