//! The bases of the image, pinned by their digests.

use std::{fs, os::unix::fs::PermissionsExt as _, process::Command};

use crate::tools::{Folder, read, root, run};

/// What `docker buildx imagetools inspect` prints of an image: a list for several platforms has one
/// digest.
const DOCKER: &str = r#"#!/bin/sh
[ "$1 $2 $3 $4" = "buildx imagetools inspect --format" ] && [ "$5" = '{{.Manifest.Digest}}' ] || exit 1
case "$6" in *@*) exit 1 ;; *:*) cat "$(dirname "$0")/digest" ;; *) exit 1 ;; esac
"#;

/// Runs `deploy/pin` where a registry says this digest of every image; whether it was content, and
/// the Dockerfile then.
fn pinned(folder: &Folder, digest: &str) -> (bool, String) {
    let tool = folder.write("tools/docker", DOCKER);
    fs::set_permissions(&tool, fs::Permissions::from_mode(0o755)).unwrap();
    folder.write("tools/digest", &format!("{digest}\n"));
    fs::create_dir_all(folder.path("deploy")).unwrap();
    fs::copy(root().join("deploy/pin"), folder.path("deploy/pin")).unwrap();
    let pin = format!(
        "PATH={tools}:$PATH exec {pin}",
        tools = folder.path("tools").display(),
        pin = folder.path("deploy/pin").display(),
    );
    let ended = run(Command::new("bash").args(["-c", &pin]));
    let dockerfile = fs::read_to_string(folder.path("Dockerfile")).unwrap();
    (ended.status.success(), dockerfile)
}

/// The bases that a Dockerfile names when it is told nothing else.
fn bases(dockerfile: &str) -> Vec<&str> {
    let named = ["ARG RUST=", "ARG BASE="];
    let of = |name| dockerfile.lines().find_map(|line| line.strip_prefix(name));
    named.into_iter().filter_map(of).collect()
}

#[test]
fn one_command_pins_the_bases_and_pins_them_anew() {
    let folder = Folder::new();
    let before = read("Dockerfile");
    folder.write("Dockerfile", &before);
    let tags: Vec<&str> = bases(&before)
        .into_iter()
        .filter_map(|base| base.split('@').next())
        .collect();
    assert_eq!(tags.len(), 2, "{before}");
    for digit in ["a", "b"] {
        let digest = format!("sha256:{}", digit.repeat(64));
        let (is_content, after) = pinned(&folder, &digest);
        assert!(is_content, "{after}");
        let expected: Vec<_> = tags.iter().map(|tag| format!("{tag}@{digest}")).collect();
        assert_eq!(bases(&after), expected);
        let rest = |text: &str| text.lines().filter(|it| !it.starts_with("ARG ")).count();
        assert_eq!(rest(&before), rest(&after));
    }
}

#[test]
fn what_is_no_digest_is_not_written() {
    let folder = Folder::new();
    let before = read("Dockerfile");
    folder.write("Dockerfile", &before);
    assert_eq!(pinned(&folder, "sha256:12"), (false, before));
}

/// A tag that moves by itself (`latest`, none) is no version; a digest, where there is one, is whole.
#[test]
fn the_bases_have_a_version_and_whole_digests() {
    let dockerfile = read("Dockerfile");
    for base in bases(&dockerfile) {
        let (image, digest) = base.split_once('@').unwrap_or((base, ""));
        let (_, tag) = image.rsplit_once(':').expect(base);
        assert!(!tag.contains('/') && tag != "latest", "{base}");
        let hex = digest.strip_prefix("sha256:").unwrap_or(digest);
        let is_whole = hex.len() == 64 && hex.bytes().all(|byte| byte.is_ascii_hexdigit());
        assert!(digest.is_empty() || is_whole, "{base}");
    }
}
