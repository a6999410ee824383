//! `zoho-mcp keys`

use std::os::unix::fs::PermissionsExt as _;

use super::{Ended, run};
use crate::house::Folder;

struct Store(Folder);

impl Store {
    fn keys(&self, action: &str, more: &[&str]) -> Ended {
        let path = self.0.path("keys.json");
        run(&[&["keys", action, "--store", path.to_str().unwrap()], more].concat())
    }
}

#[test]
fn a_key_is_made_listed_rotated_and_retired() {
    let store = Store(Folder::new());
    let made = store.keys("new", &["--client", "agent", "--expires", "90d"]);
    assert_eq!(made.code, 0, "{}", made.err);
    let first = made.out.trim().to_owned();
    assert!(
        first.starts_with("zmcp_live_") && first.len() == 60,
        "{first}"
    );
    assert!(made.err.contains("only time it is shown") && !made.err.contains(&first));
    let file = store.0.path("keys.json");
    let document = std::fs::read_to_string(&file).unwrap();
    assert!(
        !document.contains(&first[21..53]),
        "the secret itself is stored"
    );
    let mode = std::fs::metadata(&file).unwrap().permissions().mode();
    assert_eq!(mode & 0o777, 0o600);

    let rotated = store.keys("rotate", &["--client", "agent"]);
    let second = rotated.out.trim().to_owned();
    assert!(
        rotated
            .err
            .contains(&format!("keys retire --key {}", &first[10..20]))
    );
    let third = store.keys("rotate", &["--client", "agent"]);
    assert_eq!((third.code, &*third.out), (1, ""));
    assert!(
        third.err.contains("has 2 live keys already"),
        "{}",
        third.err
    );

    let unknown = store.keys("retire", &["--key", &first[10..20]]);
    assert!(
        unknown.code == 1 && unknown.err.contains("--usage FILE"),
        "{}",
        unknown.err
    );
    let forced = store.keys("retire", &["--force", "--key", &first[10..20]]);
    assert_eq!(forced.code, 0, "{}", forced.err);
    let gone = store.keys("retire", &["--key", &second[10..20], "--revoked"]);
    assert!(
        gone.err.contains("agent has no live key left"),
        "{}",
        gone.err
    );
    let listed = store.keys("list", &[]).out;
    for (id, status) in [(&first[10..20], "retired"), (&second[10..20], "revoked")] {
        let line = listed.lines().find(|line| line.starts_with(id)).unwrap();
        assert!(line.contains("agent") && line.contains(status), "{line}");
    }
    assert!(!listed.contains(&first[21..53]) && !listed.contains(&second[21..53]));
}

#[test]
fn what_cannot_be_done_says_what_can() {
    let store = Store(Folder::new());
    for (action, more, code, told) in [
        (
            "list",
            &[] as &[&str],
            1,
            "make one with: zoho-mcp keys new",
        ),
        (
            "rotate",
            &["--client", "agent"],
            1,
            "make one with: zoho-mcp keys new",
        ),
        ("retire", &["--key", "0123456789"], 1, "keys new"),
        (
            "new",
            &["--client", "agent", "--expires", "soon"],
            64,
            "--expires",
        ),
        (
            "new",
            &["--client", "agent", "--env", "TOOLONGNAME"],
            64,
            "2 to 8",
        ),
        ("new", &["--client", ""], 64, "--client"),
        (
            "new",
            &["--client", "a b\nc"],
            64,
            "--client is empty, longer",
        ),
    ] {
        let ended = store.keys(action, more);
        assert_eq!(ended.code, code, "{action} {more:?}: {}", ended.err);
        assert!(ended.err.contains(told), "{action} {more:?}: {}", ended.err);
        assert_eq!(ended.out, "");
    }
    let made = store.keys("new", &["--client", "agent"]);
    let key = made.out.trim();
    let pasted = store.keys("retire", &["--key", key]);
    assert!(pasted.err.contains("takes the id of a key") && !pasted.err.contains(key));
    let unknown = store.keys("retire", &["--key", "0123456789"]);
    assert!(
        unknown.err.contains("no key 0123456789 is in"),
        "{}",
        unknown.err
    );
}

#[test]
fn a_broken_document_is_left_as_it_is() {
    let store = Store(Folder::new());
    let broken = "{\"version\":1,\"keys\":[";
    let file = store.0.write("keys.json", broken);
    for (action, more) in [
        ("new", vec!["--client", "a"]),
        ("list", vec![]),
        ("rotate", vec!["--client", "a"]),
    ] {
        let ended = store.keys(action, &more);
        assert_eq!((ended.code, &*ended.out), (1, ""), "{action}");
        assert!(ended.err.contains("was left as it is"), "{}", ended.err);
    }
    assert_eq!(std::fs::read_to_string(file).unwrap(), broken);
}
