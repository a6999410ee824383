//! The files of a log, in the order in which they were written, line by line.

use std::{
    collections::BTreeSet,
    fs::{self, File},
    io::{BufRead, BufReader, Read as _},
    os::unix::fs::MetadataExt as _,
    path::{Path, PathBuf},
};

use anyhow::Context as _;

use super::{
    BadArguments,
    order::{Contents, order},
};
use crate::audit::verify::Place;

pub(super) struct Files {
    paths: Vec<PathBuf>,
}

impl Files {
    /// Puts the files in the order in which they were written, which their lines tell.
    pub(super) fn new(paths: &[PathBuf]) -> Result<Self, BadArguments> {
        let paths = &once_each(paths);
        if let [only] = &paths[..] {
            // It may be a pipe, which can be read once.
            return Ok(Self {
                paths: vec![only.clone()],
            });
        }
        let mut files = Vec::new();
        for path in paths {
            let mut contents = Contents::default();
            read(path, |_, text| contents.line(text))?;
            files.push((&**path, contents));
        }
        let order = order(&files).into_iter();
        let paths = order.filter_map(|n| paths.get(n).cloned());
        Ok(Self {
            paths: paths.collect(),
        })
    }

    /// Hands every line to `take`, without its line feed.
    pub(super) fn lines(&self, mut take: impl FnMut(Place, &[u8])) -> Result<(), BadArguments> {
        for (file, path) in self.paths.iter().enumerate() {
            read(path, |line, text| take(Place { file, line }, text))?;
        }
        Ok(())
    }

    /// `FILE:LINE`
    pub(super) fn name(&self, place: Place) -> String {
        let path = self.paths.get(place.file).map(|path| path.display());
        path.map_or_else(String::new, |path| format!("{path}:{}", place.line))
    }
}

/// A file that is given by two names is one file; its lines are not there twice.
fn once_each(paths: &[PathBuf]) -> Vec<PathBuf> {
    let mut seen = BTreeSet::new();
    let mut is_new = |path: &&PathBuf| match fs::metadata(path) {
        Ok(file) => seen.insert((file.dev(), file.ino())),
        // Whoever reads it says what is wrong.
        Err(_) => true,
    };
    paths.iter().filter(|path| is_new(path)).cloned().collect()
}

/// Reads a file. Lines longer than any of ours are cut.
fn read(path: &Path, mut take: impl FnMut(u64, &[u8])) -> Result<(), BadArguments> {
    let unreadable = || format!("cannot read {}", path.display());
    let bad =
        |error: std::io::Error| BadArguments(anyhow::Error::from(error).context(unreadable()));
    let file = File::open(path)
        .with_context(unreadable)
        .map_err(BadArguments)?;
    let mut file = BufReader::with_capacity(1 << 17, file);
    let (mut text, mut line) = (Vec::new(), 0);
    loop {
        text.clear();
        let read = (&mut file)
            .take(LONGEST)
            .read_until(b'\n', &mut text)
            .map_err(bad)?;
        if read == 0 {
            return Ok(());
        }
        if read as u64 == LONGEST && !text.ends_with(b"\n") {
            skip_line(&mut file).map_err(bad)?;
        }
        line += 1;
        take(line, text.strip_suffix(b"\n").unwrap_or(&text));
    }
}

/// Goes on behind the next line end.
fn skip_line(file: &mut impl BufRead) -> std::io::Result<()> {
    loop {
        let ready = file.fill_buf()?;
        let end = ready.iter().position(|&byte| byte == b'\n');
        let is_over = end.is_some() || ready.is_empty();
        let length = end.map_or(ready.len(), |end| end + 1);
        file.consume(length);
        if is_over {
            return Ok(());
        }
    }
}

/// Bytes of a line; the daemon's own are a quarter of that.
const LONGEST: u64 = 64 << 10;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_that_never_ends_is_one_line() {
        let path = std::env::temp_dir().join(format!("zoho-mcp-{}", uuid::Uuid::new_v4()));
        let endless = "x".repeat(3 * LONGEST as usize + 7);
        std::fs::write(&path, format!("a\n{endless}\nb\r\n{endless}")).unwrap();
        let mut lines = Vec::new();
        read(&path, |line, text| lines.push((line, text.len()))).unwrap();
        std::fs::remove_file(path).unwrap();
        let cut = LONGEST as usize;
        assert_eq!(lines, [(1, 1), (2, cut), (3, 2), (4, cut)]);
    }
}
