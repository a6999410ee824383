//! Queries that are answered with what is shown to whoever asks.

use serde::Deserialize;
use tokio::time::Instant;

use super::{Column, Crm, Listed, Select, ZohoError};

impl Crm {
    /// What a query finds, without the columns that are hidden: Zoho refuses a query that names one. What
    /// the records are found or sorted by cannot be left out, and is told as [`ZohoError::Hidden`].
    pub(in crate::zoho) async fn shown<R, T>(
        &self,
        mut query: Select,
    ) -> Result<Listed<T>, ZohoError>
    where
        R: for<'de> Deserialize<'de> + Into<T>,
    {
        let tokens = self.sight().await?.tokens;
        loop {
            let now = Instant::now();
            let hides = |name| tokens.hides((query.from, name), now);
            query
                .columns
                .retain(|column| !name(column).is_some_and(hides));
            let asked = self.query(query.clone()).await?;
            let field = match self.list::<R, T>(&asked).await {
                Err(ZohoError::Hidden { field }) => field,
                listed => return listed,
            };
            // A lookup that is hidden hides what it leads to.
            let names_it = |name: &&str| name.split('.').any(|part| part == field.as_str());
            let hidden = query.columns.iter().filter_map(name).filter(names_it);
            let hidden: Vec<_> = hidden.collect();
            if hidden.is_empty() {
                return Err(ZohoError::Hidden { field });
            }
            for name in hidden {
                tokens.was_refused((query.from, name), now);
            }
        }
    }
}

fn name(column: &Column) -> Option<&'static str> {
    match column {
        Column::Field(name) => Some(name),
        Column::Sum { .. } | Column::Count { .. } => None,
    }
}
