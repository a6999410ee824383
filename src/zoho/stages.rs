//! The stages that a deal can have, as deals hold them, and which of them end it.

use std::sync::Arc;

use super::{
    Crm, CrmText, Module, ZohoError,
    coql::{Condition, Literal},
    deals::DealStatus,
    fields::{Choice, Field},
};

/// The stages that a deal can have, in their order.
#[derive(Clone, Debug, Default)]
pub struct Stages {
    used: Vec<Choice>,
    /// No longer offered: deals have them still.
    unused: Vec<Choice>,
}

/// The stages that end a deal, those that are no longer offered too; in all others it is open.
#[derive(Clone, Debug, PartialEq)]
pub struct Closing {
    won: Vec<CrmText>,
    lost: Vec<CrmText>,
}

impl Default for Closing {
    /// The names that Zoho ships.
    fn default() -> Self {
        let named = |names: &[&str]| names.iter().map(|name| CrmText::clean(name)).collect();
        Self {
            won: named(&["Closed Won"]),
            lost: named(&["Closed Lost", "Closed-Lost to Competition"]),
        }
    }
}

impl Closing {
    /// What Zoho says of each stage; of which it says nothing, goes by the names that it ships.
    fn of(fields: &[Field]) -> Self {
        let mut closing = Self::default();
        let choices = field(fields).into_iter().flat_map(|stage| &stage.choices);
        for choice in choices {
            let (Some(name), Some(kind)) = (&choice.actual_value, &choice.forecast_type) else {
                continue;
            };
            closing.won.retain(|won| !is_same(won, name.as_str()));
            closing.lost.retain(|lost| !is_same(lost, name.as_str()));
            match kind.as_str() {
                "Closed Won" => closing.won.push(name.clone()),
                "Closed Lost" => closing.lost.push(name.clone()),
                _ => {}
            }
        }
        closing
    }

    /// How a deal of that stage stands.
    pub fn status(&self, stage: &str) -> DealStatus {
        let is_in = |stages: &[CrmText]| stages.iter().any(|name| is_same(name, stage));
        match () {
            () if is_in(&self.won) => DealStatus::Won,
            () if is_in(&self.lost) => DealStatus::Lost,
            () => DealStatus::Open,
        }
    }

    /// Which deals stand so, unless all do.
    pub(super) fn condition(&self, status: DealStatus) -> Option<Condition> {
        let names = |stages: &[CrmText]| -> Vec<Literal> {
            let text = |name: &CrmText| Literal::Text(name.as_str().to_owned());
            stages.iter().map(text).collect()
        };
        let field = "Stage".into();
        let among = |stages: &[CrmText]| {
            let some = Condition::among(&field, &names(stages));
            some.unwrap_or_else(|| Condition::Empty("id".into()))
        };
        match status {
            DealStatus::Won => Some(among(&self.won)),
            DealStatus::Lost => Some(among(&self.lost)),
            DealStatus::Open => {
                let closed = [self.won.as_slice(), &self.lost].concat();
                Condition::not_among(&field, &names(&closed))
            }
        }
    }
}

/// As queries compare.
fn is_same(name: &CrmText, stage: &str) -> bool {
    name.as_str().to_lowercase() == stage.to_lowercase()
}

fn field(fields: &[Field]) -> Option<&Field> {
    fields.iter().find(|field| field.name.as_str() == "Stage")
}

impl Stages {
    fn of(fields: &[Field]) -> Option<Self> {
        let stage = field(fields)?;
        let choices = stage.choices.iter().cloned();
        let (used, unused) = choices.partition(Choice::is_used);
        Some(Self { used, unused })
    }

    /// What deals hold for the stage of that name: theirs, or the one that people see. One that is in use.
    pub fn named(&self, name: &str) -> Option<&CrmText> {
        Choice::find(&self.used, name)
    }

    /// The same, or one that is no longer offered.
    pub fn held(&self, name: &str) -> Option<&CrmText> {
        let unused = || Choice::find(&self.unused, name);
        self.named(name).or_else(unused)
    }

    /// Those in use.
    pub fn names(&self) -> impl Iterator<Item = &CrmText> {
        self.used
            .iter()
            .filter_map(|stage| stage.actual_value.as_ref())
    }
}

impl Crm {
    /// The stages that a deal can have.
    ///
    /// # Errors
    /// Zoho cannot be asked, or its user may not read settings; [`ZohoError::Hidden`] where it does
    /// not see the field.
    pub async fn stages(&self) -> Result<Stages, ZohoError> {
        let was_known = self.known_fields(Module::Deals).is_some();
        let mut stages = Stages::of(&self.fields(Module::Deals).await?);
        if stages.is_none() && was_known {
            // It may be shown by now.
            stages = Stages::of(&self.fetch_fields(Module::Deals).await?);
        }
        let field = super::Code::new("Stage");
        stages.ok_or(ZohoError::Hidden { field })
    }

    /// Which stages end a deal. That is the organisation's matter and not the caller's: the daemon's own
    /// Zoho user is asked, and where that one may not know, the names that Zoho ships have to do.
    ///
    /// # Errors
    /// Zoho cannot be asked.
    pub async fn closing(&self) -> Result<Arc<Closing>, ZohoError> {
        let fetch = async {
            match self.own_fields(Module::Deals).await {
                Ok(fields) => Ok(Closing::of(&fields)),
                Err(ZohoError::Forbidden { .. } | ZohoError::NotFound) => Ok(Closing::default()),
                Err(error) => Err(error),
            }
        };
        self.zoho.fields.closing.get(self.deadline, fetch).await
    }

