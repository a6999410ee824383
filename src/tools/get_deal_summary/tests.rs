use super::*;
use crate::tools::{
    input,
    record::tests::{a_deal, assert_fits, text},
};
use crate::zoho::deals::{DealFilter, DealStatus};
use serde_json::json;

fn filter(filters: serde_json::Value) -> Result<DealFilter, ToolError> {
    let arguments = json!({"filters": filters});
    let input: Input = input::read(arguments.as_object().cloned().unwrap())?;
    input.filters.unwrap_or_default().unresolved()
}

#[test]
fn without_arguments_all_open_deals_are_summed_up() {
    let open = DealFilter {
        status: Some(DealStatus::Open),
        ..DealFilter::default()
    };
    assert_eq!(filter(json!(null)).unwrap(), open);
    assert_eq!(filter(json!({})).unwrap(), open);
    assert_eq!(
        filter(json!({"status": "all"})).unwrap(),
        DealFilter::default()
    );
    assert_eq!(filter(json!({"stage": "Closed Won"})).unwrap().status, None);
    let both = filter(json!({"stage": "Closed Won", "status": "lost"})).unwrap();
    assert_eq!(both.status, Some(DealStatus::Lost));
}

#[test]
fn filters_out_of_bounds_are_refused() {
    for (filters, path) in [
        (
            json!({"closing_from": "2026-03-01", "closing_to": "2026-02-01"}),
            "filters.closing_from",
        ),
        (json!({"min_amount": -1}), "filters.min_amount"),
        (json!({"owner_id": "1 or 1=1"}), "filters.owner_id"),
        (json!({"stage": "a\u{0}"}), "filters.stage"),
        (json!({"status": "maybe"}), "filters.status"),
    ] {
        let refusal = filter(filters).unwrap_err().to_string();
        assert!(refusal.contains(path), "{refusal}");
    }
}

#[test]
fn a_summary_fits_its_schema_and_weighs_all_deals_whatever_it_lists() {
    let sum = |stage, amount: f64, weighted, deals| DealTotal {
        group: text(stage),
        group_id: None,
        amount,
        weighted: Some(weighted),
        deals,
    };
    let output = |more, page| {
        let rows = vec![
            a_deal(1, "Negotiation", 1000.0),
            a_deal(2, "Negotiation", 500.0),
        ];
        let slice = Slice {
            size: 2,
            limited_to: None,
        };
        let binding = Binding::new("get_deal_summary", &(), 2);
        let found = Found {
            stages: vec![
                sum("Negotiation", 1500.0, 600.0, 2),
                sum("Talking", 100.0, 10.0, 1),
            ],
            listed: Listed {
                rows,
                more,
                index: None,
            },
        };
        found.shape(&binding, page, slice, "EUR", Timestamp::UNIX_EPOCH)
    };
    let weighted = |output: Output| output.totals.unwrap().weighted_amount;
    for (more, page) in [(false, 1), (false, 2), (true, 1)] {
        assert_eq!(weighted(output(more, page)), Some(610.0));
    }
    let part = output(true, 1);
    assert!(part.cursor.is_some());
    let text = tell(&part);
    assert!(
        text.starts_with("3 deals for EUR 1,600.00 in all."),
        "{text}"
    );
    assert!(text.len() <= 1500);
    assert_fits("get_deal_summary", &part);
}
