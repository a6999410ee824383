//! The part of CloudWatch's query language that `deploy/cloudwatch` uses, as its documentation has
//! it: `fields`, `filter`, `stats`, `sort`, `limit` and `display` over JSON lines.

use std::{
    cmp::Ordering,
    collections::{BTreeMap, BTreeSet},
};

use serde_json::{Value, json};

pub(crate) type Row = BTreeMap<String, Value>;

/// A query, ready to run.
pub(crate) struct Query(Vec<Vec<String>>);

impl Query {
    pub(crate) fn parse(text: &str) -> Self {
        let lines = text.lines().filter(|line| !line.starts_with('#'));
        let tokens = tokens(&lines.collect::<Vec<_>>().join(" "));
        let commands = tokens.split(|token| token == "|").map(<[String]>::to_vec);
        Self(commands.collect())
    }

    pub(crate) fn run(&self, lines: &[Value]) -> Vec<Row> {
        let mut rows: Vec<Row> = lines.iter().map(flat).collect();
        for command in &self.0 {
            let (name, rest) = command.split_first().expect("a command");
            rows = match &**name {
                "fields" | "display" => rows.iter().map(|row| only(row, rest)).collect(),
                "filter" => {
                    let mut filter = Filter(rest, 0);
                    let kept = rows.into_iter().filter(|row| {
                        filter.1 = 0;
                        filter.either(row)
                    });
                    kept.collect()
                }
                "stats" => stats(&rows, rest),
                "sort" => sorted(rows, rest),
                "limit" => rows.into_iter().take(rest[0].parse().unwrap()).collect(),
                other => panic!("{other} is not in the subset"),
            };
        }
        rows
    }

    /// The fields of the log that it names.
    pub(crate) fn fields(&self) -> BTreeSet<String> {
        let mut made = BTreeSet::new();
        let mut named = BTreeSet::new();
        for command in &self.0 {
            for (n, token) in command.iter().enumerate().skip(1) {
                let after = command.get(n + 1).map_or("", |next| &**next);
                let is_name = token.starts_with(|c: char| c.is_alphabetic());
                if command[n - 1] == "as" {
                    made.insert(token.clone());
                } else if is_name && after != "(" && !WORDS.contains(&&**token) {
                    named.insert(token.clone());
                }
            }
        }
        named.difference(&made).cloned().collect()
    }
}

const WORDS: [&str; 9] = ["and", "or", "not", "in", "like", "as", "by", "asc", "desc"];

/// Nested fields are named with dots.
fn flat(line: &Value) -> Row {
    fn add(row: &mut Row, name: &str, value: &Value) {
        match value {
            Value::Object(fields) => fields
                .iter()
                .for_each(|(key, value)| add(row, &format!("{name}.{key}"), value)),
            Value::Array(items) => (0..)
                .zip(items)
                .for_each(|(n, value)| add(row, &format!("{name}.{n}"), value)),
            value => drop(row.insert(name[1..].to_owned(), value.clone())),
        }
    }
    let mut row = Row::new();
    add(&mut row, "", line);
    row.insert("@message".into(), line.to_string().into());
    row
}

fn tokens(text: &str) -> Vec<String> {
    let mut tokens = Vec::new();
    let mut rest = text.trim_start();
    while let Some(first) = rest.chars().next() {
        let length = match first {
            '"' => 2 + rest[1..].find('"').expect("a closed text"),
            '>' | '<' | '!' if rest[1..].starts_with('=') => 2,
            c if c.is_alphanumeric() || c == '@' => rest
                .find(|c: char| !c.is_alphanumeric() && !"_.@".contains(c))
                .unwrap_or(rest.len()),
            _ => 1,
        };
        tokens.push(rest[..length].to_owned());
        rest = rest[length..].trim_start();
    }
    tokens
}

/// Fields by their names, and what is made of them `as` another.
fn only(row: &Row, command: &[String]) -> Row {
    let mut made = Row::new();
    for part in apart(command) {
        let (name, value) = match part {
            [name] => (name, row.get(name).cloned()),
            [expression @ .., word, name] if word == "as" => (name, Some(product(row, expression))),
            other => panic!("{other:?} is not in the subset"),
        };
        made.extend(value.map(|value| (name.clone(), value)));
    }
    made
}

