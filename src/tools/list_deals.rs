//! `list_deals`: the deals that pass filters, in an order.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{
    Answer, Context, Tool, ToolError,
    cursor::CursorText,
    deal_filter::Filters,
    input::Limit,
    listing::{Asked, End, Listing, Pager},
    record::Deal,
    text::{Text, amount_of, brief_or_dash},
};
use crate::{
    audit::{Class, Classes},
    permit::Effect,
    zoho::deals::DealOrder,
};

pub(super) struct ListDeals;

#[derive(Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct Input {
    /// Default all open ones.
    filters: Option<Filters>,
    /// Largest, earliest or newest first. Default closing_date.
    sort: Option<Sort>,
    /// Default 20.
    limit: Option<Limit>,
    /// From the last answer, to go on.
    #[serde(skip_serializing)]
    cursor: Option<CursorText>,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
enum Sort {
    Amount,
    #[default]
    ClosingDate,
    Created,
}

// Deals with a currency for their amounts.
#[derive(Debug, Serialize, JsonSchema)]
pub(super) struct Output<T> {
    #[serde(flatten)]
    list: Listing<T>,
    currency: String,
}

impl<T> Output<T> {
    pub(super) fn answer(list: Listing<T>, text: Text, currency: &str) -> Answer<Self> {
        Answer {
            text: text.finish(),
            records: list.records(),
            output: Self {
                list,
                currency: currency.to_owned(),
            },
        }
    }
}

impl Tool for ListDeals {
    const NAME: &'static str = "list_deals";
    const TITLE: &'static str = "List deals";
    const DESCRIPTION: &'static str = "The deals that pass the filters, page by page. For totals \
        use get_deal_summary or get_pipeline. Costs 1 to 2 API credits, rarely 3.";
    const EFFECT: Effect = Effect::Read;
    const CLASSES: Classes = &[
        ("filters", Class::Object(Filters::CLASSES)),
        ("sort", Class::Public),
        ("limit", Class::Public),
        // Any text may come as a cursor.
        ("cursor", Class::Pii),
    ];
    type Input = Input;
    type Output = Output<Deal>;

    async fn run(call: &Context<'_>, input: Input) -> Result<Answer<Self::Output>, ToolError> {
        let asked = Asked {
            limit: input.limit,
            default: 20,
            cursor: input.cursor.as_ref(),
        };
        let pager = Pager::new(call, &input, &asked, End::QUERY)?;
        let filter = input.filters.unwrap_or_default().filter(call).await?;
        let order = match input.sort.unwrap_or_default() {
            Sort::Amount => DealOrder::Amount,
            Sort::ClosingDate => DealOrder::ClosingDate,
            Sort::Created => DealOrder::Created,
        };
        let (org, listed) =
            tokio::try_join!(call.crm.org(), call.crm.deals(&filter, order, pager.page()),)?;
        let list: Listing<Deal> = pager.listing(listed, call.now);
        let text = list.tell("deal", NOTHING, |deal| line(deal, &org.currency));
        Ok(Output::answer(list, text, &org.currency))
    }
}

/// One deal in one line.
pub(super) fn line(deal: &Deal, currency: &str) -> String {
    format!(
        "{} ({}), {}, {}, closes {}",
        brief_or_dash(deal.name.as_ref()),
        deal.id,
        amount_of(deal.amount, currency),
        brief_or_dash(deal.stage.as_ref()),
        deal.closing_date.as_deref().unwrap_or("-"),
    )
}

pub(super) const NOTHING: &str =
    "No deal passes all filters together. A status has to fit the stage.";
