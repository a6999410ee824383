//! Lists page by page, of which a caller may see a part.

use serde::Deserialize;

use super::{Crm, Listed, Page, Scoped, ZohoError};

impl Crm {
    /// Asks for a page of what is seen. How many rows were dropped shows nowhere: neither in the
    /// length of a page nor in whether there are more.
    pub(in crate::zoho) async fn page<R, T>(
        &self,
        scoped: &Scoped,
        page: Page,
    ) -> Result<Listed<T>, ZohoError>
    where
        R: for<'de> Deserialize<'de> + Into<T>,
    {
        let asked = scoped.on_page(page)?;
        if !scoped.sifted {
            return self.list::<R, T>(&asked).await;
        }
        let first = (page.number as usize - 1) * page.size as usize;
        let end = first + page.size as usize;
        let mut rows = Vec::new();
        for number in 1..=WHOLE_PAGES {
            let whole = scoped.on_page(Page { number, size: 200 })?;
            let listed = self.list::<R, T>(&whole).await?;
            rows.extend(listed.rows);
            if !listed.more || rows.len() > end {
                break;
            }
            if number == WHOLE_PAGES && rows.len() < end {
                return Err(ZohoError::TooManyMatches);
            }
        }
        let more = rows.len() > end;
        rows.truncate(end);
        Ok(Listed {
            rows: rows.split_off(first.min(rows.len())),
            more,
            index: None,
        })
    }

    /// Asks for what a list has from a place on that Zoho named. Where a caller sees a part, that is what is
    /// seen of its first page: how many rows were dropped would show in where it goes on.
    pub(in crate::zoho) async fn read_on<R, T>(
        &self,
        scoped: &Scoped,
        from: Option<&str>,
    ) -> Result<Listed<T>, ZohoError>
    where
        R: for<'de> Deserialize<'de> + Into<T>,
    {
        let ask = scoped.ask.clone();
        let asked = scoped.asking(match from.filter(|_| !scoped.sifted) {
            Some(index) => ask.with("index", index),
            None => ask,
        });
        let mut listed = self.list::<R, T>(&asked).await?;
        if scoped.sifted {
            (listed.more, listed.index) = (false, None);
        }
        Ok(listed)
    }
}

/// Of 200 rows: Zoho's lists end at 2000 without a page token.
const WHOLE_PAGES: u32 = 10;
