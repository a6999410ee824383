use super::*;
use crate::tools::{
    input,
    record::tests::{assert_fits, id, text},
};
use jiff::civil::date;
use serde_json::json;

const TODAY: Date = date(2026, 2, 15);

fn report(
    group_by: GroupBy,
    figures: &[(u64, f64)],
    groups: Vec<(DealStatus, DealTotal)>,
) -> Report {
    let days = Period::ThisQuarter.days(TODAY).unwrap();
    Report {
        today: TODAY,
        days,
        before: CompareTo::PreviousPeriod.days(days, TODAY).unwrap(),
        group_by,
        figures: figures
            .iter()
            .map(|&(count, amount)| Figure { count, amount })
            .collect(),
        groups,
    }
}

fn shape(report: Report, rows: u32) -> Output {
    let slice = Slice {
        size: rows,
        limited_to: Some(rows),
    };
    let output = report.shape("EUR", slice, Timestamp::UNIX_EPOCH).unwrap();
    assert_fits("get_revenue_report", &output);
    assert!(tell(&output).len() <= 1500);
    output
}

fn total(name: &str, amount: f64) -> DealTotal {
    DealTotal {
        group: text(name),
        group_id: Some(id(4)),
        amount,
        weighted: None,
        deals: 2,
    }
}

#[test]
fn no_arguments_are_enough() {
    for arguments in [None, Some(json!({}))] {
        let input = input::read::<Input>(
            arguments
                .and_then(|value| value.as_object().cloned())
                .unwrap_or_default(),
        );
        assert_eq!(input.unwrap().group_by.unwrap_or_default(), GroupBy::Stage);
    }
    let refused = input::read::<Input>(json!({"period": "someday"}).as_object().cloned().unwrap());
    assert!(refused.err().unwrap().to_string().contains("this_quarter"));
}

#[test]
fn by_stage_the_open_pipeline_stands_apart_from_revenue() {
    let groups = vec![
        (DealStatus::Won, total("Closed Won", 900.0)),
        (DealStatus::Open, total("Negotiation", 400.0)),
    ];
    let output = shape(
        report(
            GroupBy::Stage,
            &[(2, 900.0), (1, 600.0), (2, 400.0)],
            groups,
        ),
        50,
    );
    assert_eq!(output.revenue, 900.0);
    assert_eq!(output.open_pipeline_amount, Some(400.0));
    assert_eq!(output.open_pipeline_deals, Some(2));
    assert_eq!(output.groups[0].share_percent, Some(100.0));
    assert_eq!(output.groups[1].share_percent, None);
    let compared = output.compared_with.as_ref().unwrap();
    assert_eq!(
        (compared.change, compared.change_percent),
        (300.0, Some(50.0))
    );
    let text = tell(&output);
    assert!(
        text.starts_with(
            "Revenue in 2026-01-01..2026-03-31 (still running): EUR 900.00 in 2 won deals."
        ),
        "{text}"
    );
    assert!(text.contains("+50 %"), "{text}");
}

#[test]
fn less_taken_back_than_before_is_a_gain_and_there_are_no_shares_of_a_loss() {
    let groups = vec![(DealStatus::Won, total("Closed Won", -50.0))];
    let figures = [(1, -50.0), (1, -200.0), (0, 0.0)];
    let output = shape(report(GroupBy::Stage, &figures, groups), 50);
    assert_eq!(output.groups[0].share_percent, None);
    let compared = output.compared_with.unwrap();
    assert_eq!(
        (compared.change, compared.change_percent),
        (150.0, Some(75.0))
    );
}

#[test]
fn by_month_each_month_has_its_total() {
    let figures = [(3, 600.0), (0, 0.0), (1, 100.0), (2, 500.0), (0, 0.0)];
    let output = shape(report(GroupBy::Month, &figures, Vec::new()), 1);
    let months: Vec<_> = output
        .groups
        .iter()
        .map(|group| (group.group.as_str(), group.amount))
        .collect();
    assert_eq!(
        months,
        [("2026-01", 100.0), ("2026-02", 500.0), ("2026-03", 0.0)]
    );
    assert_eq!(output.compared_with.unwrap().change_percent, None);
    assert_eq!(output.limited_to, None);
}

#[test]
fn groups_beyond_the_ceiling_are_summed_up() {
    let groups = (0..5)
        .map(|n| (DealStatus::Won, total("Someone", f64::from(n))))
        .collect();
    let output = shape(report(GroupBy::Owner, &[(10, 10.0), (0, 0.0)], groups), 2);
    assert_eq!(output.groups.len(), 2);
    assert_eq!(output.other_groups, Some(3));
    assert_eq!(output.other_groups_amount, Some(9.0));
    assert_eq!(output.limited_to, Some(2));
}

#[test]
fn thirteen_months_are_too_many() {
    let period: Period = "2024-01-01..2025-01-01".parse().unwrap();
    let days = period.days(TODAY).unwrap();
    let refusal = questions(GroupBy::Month, days, None).unwrap_err();
    assert!(
        refusal.advice().contains("12 months"),
        "{}",
        refusal.advice()
    );
}
