//! `get_dashboard_metrics`: the few numbers that a sales dashboard opens with.

use jiff::{Timestamp, civil::Date};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{
    Answer, Context, Tool, ToolError,
    concurrent::{Figure, Question, figure, gather},
    period::{CompareTo, Days, Period},
    record::{SOURCE, cents, change_percent, percent},
    text::{Text, count, money, unread},
};
use crate::{
    audit::{Class, Classes},
    permit::Effect,
    zoho::{
        ZohoError,
        deals::{DealFilter, DealStatus},
    },
};

pub(super) struct GetDashboardMetrics;

#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct Input {
    /// this_month, last_month (also _quarter, _year), next_quarter, last_30_days, last_90_days, YYYY, YYYY-Qn, YYYY-MM or YYYY-MM-DD..YYYY-MM-DD. Default this_quarter.
    period: Option<Period>,
    /// Default previous_period.
    compare_to: Option<CompareTo>,
}

#[derive(Debug, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub(super) struct Output {
    /// Both days included.
    period: String,
    /// Not over yet.
    running: bool,
    #[serde(skip_serializing_if = "Option::is_none")]
    compared_with: Option<String>,
    currency: String,
    /// Open deals now, whatever the period.
    #[serde(skip_serializing_if = "Option::is_none")]
    open_pipeline: Option<Total>,
    /// Closed in the period.
    #[serde(skip_serializing_if = "Option::is_none")]
    won: Option<Money>,
    #[serde(skip_serializing_if = "Option::is_none")]
    lost: Option<Money>,
    /// Of the deals closed.
    #[serde(skip_serializing_if = "Option::is_none")]
    win_rate_percent: Option<f64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    previous_win_rate_percent: Option<f64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    average_won_deal: Option<f64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    previous_average_won_deal: Option<f64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    new_contacts: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    previous_new_contacts: Option<u64>,
    /// Now.
    #[serde(skip_serializing_if = "Option::is_none")]
    overdue_tasks: Option<u64>,
    unavailable: Vec<String>,
    as_of: String,
    source: &'static str,
}

#[derive(Clone, Copy, Debug, Serialize, JsonSchema)]
struct Total {
    deals: u64,
    amount: f64,
}

#[derive(Clone, Debug, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
struct Money {
    deals: u64,
    amount: f64,
    #[serde(skip_serializing_if = "Option::is_none")]
    previous_deals: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    previous_amount: Option<f64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    change_percent: Option<f64>,
}

impl Tool for GetDashboardMetrics {
    const NAME: &'static str = "get_dashboard_metrics";
    const TITLE: &'static str = "Sales dashboard";
    const DESCRIPTION: &'static str = "Key sales figures: open pipeline, won, lost, win rate, \
        average won deal, new contacts, overdue tasks, with a comparison. For totals by owner, \
        stage or month use get_revenue_report. Costs 5 to 9 API credits.";
    const EFFECT: Effect = Effect::Read;
    const CLASSES: Classes = &[("period", Class::Public), ("compare_to", Class::Public)];
    type Input = Input;
    type Output = Output;

    async fn run(call: &Context<'_>, input: Input) -> Result<Answer<Output>, ToolError> {
        let org = call.crm.org().await?;
        call.progress.report(1, 9, "asking Zoho").await;
        let today = call.now.to_zoned(org.time_zone.clone()).date();
        let days = input.period.unwrap_or_default().days(today)?;
        let before = input.compare_to.unwrap_or_default().days(days, today)?;
        let asked = questions(today, days, before)?;
        let (names, futures): (Vec<Name>, Vec<_>) = asked
            .into_iter()
            .map(|(name, question)| (name, figure(call.crm, question)))
            .unzip();
        let results = gather(call.progress, 1, "asking Zoho", futures).await;
        let figures = Figures::sort(names, results)?;
        let output = figures.shape(today, days, before, &org.currency, call.now);
        Ok(Answer {
            text: tell(&output),
            output,
            records: 0,
        })
    }
}

