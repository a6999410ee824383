//! The proof that a caller may use a tool, and under which obligations.

use std::num::NonZeroU32;

use crate::zoho::Scope;

/// Whether a tool changes the CRM.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Effect {
    /// It does not.
    Read,
    /// It does, so a role has to allow it.
    Write,
}

/// What a tool asks for, as its row in the table of tools declares it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Permission {
    /// The name that agents call it by.
    pub tool: &'static str,
    /// Whether it changes the CRM.
    pub effect: Effect,
}

/// The right to call one tool once. Only `decide` can make one.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Grant {
    permission: Permission,
    max_records: NonZeroU32,
    scope: Scope,
}

impl Grant {
    pub(super) fn new(permission: Permission, max_records: NonZeroU32, scope: Scope) -> Self {
        Self {
            permission,
            max_records,
            scope,
        }
    }

    /// The tool that may be called.
    pub fn tool(&self) -> &'static str {
        self.permission.tool
    }

    /// Rows that a call may return: what was asked for, within the role's ceiling.
    pub fn rows(&self, asked: u32) -> u32 {
        asked.clamp(1, self.max_records.get())
    }

    /// The role's ceiling.
    pub fn max_records(&self) -> u32 {
        self.max_records.get()
    }

    /// Which rows may be seen.
    pub fn scope(&self) -> &Scope {
        &self.scope
    }
}

/// One list, so that a word that is written is always one that is read.
macro_rules! denials {
    ($($(#[$about:meta])* $denial:ident = $word:literal,)*) => {
        /// Why a tool may not be called. The reason is for the audit log; a caller hears one text.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
        #[expect(missing_docs, reason = "the messages say it")]
        pub enum Denial {
            $($(#[$about])* $denial,)*
        }

        impl Denial {
            /// The word of the log for it.
            pub const fn word(self) -> &'static str {
                match self {
                    $(Self::$denial => $word,)*
                }
            }

            /// What the log calls by that word.
            pub fn of_word(word: &str) -> Option<Self> {
                match word {
                    $($word => Some(Self::$denial),)*
                    _ => None,
                }
            }
        }
    };
}

denials! {
    #[error("the client is not configured")]
    UnknownClient = "unknown_client",
    #[error("the role is not configured")]
    UnknownRole = "unknown_role",
    #[error("the tool is not in the role's list")]
    NotInRole = "not_in_role",
    #[error("the tool writes and the role may not write")]
    WriteNotAllowed = "write_not_allowed",
    #[error("the token's scope does not cover the tool")]
    NotInScope = "not_in_scope",
    #[error("the client works for people and the caller names none")]
    NoUser = "no_user",
    #[error("the client's owners do not list the user")]
    NoOwner = "no_owner",
}
