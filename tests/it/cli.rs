//! The commands: what they print, what they refuse, and with which code they end.

mod check;
mod keys;
mod processes;
mod unheard;

use std::{ffi::OsStr, os::unix::ffi::OsStrExt as _};

use crate::house::{command, command_with};

/// A command that has ended.
struct Ended {
    code: i32,
    out: String,
    err: String,
}

fn run(arguments: &[&str]) -> Ended {
    run_with(arguments, &[])
}

fn run_with(arguments: &[&str], variables: &[(&str, &str)]) -> Ended {
    let output = command_with(arguments, variables);
    let text = |bytes: Vec<u8>| String::from_utf8(bytes).unwrap();
    Ended {
        code: output.status.code().unwrap(),
        out: text(output.stdout),
        err: text(output.stderr),
    }
}

#[test]
fn every_command_explains_itself() {
    let listed = run(&["--help"]);
    assert_eq!(listed.code, 0);
    for name in ["demo", "serve", "check", "healthcheck", "keys", "sandbox"] {
        assert!(
            listed.out.contains(&format!("\n  {name} ")),
            "{name}: {}",
            listed.out
        );
        let help = run(&[name, "--help"]);
        assert_eq!((help.code, &*help.err), (0, ""), "{name}");
        assert!(
            help.out.contains(&format!("Usage: zoho-mcp {name}")),
            "{}",
            help.out
        );
    }
    for action in ["new", "list", "rotate", "retire"] {
        let help = run(&["keys", action, "--help"]);
        assert_eq!(help.code, 0);
        assert!(help.out.contains("--store <STORE>"), "{}", help.out);
    }
    let version = run(&["--version"]);
    assert_eq!(
        (version.code, version.out.trim()),
        (0, concat!("zoho-mcp ", env!("CARGO_PKG_VERSION")))
    );
}

#[test]
fn bad_arguments_end_with_64_and_go_to_standard_error() {
    for arguments in [
        &[] as &[&str],
        &["nonsense"],
        &["serve"],
        &["check"],
        &["demo", "--listen", "nowhere"],
        &["demo", "--listen", "127.0.0.1:99999"],
        &["keys"],
        &["sandbox", "--set", "unknown_id_status=404"],
        &["sandbox", "--set", "no_such_setting=1"],
        &["keys", "new"],
        &["keys", "retire", "--store", "x"],
        &["serve", "--config", "x", "--no-such-option"],
        &["healthcheck", "--url", "not a url"],
        &["healthcheck", "--url", "https://user:secret@127.0.0.1:1/"],
        &[
            "healthcheck",
            "--url",
            "https://user:secret@127.0.0.1:port/",
        ],
    ] {
        let ended = run(arguments);
        assert_eq!((ended.code, &*ended.out), (64, ""), "{arguments:?}");
        assert!(!ended.err.is_empty(), "{arguments:?}");
        assert!(!ended.err.contains("secret@"), "{}", ended.err);
    }
}

#[test]
fn what_fails_ends_with_1() {
    let nobody = run(&["healthcheck", "--url", "http://127.0.0.1:1/health"]);
    assert_eq!(nobody.code, 1);
    assert!(
        nobody
            .err
            .contains("no answer from http://127.0.0.1:1/health"),
        "{}",
        nobody.err
    );
    let abroad = run(&["sandbox", "--listen", "0.0.0.0:0"]);
    assert_ne!(abroad.code, 0);
    assert!(
        abroad.err.contains("loopback addresses only"),
        "{}",
        abroad.err
    );
    assert!(
        command(&["keys", "list", "--store", "/nonexistent/keys.json"])
            .status
            .code()
            == Some(1)
    );
}

#[test]
fn a_variable_that_is_no_text_is_refused_where_it_is_ours_and_left_alone_elsewhere() {
    let odd = OsStr::from_bytes(b"\xff");
    let check = ["check", "--config", "/nonexistent/mine.toml"];
    let foreign = command_with(&check, &[("FOO", odd)]);
    let told = String::from_utf8_lossy(&foreign.stderr).into_owned();
    assert_eq!(foreign.status.code(), Some(64), "{told}");
    assert!(told.contains("name a readable TOML file"), "{told}");
    let ours = command_with(&check, &[("ZOHO_MCP__SERVER__LISTEN", odd)]);
    let told = String::from_utf8_lossy(&ours.stderr).into_owned();
    assert_eq!(ours.status.code(), Some(64), "{told}");
    let (variable, remedy) = ("ZOHO_MCP__SERVER__LISTEN: ", "remedy: set it to a text");
    assert!(told.contains(variable) && told.contains(remedy), "{told}");
}
