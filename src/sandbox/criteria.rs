//! The grammar of `criteria=`: `((Last_Name:equals:Burns\,B)and(First_Name:starts_with:M))`.

pub(super) mod count;
pub(super) mod json;
mod named;

use serde_json::{Value, json};

use super::{
    cell::Cell,
    filter::{Filter, Op, Path, Test},
    problem::Problem,
    schema::{Field, Kind, Module},
};

/// What criteria are for; counts take more operators than searches, and not every value.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum For {
    Search,
    Count,
}

/// Reads a criteria text.
pub(super) fn read(module: Module, text: &str, purpose: For) -> Result<Filter, Problem> {
    if text.chars().count() > LONGEST {
        return Err(Problem::bad(
            "CRITERIA_LIMIT_EXCEEDED",
            json!({"limit": LONGEST}),
            "criteria limit exceeded",
        ));
    }
    let mut reader = Reader {
        module,
        purpose,
        rest: text.trim(),
        criteria: 0,
        depth: 0,
    };
    let filter = reader.sequence()?;
    if reader.rest.is_empty() {
        Ok(filter)
    } else {
        Err(malformed(json!({"near": near(reader.rest)})))
    }
}

impl super::read::Reader<'_> {
    /// Refuses conditions on fields that are not shown, and more conditions than are taken; names of
    /// records become their ids.
    pub(super) fn readable(&self, module: Module, mut filter: Filter) -> Result<Filter, Problem> {
        filter.each(&mut |test| named::resolve(self.crm, test));
        let paths = filter.paths();
        if paths.len() > self.settings.search_criteria {
            return Err(too_many(self.settings.search_criteria));
        }
        match self.sight.hidden_in(module, paths.into_iter()) {
            Some(name) => Err(not_searched(name)),
            None => Ok(filter),
        }
    }
}

fn too_many(most: usize) -> Problem {
    let message = format!("no of criterium that can be given exceed the limit {most}");
    Problem::bad("CRITERIA_LIMIT_EXCEEDED", json!({}), message)
}

/// What is wrong with one criterion.
fn unfit(details: Value) -> Problem {
    Problem::bad("INVALID_QUERY", details, "Invalid query formed")
}

fn not_searched(name: &str) -> Problem {
    let reason = NOT_SEARCHED;
    let details = json!({"reason": reason, "api_name": name});
    unfit(details)
}

fn not_operated(name: &str, operator: &str) -> Problem {
    let reason = NOT_OPERATED;
    let details = json!({"operator": operator, "reason": reason, "api_name": name});
    unfit(details)
}

fn too_wild(name: &str) -> Problem {
    let details = json!({"reason": TOO_WILD, "api_name": name});
    unfit(details)
}

fn not_valued(field: &Field, values: &[String]) -> Problem {
    let details = json!({
        "expected_data_type": field.kind.data_type(),
        "reason": "invalid value for search",
        "api_name": field.name,
        "value": values.join(","),
    });
    unfit(details)
}

struct Reader<'a> {
    module: Module,
    purpose: For,
    rest: &'a str,
    criteria: usize,
    depth: usize,
}