/// The figures behind the metrics.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Name {
    OpenPipeline,
    Won,
    Lost,
    NewContacts,
    OverdueTasks,
    PreviousWon,
    PreviousLost,
    PreviousContacts,
}

impl Name {
    fn as_str(self) -> &'static str {
        match self {
            Self::OpenPipeline => "openPipeline",
            Self::Won => "won",
            Self::Lost => "lost",
            Self::NewContacts => "newContacts",
            Self::OverdueTasks => "overdueTasks",
            Self::PreviousWon => "won.previous",
            Self::PreviousLost => "lost.previous",
            Self::PreviousContacts => "newContacts.previous",
        }
    }
}

fn questions(
    today: Date,
    days: Days,
    before: Option<Days>,
) -> Result<Vec<(Name, Question)>, ToolError> {
    let closed = |status, days: Days| {
        Question::Deals(DealFilter {
            status: Some(status),
            closing_from: Some(days.first),
            closing_to: Some(days.last),
            ..DealFilter::default()
        })
    };
    let open = DealFilter {
        status: Some(DealStatus::Open),
        ..DealFilter::default()
    };
    let mut asked = vec![
        (Name::OpenPipeline, Question::Deals(open)),
        (Name::Won, closed(DealStatus::Won, days)),
        (Name::Lost, closed(DealStatus::Lost, days)),
        (
            Name::NewContacts,
            Question::NewContacts(days.first, days.end()?),
        ),
        (Name::OverdueTasks, Question::OverdueTasks(today)),
    ];
    if let Some(before) = before {
        asked.push((Name::PreviousWon, closed(DealStatus::Won, before)));
        asked.push((Name::PreviousLost, closed(DealStatus::Lost, before)));
        let contacts = Question::NewContacts(before.first, before.end()?);
        asked.push((Name::PreviousContacts, contacts));
    }
    Ok(asked)
}

/// What Zoho gave, and what it did not.
struct Figures {
    known: Vec<(Name, Figure)>,
    unavailable: Vec<String>,
}

impl Figures {
    /// Some figures are better than none; none at all is the first failure.
    fn sort(names: Vec<Name>, results: Vec<Result<Figure, ZohoError>>) -> Result<Self, ToolError> {
        let mut figures = Self {
            known: Vec::new(),
            unavailable: Vec::new(),
        };
        let mut first_failure = None;
        for (name, result) in names.into_iter().zip(results) {
            match result {
                Ok(figure) => figures.known.push((name, figure)),
                Err(error) => {
                    figures.unavailable.push(unread(name.as_str(), &error));
                    first_failure.get_or_insert(error);
                }
            }
        }
        match first_failure {
            Some(error) if figures.known.is_empty() => Err(error.into()),
            _ => Ok(figures),
        }
    }

    fn get(&self, name: Name) -> Option<Figure> {
        self.known
            .iter()
            .find(|(known, _)| *known == name)
            .map(|(_, figure)| *figure)
    }

    fn money(&self, now: Name, before: Name, ahead: bool) -> Option<Money> {
        let figure = self.get(now)?;
        let previous = self.get(before);
        Some(Money {
            deals: figure.count,
            amount: cents(figure.amount),
            previous_deals: previous.map(|previous| previous.count),
            previous_amount: previous.map(|previous| cents(previous.amount)),
            change_percent: previous
                .and_then(|previous| change_percent(figure.amount, previous.amount))
                .filter(|_| !ahead),
        })
    }

    fn win_rate(&self, won: Name, lost: Name) -> Option<f64> {
        let (won, lost) = (
            as_number(self.get(won)?.count),
            as_number(self.get(lost)?.count),
        );
        percent(won, won + lost)
    }

    fn average(&self, won: Name) -> Option<f64> {
        let won = self.get(won).filter(|won| won.count > 0)?;
        Some(cents(won.amount / as_number(won.count)))
    }

