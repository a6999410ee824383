//! A log file with which somebody else does something.

use std::{
    fs::{self, File},
    os::unix::fs::PermissionsExt as _,
    time::{Duration, Instant},
};

use crate::{
    house::{House, eventually},
    log::{a_contact, audit, lines, said, stop, to_file},
};

#[tokio::test]
async fn a_log_that_is_moved_or_deleted_is_noticed_and_said_loudly() {
    let mut house = House::with(to_file).await;
    a_contact(&house).await;
    let (log, moved) = (house.file("audit.jsonl"), house.file("audit.jsonl.1"));
    fs::rename(&log, &moved).unwrap();
    a_contact(&house).await;
    eventually("a word about the move", || {
        let told = house.operational_log();
        told.contains("the audit log was moved away while it was written")
            .then_some(())
    })
    .await;
    fs::remove_file(&log).unwrap();
    a_contact(&house).await;
    eventually("a word about the loss", || {
        let told = house.operational_log();
        told.contains("the audit log was deleted while it was written")
            .then_some(())
    })
    .await;
    assert_eq!(
        house
            .agent(crate::house::SUPPORT)
            .get("/health")
            .await
            .status,
        200
    );
    stop(&mut house).await;
    let verified = audit(&["verify"], &house);
    assert_eq!(verified.status.code(), Some(1), "{}", said(&verified));
}

#[tokio::test]
async fn a_log_that_is_put_aside_by_the_daemon_alarms_nobody() {
    let mut house = House::with(|setup| {
        to_file(setup);
        setup.set("audit.file.max_size", "2KiB");
    })
    .await;
    for _ in 0..5 {
        a_contact(&house).await;
    }
    stop(&mut house).await;
    let told = house.operational_log();
    assert!(!told.contains("the audit log"), "{told}");
    let verified = audit(&["verify"], &house);
    assert_eq!(verified.status.code(), Some(0), "{}", said(&verified));
}

#[tokio::test]
async fn a_log_that_another_process_holds_or_that_is_none_is_refused_by_serve_and_by_check() {
    let mut house = House::with(to_file).await;
    stop(&mut house).await;
    let log = house.file("audit.jsonl");
    let before = lines(&house);
    let held = File::open(&log).unwrap();
    held.lock().unwrap();
    for command in ["serve", "check"] {
        let refused = house.command(&[command]);
        let told = said(&refused);
        assert_eq!(refused.status.code(), Some(64), "{command}: {told}");
        for part in [log.to_str().unwrap(), "end the process that holds its lock"] {
            assert!(told.contains(part), "{command} {part}: {told}");
        }
    }
    held.unlock().unwrap();
    let fine = house.command(&["check"]);
    assert_eq!(fine.status.code(), Some(0), "{}", said(&fine));
    assert_eq!(lines(&house), before, "a check writes nothing");
    fs::write(&log, "{\"keys\":[]}\n").unwrap();
    for command in ["serve", "check"] {
        let refused = house.command(&[command]);
        let told = said(&refused);
        assert_eq!(refused.status.code(), Some(64), "{command}: {told}");
        assert!(told.contains("something else than an audit log"), "{told}");
    }
}

#[tokio::test]
async fn a_second_daemon_of_the_same_name_is_refused_a_log_and_a_folder_of_heads() {
    let mut house = House::with(|setup| {
        to_file(setup);
        setup.set("audit.heads", ".").set("audit.instance", "one");
    })
    .await;
    for (sinks, refused) in [
        ("[\"file:audit.jsonl\"]", "audit.sinks"),
        ("[\"stdout\"]", "audit.heads"),
        ("[\"file:new.jsonl\"]", "audit.heads"),
    ] {
        let serve = "timeout 30 zoho-mcp serve --config zoho-mcp.toml";
        let second = house
            .shell(serve, &[("ZOHO_MCP__AUDIT__SINKS", sinks)])
            .await;
        let told = said(&second);
        assert_eq!(second.status.code(), Some(64), "{told}");
        assert!(
            !house.file("new.jsonl").exists(),
            "a refusal leaves no file"
        );
        for part in [
            refused,
            "another daemon that calls itself one",
            "`instance` name",
        ] {
            assert!(told.contains(part), "{part}: {told}");
        }
    }
    let checked = house.command(&["check"]);
    assert_eq!(checked.status.code(), Some(0), "{}", said(&checked));
    let other = house.replica(|setup| {
        setup.set("audit.instance", "other");
    });
    let mut other = other.await;
    stop(&mut other).await;
    // A kill leaves nothing in the way.
    house.crash();
    house.start_again().await;
    stop(&mut house).await;
    let verified = audit(&["verify"], &house);
    assert_eq!(verified.status.code(), Some(0), "{}", said(&verified));
}

#[tokio::test]
async fn a_claim_that_is_removed_is_made_again_and_one_that_is_taken_over_is_said_loudly() {
    let mut house = House::with(|setup| {
        to_file(setup);
        setup.set("audit.instance", "one");
    })
    .await;
    let claim = house.file(".audit.jsonl.one.lock");
    fs::remove_file(&claim).unwrap();
    says(&house, "was removed while it was held, and is made again").await;
    assert!(claim.exists());
    let second = house
        .shell("timeout 30 zoho-mcp serve --config zoho-mcp.toml", &[])
        .await;
    let told = said(&second);
    assert!(
        told.contains("another daemon that calls itself one"),
        "{told}"
    );
    fs::remove_file(&claim).unwrap();
    let taken = File::create(&claim).unwrap();
    taken.lock().unwrap();
    says(
        &house,
        "cannot be made again: another daemon that calls itself one",
    )
    .await;
    drop(taken);
    stop(&mut house).await;
}

/// Calls until the daemon says so.
async fn says(house: &House, what: &str) {
    let deadline = Instant::now() + Duration::from_secs(30);
    while !house.operational_log().contains(what) {
        assert!(
            Instant::now() < deadline,
            "{what}: {}",
            house.operational_log()
        );
        a_contact(house).await;
        tokio::time::sleep(Duration::from_millis(200)).await;
    }
}

#[tokio::test]
async fn a_log_that_cannot_get_another_name_is_written_on() {
    let name = format!("{}audit.jsonl", "x".repeat(240));
    let mut house = House::with(|setup| {
        setup.set("audit.sinks", &format!("[\"file:{name}\"]"));
        setup.set("audit.file.max_size", "2KiB");
    })
    .await;
    for _ in 0..5 {
        a_contact(&house).await;
    }
    // Reads wait for no line of the log.
    stop(&mut house).await;
    let told = house.operational_log();
    let said_so = told.matches("the audit log cannot be put aside").count();
    assert_eq!(said_so, 1, "{told}");
    assert!(told.contains("mount the folder rather than the file"));
    let verified = audit(&["verify"], &house);
    assert_eq!(verified.status.code(), Some(0), "{}", said(&verified));
    let log = fs::metadata(house.file(&name)).unwrap();
    assert!(log.len() > 4096 && log.permissions().mode() & 0o777 == 0o600);
}