/// The parts between commas that stand in no parentheses.
fn apart(tokens: &[String]) -> Vec<&[String]> {
    let mut depth = 0;
    let parts = tokens.split(|token| {
        depth += i32::from(token == "(") - i32::from(token == ")");
        token == "," && depth == 0
    });
    parts.collect()
}

fn product(row: &Row, expression: &[String]) -> Value {
    let mut factors = expression
        .split(|token| token == "*")
        .map(|it| value(row, it));
    let first = factors.next().expect("a value");
    let number = |value: &Value| value.as_f64().expect("a number");
    factors.fold(first, |a, b| json!(number(&a) * number(&b)))
}

fn value(row: &Row, expression: &[String]) -> Value {
    let [name, open, arguments @ .., close] = expression else {
        let [token] = expression else {
            panic!("{expression:?} is not in the subset")
        };
        let field = || row.get(token).cloned().unwrap_or(Value::Null);
        return serde_json::from_str(token).unwrap_or_else(|_| field());
    };
    assert!(open == "(" && close == ")", "{expression:?}");
    let arguments: Vec<_> = apart(arguments).iter().map(|it| value(row, it)).collect();
    let text = |n: usize| arguments[n].as_str().unwrap_or_default();
    match &**name {
        "replace" if arguments[0].is_string() => text(0).replace(text(1), text(2)).into(),
        "strcontains" => u8::from(text(0).contains(text(1))).into(),
        "coalesce" => {
            let mut there = arguments.into_iter().filter(|it| !it.is_null());
            there.next().unwrap_or(Value::Null)
        }
        _ => panic!("{expression:?} is not in the subset"),
    }
}

struct Filter<'a>(&'a [String], usize);

impl Filter<'_> {
    fn next(&mut self) -> &str {
        self.1 += 1;
        self.0.get(self.1 - 1).map_or("", |token| token)
    }

    fn skip(&mut self, wanted: &str) -> bool {
        let is_next = self.0.get(self.1).is_some_and(|token| token == wanted);
        self.1 += usize::from(is_next);
        is_next
    }

    fn either(&mut self, row: &Row) -> bool {
        let mut holds = self.both(row);
        while self.skip("or") {
            holds |= self.both(row);
        }
        holds
    }

    fn both(&mut self, row: &Row) -> bool {
        let mut holds = self.one(row);
        while self.skip("and") {
            holds &= self.one(row);
        }
        holds
    }

    fn one(&mut self, row: &Row) -> bool {
        if self.skip("not") {
            return !self.one(row);
        }
        if self.skip("(") {
            let holds = self.either(row);
            assert!(self.skip(")"));
            return holds;
        }
        let name = self.next().to_owned();
        if name == "ispresent" {
            assert!(self.skip("("));
            let holds = row.contains_key(self.next());
            assert!(self.skip(")"));
            return holds;
        }
        let left = row.get(&name).cloned().unwrap_or(Value::Null);
        let operator = self.next().to_owned();
        if operator == "in" {
            assert!(self.skip("["));
            let mut holds = false;
            while !self.skip("]") {
                holds |= literal(self.next()) == left;
                self.skip(",");
            }
            return holds;
        }
        let right = literal(self.next());
        match &*operator {
            "=" => left == right,
            "!=" => left != right,
            ">" => compare(&left, &right) == Ordering::Greater,
            "<" => compare(&left, &right) == Ordering::Less,
            "like" => left
                .as_str()
                .is_some_and(|text| text.contains(right.as_str().unwrap())),
            other => panic!("{other} is not in the subset"),
        }
    }
}

fn literal(token: &str) -> Value {
    serde_json::from_str(token).unwrap_or_else(|_| panic!("{token} is no text and no number"))
}

/// What is absent is less than anything.
fn compare(a: &Value, b: &Value) -> Ordering {
    match (a.as_f64(), b.as_f64(), a.as_str(), b.as_str()) {
        (Some(a), Some(b), ..) => a.total_cmp(&b),
        (.., Some(a), Some(b)) => a.cmp(b),
        _ => a.is_null().cmp(&b.is_null()).reverse(),
    }
}

fn sorted(mut rows: Vec<Row>, by: &[String]) -> Vec<Row> {
    let descending = by.get(1).is_some_and(|order| order == "desc");
    rows.sort_by(|a, b| {
        let of = |row: &Row| row.get(&by[0]).cloned().unwrap_or(Value::Null);
        let order = compare(&of(a), &of(b));
        if descending { order.reverse() } else { order }
    });
    rows
}

