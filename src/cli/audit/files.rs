//! The files of a log, in the order in which they were written, line by line.

use std::{
    collections::BTreeMap,
    fs::File,
    io::{BufRead as _, BufReader, Read as _},
    path::{Path, PathBuf},
};

use anyhow::Context as _;
use serde::Deserialize;

use super::BadArguments;
use crate::audit::verify::Place;

pub(super) struct Files {
    paths: Vec<PathBuf>,
}

/// Where a file begins.
#[derive(Deserialize)]
struct Beginning {
    #[serde(default)]
    timestamp: String,
    #[serde(default)]
    boot: String,
    #[serde(default)]
    seq: u64,
}

impl Files {
    /// Puts the files in order: by the time of their first lines, and those that go on with the
    /// same run by its numbers, whatever the clock did.
    pub(super) fn new(paths: &[PathBuf]) -> Result<Self, BadArguments> {
        let mut files = Vec::new();
        for path in paths {
            let mut beginning = None;
            read(path, |_, text| {
                beginning = serde_json::from_slice::<Beginning>(text).ok();
                false
            })?;
            let beginning = beginning.unwrap_or(Beginning {
                timestamp: String::new(),
                boot: String::new(),
                seq: 0,
            });
            files.push((beginning, path.clone()));
        }
        files.sort_by(|(a, _), (b, _)| a.timestamp.cmp(&b.timestamp));
        let mut by_run: BTreeMap<String, Vec<(u64, PathBuf)>> = BTreeMap::new();
        for (beginning, path) in &files {
            let run = by_run.entry(beginning.boot.clone()).or_default();
            run.push((beginning.seq, path.clone()));
        }
        for run in by_run.values_mut() {
            run.sort();
            run.reverse();
        }
        let paths = files.into_iter().map(|(beginning, path)| {
            let next = by_run.get_mut(&beginning.boot).and_then(Vec::pop);
            next.map_or(path, |(_, path)| path)
        });
        Ok(Self {
            paths: paths.collect(),
        })
    }

    /// Hands every line to `take`, without its line end.
    pub(super) fn lines(&self, mut take: impl FnMut(Place, &[u8])) -> Result<(), BadArguments> {
        for (file, path) in self.paths.iter().enumerate() {
            read(path, |line, text| {
                take(Place { file, line }, text);
                true
            })?;
        }
        Ok(())
    }

    /// `FILE:LINE`
    pub(super) fn name(&self, place: Place) -> String {
        let path = self.paths.get(place.file).map(|path| path.display());
        path.map_or_else(String::new, |path| format!("{path}:{}", place.line))
    }
}

/// Reads a file until `take` has had enough. Lines longer than any of ours are cut.
fn read(path: &Path, mut take: impl FnMut(u64, &[u8]) -> bool) -> Result<(), BadArguments> {
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
        line += 1;
        let text = text.strip_suffix(b"\n").unwrap_or(&text);
        let text = text.strip_suffix(b"\r").unwrap_or(text);
        if !take(line, text) {
            return Ok(());
        }
    }
}

/// Bytes of a line; the daemon's own are a quarter of that.
const LONGEST: u64 = 64 << 10;
