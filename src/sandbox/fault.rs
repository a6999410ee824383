//! Faults that a tester asks for: what goes wrong, for which requests, and how often.

use std::time::Duration;

use bytes::Bytes;
use jiff::Timestamp;
use serde::{Deserialize, Serialize, Serializer};
use serde_json::Value;

use super::{dice::Dice, problem::Problem, reply::Reply, settings::Settings};
use crate::setting::Span;

/// What goes wrong.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize, Serialize)]
#[serde(rename_all = "snake_case")]
pub(super) enum Kind {
    /// The request takes effect at once, the answer comes late.
    Latency,
    /// The answer is an error, and the request has no effect.
    Status,
    /// The connection is reset and the request has no effect.
    ResetBefore,
    /// The request takes effect, then the connection is reset.
    ResetAfterCommit,
    /// The request takes effect after the delay, also when its connection is gone by then.
    LateCommit,
    /// The body ends before its announced length.
    Truncate,
    /// The body comes in pieces, one per delay.
    Drip,
    /// A page for people instead of an answer.
    Html,
    /// The answer is right, and its `content_type` is not.
    ContentType,
    /// The answer has fields that nobody has heard of, wherever there can be some.
    Extra,
    /// The answer is larger than a client should read.
    Oversize,
    /// Whoever answers has a clock that is ahead by the delay, or `behind`: of `Date`, of the records
    /// that are written, and of the tokens that are minted or end.
    Skew,
    /// All access tokens stop working, this request's first.
    RevokeTokens,
}

/// A fault as it is ordered. Without `times` it stays until it is cleared, except that tokens are
/// revoked once. A `body` that is a string is sent as a page, any other as JSON.
#[derive(Clone, Debug, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Fault {
    pub(super) fault: Kind,
    #[serde(default)]
    path: Option<String>,
    #[serde(default)]
    method: Option<String>,
    #[serde(default)]
    times: Option<u32>,
    #[serde(default)]
    probability: Option<f64>,
    #[serde(default, serialize_with = "spelled")]
    delay: Option<Span>,
    #[serde(default)]
    behind: bool,
    #[serde(default)]
    content_type: Option<String>,
    #[serde(default)]
    pub(super) status: Option<u16>,
    #[serde(default)]
    pub(super) body: Option<Value>,
}

/// Why a fault is not accepted.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub(super) enum Refused {
    #[error("`probability` must be between 0 and 1")]
    Probability,
    #[error("`status` must be between 200 and 599")]
    Status,
    #[error("`times` must be at least 1")]
    Times,
    #[error("`path` must start with /crm or /oauth")]
    Path,
    #[error("`delay` must be 10 minutes at the most, of `skew` a day")]
    Delay,
    #[error("there are 100 faults already: clear them first")]
    Full,
}

/// The faults that are in force.
pub(super) struct Faults {
    list: Vec<Fault>,
    dice: Dice,
}

/// What happens to one request.
#[derive(Debug, Default)]
pub(super) struct Misfortune {
    pub(super) latency: Option<Duration>,
    pub(super) fault: Option<Fault>,
}

impl Faults {
    /// None.
    pub(super) const fn new() -> Self {
        Self {
            list: Vec::new(),
            dice: Dice::new(0xfa17),
        }
    }

    /// Puts a fault into force.
    pub(super) fn add(&mut self, mut fault: Fault) -> Result<(), Refused> {
        let known_path = |path: &String| path.starts_with("/crm") || path.starts_with("/oauth");
        if fault.probability.is_some_and(|p| !(0.0..=1.0).contains(&p)) {
            return Err(Refused::Probability);
        }
        if fault
            .status
            .is_some_and(|status| !(200..=599).contains(&status))
        {
            return Err(Refused::Status);
        }
        if fault.times == Some(0) {
            return Err(Refused::Times);
        }
        if fault.path.as_ref().is_some_and(|path| !known_path(path)) {
            return Err(Refused::Path);
        }
        let longest = match fault.fault {
            Kind::Skew => LONGEST_SKEW,
            _ => LONGEST_DELAY,
        };
        if fault.delay() > longest {
            return Err(Refused::Delay);
        }
        if self.list.len() >= MOST_FAULTS {
            return Err(Refused::Full);
        }
        if fault.fault == Kind::RevokeTokens {
            fault.times = fault.times.or(Some(1));
        }
        self.list.push(fault);
        Ok(())
    }

    /// Those in force.
    pub(super) fn list(&self) -> &[Fault] {
        &self.list
    }

    /// Takes all out of force; says how many there were.
    pub(super) fn clear(&mut self) -> usize {
        std::mem::take(&mut self.list).len()
    }

    /// What happens to a request: the first latency and the first other fault that it meets.
    pub(super) fn meet(&mut self, method: &str, path: &str) -> Misfortune {
        let mut met = Misfortune::default();
        for fault in &mut self.list {
            let late = fault.fault == Kind::Latency;
            let taken = if late {
                met.latency.is_some()
            } else {
                met.fault.is_some()
            };
            let due = fault.probability.is_none_or(|p| self.dice.fraction() < p);
            if taken || !fault.concerns(method, path) || !due {
                continue;
            }
            fault.times = fault.times.map(|times| times.saturating_sub(1));
            if late {
                met.latency = Some(fault.delay());
            } else {
                met.fault = Some(fault.clone());
            }
        }
        self.list.retain(|fault| fault.times != Some(0));
        met
    }
}

impl Fault {
    /// How long it makes a caller wait.
    pub(super) fn delay(&self) -> Duration {
        self.delay.map_or(USUAL_DELAY, Span::duration)
    }