fn stats(rows: &[Row], command: &[String]) -> Vec<Row> {
    let by = command.iter().position(|token| token == "by");
    let (aggregates, by) = command.split_at(by.unwrap_or(command.len()));
    let by: Vec<_> = by.iter().skip(1).filter(|token| *token != ",").collect();
    let mut groups: BTreeMap<String, Vec<&Row>> = BTreeMap::new();
    for row in rows {
        let key: Vec<_> = by.iter().map(|name| row.get(*name)).collect();
        groups.entry(format!("{key:?}")).or_default().push(row);
    }
    let result = |group: Vec<&Row>| {
        let keys = by.iter().filter_map(|name| {
            let value = group[0].get(*name)?.clone();
            Some(((*name).clone(), value))
        });
        let mut row: Row = keys.collect();
        for aggregate in aggregates
            .split(|token| token == "as")
            .collect::<Vec<_>>()
            .windows(2)
        {
            // `… , name ( field , 95 )` before `as`, the name of the result after it.
            let open = aggregate[0].iter().rposition(|token| token == "(").unwrap();
            let (name, arguments) = (&aggregate[0][open - 1], &aggregate[0][open + 1..]);
            row.insert(aggregate[1][0].clone(), aggregated(name, arguments, &group));
        }
        row
    };
    groups.into_values().map(result).collect()
}

fn aggregated(name: &str, arguments: &[String], group: &[&Row]) -> Value {
    let values = group.iter().filter_map(|row| row.get(&arguments[0]));
    if name == "count_distinct" {
        return json!(
            values
                .map(ToString::to_string)
                .collect::<BTreeSet<_>>()
                .len()
        );
    }
    let texts = values.clone().filter_map(Value::as_str);
    match name {
        "sortsFirst" => return json!(texts.min()),
        "sortsLast" => return json!(texts.max()),
        _ => {}
    }
    if name == "count" && arguments[0] != "*" {
        return json!(values.count());
    }
    let mut numbers: Vec<f64> = values.filter_map(Value::as_f64).collect();
    numbers.sort_by(f64::total_cmp);
    let sum: f64 = numbers.iter().sum();
    match name {
        "count" => json!(group.len()),
        "sum" => json!(sum),
        "avg" if !numbers.is_empty() => json!(sum / numbers.len() as f64),
        "max" => json!(numbers.last()),
        "min" => json!(numbers.first()),
        "pct" => {
            let share = arguments[2].parse::<f64>().unwrap() / 100.0;
            let place = (share * numbers.len() as f64).ceil() as usize;
            json!(numbers.get(place.saturating_sub(1)))
        }
        _ => Value::Null,
    }
}

#[test]
fn a_query_filters_counts_and_sorts() {
    let lines = [
        json!({ "e": "a", "ms": 1, "deep": { "er": true } }),
        json!({ "e": "a", "ms": 3 }),
        json!({ "e": "b", "ms": 9 }),
        json!({ "e": "c" }),
    ];
    let run = |text| json!(Query::parse(text).run(&lines));
    assert_eq!(
        run(
            "# a comment\nfilter e in [\"a\", \"b\"] | stats count(*) as n, avg(ms) as mean, pct(ms, 95) as p by e | sort p desc"
        ),
        json!([{ "e": "b", "n": 1, "mean": 9.0, "p": 9.0 }, { "e": "a", "n": 2, "mean": 2.0, "p": 3.0 }])
    );
    assert_eq!(
        run("filter ispresent(ms) and not (ms > 2 or e = \"b\") | fields e, deep.er"),
        json!([{ "e": "a", "deep.er": true }])
    );
    assert_eq!(
        run("filter e like \"c\" | limit 1"),
        json!([{ "@message": "{\"e\":\"c\"}", "e": "c" }])
    );
    assert_eq!(
        run(
            "filter e in [\"a\", \"b\"] | fields ms, replace(e, \"a\", \"z\") as f, strcontains(e, \"a\") * coalesce(no, 5) as g | stats sum(g) as h, sortsFirst(f) as i by f | sort h desc"
        ),
        json!([{ "f": "z", "h": 10.0, "i": "z" }, { "f": "b", "h": 0.0, "i": "b" }])
    );
    let query =
        Query::parse("filter a = \"x\" and ispresent(b) | stats max(c) as d by e | sort d desc");
    assert_eq!(query.fields().into_iter().collect::<String>(), "abce");
}