impl Reader<'_> {
    /// Groups joined by `and` or `or`, from left to right.
    fn sequence(&mut self) -> Result<Filter, Problem> {
        let mut left = self.group()?;
        loop {
            self.rest = self.rest.trim_start();
            if let Some(rest) = self.rest.strip_prefix("and") {
                self.rest = rest.trim_start();
                left = match (left, self.group()?) {
                    (Filter::All(mut parts), right) => {
                        parts.push(right);
                        Filter::All(parts)
                    }
                    (left, right) => Filter::All(vec![left, right]),
                };
            } else if let Some(rest) = self.rest.strip_prefix("or") {
                self.rest = rest.trim_start();
                left = Filter::Any(vec![left, self.group()?]);
            } else {
                return Ok(left);
            }
        }
    }

    /// `( … )`, with a sequence or a single criterion inside.
    fn group(&mut self) -> Result<Filter, Problem> {
        self.depth += 1;
        if self.depth > DEEPEST {
            return Err(malformed(
                json!({"reason": "the criteria is nested too deep"}),
            ));
        }
        let Some(rest) = self.rest.strip_prefix('(') else {
            return Err(malformed(json!({"near": near(self.rest)})));
        };
        self.rest = rest.trim_start();
        let inside = if self.rest.starts_with('(') {
            self.sequence()?
        } else {
            self.criterion()?
        };
        self.rest = self.rest.trim_start();
        let Some(rest) = self.rest.strip_prefix(')') else {
            return Err(malformed(json!({"near": near(self.rest)})));
        };
        self.rest = rest;
        self.depth -= 1;
        Ok(inside)
    }

    /// `Field:operator:value`, up to the closing parenthesis, which stays.
    fn criterion(&mut self) -> Result<Filter, Problem> {
        self.criteria += 1;
        if self.criteria > MOST {
            return Err(too_many(MOST));
        }
        let mut head = self.rest.splitn(3, ':');
        let (Some(name), Some(operator), Some(rest)) = (head.next(), head.next(), head.next())
        else {
            return Err(malformed(json!({"near": near(self.rest)})));
        };
        let field = self
            .module
            .field(name)
            .filter(|field| field.kind.is_searched());
        let Some(field) = field else {
            return Err(not_searched(name));
        };
        let counted =
            || count::operation(field.kind, operator).filter(|_| self.purpose == For::Count);
        let op = operation(field.kind, operator)
            .or_else(counted)
            .ok_or_else(|| not_operated(name, operator))?;
        let (values, rest) = values(rest).ok_or_else(|| malformed(json!({"near": near(rest)})))?;
        self.rest = rest;
        if op == Op::In && values.len() > MOST_VALUES {
            let message = format!("Only {MOST_VALUES} values are allowed in \"IN\" criteria");
            let details = json!({"api_name": name});
            return Err(Problem::bad("INVALID_QUERY", details, message));
        }
        let is_wild = |value: &String| value.matches('*').count() > 1;
        if field.kind.is_textual() && values.iter().any(is_wild) {
            return Err(too_wild(name));
        }
        if self.purpose == For::Count {
            count::are_values(field, &values)?;
        }
        let operands = operands(field, op, &values).ok_or_else(|| not_valued(field, &values))?;
        Ok(Filter::Is(Test {
            path: Path::direct(field),
            op,
            operands,
        }))
    }
}

/// Zoho's matrix of operators and types. `equals` on a text finds it anywhere inside.
fn operation(kind: Kind, operator: &str) -> Option<Op> {
    let textual = matches!(
        kind,
        Kind::Text(_) | Kind::Email | Kind::Phone | Kind::Website
    );
    let area = matches!(kind, Kind::Area(_));
    match operator {
        "equals" if textual || area => Some(Op::Holds),
        "not_equal" if textual || area => Some(Op::HoldsNot),
        "equals" => Some(Op::Equal),
        "not_equal" => Some(Op::NotEqual),
        "starts_with" if textual || area => Some(Op::StartsWith),
        "in" if !area && kind != Kind::Flag => Some(Op::In),
        "between" if kind.is_ordered() => Some(Op::Between),
        "greater_than" if kind.is_ordered() => Some(Op::Greater),
        "greater_equal" if kind.is_ordered() => Some(Op::GreaterEqual),
        "less_than" if kind.is_ordered() => Some(Op::Less),
        "less_equal" if kind.is_ordered() => Some(Op::LessEqual),
        _ => None,
    }
}

/// The values up to the closing parenthesis: commas part them, a backslash takes the next literally.
fn values(text: &str) -> Option<(Vec<String>, &str)> {
    let mut values = vec![String::new()];
    let mut chars = text.char_indices();
    while let Some((at, letter)) = chars.next() {
        match letter {
            '\\' => values.last_mut()?.push(chars.next()?.1),
            ',' => values.push(String::new()),
            '(' => return None,
            ')' => return Some((values, text.get(at..)?)),
            _ => values.last_mut()?.push(letter),
        }
    }
    None
}

fn operands(field: &Field, op: Op, values: &[String]) -> Option<Vec<Cell>> {
    let fits = match op {
        Op::In => true,
        Op::Between => values.len() == 2,
        _ => values.len() == 1,
    };
    let read = |value: &String| {
        let value = Some(value.trim()).filter(|value| !value.is_empty())?;
        let cell = Cell::read(field.kind, value);
        // A day stands for its first moment.
        let is_day = || field.kind == Kind::Moment && Cell::read(Kind::Day, value).is_some();
        let begins = || Cell::read(field.kind, &format!("{value}T00:00:00Z"));
        cell.or_else(|| is_day().then(begins).flatten())
            .or_else(|| named::is_named(field).then(|| Cell::text(value)))
    };
    values
        .iter()
        .map(read)
        .collect::<Option<Vec<_>>>()
        .filter(|_| fits)
}

