//! Reads of one module: search, list, count, and one record by its id.

mod page;
mod wanted;

use jiff::{Timestamp, tz::TimeZone};
use serde_json::{Value, json};

use self::wanted::Wanted;
use super::{
    answer::Answer,
    cell::{Cell, Id, fold},
    coql::compare,
    criteria::{self, For},
    crm::{Crm, Record},
    cursor::Cursors,
    filter::{Onlooker, tokens},
    org::User,
    problem::{DENIED, Problem},
    query::Query,
    render::{Columns, Painter},
    schema::Module,
    settings::Settings,
    sight::Sight,
};

/// What a read needs to know of the request it answers.
pub(super) struct Reader<'a> {
    pub(super) crm: &'a Crm,
    pub(super) user: &'a User,
    pub(super) sight: Sight,
    pub(super) settings: &'a Settings,
    pub(super) query: &'a Query,
    pub(super) path: &'a str,
    pub(super) cursors: &'a Cursors,
    pub(super) now: Timestamp,
    pub(super) modified_since: Option<Timestamp>,
}

impl<'a> Reader<'a> {
    /// `GET /{module}/search`.
    pub(super) fn search(&self, module: Module) -> Result<Answer, Problem> {
        let wanted = self.wanted(module, For::Search)?.ok_or_else(|| {
            let names = json!({"param_names": ["criteria", "email", "phone", "word"]});
            Problem::bad(
                "EXPECTED_PARAM_MISSING",
                names,
                "one of the expected parameter is missing",
            )
        })?;
        let page = self.page()?;
        if page.number * page.size > MOST_SEARCHED {
            let details = json!({"limit": MOST_SEARCHED.to_string()});
            return Err(Problem::bad(
                "LIMIT_REACHED",
                details,
                "maximum response iteration limit reached",
            ));
        }
        let fields = self.fields(module)?;
        let unconverted = self.are_wanted(module)?;
        let fits = |record: &&Record| {
            unconverted && self.is_indexed(record) && wanted.accepts(self, module, record)
        };
        let mut found: Vec<&Record> = self.visible(module).filter(fits).collect();
        self.sort(module, &mut found, true)?;
        found.truncate(MOST_SEARCHED);
        let rows = self.paint(
            module,
            &found,
            (page.number - 1) * page.size,
            page.size,
            fields.as_ref(),
        );
        if rows.is_empty() {
            return Ok(Answer::empty());
        }
        let more = found.len() > page.number * page.size;
        let mut info = json!({"per_page": page.size, "count": rows.len(), "page": page.number, "more_records": more});
        if let (Some(by), Some(info)) = (self.query.get("sort_by"), info.as_object_mut()) {
            info.insert("sort_by".to_owned(), json!(by));
            info.insert(
                "sort_order".to_owned(),
                json!(self.query.get("sort_order").unwrap_or("desc")),
            );
        }
        Ok(Answer::ok(json!({"data": rows, "info": info})))
    }

    /// `GET /{module}/actions/count`.
    pub(super) fn count(&self, module: Module) -> Result<Answer, Problem> {
        let message = "Please use either Cvid or Search Params. Combination of both the params is \
                       not allowed";
        self.is_of_view(module, &["criteria", "email", "phone", "word"], message)?;
        let wanted = self.wanted(module, For::Count);
        let wanted = wanted.map_err(criteria::count::refused)?;
        let unconverted = self.are_wanted(module)?;
        let accepted = |record: &&Record| {
            let wanted = wanted.as_ref();
            unconverted && wanted.is_none_or(|wanted| wanted.accepts(self, module, record))
        };
        Ok(Answer::ok(
            json!({"count": self.visible(module).filter(accepted).count()}),
        ))
    }

    /// `GET /{module}/{id}`. What is not there and what is not seen answer the same.
    pub(super) fn one(&self, module: Module, id: Id) -> Result<Answer, Problem> {
        let fields = self.fields(module)?;
        let Some(record) = self.record(module, id) else {
            return self.unknown();
        };
        if self.is_older(record) {
            return Ok(Answer::not_modified());
        }
        Ok(Answer::ok(
            json!({"data": [self.painter().record(module, record, fields.as_ref())]}),
        ))
    }

