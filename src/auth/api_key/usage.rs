//! When keys were last used: what an operator looks at before ending one.
//!
//! Each instance adds what it saw to a small file, which several instances may share. The audit log
//! tells the same of all of them, and is understood as well.

use std::{
    borrow::Cow,
    collections::BTreeMap,
    fs::File,
    io::{self, BufRead as _, BufReader, Read as _},
    path::{Path, PathBuf},
    sync::Arc,
};

use jiff::{SignedDuration, Timestamp};
use serde::{Deserialize, Serialize};

use crate::{auth::proof::Way, secrets::file};

/// When each key was last used, as far as is known.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Usage {
    last_used: BTreeMap<Arc<str>, Timestamp>,
    watched: Watched,
}

/// The time of which it is known that a key without an entry was not used.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum Watched {
    #[default]
    Never,
    /// A log says nothing of what came after its last line, and a usage file nothing of what came
    /// after an instance last added to it.
    Within(Timestamp, Timestamp),
}

impl Usage {
    /// Reads a usage file, or an audit log.
    ///
    /// # Errors
    /// When the file cannot be read, or is neither.
    pub fn read(path: &Path) -> Result<Self, BadUsage> {
        let failed = |source| BadUsage::File {
            path: path.to_path_buf(),
            source,
        };
        match Document::read(path).map_err(failed)? {
            Some(document) => Ok(Self {
                watched: document.watched(),
                last_used: document.last_used,
            }),
            None => Self::from_audit_log(path)
                .map_err(failed)?
                .ok_or_else(|| BadUsage::Neither {
                    path: path.to_path_buf(),
                }),
        }
    }

    /// What two places know together. Each may be of another instance, so only a time that both
    /// have watched is watched.
    #[must_use]
    pub fn with(mut self, other: Self) -> Self {
        self.watched = self.watched.and(other.watched);
        self.add(other.last_used);
        self
    }

    fn add(&mut self, seen: impl IntoIterator<Item = (Arc<str>, Timestamp)>) {
        for (id, used) in seen {
            let known = self.last_used.entry(id).or_insert(used);
            *known = used.max(*known);
        }
    }

    /// When a key was last used.
    pub fn of(&self, id: &str) -> Option<Timestamp> {
        self.last_used.get(id).copied()
    }

    /// Whether any use of any key from `start` to `end` would be known.
    pub fn covers(&self, start: Timestamp, end: Timestamp) -> bool {
        match self.watched {
            Watched::Never => false,
            Watched::Within(since, until) => since <= start && end <= until,
        }
    }

    /// `None` when not one line is an audit log's.
    fn from_audit_log(path: &Path) -> io::Result<Option<Self>> {
        let mut usage = Self::default();
        for line in BufReader::new(File::open(path)?).split(b'\n') {
            let line = line?;
            let Ok(line) = serde_json::from_slice::<Line<'_>>(&line) else {
                continue;
            };
            let at = line.timestamp;
            usage.watched = match usage.watched {
                Watched::Within(since, until) => Watched::Within(since.min(at), until.max(at)),
                Watched::Never => Watched::Within(at, at),
            };
            // A key that was refused is named too, but no client.
            if let (Some(id), Some(_)) = (line.api_key(), &line.client_id) {
                usage.add([(id.into(), at)]);
            }
        }
        Ok((usage.watched != Watched::Never).then_some(usage))
    }
}

impl Watched {
    fn and(self, other: Self) -> Self {
        match (self, other) {
            (Self::Never, _) | (_, Self::Never) => Self::Never,
            (Self::Within(one, end), Self::Within(other, until)) => {
                Self::Within(one.max(other), end.min(until))
            }
        }
    }
}

/// The file that instances add to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct UsageFile(PathBuf);

impl UsageFile {
    /// A file of that name.
    pub const fn new(path: PathBuf) -> Self {
        Self(path)
    }

    /// The one that belongs to a key document in a file: `keys.json` has `keys.usage.json`.
    pub fn beside(store: &Path) -> Self {
        Self(store.with_extension("usage.json"))
    }

    /// Where it is.
    pub fn path(&self) -> &Path {
        &self.0
    }