    /// The same where they are kept: nobody is asked.
    pub fn known_stages(&self) -> Stages {
        let fields = self.known_fields(Module::Deals);
        let stages = fields.and_then(|fields| Stages::of(&fields));
        stages.unwrap_or_default()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::zoho::{
        Page,
        coql::{Column, Select},
        deals::{DealFilter, DealOrder},
        scripted::{Scripted, call, say},
    };

    fn stage(name: &str, kind: &str) -> String {
        let usage = if kind.is_empty() { "unused" } else { "used" };
        serde_json::json!({ "actual_value": name, "type": usage,
            "forecast_type": Some(kind).filter(|kind| !kind.is_empty()) })
        .to_string()
    }

    fn closing(stages: &[String]) -> Closing {
        let stages = stages.join(",");
        let text = format!(r#"[{{"api_name":"Stage","pick_list_values":[{stages}]}}]"#);
        Closing::of(&serde_json::from_str::<Vec<Field>>(&text).unwrap())
    }

    fn asked(closing: &Closing, status: DealStatus) -> String {
        let query = Select {
            columns: vec![Column::Field("id")],
            from: "Deals",
            filter: closing.condition(status).into_iter().collect(),
            group: &[],
            order: None,
            offset: 0,
            limit: 1,
        };
        let query = query.render().unwrap();
        let (_, asked) = query.split_once(" where ").unwrap();
        asked.strip_suffix(" limit 0, 1").unwrap().to_owned()
    }

    #[test]
    fn a_stage_is_what_zoho_says_or_else_what_its_name_says() {
        let closing = closing(&[
            stage("Signed", "Closed Won"),
            stage("Nope", "Closed Lost"),
            stage("Closed Won", "Open"),
            stage("Closed Lost", ""),
            stage("Closing", "Open"),
        ]);
        for (stage, status) in [
            ("Signed", DealStatus::Won),
            ("signed", DealStatus::Won),
            ("Nope", DealStatus::Lost),
            ("Closed Won", DealStatus::Open),
            ("Closed Lost", DealStatus::Lost),
            ("Closing", DealStatus::Open),
            ("Never heard of", DealStatus::Open),
            ("", DealStatus::Open),
        ] {
            assert_eq!(closing.status(stage), status, "{stage}");
        }
        assert_eq!(asked(&closing, DealStatus::Won), "Stage in ('Signed')");
        assert_eq!(
            asked(&closing, DealStatus::Open),
            "Stage not in ('Signed', 'Closed Lost', 'Closed-Lost to Competition', 'Nope')"
        );
        assert_eq!(Closing::of(&[]), Closing::default());
    }

    #[test]
    fn of_many_stages_each_is_asked_for() {
        let many: Vec<_> = (0..250)
            .map(|n| stage(&format!("Won {n}"), "Closed Won"))
            .chain([stage("Gone", "Closed Lost")])
            .collect();
        let closing = closing(&many);
        let won = asked(&closing, DealStatus::Won);
        assert_eq!(won.matches("Stage in (").count(), 3, "{won}");
        assert_eq!(won.matches(" or ").count(), 2, "{won}");
        assert_eq!(won.matches('\'').count(), 251 * 2, "{won}");
        let open = asked(&closing, DealStatus::Open);
        assert_eq!(open.matches("Stage not in (").count(), 3, "{open}");
    }

    #[test]
    fn where_nothing_is_won_no_deal_is() {
        let nothing = closing(&[
            stage("Closed Won", "Open"),
            stage("Closed Lost", "Open"),
            stage("Closed-Lost to Competition", "Open"),
        ]);
        assert_eq!(asked(&nothing, DealStatus::Won), "id is null");
        assert_eq!(asked(&nothing, DealStatus::Open), "id is not null");
    }

    #[tokio::test]
    async fn who_may_not_read_them_is_not_asked_each_time_and_trouble_is_told() {
        let rows = r#"{"data":[],"info":{"more_records":false}}"#;
        for (status, code) in [(403, "NO_PERMISSION"), (500, "INTERNAL_ERROR")] {
            let server = Scripted::start(move |seen, _| match seen.body.is_empty() {
                true => say(
                    status,
                    &format!(
                        r#"{{"code":"{code}","details":{{}},"message":"x","status":"error"}}"#
                    ),
                ),
                false => say(200, rows),
            })
            .await;
            let zoho = server.zoho();
            let filter = DealFilter {
                status: Some(DealStatus::Lost),
                ..DealFilter::default()
            };
            let page = Page { number: 1, size: 5 };
            for n in 0..2 {
                let crm = call(&zoho);
                let found = crm.deals(&filter, DealOrder::Amount, page).await;
                assert_eq!(found.is_ok(), status == 403, "{found:?}");
                if status == 403 {
                    assert_eq!(crm.credits(), 2 - n);
                }
            }
            let queries = server.asked().into_iter();
            let queries: Vec<_> = queries.filter(|seen| !seen.body.is_empty()).collect();
            assert_eq!(queries.len(), if status == 403 { 2 } else { 0 });
            for query in queries {
                let standard = "Stage in ('Closed Lost', 'Closed-Lost to Competition')";
                assert!(query.body.contains(standard), "{}", query.body);
            }
        }
    }
}