fn malformed(details: Value) -> Problem {
    Problem::bad("INVALID_QUERY", details, MALFORMED)
}

fn near(text: &str) -> String {
    text.chars().take(40).collect()
}

const NOT_SEARCHED: &str = "the field is not available for search";
const MALFORMED: &str = "invalid query formed";
const NOT_OPERATED: &str = "invalid operator found";
const TOO_WILD: &str = "More than one wildcard(*) not allowed in a searchword";
const LONGEST: usize = 3_000;
const MOST: usize = 15;
const MOST_VALUES: usize = 100;
const DEEPEST: usize = 32;

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn parse(module: Module, text: &str) -> Result<Filter, Problem> {
        read(module, text, For::Search)
    }

    fn one(text: &str) -> Test {
        match parse(Module::Contacts, text) {
            Ok(Filter::Is(test)) => test,
            other => panic!("{text}: {other:?}"),
        }
    }

    #[test]
    fn escapes_are_taken_literally() {
        let test = one(r"(Last_Name:equals:Pell\, Jr. \(retired\) \\ x)");
        assert_eq!(test.operands, [Cell::text(r"Pell, Jr. (retired) \ x")]);
        assert_eq!(test.op, Op::Holds);
    }

    #[test]
    fn conditions_nest_and_join() {
        let both = parse(
            Module::Contacts,
            "((Last_Name:equals:a) and (First_Name:starts_with:M))",
        )
        .unwrap();
        assert!(matches!(both, Filter::All(parts) if parts.len() == 2));
        let mixed =
            "(((Last_Name:equals:a)or(Last_Name:equals:b))and(Email:in:x@a.example,y@b.example))";
        assert!(
            matches!(parse(Module::Contacts, mixed).unwrap(), Filter::All(parts) if parts.len() == 2)
        );
    }

    #[test]
    fn types_and_operators_must_agree() {
        for bad in [
            "(Last_Name:greater_than:a)",
            "(Description:in:a,b)",
            "(Email_Opt_Out:in:true)",
            "(Date_of_Birth:equals:yesterday)",
            "(Tag:equals:x)",
            "(Nope:equals:x)",
            "(Last_Name:equals:a,b)",
            "(Last_Name:equals:)",
            "(Last_Name:equals:a",
            "(Last_Name:equals:a(b)",
            "Last_Name:equals:a",
            "(Last_Name:equals:a)(First_Name:equals:b)",
            "",
        ] {
            let problem = parse(Module::Contacts, bad).unwrap_err();
            assert_eq!(
                (problem.status, problem.code),
                (400, "INVALID_QUERY"),
                "{bad}"
            );
        }
    }

    #[test]
    fn there_is_a_limit_to_criteria_and_to_nesting() {
        let many = vec!["(Last_Name:equals:a)"; 16].join("or");
        assert_eq!(
            parse(Module::Contacts, &format!("({many})"))
                .unwrap_err()
                .code,
            "CRITERIA_LIMIT_EXCEEDED"
        );
        let deep = format!("{}Last_Name:equals:a{}", "(".repeat(200), ")".repeat(200));
        assert_eq!(
            parse(Module::Contacts, &deep).unwrap_err().code,
            "INVALID_QUERY"
        );
    }

    proptest! {
        #[test]
        fn no_text_makes_the_reader_panic(text in "[()\\\\,:a-zé and or]{0,60}|\\PC{0,60}") {
            let _ = parse(Module::Deals, &text);
        }

        #[test]
        fn an_escaped_value_comes_back_whole(value in "[a-z(),\\\\]{1,20}") {
            let escaped: String = value.chars()
                .flat_map(|c| matches!(c, '(' | ')' | ',' | '\\').then_some('\\').into_iter().chain([c]))
                .collect();
            prop_assert_eq!(one(&format!("(Last_Name:equals:{escaped})")).operands, [Cell::text(value)]);
        }
    }
}
