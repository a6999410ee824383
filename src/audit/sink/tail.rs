//! Where the last run of this instance ended, as its file shows it.

use std::{
    fs::{self, File},
    io::{self, Read as _, Seek as _, SeekFrom},
    path::{Path, PathBuf},
};

use serde::Deserialize;

/// What is known of the run before this one.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(in crate::audit) enum Previous {
    /// Its last line.
    Named(Tail),
    /// The file is new: there was none.
    None,
    /// Standard output keeps nothing, or the file holds no line of this instance.
    Unknown,
}

/// The last line of a run.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
pub(in crate::audit) struct Tail {
    instance: String,
    pub(in crate::audit) boot: String,
    pub(in crate::audit) seq: u64,
    pub(in crate::audit) hash: String,
}

/// Looks for the last line of `instance` in the file, and in the one that was put aside last.
pub(super) fn previous(path: &Path, instance: &str) -> Previous {
    let put_aside = put_aside_last(path);
    let empty = fs::metadata(path).is_ok_and(|file| file.len() == 0);
    if empty && put_aside.is_none() {
        return Previous::None;
    }
    let paths = [Some(path.to_path_buf()), put_aside];
    let found = paths
        .into_iter()
        .flatten()
        .find_map(|path| last_line(&path, instance).ok()?);
    found.map_or(Previous::Unknown, Previous::Named)
}

fn put_aside_last(path: &Path) -> Option<PathBuf> {
    let prefix = format!("{}.", path.file_name()?.to_str()?);
    let folder = path.parent().filter(|it| !it.as_os_str().is_empty());
    let names = fs::read_dir(folder.unwrap_or(Path::new("."))).ok()?;
    let siblings = names.filter_map(|entry| {
        let entry = entry.ok()?;
        let is_ours = entry.file_name().to_str()?.starts_with(&prefix);
        is_ours.then(|| entry.path())
    });
    siblings.max()
}

fn last_line(path: &Path, instance: &str) -> io::Result<Option<Tail>> {
    let mut file = File::open(path)?;
    if !file.metadata()?.is_file() {
        return Ok(None);
    }
    let length = file.metadata()?.len();
    let mut window = FIRST_LOOK;
    loop {
        let start = length.saturating_sub(window);
        file.seek(SeekFrom::Start(start))?;
        let mut bytes = Vec::new();
        (&file).take(window).read_to_end(&mut bytes)?;
        // The first line of a window may lack its beginning; it is then no JSON.
        let lines = bytes.rsplit(|&byte| byte == b'\n');
        let tails = lines.filter_map(|line| serde_json::from_slice::<Tail>(line).ok());
        let found = tails.into_iter().find(|tail| tail.instance == instance);
        if found.is_some() || start == 0 || window >= LAST_LOOK {
            return Ok(found);
        }
        window *= 16;
    }
}

const FIRST_LOOK: u64 = 64 << 10;
const LAST_LOOK: u64 = 16 << 20;
