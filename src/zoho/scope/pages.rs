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

    /// Asks for what a list has from a place on that Zoho named, in pages of that size: where a caller
    /// sees a part, it is read on until a page is full of what is seen.
    pub(in crate::zoho) async fn read_on<R, T>(
        &self,
        scoped: &Scoped,
        from: Option<&str>,
        size: usize,
    ) -> Result<Listed<T>, ZohoError>
    where
        R: for<'de> Deserialize<'de> + Into<T>,
    {
        let at = |index: Option<&str>| match index {
            Some(index) => scoped.asking(scoped.ask.clone().with("index", index)),
            None => scoped.asking(scoped.ask.clone()),
        };
        let mut all = self.list::<R, T>(&at(from)).await?;
        for _ in 1..WHOLE_PAGES {
            if !scoped.sifted || !all.more || all.index.is_none() || all.rows.len() >= size {
                break;
            }
            let next = self.list::<R, T>(&at(all.index.as_deref())).await?;
            all.rows.extend(next.rows);
            (all.more, all.index) = (next.more, next.index);
        }
        Ok(all)
    }
}

/// Of 200 rows: Zoho's lists end at 2000 without a page token. Pages of ten e-mails are not read on
/// for longer either.
const WHOLE_PAGES: u32 = 10;