    fn shape(
        self,
        today: Date,
        days: Days,
        before: Option<Days>,
        currency: &str,
        now: Timestamp,
    ) -> Output {
        let open = self.get(Name::OpenPipeline).map(|open| Total {
            deals: open.count,
            amount: cents(open.amount),
        });
        let counted = |name| self.get(name).map(|figure| figure.count);
        Output {
            period: days.shown(),
            running: days.is_running(today),
            compared_with: before.map(Days::shown),
            currency: currency.to_owned(),
            open_pipeline: open,
            won: self.money(Name::Won, Name::PreviousWon, days.is_ahead(today)),
            lost: self.money(Name::Lost, Name::PreviousLost, days.is_ahead(today)),
            win_rate_percent: self.win_rate(Name::Won, Name::Lost),
            previous_win_rate_percent: self.win_rate(Name::PreviousWon, Name::PreviousLost),
            average_won_deal: self.average(Name::Won),
            previous_average_won_deal: self.average(Name::PreviousWon),
            new_contacts: counted(Name::NewContacts),
            previous_new_contacts: counted(Name::PreviousContacts),
            overdue_tasks: self.get(Name::OverdueTasks).map(|figure| figure.count),
            unavailable: self.unavailable,
            as_of: now.to_string(),
            source: SOURCE,
        }
    }
}

/// Counts stay far below 2^53, where doubles cease to be exact.
#[expect(
    clippy::cast_precision_loss,
    reason = "counts of CRM records are small"
)]
fn as_number(count: u64) -> f64 {
    count as f64
}

fn tell(output: &Output) -> String {
    let currency = &output.currency;
    let period = &output.period;
    let running = if output.running {
        " (still running)"
    } else {
        ""
    };
    let mut text = Text::new(match &output.won {
        Some(won) => format!(
            "{} won for {} in {period}{running}.",
            count(won.deals, "deal"),
            money(won.amount, currency)
        ),
        None => format!("Sales figures in {period}{running}."),
    });
    let previous = output.won.as_ref().and_then(|won| won.previous_amount);
    if let Some((previous, before)) = previous.zip(output.compared_with.as_ref()) {
        text.line(format!(
            "- won before ({before}): {}",
            money(previous, currency)
        ));
    }
    let pipeline = output
        .open_pipeline
        .map(|open| ("open pipeline now", open.amount, open.deals));
    let lost = output
        .lost
        .as_ref()
        .map(|lost| ("lost", lost.amount, lost.deals));
    for (label, amount, deals) in pipeline.into_iter().chain(lost) {
        let amount = money(amount, currency);
        text.line(format!("- {label}: {amount} in {}", count(deals, "deal")));
    }
    let shown = |amount| money(amount, currency);
    let share = |rate| format!("{rate} %");
    let plain = |count: u64| count.to_string();
    let rates = (output.win_rate_percent, output.previous_win_rate_percent);
    let averages = (output.average_won_deal, output.previous_average_won_deal);
    let contacts = (output.new_contacts, output.previous_new_contacts);
    let lines = [
        compared("win rate", rates, share),
        compared("average won deal", averages, shown),
        compared("new contacts", contacts, plain),
    ];
    for line in lines.into_iter().flatten() {
        text.line(line);
    }
    if let Some(tasks) = output.overdue_tasks {
        text.line(format!("- overdue tasks now: {tasks}"));
    }
    if !output.unavailable.is_empty() {
        text.remark(&format!(
            "Not available now: {}.",
            output.unavailable.join(", ")
        ));
    }
    text.finish()
}

fn compared<T>(
    label: &str,
    (now, before): (Option<T>, Option<T>),
    shown: impl Fn(T) -> String,
) -> Option<String> {
    let now = shown(now?);
    let before = before.map(|before| format!(" (before: {})", shown(before)));
    Some(format!("- {label}: {now}{}", before.unwrap_or_default()))
}

#[cfg(test)]
mod tests;
