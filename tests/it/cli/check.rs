//! `zoho-mcp check`

mod mistakes;
mod secrets;

use std::os::unix::fs::PermissionsExt as _;

use self::mistakes::MISTAKES;
use super::{Ended, run, run_with};
use crate::house::{Folder, House};

/// A configuration in a folder of its own, with all that it refers to.
struct Desk(Folder);

impl Desk {
    fn new() -> Self {
        let desk = Self(Folder::new());
        let keys = desk.0.path("keys.json");
        let store = keys.to_str().unwrap();
        let made = run(&["keys", "new", "--client", "c", "--store", store]);
        assert_eq!(made.code, 0, "{}", made.err);
        let zoho = r#"{"client_id":"i","client_secret":"s","refresh_token":"r"}"#;
        desk.0.write("zoho.json", zoho);
        desk
    }

    fn check(&self, config: &str) -> Ended {
        self.check_with(config, &[])
    }

    fn check_with(&self, config: &str, variables: &[(&str, &str)]) -> Ended {
        let path = self.0.write("mine.toml", config);
        run_with(&["check", "--config", path.to_str().unwrap()], variables)
    }
}

const GOOD: &str = r#"
[roles.r]
tools = ["search_contacts"]
max_records_per_query = 10
[clients.c]
role = "r"
"#;

#[test]
fn a_good_file_is_ok_and_says_what_was_looked_at() {
    let ended = Desk::new().check(GOOD);
    assert_eq!(ended.code, 0, "{}", ended.err);
    for line in [
        "every key understood",
        "secrets: found",
        "API keys: 1 usable",
        "add --online",
    ] {
        assert!(ended.out.contains(line), "{line}: {}", ended.out);
    }
}

#[test]
fn each_mistake_is_told_with_file_key_and_remedy() {
    let desk = Desk::new();
    for (mistake, key, problem) in MISTAKES {
        let ended = desk.check(&format!("{mistake}\n{GOOD}"));
        let told = &ended.err;
        assert_eq!(ended.code, 64, "{mistake}: {told}");
        assert!(!told.contains('\u{1b}'), "{told:?}");
        assert!(told.matches("os error").count() <= 1, "{told}");
        assert!(
            told.contains("mine.toml") && told.contains("remedy: "),
            "{mistake}: {told}"
        );
        assert!(
            told.contains(*key) && told.contains(*problem),
            "{mistake}: {told}"
        );
        assert!(
            !told.contains("hunter2") && !told.contains("zmcp_live_x"),
            "{told}"
        );
    }
}

#[test]
fn all_mistakes_of_a_document_are_told_at_once() {
    let text = "[server]\nlitsen = \"x\"\nhosts = 7\n[mcp]\ntool_timeout = \"soon\"\n\
        [roles.x]\ntools = [\"drop_tables\"]\nmax_records_per_query = 1\n\
        [clients.x]\nrole = \"nobody\"\n[limits]\nanswer = \"shout\"\n";
    let ended = Desk::new().check(&format!("{text}{GOOD}"));
    for key in [
        "server.litsen",
        "server.hosts",
        "mcp.tool_timeout",
        "roles.x.tools",
        "clients.x.role",
        "limits.answer",
    ] {
        assert!(ended.err.contains(key), "{key}: {}", ended.err);
    }
    assert_eq!(ended.err.matches("remedy: ").count(), 6, "{}", ended.err);
}

#[test]
fn who_refers_to_a_client_with_a_mistake_makes_none() {
    let issuer = "[[auth.jwt]]\nissuer = \"https://login.example.com/\"\naudience = \"a\"\n\
                  jwks = \"https://login.example.com/jwks\"\nclient = \"c\"";
    let ended = Desk::new().check(&format!("{issuer}\n{GOOD}credentials = \"sometimes\"\n"));
    assert_eq!(ended.code, 64, "{}", ended.err);
    assert!(ended.err.contains("clients.c.credentials"), "{}", ended.err);
    assert!(!ended.err.contains("auth.jwt"), "{}", ended.err);
}

#[test]
fn a_file_without_an_end_is_not_read_to_it() {
    let ended = run(&["check", "--config", "/dev/zero"]);
    assert_eq!(ended.code, 64);
    assert!(ended.err.contains("larger than 1 MiB"), "{}", ended.err);
}

#[test]
fn a_secret_that_others_can_read_is_a_warning() {
    let desk = Desk::new();
    let mode = |mode: u32| {
        let path = desk.0.path("zoho.json");
        std::fs::set_permissions(path, std::fs::Permissions::from_mode(mode)).unwrap();
        desk.check(GOOD).out
    };
    let open = mode(0o644);
    let says = "warning  others can read the secret in file";
    assert!(open.contains(says) && open.contains("zoho.json"), "{open}");
    assert!(!mode(0o600).contains(says));
}

#[test]
fn a_file_that_is_not_there_is_said_not_to_be() {
    let ended = run(&["check", "--config", "/nonexistent/mine.toml"]);
    assert_eq!(ended.code, 64);
    assert!(
        ended.err.contains("/nonexistent/mine.toml"),
        "{}",
        ended.err
    );
    assert!(
        ended.err.contains("remedy: name a readable TOML file"),
        "{}",
        ended.err
    );
}

#[test]
fn what_is_legal_and_probably_not_meant_is_a_warning() {
    let text = "[roles.x]\ntools = [\"create_note\"]\nmax_records_per_query = 1\n";
    let ended = Desk::new().check(&format!("{text}{GOOD}"));
    assert_eq!(ended.code, 0, "{}", ended.err);
    assert!(
        ended.out.contains("warning  roles.x: create_note writes"),
        "{}",
        ended.out
    );
}

