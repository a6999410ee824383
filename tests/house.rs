//! The rules of the house that no compiler checks: which way imports go, how long a file may be,
//! that the map, the README and the defaults are true.

#![expect(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::indexing_slicing,
    reason = "a test that cannot go on fails"
)]

#[path = "house/reading.rs"]
mod reading;

use std::{
    fs,
    os::unix::fs::PermissionsExt as _,
    path::{Path, PathBuf},
};

use reading::{
    code, configured_keys, links, paths, put_off, rooms_on_the_map, stated_keys, wrong_imports,
};

/// The rooms, bottom first. A file imports only from its own room and from rooms before it.
const FLOORS: &[&str] = &[
    "setting",
    "telemetry",
    "refusal",
    "audit",
    "store",
    "secrets",
    "listen",
    "sandbox",
    "zoho",
    "auth",
    "call",
    "permit",
    "limit",
    "health",
    "tools",
    "mcp",
    "config",
    "app",
    "router",
    "cli",
];

/// Lines of a production file.
const MAX_LINES: usize = 400;

#[test]
fn imports_go_down() {
    for source in sources() {
        let wrong = wrong_imports(FLOORS, &source.room, &source.production(), source.depth);
        assert!(wrong.is_empty(), "{}: {}", source.path, wrong.join("; "));
    }
}

#[test]
fn every_room_stands_on_a_floor_and_on_the_map() {
    let map = text("src/lib.rs");
    let mut rooms: Vec<String> = sources().into_iter().map(|source| source.room).collect();
    rooms.sort();
    rooms.dedup();
    for room in &rooms {
        assert!(
            FLOORS.contains(&room.as_str()),
            "src/{room} stands on no floor: add it to FLOORS in tests/house.rs"
        );
    }
    for floor in FLOORS {
        assert!(
            rooms.iter().any(|room| room == floor),
            "{floor} is no room any more: take it out of FLOORS in tests/house.rs"
        );
    }
    let bottom_first: Vec<&str> = rooms_on_the_map(&map).into_iter().rev().collect();
    assert_eq!(
        bottom_first, FLOORS,
        "the map in src/lib.rs and FLOORS in tests/house.rs name the same rooms in the same order"
    );
}

#[test]
fn the_map_holds_no_code() {
    let map = text("src/lib.rs");
    let found = code(&map);
    assert!(found.is_empty(), "src/lib.rs holds code: {found:?}");
}

#[test]
fn files_are_short_and_named_for_themselves() {
    for source in sources() {
        let lines = source.text.lines().count();
        assert!(
            lines <= MAX_LINES,
            "{}: {lines} lines, {MAX_LINES} may be",
            source.path
        );
        assert!(
            !source.path.ends_with("/mod.rs"),
            "{}: a module stands in a file of its own name",
            source.path
        );
    }
}

#[test]
fn nothing_is_put_off() {
    for file in files("src").iter().chain(&files("tests")) {
        let Ok(text) = fs::read_to_string(root().join(file)) else {
            continue;
        };
        let found = put_off(&text);
        assert!(
            found.is_empty() || file == "tests/house/reading.rs",
            "{file} says {found:?}"
        );
    }
}

#[test]
fn the_two_commands_of_the_readme_exist() {
    let readme = text("README.md");
    for command in ["cargo run --release -- demo", "tests/run"] {
        let block = format!("```sh\n{command}\n```");
        assert!(readme.contains(&block), "the README shows `{command}`");
    }
    assert!(root().join("src/cli/demo.rs").exists());
    let mode = fs::metadata(root().join("tests/run"))
        .unwrap()
        .permissions();
    assert!(mode.mode() & 0o111 != 0, "tests/run can be run");
}

#[test]
fn what_the_readme_and_the_docs_link_to_exists() {
    let pages = files("docs").into_iter().chain(["README.md".to_owned()]);
    for page in pages.filter(|page| page.ends_with(".md")) {
        let folder = Path::new(&page).parent().unwrap().to_path_buf();
        let text = text(&page);
        for link in links(&text) {
            assert!(root().join(&folder).join(link).exists(), "{page} → {link}");
        }
        for path in paths(&text) {
            assert!(root().join(path).exists(), "{page} names {path}");
        }
    }
}

#[test]
fn every_key_of_the_configuration_stands_in_the_defaults() {
    let stated = stated_keys(&text("config/default.toml"));
    let mut sections = 0;
    for source in sources() {
        for (section, field) in configured_keys(&source.text) {
            sections += 1;
            let key = format!("{section}.{field}");
            assert!(
                stated
                    .iter()
                    .any(|stated| *stated == key || stated.starts_with(&format!("{key}."))),
                "{}: {key} does not stand in config/default.toml",
                source.path
            );
        }
    }
    assert!(sections > 30, "the configurations are found: {sections}");
}

struct Source {
    path: String,
    text: String,
    room: String,
    /// How many `super::` lead to the root of the crate.
    depth: usize,
}

impl Source {
    /// Without its test module, which may use what it likes.
    fn production(&self) -> String {
        let cut = self.text.split("#[cfg(test)]\nmod tests {").next();
        cut.unwrap_or_default().to_owned()
    }
}

/// The production files of every room; `lib.rs` and `main.rs` are above all rooms.
fn sources() -> Vec<Source> {
    let rooms = files("src").into_iter().filter_map(|path| {
        let inner = path.strip_prefix("src/")?.strip_suffix(".rs")?.to_owned();
        let steps: Vec<&str> = inner.split('/').collect();
        if steps == ["lib"] || steps == ["main"] || steps.contains(&"tests") {
            return None;
        }
        Some(Source {
            text: text(&path),
            path,
            room: steps[0].to_owned(),
            depth: steps.len(),
        })
    });
    let sources: Vec<Source> = rooms.collect();
    assert!(sources.len() > 100, "the sources are found");
    sources
}

/// Every file below a folder, as a path from the root of the repository.
fn files(folder: &str) -> Vec<String> {
    let mut found = Vec::new();
    for entry in fs::read_dir(root().join(folder)).unwrap() {
        let entry = entry.unwrap();
        let path = format!("{folder}/{}", entry.file_name().to_str().unwrap());
        if entry.file_type().unwrap().is_dir() {
            found.extend(files(&path));
        } else {
            found.push(path);
        }
    }
    found.sort();
    found
}

fn text(path: &str) -> String {
    fs::read_to_string(root().join(path)).expect(path)
}

fn root() -> PathBuf {
    env!("CARGO_MANIFEST_DIR").into()
}
