//! The values that picklist fields offer, and what a deal's stage says about it.

use super::settings::Stages;

pub(super) const SALUTATION: &[&str] = &["Mr.", "Mrs.", "Ms.", "Dr.", "Prof."];

pub(super) const LEAD_SOURCE: &[&str] = &[
    "Advertisement",
    "Cold Call",
    "Employee Referral",
    "External Referral",
    "Online Store",
    "Partner",
    "Public Relations",
    "Sales Email Alias",
    "Seminar Partner",
    "Internal Seminar",
    "Trade Show",
    "Web Download",
    "Web Research",
    "Chat",
    "X (Twitter)",
    "Facebook",
    "Partner Referral",
];

pub(super) const LEAD_STATUS: &[&str] = &[
    "Attempted to Contact",
    "Contact in Future",
    "Contacted",
    "Junk Lead",
    "Lost Lead",
    "Not Contacted",
    "Pre-Qualified",
    "Not Qualified",
];

pub(super) const ACCOUNT_TYPE: &[&str] = &[
    "Analyst",
    "Competitor",
    "Customer",
    "Distributor",
    "Integrator",
    "Investor",
    "Other",
    "Partner",
    "Press",
    "Prospect",
    "Reseller",
    "Supplier",
    "Vendor",
];

pub(super) const INDUSTRY: &[&str] = &[
    "Manufacturing",
    "Technology",
    "Education",
    "Financial Services",
    "Consulting",
    "Real Estate",
    "Communications",
    "Government/Military",
    "ASP (Application Service Provider)",
    "Data/Telecom OEM",
    "Engineering",
    "ERP (Enterprise Resource Planning)",
    "Large Enterprise",
    "Management ISV",
    "MSP (Management Service Provider)",
    "Network Equipment Enterprise",
    "Non-management ISV",
    "Optical Networking",
    "Service Provider",
    "Small/Medium Enterprise",
    "Storage Equipment",
    "Storage Service Provider",
    "Systems Integrator",
    "Wireless Industry",
];

pub(super) const OWNERSHIP: &[&str] = &[
    "Other",
    "Private",
    "Public",
    "Subsidiary",
    "Partnership",
    "Government",
    "Privately Held",
];

pub(super) const RATING: &[&str] = &[
    "Acquired",
    "Active",
    "Market Failed",
    "Project Cancelled",
    "Shut Down",
    "Hot",
    "Warm",
    "Cold",
];

pub(super) const PIPELINE: &[&str] = &["Standard (Standard)"];

pub(super) const DEAL_TYPE: &[&str] = &["New Business", "Existing Business"];

pub(super) const LOSS: &[&str] = &[
    "Expectation Mismatch",
    "Price",
    "Unqualified Customer",
    "Lack of response",
    "Missed Follow Ups",
    "Wrong Target",
    "Competition",
    "Future Interest",
    "Other",
];

pub(super) const TASK_STATUS: &[&str] = &[
    "Not Started",
    "Deferred",
    "In Progress",
    "Completed",
    "Waiting for input",
];

pub(super) const PRIORITY: &[&str] = &["High", "Highest", "Low", "Lowest", "Normal"];

pub(super) const CHECK_IN: &[&str] = &["PLANNED", "CHECKED_IN"];

pub(super) const CALL_TYPE: &[&str] = &["Outbound", "Inbound", "Missed"];

pub(super) const CALL_STATUS: &[&str] = &[
    "Scheduled",
    "Completed",
    "Received",
    "Missed",
    "Overdue",
    "Cancelled",
];

pub(super) const CALL_PURPOSE: &[&str] = &[
    "Prospecting",
    "Administrative",
    "Negotiation",
    "Demo",
    "Project",
    "Desk",
];

pub(super) const CALL_RESULT: &[&str] = &[
    "Interested",
    "Not interested",
    "No response/Busy",
    "Requested more info",
    "Requested call back",
    "Invalid number",
];

pub(super) const CASE_STATUS: &[&str] = &["New", "In Progress", "On Hold", "Escalated", "Closed"];

pub(super) const CASE_ORIGIN: &[&str] = &["Email", "Phone", "Web", "X (Twitter)", "Facebook"];

pub(super) const CASE_PRIORITY: &[&str] = &["High", "Medium", "Low"];

pub(super) const CASE_TYPE: &[&str] = &["Problem", "Feature Request", "Question"];

pub(super) const CASE_REASON: &[&str] = &[
    "User did not attend any training",
    "Complex functionality",
    "Existing problem",
    "Instructions not clear",
    "New problem",
    "Product Defect",
];