#[test]
fn a_log_that_nobody_signs_or_searches_is_a_warning_that_says_what_to_run() {
    let desk = Desk::new();
    let told = desk.check(GOOD).out;
    for part in [
        "warning  audit.signing_key: it is not set",
        "zoho-mcp audit keygen --out audit-key.pem --public-out audit-public.pem",
        "warning  audit.pseudonym_key: it is not set",
        "openssl rand -hex 32",
    ] {
        assert!(told.contains(part), "{part}: {told}");
    }
    let key = desk.0.path("audit-key.pem");
    run(&["audit", "keygen", "--out", key.to_str().unwrap()]);
    let keys = [
        ("ZOHO_MCP__AUDIT__SIGNING_KEY", "file:audit-key.pem"),
        ("ZOHO_MCP__AUDIT__PSEUDONYM_KEY", "env:PSEUDONYMS"),
        ("PSEUDONYMS", "0123456789abcdef0123456789abcdef"),
    ];
    let ended = desk.check_with(GOOD, &keys);
    assert!(
        ended.code == 0 && !ended.out.contains("warning  audit"),
        "{}",
        ended.out
    );
}

#[test]
fn the_environment_overrides_every_kind_of_value_and_is_named_when_it_is_wrong() {
    let desk = Desk::new();
    let good = desk.check_with(
        &format!("[mcp]\ntool_timeout = \"soon\"\n{GOOD}"),
        &[
            ("ZOHO_MCP__MCP__TOOL_TIMEOUT", "20s"),
            ("ZOHO_MCP__MCP__LEGACY_SSE", "false"),
            ("ZOHO_MCP__SERVER__HOSTS", "[\"a.example\"]"),
            ("ZOHO_MCP__LIMITS__CLIENT", "{ requests = 7, per = \"1m\" }"),
            ("ZOHO_MCP__ROLES__R__MAX_RECORDS_PER_QUERY", "20"),
        ],
    );
    assert_eq!(good.code, 0, "{}", good.err);
    for (variable, value, key) in [
        ("ZOHO_MCP__SERVER__LITSEN", "x", "server.litsen"),
        ("ZOHO_MCP__MCP__TOOL_TIMEOUT", "soon", "mcp.tool_timeout"),
        ("ZOHO_MCP__SERVER__", "x", "ZOHO_MCP__SERVER__"),
        (
            "ZOHO_MCP__SERVER__LISTEN__PORT",
            "1",
            "ZOHO_MCP__SERVER__LISTEN__PORT",
        ),
    ] {
        let ended = desk.check_with(GOOD, &[(variable, value)]);
        assert_eq!(ended.code, 64, "{variable}");
        assert!(ended.err.contains(key), "{variable}: {}", ended.err);
        let blamed = format!("zoho-mcp: {variable}: ");
        assert!(ended.err.starts_with(&blamed), "{variable}: {}", ended.err);
        assert!(
            !ended.err.contains("mine.toml"),
            "{variable}: {}",
            ended.err
        );
    }
}

#[test]
fn a_role_that_there_is_not_is_mended_by_a_role() {
    let ended = Desk::new().check(&format!("[clients.x]\nrole = \"nobody\"\n{GOOD}"));
    assert!(
        ended.err.contains("remedy: add [roles.nobody]"),
        "{}",
        ended.err
    );
    assert!(!ended.err.contains("the tools are"), "{}", ended.err);
}

#[tokio::test]
async fn online_it_signs_in_and_says_when_it_cannot() {
    let house = House::start().await;
    let config = house.file("zoho-mcp.toml");
    let config = config.to_str().unwrap();
    let at = [
        ("ZOHO_MCP__ZOHO__ACCOUNTS_URL", house.zoho.url.as_str()),
        ("ZOHO_MCP__ZOHO__API_URL", house.zoho.url.as_str()),
    ];
    let ended = run_with(&["check", "--online", "--config", config], &at);
    assert_eq!(ended.code, 0, "{}", ended.err);
    assert!(
        ended.out.contains("ok       zoho: signed in"),
        "{}",
        ended.out
    );
    let refused = serde_json::json!({ "fault": "status", "status": 400, "path": "/oauth",
        "body": { "error": "invalid_client" } });
    house.zoho.fault(refused).await;
    let ended = run_with(&["check", "--online", "--config", config], &at);
    assert_eq!(ended.code, 1);
    assert!(
        ended.err.contains("could not sign in; check data_center"),
        "{}",
        ended.err
    );
}

#[test]
fn what_leaves_a_door_less_closed_than_meant_is_a_warning_and_what_cannot_work_is_refused() {
    let desk = Desk::new();
    let with_url = |url: &str| desk.check_with(GOOD, &[("ZOHO_MCP__SERVER__PUBLIC_URL", url)]);
    let path = with_url("https://example.com/crm");
    assert_eq!(path.code, 0, "{}", path.err);
    let says = "warning  server.public_url: it has the path /crm";
    assert!(path.out.contains(says), "{}", path.out);
    for wrong in ["https://example.com/?x=1", "https://example.com/#x"] {
        let refused = with_url(wrong);
        assert_eq!(refused.code, 64, "{wrong}");
        assert!(
            refused.err.contains("ends in a query or a fragment"),
            "{}",
            refused.err
        );
    }
}
