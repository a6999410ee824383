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
    /// There was none in the file.
    None,
    /// Standard output keeps nothing, or too much was written since to be looked through.
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
    let mut put_aside = put_aside(path);
    put_aside.sort();
    let (last, older) = match put_aside.split_last() {
        Some((last, older)) => (Some(last), !older.is_empty()),
        None => (None, false),
    };
    let mut whole = !older;
    for path in [Some(&path.to_path_buf()), last].into_iter().flatten() {
        match last_line(path, instance) {
            Ok(Look::Found(tail)) => return Previous::Named(tail),
            Ok(Look::Nothing) => {}
            Ok(Look::TooLong) | Err(_) => whole = false,
        }
    }
    if whole {
        Previous::None
    } else {
        Previous::Unknown
    }
}

fn put_aside(path: &Path) -> Vec<PathBuf> {
    let folder = path.parent().filter(|it| !it.as_os_str().is_empty());
    let Some(name) = path.file_name().and_then(|name| name.to_str()) else {
        return Vec::new();
    };
    let prefix = format!("{name}.");
    let names = fs::read_dir(folder.unwrap_or(Path::new(".")));
    let siblings = names.into_iter().flatten().filter_map(|entry| {
        let entry = entry.ok()?;
        let is_ours = entry.file_name().to_str()?.starts_with(&prefix);
        is_ours.then(|| entry.path())
    });
    siblings.collect()
}

/// What a look at the end of a file showed.
enum Look {
    Found(Tail),
    /// The whole file has no line of the instance.
    Nothing,
    /// The file was too long to be read whole, or is none.
    TooLong,
}

fn last_line(path: &Path, instance: &str) -> io::Result<Look> {
    let mut file = File::open(path)?;
    if !file.metadata()?.is_file() {
        return Ok(Look::TooLong);
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
        let mut tails = lines.filter_map(|line| serde_json::from_slice::<Tail>(line).ok());
        if let Some(tail) = tails.find(|tail| tail.instance == instance) {
            return Ok(Look::Found(tail));
        }
        if start == 0 {
            return Ok(Look::Nothing);
        }
        if window >= LAST_LOOK {
            return Ok(Look::TooLong);
        }
        window *= 16;
    }
}

const FIRST_LOOK: u64 = 64 << 10;
const LAST_LOOK: u64 = 16 << 20;