    /// What the clock of whoever answers shows.
    pub(super) fn clock(&self, now: Timestamp) -> Timestamp {
        let moved = match (self.fault, self.behind) {
            (Kind::Skew, false) => now.checked_add(self.delay()),
            (Kind::Skew, true) => now.checked_sub(self.delay()),
            _ => return now,
        };
        moved.unwrap_or(now)
    }

    /// What the answer says that it is.
    pub(super) fn content_type(&self) -> &str {
        self.content_type.as_deref().unwrap_or("text/html")
    }

    /// Whether the request itself takes effect late, not its answer alone.
    pub(super) fn is_late(&self) -> bool {
        self.fault == Kind::LateCommit
    }

    fn concerns(&self, method: &str, path: &str) -> bool {
        self.path
            .as_ref()
            .is_none_or(|prefix| path.starts_with(prefix))
            && self
                .method
                .as_ref()
                .is_none_or(|wanted| wanted.eq_ignore_ascii_case(method))
    }
}

/// The answer that a fault gives to a request in place of the real one.
pub(super) fn instead(
    fault: &Fault,
    (method, path): (&str, &str),
    settings: &Settings,
) -> Option<Reply> {
    let page = |fault: &Fault, default: &'static str| match &fault.body {
        Some(serde_json::Value::String(page)) => Bytes::from(page.clone()),
        _ => Bytes::from_static(default.as_bytes()),
    };
    match fault.fault {
        Kind::Html => Some(Reply::html(
            fault.status.unwrap_or(200),
            page(fault, MAINTENANCE),
        )),
        Kind::Status => {
            let status = fault.status.unwrap_or(503);
            Some(match &fault.body {
                Some(serde_json::Value::String(_)) => Reply::html(status, page(fault, "")),
                Some(body) => Reply::json(status, Some(body)),
                None if status == 204 || status == 304 => Reply::json(status, None),
                None => settings.refusal(path, &Problem::on(method, path, status)),
            })
        }
        _ => None,
    }
}

fn spelled<S: Serializer>(delay: &Option<Span>, serializer: S) -> Result<S::Ok, S::Error> {
    delay.map(|delay| delay.to_string()).serialize(serializer)
}

const MAINTENANCE: &str = "<!DOCTYPE html><html><head><title>Maintenance</title></head><body><h1>We will be back soon</h1></body></html>";
const USUAL_DELAY: Duration = Duration::from_millis(500);
const LONGEST_DELAY: Duration = Duration::from_secs(600);
const LONGEST_SKEW: Duration = Duration::from_secs(86_400);
const MOST_FAULTS: usize = 100;

#[cfg(test)]
mod tests {
    use super::*;

    fn fault(json: &str) -> Fault {
        serde_json::from_str(json).unwrap()
    }

    #[test]
    fn a_fault_meets_what_it_was_ordered_for_as_often_as_ordered() {
        let mut faults = Faults::new();
        faults
            .add(fault(
                r#"{"fault":"status","path":"/crm/v8/Notes","method":"post","times":1}"#,
            ))
            .unwrap();
        assert!(faults.meet("GET", "/crm/v8/Notes").fault.is_none());
        assert!(faults.meet("POST", "/crm/v8/Deals").fault.is_none());
        assert!(faults.meet("POST", "/crm/v8/Notes").fault.is_some());
        assert!(faults.meet("POST", "/crm/v8/Notes").fault.is_none());
        assert!(faults.list().is_empty());
    }

    #[test]
    fn latency_goes_with_another_fault() {
        let mut faults = Faults::new();
        faults
            .add(fault(r#"{"fault":"latency","delay":"2s"}"#))
            .unwrap();
        faults.add(fault(r#"{"fault":"html"}"#)).unwrap();
        let met = faults.meet("GET", "/oauth/v2/token");
        assert_eq!(met.latency, Some(Duration::from_secs(2)));
        assert_eq!(met.fault.unwrap().fault, Kind::Html);
    }

    #[test]
    fn probability_decides() {
        let mut faults = Faults::new();
        faults
            .add(fault(r#"{"fault":"reset_before","probability":0.25}"#))
            .unwrap();
        let met = (0..1_000)
            .filter(|_| faults.meet("GET", "/crm").fault.is_some())
            .count();
        assert!((180..320).contains(&met), "{met}");
    }

    #[test]
    fn a_clock_goes_either_way_and_not_too_far() {
        let now: Timestamp = "2026-05-14T10:00:00Z".parse().unwrap();
        let shown = |json| fault(json).clock(now).to_string();
        let ahead = shown(r#"{"fault":"skew","delay":"2h"}"#);
        assert_eq!(ahead, "2026-05-14T12:00:00Z");
        let behind = shown(r#"{"fault":"skew","delay":"2h","behind":true}"#);
        assert_eq!(behind, "2026-05-14T08:00:00Z");
        assert_eq!(fault(r#"{"fault":"html","delay":"2h"}"#).clock(now), now);
        let mut faults = Faults::new();
        for bad in [
            r#"{"fault":"skew","delay":"25h"}"#,
            r#"{"fault":"latency","delay":"2h"}"#,
        ] {
            assert_eq!(faults.add(fault(bad)), Err(Refused::Delay));
        }
    }

    #[test]
    fn a_misspelled_fault_is_refused() {
        for bad in [
            r#"{"fault":"latency","dely":"2s"}"#,
            r#"{"fault":"oops"}"#,
            r#"{"fault":"drip","delay":5}"#,
            "{}",
        ] {
            assert!(serde_json::from_str::<Fault>(bad).is_err(), "{bad}");
        }
        let mut faults = Faults::new();
        assert_eq!(
            faults.add(fault(r#"{"fault":"html","path":"/__sim"}"#)),
            Err(Refused::Path)
        );
        assert_eq!(
            faults.add(fault(r#"{"fault":"html","probability":2}"#)),
            Err(Refused::Probability)
        );
    }
}
