//! When the server's certificate and the revocation lists run out, said while there is time to act.

use std::{fmt, path::PathBuf};

use jiff::{SignedDuration, Timestamp};

/// Something that is good until a certain moment.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Term {
    pub(super) kind: Kind,
    pub(super) path: PathBuf,
    pub(super) from: Timestamp,
    pub(super) until: Timestamp,
}

/// What runs out.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    Certificate,
    RevocationList { issuer: Box<str> },
}

/// What has run out or soon will, and what to do about it. Displayed with the key and the file, for
/// an operator.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Expiring {
    term: Term,
    is_over: bool,
}

impl Term {
    /// `None` while there is time enough: more than a quarter of its life, or than a week.
    pub(super) fn at(&self, now: Timestamp) -> Option<Expiring> {
        let left = self.until.duration_since(now);
        let life = self.until.duration_since(self.from);
        (left < (life / 4).min(SOON)).then(|| Expiring {
            term: self.clone(),
            is_over: left.is_negative(),
        })
    }
}

impl Expiring {
    /// Whether its time is over.
    pub fn is_over(&self) -> bool {
        self.is_over
    }

    /// The same without names of files and issuers, for whoever may ask.
    pub fn in_short(&self) -> String {
        let what = match self.term.kind {
            Kind::Certificate => "the server's certificate",
            Kind::RevocationList { .. } => "a revocation list",
        };
        format!("{what} {} {}", self.is_or_was(), self.term.until)
    }

    const fn is_or_was(&self) -> &'static str {
        if self.is_over {
            "was valid until"
        } else {
            "is valid only until"
        }
    }
}

impl fmt::Display for Expiring {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (path, until, is_or_was) =
            (self.term.path.display(), self.term.until, self.is_or_was());
        match (&self.term.kind, self.is_over) {
            (Kind::Certificate, false) => write!(
                f,
                "server.tls.cert: the certificate in {path} {is_or_was} {until}; renew it"
            ),
            (Kind::Certificate, true) => write!(
                f,
                "server.tls.cert: the certificate in {path} {is_or_was} {until} and clients refuse it; renew it"
            ),
            (Kind::RevocationList { issuer }, false) => write!(
                f,
                "server.tls.client_crl: the list of {issuer} in {path} {is_or_was} {until}; fetch a newer one"
            ),
            (Kind::RevocationList { issuer }, true) => write!(
                f,
                "server.tls.client_crl: the list of {issuer} in {path} {is_or_was} {until} and its certificates are refused; fetch a newer one"
            ),
        }
    }
}

/// However long something lives, its last week is worth a word.
const SOON: SignedDuration = SignedDuration::from_hours(7 * 24);

#[cfg(test)]
mod tests {
    use super::*;

    fn said(kind: Kind, days: i64, left: SignedDuration) -> Option<Expiring> {
        let from = Timestamp::UNIX_EPOCH;
        let until = from + SignedDuration::from_hours(24 * days);
        let term = Term {
            kind,
            path: "server.pem".into(),
            from,
            until,
        };
        term.at(until - left)
    }

    #[test]
    fn the_last_week_is_told_and_of_a_short_life_the_last_quarter() {
        let hours = SignedDuration::from_hours;
        for (days, left, is_told) in [
            (365, hours(7 * 24 + 1), false),
            (365, hours(7 * 24 - 1), true),
            (7, hours(43), false),
            (7, hours(41), true),
            (1, hours(7), false),
            (1, hours(5), true),
            (365, hours(-1), true),
        ] {
            let told = said(Kind::Certificate, days, left);
            assert_eq!(told.is_some(), is_told, "{days} days, {left:#} left");
            assert!(told.is_none_or(|told| told.is_over() == left.is_negative()));
        }
    }

    #[test]
    fn an_operator_reads_which_file_and_others_do_not() {
        let issuer = "CN=clients".into();
        let list = said(
            Kind::RevocationList { issuer },
            1,
            SignedDuration::from_hours(-1),
        );
        let list = list.unwrap();
        assert_eq!(
            list.to_string(),
            "server.tls.client_crl: the list of CN=clients in server.pem was valid until \
             1970-01-02T00:00:00Z and its certificates are refused; fetch a newer one"
        );
        assert_eq!(
            list.in_short(),
            "a revocation list was valid until 1970-01-02T00:00:00Z"
        );
    }
}