    /// Adds what was seen until `now`, which may be nothing: that nothing was used is news as well. A
    /// file that is new begins to watch then. Blocks on the disk.
    ///
    /// # Errors
    /// When it cannot be read or written.
    pub fn add(&self, seen: Vec<(Arc<str>, Timestamp)>, now: Timestamp) -> Result<(), BadUsage> {
        let add = || {
            let _lock = file::lock(&self.0)?;
            let known = match Document::read(&self.0) {
                Ok(document) => document.unwrap_or_default(),
                Err(error) if error.kind() == io::ErrorKind::NotFound => Document::default(),
                Err(error) => return Err(error),
            };
            let since = known.since.unwrap_or(now);
            let until = known.until.map_or(now, |until| until.max(now));
            let mut usage = Usage {
                last_used: known.last_used,
                watched: Watched::Never,
            };
            usage.add(seen);
            let (last_used, forgotten) = latest(usage.last_used);
            let document = Document {
                version: VERSION,
                // What was forgotten looks as if it had never been used.
                since: Some(forgotten.map_or(since, |at| since.max(at))),
                until: Some(until),
                last_used,
            };
            let bytes = serde_json::to_vec_pretty(&document)?;
            file::replace(&self.0, &bytes)
        };
        add().map_err(|source| BadUsage::File {
            path: self.0.clone(),
            source,
        })
    }
}

/// Why it is not known when keys were last used.
#[derive(Debug, thiserror::Error)]
#[expect(missing_docs, reason = "the messages say it")]
pub enum BadUsage {
    #[error("cannot read or write when keys were last used in {}", path.display())]
    File {
        path: PathBuf,
        #[source]
        source: io::Error,
    },
    #[error("{} is neither a usage file nor an audit log", path.display())]
    Neither { path: PathBuf },
}

#[derive(Default, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct Document {
    version: u32,
    /// Since when uses have been added. Files of before that was noted have none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    since: Option<Timestamp>,
    /// Until when: an instance says it once a minute. Files of before that was noted have none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    until: Option<Timestamp>,
    last_used: BTreeMap<Arc<str>, Timestamp>,
}

impl Document {
    fn watched(&self) -> Watched {
        let both = self.since.zip(self.until);
        both.map_or(Watched::Never, |(since, until)| {
            Watched::Within(since, until)
        })
    }

    /// `None` when the file holds something else.
    fn read(path: &Path) -> io::Result<Option<Self>> {
        let mut bytes = Vec::new();
        File::open(path)?.take(MAX_BYTES).read_to_end(&mut bytes)?;
        let document: Option<Self> = serde_json::from_slice(&bytes).ok();
        Ok(document.filter(|document| document.version == VERSION))
    }
}

/// What is looked at in a line of the audit log.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Line<'a> {
    timestamp: Timestamp,
    #[serde(borrow)]
    auth_method: Option<Cow<'a, str>>,
    #[serde(borrow)]
    key_id: Option<Cow<'a, str>>,
    #[serde(borrow)]
    client_id: Option<Cow<'a, str>>,
}

impl Line<'_> {
    /// The API key's id. A caller who was proven in several ways has an id of each, in the order of
    /// the ways; only what a token calls its key may hold a plus sign itself, and comes last.
    fn api_key(&self) -> Option<&str> {
        let ids = self.key_id.as_deref()?;
        let Some(ways) = self.auth_method.as_deref() else {
            return Some(ids);
        };
        let place = ways.split('+').position(|way| way == Way::ApiKey.name())?;
        ids.split('+').nth(place)
    }
}

/// The file stays small: what was used longest ago goes first. Also the moment after which nothing
/// was forgotten: uses are noted to the minute.
fn latest(
    mut used: BTreeMap<Arc<str>, Timestamp>,
) -> (BTreeMap<Arc<str>, Timestamp>, Option<Timestamp>) {
    let mut moments: Vec<Timestamp> = used.values().copied().collect();
    moments.sort_unstable_by(|a, b| b.cmp(a));
    let oldest = moments.get(MAX_KEYS).copied();
    if let Some(oldest) = oldest {
        used.retain(|_, at| *at > oldest);
    }
    (used, oldest.and_then(|at| at.checked_add(MINUTE).ok()))
}

const VERSION: u32 = 1;
const MINUTE: SignedDuration = SignedDuration::from_mins(1);
const MAX_KEYS: usize = 20_000;
const MAX_BYTES: u64 = 2 << 20;

#[cfg(test)]
mod tests {
    use super::*;
    use crate::setting::folder::Folder;
    use std::fs;

    fn at(second: i64) -> Timestamp {
        Timestamp::from_second(1_800_000_000 + second).unwrap()
    }

