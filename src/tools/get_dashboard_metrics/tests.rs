use super::*;
use crate::tools::{input, record::tests::assert_fits};
use crate::zoho::error::Problem;
use jiff::civil::date;
use serde_json::json;

const TODAY: Date = date(2026, 2, 15);

fn output(results: Vec<Result<Figure, ZohoError>>) -> Result<Output, ToolError> {
    let days = Period::ThisQuarter.days(TODAY).unwrap();
    let before = CompareTo::PreviousPeriod.days(days, TODAY).unwrap();
    let names = questions(TODAY, days, before)
        .unwrap()
        .into_iter()
        .map(|(name, _)| name);
    let figures = Figures::sort(names.collect(), results)?;
    Ok(figures.shape(TODAY, days, before, "EUR", Timestamp::UNIX_EPOCH))
}

fn figures() -> Vec<Result<Figure, ZohoError>> {
    [
        (10, 5000.0),
        (3, 900.0),
        (1, 100.0),
        (7, 0.0),
        (2, 0.0),
        (2, 600.0),
        (2, 50.0),
        (0, 0.0),
    ]
    .map(|(count, amount)| Ok(Figure { count, amount }))
    .into()
}

fn failed() -> Result<Figure, ZohoError> {
    Err(ZohoError::Unavailable {
        problem: Problem::Timeout,
    })
}

#[test]
fn no_arguments_ask_for_this_quarter_and_the_one_before() {
    for arguments in [
        None,
        Some(json!({})),
        Some(json!({"period": null, "compare_to": null})),
    ] {
        let input: Input = input::read(
            arguments
                .and_then(|arguments| arguments.as_object().cloned())
                .unwrap_or_default(),
        )
        .unwrap();
        assert_eq!(input.period.unwrap_or_default(), Period::ThisQuarter);
        assert_eq!(
            input.compare_to.unwrap_or_default(),
            CompareTo::PreviousPeriod
        );
    }
}

#[test]
fn the_figures_add_up() {
    let output = output(figures()).unwrap();
    assert_fits("get_dashboard_metrics", &output);
    let won = output.won.as_ref().unwrap();
    assert_eq!(
        (won.deals, won.amount, won.change_percent),
        (3, 900.0, Some(50.0))
    );
    assert_eq!(output.win_rate_percent, Some(75.0));
    assert_eq!(output.previous_win_rate_percent, Some(50.0));
    assert_eq!(output.average_won_deal, Some(300.0));
    assert_eq!(output.previous_average_won_deal, Some(300.0));
    assert!(output.running);
    let text = tell(&output);
    assert!(
        text.starts_with("3 deals won for EUR 900.00 in 2026-01-01..2026-03-31 (still running)."),
        "{text}"
    );
    assert!(text.len() <= 1500);
}

#[test]
fn a_missing_figure_is_named_and_the_others_stand() {
    let mut results = figures();
    results[1] = failed();
    let output = output(results).unwrap();
    assert_fits("get_dashboard_metrics", &output);
    assert_eq!(output.unavailable, ["won"]);
    assert!(output.won.is_none() && output.win_rate_percent.is_none());
    assert!(tell(&output).contains("Not available now: won."));
}

#[test]
fn when_nothing_comes_the_call_fails() {
    let results = (0..8).map(|_| failed()).collect();
    assert_eq!(output(results).unwrap_err().kind(), "zoho_unavailable");
}

#[test]
fn nothing_closed_has_no_rate() {
    let results = (0..8).map(|_| Ok(Figure::default())).collect();
    let output = output(results).unwrap();
    assert_fits("get_dashboard_metrics", &output);
    assert!(output.win_rate_percent.is_none() && output.average_won_deal.is_none());
}
