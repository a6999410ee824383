//! What happened to a record: pages of its timeline, and the filters on them.

use jiff::Timestamp;
use serde_json::{Value, json};

use super::{
    answer::Answer, cell::Id, crm::Happening, problem::Problem, read::Reader, schema::Module,
};

/// A condition on the lines of a timeline.
enum Sieve {
    All(Vec<Sieve>),
    Any(Vec<Sieve>),
    Is(Facet, Comparator, Vec<String>),
}

/// What a line is filtered by.
#[derive(Clone, Copy)]
enum Facet {
    Module,
    Source,
    Time,
    DoneBy,
}

/// How it is compared.
#[derive(Clone, Copy)]
enum Comparator {
    Among,
    Between,
}

impl Reader<'_> {
    /// `GET /{module}/{id}/__timeline`. The size of its pages is said once: a page token keeps it.
    pub(super) fn timeline(&self, module: Module, id: Id) -> Result<Answer, Problem> {
        let bound = self.query.without(&["page_token", "per_page"]);
        let bound = format!("{} {bound}", self.path);
        let asked = self.number("per_page", self.settings.timeline_per_page, 200)?;
        let (start, size) = match self.query.get("page_token") {
            Some(token) => self.cursors.open(token, self.user.id, &bound, self.now)?,
            None => (0, asked),
        };
        let sieve = self.sieve()?;
        let oldest_first = self.is_ascending("audited_time")?;
        if self.record(module, id).is_none() {
            return self.unknown();
        }
        let mut lines: Vec<_> = self.crm.timeline(id).iter().collect();
        lines.retain(|line| sieve.as_ref().is_none_or(|sieve| sieve.accepts(line)));
        lines.sort_by_key(|line| (line.at, line.id));
        if !oldest_first {
            lines.reverse();
        }
        let painter = self.painter();
        let rows: Vec<Value> = lines
            .iter()
            .skip(start)
            .take(size)
            .map(|line| painter.happening(line))
            .collect();
        if rows.is_empty() {
            return Ok(Answer::empty());
        }
        let end = start + rows.len();
        let more = end < lines.len();
        let token = |at| {
            let issued = self
                .cursors
                .issue((at, size), self.user.id, &bound, self.now);
            issued.0
        };
        let info = json!({
            "per_page": size,
            "next_page_token": more.then(|| token(end)),
            "count": rows.len(),
            "page": start / size + 1,
            "previous_page_token": (start > 0).then(|| token(start.saturating_sub(size))),
            "more_records": more,
        });
        Ok(Answer::ok(json!({"__timeline": rows, "info": info})))
    }

    fn sieve(&self) -> Result<Option<Sieve>, Problem> {
        let Some(text) = self.asked("filters") else {
            return Ok(None);
        };
        let written: Option<Value> = serde_json::from_str(text).ok();
        let sieve = written.as_ref().and_then(|written| Sieve::read(written, 0));
        let sieve = sieve.ok_or_else(|| Problem::bad_param("filters"))?;
        Ok(Some(sieve))
    }
}

impl Sieve {
    /// One condition, or a `group` of them under a `group_operator`.
    fn read(written: &Value, depth: usize) -> Option<Self> {
        if let Some(group) = written.get("group").and_then(Value::as_array) {
            let parts = group
                .iter()
                .map(|part| Self::read(part, depth + 1))
                .collect::<Option<Vec<_>>>()?;
            return match written.get("group_operator")?.as_str()? {
                _ if depth >= DEEPEST => None,
                word if word.eq_ignore_ascii_case("and") => Some(Self::All(parts)),
                word if word.eq_ignore_ascii_case("or") => Some(Self::Any(parts)),
                _ => None,
            };
        }
        let facet = match written.pointer("/field/api_name")?.as_str()? {
            "record.module.api_name" => Facet::Module,
            "source" => Facet::Source,
            "audited_time" => Facet::Time,
            "done_by.id" => Facet::DoneBy,
            _ => return None,
        };
        let value = written.get("value")?;
        let values: Vec<String> = match value {
            Value::String(value) => vec![value.clone()],
            Value::Array(values) => values
                .iter()
                .map(|value| value.as_str().map(str::to_owned))
                .collect::<Option<_>>()?,
            _ => return None,
        };
        let comparator = match (written.get("comparator")?.as_str()?, values.len()) {
            ("equal", 1) => Comparator::Among,
            ("in", 1..=100) => Comparator::Among,
            ("between", 2) if matches!(facet, Facet::Time) => Comparator::Between,
            _ => return None,
        };
        if matches!(facet, Facet::Time) && values.iter().any(|text| time(text).is_none()) {
            return None;
        }
        Some(Self::Is(facet, comparator, values))
    }

    fn accepts(&self, line: &Happening) -> bool {
        let (facet, comparator, values) = match self {
            Self::All(parts) => return parts.iter().all(|part| part.accepts(line)),
            Self::Any(parts) => return parts.iter().any(|part| part.accepts(line)),
            Self::Is(facet, comparator, values) => (facet, comparator, values),
        };
        let times = || values.iter().filter_map(|text| time(text));
        match (facet, comparator) {
            (Facet::Module, _) => values.iter().any(|name| name == line.module.name()),
            (Facet::Source, _) => values.iter().any(|name| name == line.source),
            (Facet::DoneBy, _) => values.iter().any(|id| *id == line.by.to_string()),
            (Facet::Time, Comparator::Among) => {
                times().any(|at| at.as_second() == line.at.as_second())
            }
            (Facet::Time, Comparator::Between) => {
                times().min().is_some_and(|from| from <= line.at)
                    && times().max().is_some_and(|to| line.at <= to)
            }
        }
    }
}

fn time(text: &str) -> Option<Timestamp> {
    text.parse().ok()
}

const DEEPEST: usize = 4;
