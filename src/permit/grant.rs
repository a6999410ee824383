//! The proof that a caller may use a tool, and under which obligations.

use std::num::NonZeroU32;

use crate::zoho::Scope;

/// Whether a tool changes the CRM.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Effect {
    Read,
    Write,
}

/// What a tool asks for, as its row in the table of tools declares it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Permission {
    pub tool: &'static str,
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

/// Why a tool may not be called. The reason is for the audit log; a caller hears one text.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Denial {
    #[error("the client is not configured")]
    UnknownClient,
    #[error("the role is not configured")]
    UnknownRole,
    #[error("the tool is not in the role's list")]
    NotInRole,
    #[error("the tool writes and the role may not write")]
    WriteNotAllowed,
    #[error("the token's scope does not cover the tool")]
    NotInScope,
    #[error("the client works for people and the caller names none")]
    NoUser,
    #[error("the client's owners do not list the user")]
    NoOwner,
}

impl Denial {
    /// The word of the log for it.
    pub const fn word(self) -> &'static str {
        match self {
            Self::UnknownClient => "unknown_client",
            Self::UnknownRole => "unknown_role",
            Self::NotInRole => "not_in_role",
            Self::WriteNotAllowed => "write_not_allowed",
            Self::NotInScope => "not_in_scope",
            Self::NoUser => "no_user",
            Self::NoOwner => "no_owner",
        }
    }

    /// What the log calls by that word.
    pub fn of_word(word: &str) -> Option<Self> {
        [
            Self::UnknownClient,
            Self::UnknownRole,
            Self::NotInRole,
            Self::WriteNotAllowed,
            Self::NotInScope,
            Self::NoUser,
            Self::NoOwner,
        ]
        .into_iter()
        .find(|denial| denial.word() == word)
    }
}
