//! Page tokens: opaque, bound to a user and to the parameters, good for a day.

use jiff::Timestamp;
use serde_json::json;
use sha2::{Digest, Sha256};

use super::{cell::Id, problem::Problem};

/// Makes page tokens and checks those that come back.
pub(super) struct Cursors {
    key: [u8; 32],
}

impl Cursors {
    /// Cursors that only this sandbox can read.
    pub(super) const fn new(key: [u8; 32]) -> Self {
        Self { key }
    }

    /// The token that continues a listing at an offset; a number goes with it, that the listing has
    /// need of.
    pub(super) fn issue(
        &self,
        (offset, number): (usize, usize),
        user: Id,
        bound: &str,
        now: Timestamp,
    ) -> (String, Timestamp) {
        let expires = now.as_second() + LIFETIME;
        let head = format!("{offset:x}-{number:x}-{expires:x}");
        let token = format!("{head}-{}", self.seal(&head, user, bound));
        (token, Timestamp::from_second(expires).unwrap_or(now))
    }

    /// Where a token continues, and the number that went with it.
    pub(super) fn open(
        &self,
        token: &str,
        user: Id,
        bound: &str,
        now: Timestamp,
    ) -> Result<(usize, usize), Problem> {
        let (head, seal) = token.rsplit_once('-').ok_or_else(altered)?;
        let genuine =
            subtle::ConstantTimeEq::ct_eq(seal.as_bytes(), self.seal(head, user, bound).as_bytes());
        if !bool::from(genuine) {
            return Err(altered());
        }
        let mut parts = head.splitn(3, '-');
        let mut part = || parts.next().ok_or_else(altered);
        let (offset, number, expires) = (part()?, part()?, part()?);
        let read = |text| usize::from_str_radix(text, 16).map_err(|_| altered());
        let (offset, number) = (read(offset)?, read(number)?);
        let expires = i64::from_str_radix(expires, 16).map_err(|_| altered())?;
        if expires <= now.as_second() {
            let details = json!({"api_name": "page_token", "json_path": "$.query.page_token"});
            return Err(Problem::bad("EXPIRED_VALUE", details, "Page token expired"));
        }
        Ok((offset, number))
    }

    fn seal(&self, head: &str, user: Id, bound: &str) -> String {
        let digest = Sha256::new()
            .chain_update(self.key)
            .chain_update(format!("{head}|{user}|{bound}"))
            .finalize();
        super::token::hex(digest.get(..16).unwrap_or_default())
    }
}

/// A token that is none, or not of this request.
pub(super) fn altered() -> Problem {
    Problem::bad(
        "TOKEN_BOUND_DATA_MISMATCH",
        json!({"param_name": "page_token"}),
        MISMATCH,
    )
}

const LIFETIME: i64 = 24 * 3_600;
const MISMATCH: &str =
    "The page_token given seems to be invalid or input param is added or altered or deleted";

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_page_token_is_bound_to_its_user_and_parameters_for_a_day() {
        let cursors = Cursors::new([7; 32]);
        let now: Timestamp = "2026-05-14T10:00:00Z".parse().unwrap();
        let later: Timestamp = "2026-05-15T10:00:00Z".parse().unwrap();
        let (token, expires) = cursors.issue((200, 100), Id(1), "fields=id", now);
        assert_eq!(expires, later);
        assert_eq!(
            cursors.open(&token, Id(1), "fields=id", now).unwrap(),
            (200, 100)
        );
        assert_eq!(
            cursors
                .open(&token, Id(2), "fields=id", now)
                .unwrap_err()
                .code,
            "TOKEN_BOUND_DATA_MISMATCH"
        );
        assert_eq!(
            cursors
                .open(&token, Id(1), "fields=", now)
                .unwrap_err()
                .code,
            "TOKEN_BOUND_DATA_MISMATCH"
        );
        assert_eq!(
            cursors.open("", Id(1), "fields=id", now).unwrap_err().code,
            "TOKEN_BOUND_DATA_MISMATCH"
        );
        assert_eq!(
            cursors
                .open(&token, Id(1), "fields=id", later)
                .unwrap_err()
                .code,
            "EXPIRED_VALUE"
        );
    }
}