/// One stage of the pipeline.
#[derive(Clone, Copy)]
pub(super) struct StageRow {
    pub(super) actual: &'static str,
    pub(super) shown: &'static str,
    pub(super) probability: i64,
    pub(super) category: &'static str,
    pub(super) outcome: &'static str,
    /// Whether it is still offered.
    pub(super) used: bool,
    /// Which of [`STAGES`] it stands for.
    pub(super) standard: &'static str,
}

impl Stages {
    /// In the order of the pipeline.
    pub(super) const fn rows(self) -> &'static [StageRow] {
        match self {
            Self::Standard => STAGES,
            Self::Renamed => RENAMED,
        }
    }
}

/// The stages of a deal in the order of the pipeline, as Zoho ships them.
pub(super) const STAGES: &[StageRow] = &[
    open("Qualification", "Qualification", 10),
    open("Needs Analysis", "Needs Analysis", 20),
    open("Value Proposition", "Value Proposition", 40),
    open("Id. Decision Makers", "Identify Decision Makers", 60),
    open("Proposal/Price Quote", "Proposal/Price Quote", 75),
    open("Negotiation/Review", "Negotiation/Review", 90),
    won(),
    lost("Closed Lost"),
    lost("Closed-Lost to Competition"),
];

/// The same as an organisation may have made them: other names, one of which tells the wrong thing, a
/// second stage for what is won, and one that is no longer offered.
const RENAMED: &[StageRow] = &[
    open("Qualification", "Qualification", 10).called("Inbound"),
    open("Needs Analysis", "Needs Analysis", 20).called("Discovery"),
    open("Value Proposition", "Value Proposition", 40).called("Workshop"),
    open("Id. Decision Makers", "Identify Decision Makers", 60).called("Sponsor Found"),
    open("Proposal/Price Quote", "Proposal/Price Quote", 75).called("Closed Testing"),
    open("Negotiation/Review", "Negotiation/Review", 90).called("Contract Out"),
    won().called("Signed"),
    won().called("Renewed"),
    lost("Closed Lost").called("Turned Down"),
    lost("Closed-Lost to Competition")
        .called("Rival's Choice")
        .no_more(),
];

/// The stages' actual values, in the same order.
pub(super) const STAGE: &[&str] = &[
    "Qualification",
    "Needs Analysis",
    "Value Proposition",
    "Id. Decision Makers",
    "Proposal/Price Quote",
    "Negotiation/Review",
    WON,
    "Closed Lost",
    "Closed-Lost to Competition",
];

/// The one stage that is revenue.
pub(super) const WON: &str = "Closed Won";

/// The row of a stage, whichever organisation's.
pub(super) fn stage(actual: &str) -> Option<&'static StageRow> {
    let mut all = STAGES.iter().chain(RENAMED);
    all.find(|row| row.actual == actual)
}

impl StageRow {
    const fn called(self, name: &'static str) -> Self {
        Self {
            actual: name,
            shown: name,
            ..self
        }
    }

    const fn no_more(self) -> Self {
        Self {
            used: false,
            ..self
        }
    }
}

pub(super) const fn open(actual: &'static str, shown: &'static str, probability: i64) -> StageRow {
    StageRow {
        actual,
        shown,
        probability,
        category: "Pipeline",
        outcome: "Open",
        used: true,
        standard: actual,
    }
}

const fn won() -> StageRow {
    StageRow {
        actual: WON,
        shown: WON,
        probability: 100,
        category: "Closed",
        outcome: WON,
        used: true,
        standard: WON,
    }
}

const fn lost(actual: &'static str) -> StageRow {
    StageRow {
        actual,
        shown: actual,
        probability: 0,
        category: "Omitted",
        outcome: "Closed Lost",
        used: true,
        standard: actual,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_picklist_of_stages_is_the_pipeline() {
        let rows: Vec<_> = STAGES.iter().map(|row| row.actual).collect();
        assert_eq!(rows, STAGE);
    }

    #[test]
    fn a_renamed_stage_stands_for_each_that_zoho_ships_and_shares_no_name_with_one() {
        for row in STAGES {
            assert!(
                RENAMED.iter().any(|own| own.standard == row.actual),
                "{}",
                row.actual
            );
        }
        for row in RENAMED {
            assert!(!STAGE.contains(&row.actual), "{}", row.actual);
            let standard = stage(row.standard).map(|standard| standard.outcome);
            assert_eq!(standard, Some(row.outcome), "{}", row.actual);
        }
    }
}
