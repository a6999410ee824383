//! What `zoho-mcp check` says of secrets, and of who can call with them.

use std::os::unix::fs::PermissionsExt as _;

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

fn issuer(keys: &str) -> String {
    format!("[[auth.jwt]]\nissuer = \"i\"\naudience = \"a\"\nclient = \"c\"\n{keys}\n{GOOD}")
}

#[test]
fn an_issuers_key_that_cannot_be_used_is_named_with_its_place_and_what_to_do() {
    let desk = Desk::new();
    let public = |kind| rcgen::KeyPair::generate_for(kind).unwrap().public_key_pem();
    desk.0
        .write("p256.pem", &public(&rcgen::PKCS_ECDSA_P256_SHA256));
    let short = "hunter2.".repeat(4)[1..].to_owned() + "\n";
    for (keys, told) in [
        (
            "hs256_secret = \"env:SHORT\"",
            [
                "auth.jwt[0].hs256_secret: what env:SHORT",
                "remedy: share a longer one",
            ],
        ),
        (
            "public_key = \"file:mine.toml\"",
            [
                "auth.jwt[0].public_key: what file:mine.toml",
                "remedy: put the issuer's public keys",
            ],
        ),
        (
            "public_key = \"file:p256.pem\"\nalgorithms = [\"RS256\"]",
            [
                "auth.jwt[0].public_key: what file:p256.pem",
                "remedy: list an algorithm",
            ],
        ),
        (
            "public_key = \"file:p256.pem\"\nalgorithms = []",
            [
                "auth.jwt[0].algorithms: is empty",
                "remedy: write at least one",
            ],
        ),
    ] {
        let ended = desk.check_with(&issuer(keys), &[("SHORT", &short)]);
        assert_eq!(ended.code, 64, "{keys}: {}", ended.err);
        for part in ["mine.toml: "].into_iter().chain(told) {
            assert!(ended.err.contains(part), "{keys}: {}", ended.err);
        }
        assert!(!ended.err.contains("unter2"), "{}", ended.err);
    }
}

#[test]
fn a_public_key_is_for_everybody() {
    let desk = Desk::new();
    let pair = rcgen::KeyPair::generate_for(&rcgen::PKCS_ED25519).unwrap();
    let path = desk.0.write("issuer.pem", &pair.public_key_pem());
    std::fs::set_permissions(path, std::fs::Permissions::from_mode(0o644)).unwrap();
    let ended = desk.check(&issuer("public_key = \"file:issuer.pem\""));
    assert_eq!(ended.code, 0, "{}", ended.err);
    let said = ended.out + &ended.err;
    let mut warnings = said.lines().filter(|line| line.contains("others can read"));
    assert!(warnings.all(|line| !line.contains("issuer.pem")), "{said}");
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