    /// `GET /{module}?fields=…`.
    pub(super) fn list(&self, module: Module) -> Result<Answer, Problem> {
        if module == Module::Notes && !self.user.administrator {
            return Err(Problem::denied("View", module.name(), DENIED));
        }
        let mut records: Vec<&Record> = self.visible(module).collect();
        if !self.are_wanted(module)? {
            records.clear();
        }
        if let Some(ids) = self.query.get("ids") {
            let ids: Vec<Id> = ids
                .split(',')
                .map(str::parse)
                .collect::<Result<_, _>>()
                .map_err(|_| Problem::bad_param("ids"))?;
            if ids.len() > 100 {
                return Err(Problem::limit_exceeded(100, "ids"));
            }
            records.retain(|record| ids.contains(&record.id));
        }
        if self.modified_since.is_some() {
            records.retain(|record| !self.is_older(record));
            if records.is_empty() {
                return Ok(Answer::not_modified());
            }
        }
        let message = "ambiguity while processing the request";
        let of_view = self.is_of_view(module, &["sort_by", "ids"], message)?;
        let mut listed = self.listing(module, records)?;
        let info = listed.body.as_mut().and_then(|body| body.get_mut("info"));
        if let Some(info) = info.and_then(Value::as_object_mut)
            && module == Module::Notes
        {
            info.retain(|name, _| !["call", "email"].contains(&&**name));
        }
        Ok(listed.costing(if of_view { 3 } else { 1 }))
    }

    /// A page of records under the rules that lists and related lists share.
    pub(super) fn listing(
        &self,
        module: Module,
        mut records: Vec<&Record>,
    ) -> Result<Answer, Problem> {
        let fields = self
            .fields(module)?
            .ok_or_else(|| Problem::missing_param("fields"))?;
        self.sort(module, &mut records, false)?;
        self.paged(records.len(), |start, size| {
            self.paint(module, &records, start, size, Some(&fields))
        })
    }

    /// The answer for a record that is not there, or not seen.
    pub(super) fn unknown(&self) -> Result<Answer, Problem> {
        self.settings.unknown_id().map_or(Ok(Answer::empty()), Err)
    }

