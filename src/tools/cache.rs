//! Answers of tools that read, kept for a short while where an operator wants that. An answer is
//! given again to the same caller with the same rights for the same question, and to nobody once
//! this daemon has written: each write makes all that was read before it old.

use std::{
    collections::{BTreeMap, HashMap, VecDeque},
    num::NonZeroUsize,
    sync::{Mutex, MutexGuard, PoisonError},
};

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};
use tokio::time::Instant;

use super::{Answer, cursor::digest};
use crate::{
    permit::{Effect, Grant, Permission},
    setting::{Size, Span},
};

/// `[cache]`
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
#[expect(missing_docs, reason = "config/default.toml describes every key")]
pub struct Config {
    pub max_entries: NonZeroUsize,
    pub max_size: Size,
    /// How long the answers of a tool are kept; those that are not named are not kept.
    pub tools: BTreeMap<String, Span>,
}

impl Config {
    /// Checks what the types cannot.
    ///
    /// # Errors
    /// The first tool whose answers cannot be kept so.
    pub fn check(&self, tools: &[Permission]) -> Result<(), BadConfig> {
        for (tool, time) in &self.tools {
            let known = tools.iter().find(|known| known.tool == tool);
            match known {
                None => return Err(BadConfig::Unknown(tool.clone())),
                Some(known) if known.effect == Effect::Write => {
                    return Err(BadConfig::Writes(tool.clone()));
                }
                Some(_) if *time > LONGEST => return Err(BadConfig::TooLong(tool.clone())),
                Some(_) => {}
            }
        }
        Ok(())
    }
}

/// Why `[cache]` is refused.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[expect(missing_docs, reason = "the texts say it")]
pub enum BadConfig {
    #[error("cache.tools.{0}: there is no such tool")]
    Unknown(String),
    #[error("cache.tools.{0}: it writes, and a write is never answered out of memory")]
    Writes(String),
    #[error("cache.tools.{0}: longer than 5m")]
    TooLong(String),
}

impl BadConfig {
    /// What to write instead.
    pub const fn remedy(&self) -> &'static str {
        match self {
            Self::Unknown(_) | Self::Writes(_) => "name a tool that reads, or take the line out",
            Self::TooLong(_) => "set it to 5m or less: nobody expects older figures than that",
        }
    }
}

/// The answers that are kept, within bounds of number and size. The oldest give way.
pub struct Cache {
    config: Config,
    kept: Mutex<Kept>,
}

/// Who asks, as far as it decides what they are answered.
#[derive(Clone, Copy, Serialize)]
pub struct Asker<'a> {
    /// The client.
    pub client: &'a str,
    /// Issuer and subject of the person behind it.
    pub user: Option<(&'a str, &'a str)>,
    /// How many writes this daemon has made.
    pub epoch: u64,
}

/// A question whose answer may be kept.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Question {
    digest: [u8; 32],
    time: Span,
}

#[derive(Default)]
struct Kept {
    answers: HashMap<[u8; 32], Entry>,
    /// Oldest first.
    ages: VecDeque<(u64, [u8; 32])>,
    next_age: u64,
    bytes: usize,
}

struct Entry {
    age: u64,
    until: Instant,
    bytes: usize,
    answer: Answer<Value>,
}

impl Cache {
    /// Nothing yet.
    pub fn new(config: &Config) -> Self {
        Self {
            config: config.clone(),
            kept: Mutex::default(),
        }
    }

    /// The question that a call asks; none where the answers of its tool are not kept.
    pub fn question(
        &self,
        asker: Asker<'_>,
        grant: &Grant,
        arguments: &Map<String, Value>,
    ) -> Option<Question> {
        let time = *self.config.tools.get(grant.tool())?;
        let rights = (grant.tool(), grant.scope(), grant.max_records());
        let digest = digest(&(asker, rights, arguments));
        Some(Question { digest, time })
    }

    /// The answer to a question that was answered a short while ago.
    pub fn get(&self, question: &Question, now: Instant) -> Option<Answer<Value>> {
        let kept = self.kept();
        let entry = kept.answers.get(&question.digest);
        entry
            .filter(|entry| now < entry.until)
            .map(|entry| entry.answer.clone())
    }

    /// Keeps an answer.
    pub fn keep(&self, question: &Question, answer: &Answer<Value>, now: Instant) {
        let bytes = OVERHEAD + answer.text.len() + answer.output.to_string().len();
        let most = self.config.max_size.bytes();
        if bytes > most / LEAST_ANSWERS {
            return;
        }
        let mut kept = self.kept();
        kept.remove(&question.digest);
        kept.make_room(self.config.max_entries.get() - 1, most - bytes, now);
        let age = kept.next_age;
        kept.next_age += 1;
        kept.bytes += bytes;
        kept.ages.push_back((age, question.digest));
        let entry = Entry {
            age,
            until: now + question.time.duration(),
            bytes,
            answer: answer.clone(),
        };
        kept.answers.insert(question.digest, entry);
    }

