//! What a token's scopes leave of a role: they narrow it and never add to it.
//!
//! `crm:read` covers the tools that only read, `crm:write` those that change the CRM (neither
//! includes the other), and `tool:NAME` or the bare name covers one tool.

use std::sync::Arc;

use serde::{Deserialize, Serialize};

/// Those scopes of a token that mean something here, claim by claim.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Scopes(Arc<[Claim]>);

#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
struct Claim {
    read: bool,
    write: bool,
    tools: Vec<Box<str>>,
}

/// The scopes that the metadata names.
pub const SUPPORTED: [&str; 2] = [READ, WRITE];

const READ: &str = "crm:read";
const WRITE: &str = "crm:write";
const TOOL: &str = "tool:";

impl Scopes {
    /// Reads the words of a token's one scope claim. Words of others' are passed over.
    pub fn of<'a>(words: impl IntoIterator<Item = &'a str>) -> Self {
        Self([Claim::of(words)].into())
    }

    /// Reads the words of each scope claim that a token has. Without any claim nothing is narrowed.
    pub fn of_claims<'a, Words>(claims: impl IntoIterator<Item = Words>) -> Self
    where
        Words: IntoIterator<Item = &'a str>,
    {
        Self(claims.into_iter().map(Claim::of).collect())
    }

    /// Whether each claim covers a tool that changes the CRM, or one that does not.
    pub fn cover(&self, tool: &str, writes: bool) -> bool {
        self.0.iter().all(|claim| claim.covers(tool, writes))
    }

    /// What a token needs for that tool, what it has already included, so that asking for more
    /// loses nothing.
    pub fn needed(&self, writes: bool) -> &'static str {
        let read = self.0.iter().any(|claim| claim.read);
        let write = self.0.iter().any(|claim| claim.write);
        match (read || !writes, write || writes) {
            (true, true) => "crm:read crm:write",
            (false, true) => WRITE,
            (_, false) => READ,
        }
    }
}

/// Whether any of the words means something here. A bare word does when a tool is named so: much of
/// what others use as scopes (`openid`, `profile`) looks like the name of a tool.
pub fn any_is_ours<'a>(words: impl IntoIterator<Item = &'a str>, tools: &[&str]) -> bool {
    let is_ours = |word: &str| {
        matches!(word, READ | WRITE) || word.starts_with(TOOL) || tools.contains(&word)
    };
    words.into_iter().any(is_ours)
}

impl Claim {
    fn of<'a>(words: impl IntoIterator<Item = &'a str>) -> Self {
        let mut claim = Self::default();
        for word in words {
            match word {
                READ => claim.read = true,
                WRITE => claim.write = true,
                _ => {
                    let name = word.strip_prefix(TOOL).unwrap_or(word);
                    if is_tool_name(name) && claim.tools.len() < MAX_TOOLS {
                        claim.tools.push(name.into());
                    }
                }
            }
        }
        claim
    }

    fn covers(&self, tool: &str, writes: bool) -> bool {
        let class = if writes { self.write } else { self.read };
        class || self.tools.iter().any(|name| **name == *tool)
    }
}

/// As the table of tools names them.
fn is_tool_name(word: &str) -> bool {
    let letter = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'_';
    !word.is_empty() && word.len() <= 64 && word.bytes().all(letter)
}

const MAX_TOOLS: usize = 64;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_scope_covers_its_own_tools() {
        let scopes = Scopes::of(["openid", "crm:read", "tool:create_note"]);
        assert!(scopes.cover("search_contacts", false));
        assert!(scopes.cover("create_note", true));
        assert!(!scopes.cover("delete_note", true));
        let write = Scopes::of(["crm:write"]);
        assert!(write.cover("create_note", true) && !write.cover("search_contacts", false));
        assert!(Scopes::of(["search_contacts"]).cover("search_contacts", false));
    }

    #[test]
    fn no_claim_widens_another() {
        let both = Scopes::of_claims([
            vec!["crm:read", "crm:write"],
            vec!["search_contacts", "tool:create_note"],
        ]);
        assert!(both.cover("search_contacts", false) && both.cover("create_note", true));
        assert!(!both.cover("get_deal_summary", false));
        let apart = Scopes::of_claims([vec!["crm:read"], vec!["create_note"]]);
        assert!(!apart.cover("search_contacts", false) && !apart.cover("create_note", true));
        assert!(!Scopes::of_claims([vec!["crm:read"], vec![]]).cover("search_contacts", false));
    }

    #[test]
    fn a_word_of_others_is_told_from_the_name_of_a_tool() {
        let tools = ["create_note", "search_contacts"];
        for ours in ["crm:read", "crm:write", "tool:x", "create_note"] {
            assert!(any_is_ours(["openid", ours], &tools), "{ours}");
        }
        let others = [
            "openid",
            "profile",
            "access_as_user",
            "User.Read",
            "crm:*",
            "",
        ];
        assert!(!any_is_ours(others, &tools) && !any_is_ours([], &tools));
    }

    #[test]
    fn nothing_of_ours_covers_nothing() {
        let none = Scopes::of(["openid", "profile", "crm:*", "*", "tool:*", "CRM:READ"]);
        assert!(!none.cover("search_contacts", false) && !none.cover("create_note", true));
    }

    #[test]
    fn a_challenge_asks_for_what_is_needed_and_keeps_what_is_there() {
        assert_eq!(Scopes::of(["crm:read"]).needed(true), "crm:read crm:write");
        assert_eq!(Scopes::of(["openid"]).needed(true), "crm:write");
        assert_eq!(Scopes::of([]).needed(false), "crm:read");
        assert_eq!(
            Scopes::of(["crm:write"]).needed(false),
            "crm:read crm:write"
        );
    }
}
