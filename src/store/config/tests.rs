use super::*;
use secrecy::ExposeSecret as _;

fn config(text: &str) -> Result<Config, String> {
    let text = format!("kind = \"single\"\ntimeout = \"50ms\"\nat_start = \"degraded\"\n{text}");
    // A key that the text sets itself takes the place of the one before.
    let mut table = toml::Table::new();
    for line in text.lines() {
        table.extend(line.parse::<toml::Table>().map_err(|bad| bad.to_string())?);
    }
    let config: Config = table
        .try_into()
        .map_err(|bad: toml::de::Error| bad.to_string())?;
    config.check().map_err(|bad| bad.to_string())?;
    Ok(config)
}

#[test]
fn the_usual_ways_to_run_redis_are_understood() {
    for text in [
        "",
        "url = \"redis://127.0.0.1\"",
        "url = \"redis://[::1]:6380/3\"",
        "url = \"valkey://cache.internal\"",
        "url = \"rediss://cache.internal:6379\"\nca = \"ca.pem\"\nusername = \"zoho\"\npassword = \"env:P\"",
        "url = [\"redis://a:1\", \"redis://b:1\"]\nkind = \"cluster\"",
        "url = [\"redis://a:1\", \"redis://b:1\"]\nkind = \"sentinel\"\nmaster = \"m\"",
    ] {
        assert!(config(text).is_ok(), "{text}: {:?}", config(text));
    }
    let url = |text: &str| text.parse::<Url>().unwrap().to_string();
    assert_eq!(
        url("rediss://cache.internal/2"),
        "rediss://cache.internal:6379/2"
    );
}

#[test]
fn what_cannot_work_is_refused_with_its_remedy() {
    for (text, says) in [
        ("url = \"cache.internal:6379\"", "expected an address"),
        ("url = \"http://cache\"", "expected an address"),
        ("url = \"rediss://cache/#insecure\"", "expected an address"),
        ("url = \"redis://a?protocol=resp3\"", "expected an address"),
        (
            "url = [\"redis://a\", \"redis://b\"]",
            "several addresses need kind",
        ),
        (
            "url = [\"redis://a\", \"rediss://b\"]\nkind = \"cluster\"",
            "either all",
        ),
        (
            "url = \"redis://a/1\"\nkind = \"cluster\"",
            "database 0 only",
        ),
        (
            "url = \"redis://a\"\nkind = \"sentinel\"",
            "master: is missing",
        ),
        ("url = \"redis://a\"\nca = \"ca.pem\"", "ca: has no effect"),
        (
            "url = \"redis://a\"\nmaster = \"m\"",
            "master: has no effect",
        ),
        (
            "url = \"redis://a\"\nsentinel_password = \"env:P\"",
            "sentinel_password: has no effect",
        ),
        ("url = \"redis://a\"\ntimeout = \"6s\"", "longer than 5s"),
        ("url = []", "names no address"),
        ("kind = \"cluster\"", "url: is missing, so kind"),
        ("password = \"env:P\"", "url: is missing, so password"),
        ("ca = \"ca.pem\"", "url: is missing, so ca"),
        ("expected_replicas = 3", "so expected_replicas has no"),
        ("at_start = \"refuse\"", "url: is missing, so at_start"),
        (
            "url = \"redis://a\"\nexpected_replicas = 1001",
            "more than 1000",
        ),
    ] {
        let refused = config(text).unwrap_err();
        assert!(refused.contains(says), "{text}: {refused}");
    }
}

#[test]
fn an_address_from_the_environment_may_hold_the_password() {
    let mut config = config("").unwrap();
    let passwords = config
        .use_url("rediss://ann:p%40ss@cache.internal:7000/1")
        .unwrap();
    assert_eq!(passwords.redis.unwrap().expose_secret(), "p@ss");
    assert_eq!(config.username.as_deref(), Some("ann"));
    assert_eq!(config.url[0].to_string(), "rediss://cache.internal:7000/1");
    assert!(config.use_url("cache").is_err());
}

#[test]
fn a_password_in_the_address_is_refused_and_not_repeated() {
    for url in [
        "redis://:hunter2@cache",
        "rediss://user:hunter2@cache",
        "redis://hunter2@cache",
    ] {
        let refused = config(&format!("url = \"{url}\"")).unwrap_err();
        assert!(refused.contains("password = \"env:NAME\""), "{refused}");
        let told = refused.split("holds").nth(1).unwrap();
        assert!(!told.contains("hunter2"), "{refused}");
    }
}