    /// Nothing in here panics while it holds the lock.
    fn kept(&self) -> MutexGuard<'_, Kept> {
        self.kept.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Kept {
    /// Takes the oldest away until what is left fits, and those whose time is over.
    fn make_room(&mut self, entries: usize, bytes: usize, now: Instant) {
        while let Some((age, digest)) = self.ages.front().copied() {
            let entry = self.answers.get(&digest).filter(|entry| entry.age == age);
            let lives = entry.is_some_and(|entry| now < entry.until);
            if lives && self.answers.len() <= entries && self.bytes <= bytes {
                break;
            }
            if entry.is_some() {
                self.remove(&digest);
            }
            self.ages.pop_front();
        }
    }

    fn remove(&mut self, digest: &[u8; 32]) {
        if let Some(entry) = self.answers.remove(digest) {
            self.bytes -= entry.bytes;
        }
    }
}

/// Data that is older than this is for whoever asks for it on purpose.
const LONGEST: Span = Span::millis(300_000);
/// Of the largest size that is kept.
const LEAST_ANSWERS: usize = 8;
/// What an entry takes besides its answer.
const OVERHEAD: usize = 256;

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    fn cache(entries: usize, bytes: &str) -> Cache {
        Cache::new(&Config {
            max_entries: entries.try_into().unwrap(),
            max_size: bytes.parse().unwrap(),
            tools: BTreeMap::new(),
        })
    }

    fn question(n: u8) -> Question {
        Question {
            digest: [n; 32],
            time: "30s".parse().unwrap(),
        }
    }

    fn answer(text: &str) -> Answer<Value> {
        Answer {
            output: Value::Null,
            text: text.to_owned(),
            records: 0,
        }
    }

    fn held(cache: &Cache, now: Instant) -> Vec<u8> {
        (0..20)
            .filter(|n| cache.get(&question(*n), now).is_some())
            .collect()
    }

    #[test]
    fn an_answer_lives_for_its_time() {
        let (cache, now) = (cache(10, "1MiB"), Instant::now());
        cache.keep(&question(1), &answer("one"), now);
        let later = now + Duration::from_secs(29);
        assert_eq!(cache.get(&question(1), later).unwrap().text, "one");
        assert_eq!(held(&cache, now + Duration::from_secs(30)), [0_u8; 0]);
        cache.keep(&question(1), &answer("two"), later);
        let again = cache.get(&question(1), now + Duration::from_secs(40));
        assert_eq!(again.unwrap().text, "two");
    }

    #[test]
    fn the_oldest_give_way_when_there_are_many() {
        let (cache, now) = (cache(3, "1MiB"), Instant::now());
        for n in 0..5 {
            cache.keep(&question(n), &answer("x"), now);
        }
        assert_eq!(held(&cache, now), [2, 3, 4]);
        // What is answered anew is the newest.
        cache.keep(&question(2), &answer("x"), now);
        cache.keep(&question(5), &answer("x"), now);
        assert_eq!(held(&cache, now), [2, 4, 5]);
    }

    #[test]
    fn the_oldest_give_way_when_they_are_large() {
        let (cache, now) = (cache(100, "16KiB"), Instant::now());
        let large = "x".repeat(1700);
        for n in 0..12 {
            cache.keep(&question(n), &answer(&large), now);
        }
        assert_eq!(held(&cache, now), [4, 5, 6, 7, 8, 9, 10, 11]);
        assert!(cache.kept().bytes <= 16 << 10);
        cache.keep(&question(12), &answer(&"x".repeat(5000)), now);
        assert_eq!(held(&cache, now).len(), 8, "too large to be kept");
        cache.kept().make_room(0, 0, now);
        assert_eq!(cache.kept().bytes, 0);
    }

    #[test]
    fn only_reads_that_exist_are_kept_and_not_for_long() {
        let check = |tool: &str, time: &str| {
            let tools = BTreeMap::from([(tool.to_owned(), time.parse().unwrap())]);
            let config = Config {
                tools,
                ..cache(1, "1MiB").config
            };
            config.check(&crate::tools::permissions())
        };
        assert!(check("search_contacts", "5m").is_ok());
        assert!(matches!(check("x", "1s"), Err(BadConfig::Unknown(_))));
        assert!(matches!(
            check("create_note", "1s"),
            Err(BadConfig::Writes(_))
        ));
        assert!(matches!(
            check("search_contacts", "301s"),
            Err(BadConfig::TooLong(_))
        ));
    }
}
