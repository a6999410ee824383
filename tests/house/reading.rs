//! What a file says, read without a compiler: imports, keys, links. Rough, and enough for files that
//! are formatted.

/// The imports of a file that do not go down.
pub(crate) fn wrong_imports(floors: &[&str], room: &str, text: &str, depth: usize) -> Vec<String> {
    let floor = |room: &str| floors.iter().position(|floor| *floor == room);
    let imported = imports(text, depth);
    let wrong = imported.into_iter().filter_map(|other| {
        let (Some(here), Some(there)) = (floor(room), floor(&other)) else {
            return None;
        };
        if there > here {
            return Some(format!("{room} imports from {other}, which is above it"));
        }
        // It is there to be tried and tested against; nothing may depend on it.
        (other == "sandbox" && room != "sandbox" && room != "cli")
            .then(|| format!("{room} imports from the sandbox"))
    });
    wrong.collect()
}

/// What is named right after `crate::`, or after as many `super::` as lead to the root.
fn imports(text: &str, depth: usize) -> Vec<String> {
    let text = without_comments(text);
    let upwards = "super::".repeat(depth);
    let mut found = Vec::new();
    for root in ["crate::", &upwards] {
        for (at, _) in text.match_indices(root) {
            let whole = !text[..at].ends_with(|c: char| c.is_alphanumeric() || "_:$".contains(c));
            if whole {
                found.extend(named(&text[at + root.len()..]));
            }
        }
    }
    found.sort();
    found.dedup();
    found
}

/// `a::b` names a; `{a::{b, c}, d}` names a and d.
fn named(path: &str) -> Vec<String> {
    let word = |text: &str| {
        let text = text.trim_start();
        let end = text.find(|c: char| !c.is_alphanumeric() && c != '_');
        text[..end.unwrap_or(text.len())].to_owned()
    };
    let Some(group) = path.strip_prefix('{') else {
        return vec![word(path)];
    };
    let (mut depth, mut start, mut names) = (0, 0, Vec::new());
    for (at, c) in group.char_indices() {
        match c {
            '{' => depth += 1,
            '}' if depth == 0 => {
                names.push(word(&group[start..at]));
                break;
            }
            '}' => depth -= 1,
            ',' if depth == 0 => {
                names.push(word(&group[start..at]));
                start = at + 1;
            }
            _ => {}
        }
    }
    names.retain(|name| !name.is_empty());
    names
}

fn without_comments(text: &str) -> String {
    let code = text
        .lines()
        .filter(|line| !line.trim_start().starts_with("//"));
    code.collect::<Vec<_>>().join("\n")
}

/// The rooms that `lib.rs` describes, top first.
pub(crate) fn rooms_on_the_map(map: &str) -> Vec<&str> {
    let rooms = map.lines().filter_map(|line| {
        let (room, says) = line.strip_prefix("//! * [`")?.split_once("`]: ")?;
        (!says.is_empty()).then_some(room)
    });
    rooms.collect()
}

/// The lines that are neither prose nor the declaration of a room.
pub(crate) fn code(text: &str) -> Vec<&str> {
    let prose_or_room = |line: &&str| {
        let room = line
            .strip_prefix("pub mod ")
            .and_then(|rest| rest.strip_suffix(';'));
        line.is_empty() || line.starts_with("//!") || room.is_some()
    };
    text.lines().filter(|line| !prose_or_room(line)).collect()
}

pub(crate) fn put_off(text: &str) -> Vec<&'static str> {
    let words = ["TODO", "FIXME", "todo!(", "unimplemented!("];
    let mut found = words.to_vec();
    found.retain(|word| text.contains(word));
    found
}

/// Relative links of a page, `[text](link)`.
pub(crate) fn links(page: &str) -> Vec<&str> {
    let targets = page.split("](").skip(1).filter_map(|rest| {
        let link = rest.split([')', '#']).next()?;
        (!link.is_empty() && !link.contains("://")).then_some(link)
    });
    targets.collect()
}

/// Paths of this repository that stand in a page as code.
pub(crate) fn paths(page: &str) -> Vec<&str> {
    let spans = page.split('`').skip(1).step_by(2);
    let ours = spans.filter(|span| {
        let ours = ["src/", "tests/", "config/", "docs/", "deploy/", ".ci/"];
        ours.iter().any(|folder| span.starts_with(folder)) && !span.contains([' ', '*', '…', '\n'])
    });
    ours.collect()
}