    #[test]
    fn instances_that_share_a_file_forget_nothing() {
        let folder = Folder::new();
        let file = UsageFile::beside(&folder.join("keys.json"));
        assert!(file.path().ends_with("keys.usage.json"));
        file.add(vec![("A".into(), at(60)), ("B".into(), at(0))], at(60))
            .unwrap();
        file.add(vec![("B".into(), at(120)), ("A".into(), at(0))], at(120))
            .unwrap();
        let usage = Usage::read(file.path()).unwrap();
        assert_eq!(usage.of("A"), Some(at(60)));
        assert_eq!(usage.of("B"), Some(at(120)));
        assert_eq!(usage.of("C"), None);
        assert!(usage.covers(at(60), at(120)) && !usage.covers(at(59), at(60)));
        assert!(!usage.covers(at(60), at(121)), "nobody has written since");
        file.add(Vec::new(), at(180)).unwrap();
        file.add(Vec::new(), at(170)).unwrap();
        let usage = Usage::read(file.path()).unwrap();
        assert!(usage.covers(at(60), at(180)) && usage.of("B") == Some(at(120)));
    }

    #[test]
    fn only_what_every_place_has_watched_is_known() {
        let folder = Folder::new();
        let read = |name: &str, text: &str| {
            let path = folder.join(name);
            fs::write(&path, text).unwrap();
            Usage::read(&path).unwrap()
        };
        let before = read("old.json", r#"{"version":1,"lastUsed":{}}"#);
        assert!(!before.covers(at(0), at(0)), "it does not say since when");
        let open = r#"{"version":1,"since":"2027-01-15T08:01:00Z","lastUsed":{}}"#;
        let open = read("open.json", open);
        assert!(!open.covers(at(60), at(60)), "it does not say until when");
        let file = read(
            "new.json",
            r#"{"version":1,"since":"2027-01-15T08:01:00Z","until":"2027-01-15T08:03:00Z","lastUsed":{}}"#,
        );
        let log = read(
            "audit.jsonl",
            "{\"timestamp\":\"2027-01-15T08:00:00Z\"}\n{\"timestamp\":\"2027-01-15T08:02:00Z\"}",
        );
        assert!(log.covers(at(0), at(120)) && !log.covers(at(0), at(121)));
        let both = file.clone().with(log);
        assert!(both.covers(at(60), at(120)));
        assert!(!both.covers(at(59), at(120)) && !both.covers(at(60), at(121)));
        assert!(!file.with(before).covers(at(60), at(60)));
    }

    #[test]
    fn the_audit_log_tells_it_as_well_and_failed_logins_do_not_count() {
        let folder = Folder::new();
        let log = folder.join("audit.jsonl");
        let text = concat!(
            r#"{"timestamp":"2027-01-15T08:00:00.000Z","event":"auth_success","clientId":"a","keyId":"A"}"#,
            "\n",
            r#"{"timestamp":"2027-01-15T08:02:00.000Z","event":"tool_call_start","clientId":"a","keyId":"A","args":{"x":[1]}}"#,
            "\n",
            r#"{"timestamp":"2027-01-15T08:03:00.000Z","event":"auth_failed","keyId":"A","reason":"wrong_secret"}"#,
            "\nnot a line of it\n",
        );
        fs::write(&log, text).unwrap();
        assert_eq!(Usage::read(&log).unwrap().of("A"), Some(at(120)));
        fs::write(&log, "hello\n").unwrap();
        assert!(matches!(Usage::read(&log), Err(BadUsage::Neither { .. })));
    }

    #[test]
    fn a_key_that_is_shown_beside_another_proof_is_in_use_too() {
        let folder = Folder::new();
        let log = folder.join("audit.jsonl");
        let line = |way: &str, ids: &str| {
            let start = r#"{"timestamp":"2027-01-15T08:00:00.000Z","event":"tool_call_start","#;
            format!(r#"{start}"clientId":"a","authMethod":"{way}","keyId":"{ids}"}}"#)
        };
        let lines = [
            line("api_key", "A"),
            line("mtls+api_key", "0123456789abcdef+B"),
            line("api_key+jwt", "C+a+kid"),
            line("mtls+api_key+jwt", r"0123456789abcdef+D+\u0061"),
            line("jwt", "E"),
            line("mtls+jwt", "0123456789abcdef+F"),
        ];
        fs::write(&log, lines.join("\n")).unwrap();
        let usage = Usage::read(&log).unwrap();
        let known: Vec<&str> = usage.last_used.keys().map(|id| &**id).collect();
        assert_eq!(known, ["A", "B", "C", "D"]);
    }

    #[test]
    fn the_file_stays_small_and_keeps_what_is_recent() {
        let many = 0..i64::try_from(MAX_KEYS).unwrap() + 10;
        let used = many.map(|n| (Arc::from(n.to_string()), at(n))).collect();
        let (kept, since) = latest(used);
        assert_eq!(since, Some(at(9 + 60)));
        assert_eq!(kept.len(), MAX_KEYS);
        assert!(!kept.contains_key("9") && kept.contains_key("10"));
    }
}
