//! Writes within a scope: what stands alone, and changes of a record that is seen.

use serde::Serialize;

use super::{Ask, Crm, RecordId, Scoped, ZohoError};

impl Crm {
    /// A record that stands below no other.
    pub(in crate::zoho) async fn addition(
        &self,
        module: &'static str,
        body: &impl Serialize,
    ) -> Result<Scoped, ZohoError> {
        Ok(Scoped::new(Ask::write(module, body)?, self.sight().await?))
    }

    /// A change of a record that is seen. Whoever may see it and not change it is told so.
    pub(in crate::zoho) async fn change_of(
        &self,
        route: &'static str,
        (module, id): (&'static str, &RecordId),
        body: &impl Serialize,
        unmodified_since: Option<&str>,
    ) -> Result<Scoped, ZohoError> {
        let sight = self.sight().await?;
        self.prove(&sight, module, id).await?;
        let ask = Ask::change(route, &format!("{module}/{id}"), body, unmodified_since)?;
        Ok(Scoped::new(ask, sight))
    }
}