/// The keys of a file of defaults, commented ones too, each with its section.
pub(crate) fn stated_keys(defaults: &str) -> Vec<String> {
    let mut section = String::new();
    let mut keys = Vec::new();
    for line in defaults.lines() {
        let line = line.strip_prefix("# ").unwrap_or(line);
        if line.starts_with('[') && line.ends_with(']') {
            section = generic(line.trim_matches(['[', ']']));
            keys.push(section.clone());
        } else if let Some((key, _)) = line.split_once(" = ")
            && !key.contains(' ')
        {
            keys.push(format!("{section}.{key}"));
        }
    }
    keys
}

/// The fields of structs that are described as a section of the configuration, each with it.
pub(crate) fn configured_keys(source: &str) -> Vec<(String, String)> {
    let mut keys = Vec::new();
    for rest in source.split("/// `[").skip(1) {
        let Some((section, rest)) = rest.split_once("]`") else {
            continue;
        };
        // The description of a field names its section too; only a struct has fields below it.
        let declared = rest
            .lines()
            .skip(1)
            .find(|line| !line.starts_with(['/', '#']));
        if !declared.is_some_and(|line| line.starts_with("pub struct ")) {
            continue;
        }
        let fields = rest.lines().skip_while(|line| !line.ends_with('{')).skip(1);
        for line in fields.take_while(|line| *line != "}") {
            let field = line
                .strip_prefix("    pub ")
                .or(line.strip_prefix("    pub(super) "));
            if let Some((field, _)) = field.and_then(|field| field.split_once(": ")) {
                keys.push((generic(section.trim_matches(['[', ']'])), field.to_owned()));
            }
        }
    }
    keys
}

/// `roles.reporting` and `roles.NAME` are the same section.
fn generic(section: &str) -> String {
    match section.split_once('.') {
        Some((named @ ("roles" | "clients"), _)) => format!("{named}.NAME"),
        _ => section.to_owned(),
    }
}

/// These checks can fail.
mod bad_samples {
    use super::*;
    use crate::FLOORS;

    #[test]
    fn an_import_from_above_is_found_however_it_is_written() {
        for upwards in [
            "use crate::mcp::Handler;",
            "use crate::{audit, mcp};",
            "use crate::{\n    audit::{Event, Kind},\n    mcp::{Desk, Handler},\n};",
            "fn f() { crate::mcp::open() }",
            "fn f(x: &crate::mcp::Desk) {}",
            "use super::super::mcp;",
        ] {
            assert_eq!(
                wrong_imports(FLOORS, "auth", upwards, 2).len(),
                1,
                "{upwards}"
            );
        }
        let sandbox = "use crate::sandbox::Sandbox;";
        assert_eq!(wrong_imports(FLOORS, "mcp", sandbox, 1).len(), 1);
    }

    #[test]
    fn an_import_from_below_or_from_the_same_room_is_none() {
        for downwards in [
            "use crate::{audit::Event, auth::mcp, listen};",
            "// crate::mcp takes it from here\n/// As [`crate::mcp`].",
            "use super::mcp; use some_crate::mcp; use $crate::mcp;",
        ] {
            let wrong = wrong_imports(FLOORS, "auth", downwards, 2);
            assert!(wrong.is_empty(), "{downwards}: {wrong:?}");
        }
        assert!(wrong_imports(FLOORS, "cli", "use crate::sandbox;", 1).is_empty());
    }

    #[test]
    fn code_among_the_prose_is_found() {
        let map = "//! * [`cli`]: the commands.\n\npub mod cli;\npub use cli::main;\n";
        assert_eq!(code(map), ["pub use cli::main;"]);
        assert_eq!(rooms_on_the_map(map), ["cli"]);
        assert_eq!(put_off("// TODO: later"), ["TODO"]);
    }

    #[test]
    fn a_key_without_a_default_is_found() {
        let source = "/// `[limits]`\n#[derive(Deserialize)]\npub struct Config {\n    /// So.\n    pub client: Quota,\n    pub user: Option<Quota>,\n}\n";
        let keys = configured_keys(source);
        assert_eq!(keys.len(), 2);
        let stated =
            stated_keys("[limits]\n# A sentence = no key.\n# client = 3\n[roles.x]\na = 1");
        assert_eq!(
            stated,
            ["limits", "limits.client", "roles.NAME", "roles.NAME.a"]
        );
    }

    #[test]
    fn dead_links_and_paths_are_found() {
        let page = "[a](docs/a.md#b) [c](https://example.com) `src/x.rs` `tests/run --all` `f()`";
        assert_eq!(links(page), ["docs/a.md"]);
        assert_eq!(paths(page), ["src/x.rs"]);
    }
}
