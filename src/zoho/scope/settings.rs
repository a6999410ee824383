//! Questions about the organisation itself, which are nobody's records.

use super::{Scoped, Sight};
use crate::zoho::{Crm, Page, ZohoError, exchange::Ask, token::Tokens};

impl Scoped {
    fn unowned(ask: Ask, tokens: Tokens, personal: bool) -> Self {
        let owners = None;
        Self::new(
            ask,
            Sight {
                tokens,
                personal,
                owners,
            },
        )
    }

    /// The organisation's settings: nobody's records, the same for every caller.
    pub(in crate::zoho) fn org(crm: &Crm) -> Self {
        Self::unowned(Ask::get("org", "org"), crm.zoho.tokens(), false)
    }

    /// The organisation's users, of whom every caller may know the names.
    pub(in crate::zoho) fn users(crm: &Crm, page: Page) -> Result<Self, ZohoError> {
        let ask = Ask::get("users", "users")
            .with("type", "AllUsers")
            .page(page)?;
        Ok(Self::unowned(ask, crm.zoho.tokens(), false))
    }

    /// Whom a person's credential belongs to.
    pub(in crate::zoho) fn current_user(tokens: Tokens) -> Self {
        let ask = Ask::get("users", "users").with("type", "CurrentUser");
        Self::unowned(ask, tokens, true)
    }

    /// The fields of a module, those that the daemon's own Zoho user has.
    pub(in crate::zoho) fn own_fields(crm: &Crm, module: &str) -> Self {
        Self::unowned(fields(module), crm.zoho.tokens(), false)
    }

    /// The fields of a module, those that the caller's Zoho user has.
    pub(in crate::zoho) async fn fields(crm: &Crm, module: &str) -> Result<Self, ZohoError> {
        let sight = crm.sight().await?;
        Ok(Self::unowned(fields(module), sight.tokens, sight.personal))
    }
}

fn fields(module: &str) -> Ask {
    Ask::get("settings/fields", "settings/fields").with("module", module)
}