    /// A record that this user sees.
    pub(super) fn record(&self, module: Module, id: Id) -> Option<&'a Record> {
        self.crm
            .get(module, id)
            .filter(|record| self.sight.sees(self.crm, module, record))
    }

    /// All records of a module that this user sees.
    pub(super) fn visible(&self, module: Module) -> impl Iterator<Item = &'a Record> {
        self.crm
            .table(module)
            .values()
            .filter(move |record| self.sight.sees(self.crm, module, record))
    }

    /// The records as this user sees them.
    pub(super) fn onlooker(&self) -> Onlooker<'_> {
        Onlooker {
            crm: self.crm,
            sight: &self.sight,
        }
    }

    /// Shows records in the user's time zone.
    pub(super) fn painter(&self) -> Painter<'_> {
        Painter {
            crm: self.crm,
            zone: &self.user.zone,
            sight: Some(&self.sight),
        }
    }

    /// The user's time zone.
    pub(super) fn zone(&self) -> &TimeZone {
        &self.user.zone
    }

    /// A number in a parameter, within its bounds.
    pub(super) fn number(&self, name: &str, default: usize, most: usize) -> Result<usize, Problem> {
        match self.query.get(name).map(str::parse::<usize>) {
            None => Ok(default),
            Some(Ok(number)) if (1..=most).contains(&number) => Ok(number),
            Some(_) => Err(Problem::bad_param(name)),
        }
    }

    /// Whether `converted` leaves the leads of this CRM, none of which was ever converted.
    fn are_wanted(&self, module: Module) -> Result<bool, Problem> {
        match self.asked("converted") {
            None | Some("false" | "both") => Ok(true),
            Some("true") => Ok(module != Module::Leads),
            Some(_) => Err(Problem::bad_param("converted")),
        }
    }

    /// A parameter that says something.
    pub(super) fn asked(&self, name: &str) -> Option<&str> {
        self.query.get(name).filter(|value| !value.is_empty())
    }

    /// What is asked for of each record.
    fn fields(&self, module: Module) -> Result<Option<Columns>, Problem> {
        let Some(names) = self.asked("fields") else {
            return Ok(None);
        };
        let names: Vec<&str> = names.split(',').map(str::trim).collect();
        if names.len() > MOST_FIELDS {
            return Err(Problem::limit_exceeded(MOST_FIELDS, "fields"));
        }
        Ok(Some(Columns::named(module, &names)))
    }

    fn wanted(&self, module: Module, purpose: For) -> Result<Option<Wanted>, Problem> {
        let asked = |name| self.asked(name);
        Ok(Some(if let Some(text) = asked("criteria") {
            Wanted::Criteria(self.readable(module, criteria::read(module, text, purpose)?)?)
        } else if let Some(email) = asked("email") {
            Wanted::Email(fold(email))
        } else if let Some(phone) = asked("phone") {
            let digits: String = phone.chars().filter(char::is_ascii_digit).collect();
            // Names and values were parted with a plus for a space: the first one may be a plus.
            let local = phone.strip_prefix(['+', ' ']).unwrap_or(phone);
            let shaped = local
                .chars()
                .all(|c| c.is_ascii_digit() || " -().".contains(c));
            if !shaped || digits.len() < 3 {
                return Err(Problem::bad_param("phone"));
            }
            Wanted::Phone(digits)
        } else if let Some(word) = asked("word") {
            if word.trim().chars().count() < 2 {
                let details = json!({"param_name": "word"});
                return Err(Problem::bad(
                    "INVALID_DATA",
                    details,
                    "provide atleast 2 letters for search",
                ));
            }
            Wanted::Words(tokens(word).split_whitespace().map(str::to_owned).collect())
        } else {
            return Ok(None);
        }))
    }

    /// Whether a search knows of what was last written to the record.
    fn is_indexed(&self, record: &Record) -> bool {
        let lag = i64::from(self.settings.search_index_delay_ms);
        match record.get("Modified_Time") {
            Some(Cell::Moment(at)) if lag > 0 => {
                self.now.as_millisecond() - at.as_millisecond() >= lag
            }
            _ => true,
        }
    }

    /// Whether a record is not newer than what the caller has.
    pub(super) fn is_older(&self, record: &Record) -> bool {
        let since = self.modified_since.map(Cell::Moment);
        let modified = record.get("Modified_Time");
        since.is_some_and(|since| compare(modified, Some(&since)).is_le())
    }

    /// Sorts by `sort_by`, which a search may by any field; else the newest id comes first.
    fn sort(
        &self,
        module: Module,
        records: &mut [&Record],
        is_search: bool,
    ) -> Result<(), Problem> {
        let by = match self.query.get("sort_by") {
            None => "id",
            Some(by) if SORTED_BY.contains(&by) => by,
            Some(by) if is_search && self.shows(module, by) => by,
            Some(_) if is_search => return Err(Problem::bad_param("sort_by")),
            Some(_) => {
                let details = json!({"param_name": "sort_by", "supported_values": SORTED_BY});
                return Err(Problem::bad("INVALID_DATA", details, "invalid data"));
            }
        };
        let ascending = self.is_ascending(by)?;
        records.sort_by(|a, b| {
            let order = compare(a.get(by), b.get(by)).then(a.id.cmp(&b.id));
            if ascending { order } else { order.reverse() }
        });
        Ok(())
    }

    fn shows(&self, module: Module, field: &str) -> bool {
        module.field(field).is_some() && !self.sight.hides(module, field)
    }

    /// The direction of what is sorted by a field, and by no other.
    pub(super) fn is_ascending(&self, by: &str) -> Result<bool, Problem> {
        if self.query.get("sort_by").is_some_and(|asked| asked != by) {
            return Err(Problem::bad_param("sort_by"));
        }
        match self.query.get("sort_order") {
            Some("asc") => Ok(true),
            None | Some("desc") => Ok(false),
            Some(_) => Err(Problem::bad_param("sort_order")),
        }
    }

    fn paint(
        &self,
        module: Module,
        records: &[&Record],
        start: usize,
        size: usize,
        fields: Option<&Columns>,
    ) -> Vec<Value> {
        let painter = self.painter();
        records
            .iter()
            .skip(start)
            .take(size)
            .map(|record| painter.record(module, record, fields))
            .collect()
    }
}

const MOST_SEARCHED: usize = 2_000;
const SORTED_BY: [&str; 3] = ["id", "Created_Time", "Modified_Time"];
const MOST_FIELDS: usize = 50;
