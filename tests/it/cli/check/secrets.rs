//! What `zoho-mcp check` says of secrets, and of who can call with them.

use super::{Desk, GOOD};

#[test]
fn a_secret_that_is_missing_or_unusable_is_named_and_not_shown() {
    let desk = Desk::new();
    for (section, told) in [
        (
            "[zoho]\ncredentials = \"file:gone.json\"",
            &["zoho.credentials", "gone.json"],
        ),
        (
            "[zoho]\ncredentials = \"env:NO_SUCH_VARIABLE\"",
            &["zoho.credentials", "NO_SUCH_VARIABLE"],
        ),
        (
            "[zoho]\ncredentials = \"file:mine.toml\"",
            &["zoho.credentials", "client_id"],
        ),
        (
            "[auth.api_keys]\nsource = \"file:gone.json\"",
            &["auth.api_keys.source", "keys new"],
        ),
        (
            "[auth.api_keys]\nsource = \"file:mine.toml\"",
            &["auth.api_keys", "document"],
        ),
        (
            "[audit]\npseudonym_key = \"env:SHORT\"",
            &["audit.pseudonym_key", "32 bytes"],
        ),
    ] {
        let ended = desk.check_with(&format!("{section}\n{GOOD}"), &[("SHORT", "hunter2")]);
        assert_eq!(ended.code, 64, "{section}: {}", ended.err);
        for part in told {
            assert!(ended.err.contains(part), "{section}: {}", ended.err);
        }
        let (file, remedy) = ("mine.toml: ", "\n  remedy: ");
        assert!(ended.err.contains(file), "{section}: {}", ended.err);
        assert!(ended.err.contains(remedy), "{section}: {}", ended.err);
        assert!(!ended.err.contains("hunter2"), "{}", ended.err);
    }
}

#[test]
fn all_secrets_that_are_unusable_are_told_at_once() {
    let text = "[zoho]\ncredentials = \"file:gone.json\"\n[audit]\npseudonym_key = \"env:GONE\"\n\
        signing_key = \"file:mine.toml\"\n[auth.api_keys]\nsource = \"file:none.json\"\n";
    let ended = Desk::new().check(&format!("{text}{GOOD}"));
    for key in [
        "mine.toml: zoho.credentials: ",
        "mine.toml: audit.pseudonym_key: ",
        "mine.toml: audit.signing_key: ",
        "mine.toml: auth.api_keys.source: ",
    ] {
        assert!(ended.err.contains(key), "{key}: {}", ended.err);
    }
    assert_eq!(ended.err.matches("remedy: ").count(), 4, "{}", ended.err);
}

#[test]
fn a_secret_in_the_place_of_its_reference_is_not_shown() {
    let desk = Desk::new();
    for (variable, value) in [
        ("ZOHO_MCP__AUDIT__PSEUDONYM_KEY", "9876543210"),
        ("ZOHO_MCP__ZOHO__CREDENTIALS", "hunter9876543210"),
        ("ZOHO_MCP__REDIS__PASSWORD", "[9876543210]"),
    ] {
        let ended = desk.check_with(GOOD, &[(variable, value)]);
        assert_eq!(ended.code, 64, "{variable}: {}", ended.err);
        assert!(ended.err.contains(variable), "{variable}: {}", ended.err);
        assert!(
            ended.err.contains("never the secret itself"),
            "{}",
            ended.err
        );
        assert!(
            !ended.err.contains("9876543210"),
            "{variable}: {}",
            ended.err
        );
    }
}

#[test]
fn a_broken_key_document_is_restored_and_not_made_anew() {
    let desk = Desk::new();
    desk.0.write("broken.json", "{\"version\":1,\"keys\":[");
    let ended = desk.check(&format!(
        "[auth.api_keys]\nsource = \"file:broken.json\"\n{GOOD}"
    ));
    assert_eq!(ended.code, 64);
    assert!(
        ended.err.contains("remedy: restore the document"),
        "{}",
        ended.err
    );
    assert!(!ended.err.contains("keys new"), "{}", ended.err);
}

#[test]
fn keys_of_nobody_and_clients_without_a_credential_are_warned_of() {
    let desk = Desk::new();
    let none = "[clients.d]\nrole = \"r\"\n";
    let ended = desk.check(&format!("{GOOD}{none}"));
    assert_eq!(ended.code, 0, "{}", ended.err);
    let told = "warning  clients.d: nobody can call as this client, it has no key";
    assert!(ended.out.contains(told), "{}", ended.out);
    assert!(!ended.out.contains("clients.c:"), "{}", ended.out);
    let ended = desk.check(&GOOD.replace("clients.c", "clients.e"));
    assert_eq!(ended.code, 0, "{}", ended.err);
    let told = "is of a client that is not configured; add [clients.c]";
    assert!(ended.out.contains(told), "{}", ended.out);
}
