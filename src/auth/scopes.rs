//! What a token's scopes leave of a role: they narrow it and never add to it.
//!
//! `crm:read` covers the tools that only read, `crm:write` those that change the CRM (neither
//! includes the other), and `tool:NAME` or the bare name covers one tool.

use std::sync::Arc;

/// Those scopes of a token that mean something here.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Scopes {
    read: bool,
    write: bool,
    tools: Arc<[Box<str>]>,
}

/// The scopes that the metadata names.
pub const SUPPORTED: [&str; 2] = [READ, WRITE];

const READ: &str = "crm:read";
const WRITE: &str = "crm:write";

impl Scopes {
    /// Reads the words of a token's scope claims. Words of others' are passed over.
    pub fn of<'a>(words: impl IntoIterator<Item = &'a str>) -> Self {
        let (mut scopes, mut tools) = (Self::default(), Vec::new());
        for word in words {
            match word {
                READ => scopes.read = true,
                WRITE => scopes.write = true,
                _ => {
                    let name = word.strip_prefix("tool:").unwrap_or(word);
                    if is_tool_name(name) && tools.len() < MAX_TOOLS {
                        tools.push(name.into());
                    }
                }
            }
        }
        Self {
            tools: tools.into(),
            ..scopes
        }
    }

    /// Whether they cover a tool that changes the CRM, or one that does not.
    pub fn cover(&self, tool: &str, writes: bool) -> bool {
        let class = if writes { self.write } else { self.read };
        class || self.tools.iter().any(|name| **name == *tool)
    }

    /// What a token needs for that tool, what it has already included, so that asking for more
    /// loses nothing.
    pub fn needed(&self, writes: bool) -> &'static str {
        match (self.read || !writes, self.write || writes) {
            (true, true) => "crm:read crm:write",
            (false, true) => WRITE,
            (_, false) => READ,
        }
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
    fn nothing_of_ours_covers_nothing() {
        let none = Scopes::of(["openid", "profile", "crm:*", "*", "tool:*", "CRM:READ"]);
        assert!(!none.cover("search_contacts", false) && !none.cover("create_note", true));
    }

    #[test]
    fn a_challenge_asks_for_what_is_needed_and_keeps_what_is_there() {
        assert_eq!(Scopes::of(["crm:read"]).needed(true), "crm:read crm:write");
        assert_eq!(Scopes::of(["openid"]).needed(true), "crm:write");
        assert_eq!(Scopes::default().needed(false), "crm:read");
        assert_eq!(
            Scopes::of(["crm:write"]).needed(false),
            "crm:read crm:write"
        );
    }
}
