//! A COQL text as a tree, before anything is known of modules and fields.

use serde_json::json;

use super::lex::{Kind, Token, tokens};
use crate::sandbox::problem::Problem;

/// A query as it was written.
#[derive(Debug, Default)]
pub(super) struct Written {
    pub(super) columns: Vec<Column>,
    pub(super) module: String,
    pub(super) filter: Option<Tree>,
    pub(super) group: Vec<String>,
    pub(super) order: Vec<(Column, bool)>,
    pub(super) limit: Option<String>,
    pub(super) offset: Option<String>,
}

/// `SUM(Amount) as total`, or a plain field.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Column {
    pub(super) function: Option<String>,
    pub(super) name: String,
    pub(super) alias: Option<String>,
}

impl Column {
    /// What it is called where it has no alias.
    pub(super) fn called(&self) -> String {
        match &self.function {
            Some(function) => format!("{function}({})", self.name),
            None => self.name.clone(),
        }
    }
}

/// A condition as it was written.
#[derive(Debug)]
pub(super) enum Tree {
    And(Box<Tree>, Box<Tree>),
    Or(Box<Tree>, Box<Tree>),
    Leaf {
        name: String,
        operator: String,
        values: Vec<String>,
        /// A query whose rows are the values.
        inner: Option<Box<Written>>,
    },
}

/// Reads a query.
pub(super) fn parse(text: &str, backslash: bool) -> Result<Written, Problem> {
    let mut parser = Parser {
        tokens: tokens(text, backslash)?.into_iter().peekable(),
        depth: 0,
        leaves: 0,
        last: String::new(),
    };
    if !parser.take("select") {
        return Err(Problem::bad(
            "SYNTAX_ERROR",
            json!({}),
            "given coql query not supported",
        ));
    }
    let query = parser.query()?;
    parser.take_symbol(";");
    match parser.tokens.next() {
        Some(extra) => Err(extra.unexpected()),
        None => Ok(query),
    }
}

struct Parser {
    tokens: std::iter::Peekable<std::vec::IntoIter<Token>>,
    depth: usize,
    leaves: usize,
    last: String,
}

impl Parser {
    fn query(&mut self) -> Result<Written, Problem> {
        let mut query = Written {
            columns: vec![self.column()?],
            ..Written::default()
        };
        while self.take_symbol(",") {
            query.columns.push(self.column()?);
        }
        self.expect("from")?;
        query.module = self.name()?;
        if !self.take("where") {
            return Err(self.missing_where());
        }
        query.filter = Some(self.condition()?);
        if self.take("group") {
            self.expect("by")?;
            query.group.push(self.name()?);
            while self.take_symbol(",") {
                query.group.push(self.name()?);
            }
        }
        if self.take("order") {
            self.expect("by")?;
            query.order.push(self.ordering()?);
            while self.take_symbol(",") {
                query.order.push(self.ordering()?);
            }
        }
        self.window(&mut query)?;
        Ok(query)
    }

    /// A clause that is not there is missing; anything else in its place is unexpected.
    fn missing_where(&mut self) -> Problem {
        let clause = |token: &Token| {
            ["group", "order", "limit", "offset"]
                .iter()
                .any(|word| token.is(word))
        };
        match self.tokens.peek() {
            Some(token) if !clause(token) => token.unexpected(),
            _ => Problem::bad("SYNTAX_ERROR", json!({"clause": "where"}), "missing clause"),
        }
    }

    /// `limit n`, `limit m, n`, `limit n offset m`, `offset m`.
    fn window(&mut self, query: &mut Written) -> Result<(), Problem> {
        if self.take("limit") {
            query.limit = Some(self.next()?.text);
            if self.take_symbol(",") {
                query.offset = query.limit.replace(self.next()?.text);
                return Ok(());
            }
        }
        if self.take("offset") {
            query.offset = Some(self.next()?.text);
        }
        Ok(())
    }

    fn column(&mut self) -> Result<Column, Problem> {
        let mut column = self.bare_column()?;
        if self.take("as") {
            let alias = self.next()?;
            if alias.kind == Kind::Symbol {
                return Err(alias.unexpected());
            }
            column.alias = Some(alias.text);
        }
        Ok(column)
    }

    fn bare_column(&mut self) -> Result<Column, Problem> {
        let name = self.name()?;
        if !self.take_symbol("(") {
            return Ok(Column {
                function: None,
                name,
                alias: None,
            });
        }
        let inner = self.name()?;
        self.expect_symbol(")")?;
        Ok(Column {
            function: Some(name),
            name: inner,
            alias: None,
        })
    }

    fn ordering(&mut self) -> Result<(Column, bool), Problem> {
        let column = self.bare_column()?;
        let descending = self.take("desc");
        if !descending {
            self.take("asc");
        }
        Ok((column, descending))
    }

    /// At most two criteria stand side by side: more must be nested pairwise.
    fn condition(&mut self) -> Result<Tree, Problem> {
        self.depth += 1;
        if self.depth > DEEPEST {
            return Err(self.lost());
        }
        let left = self.unit()?;
        let both = self.take("and");
        let joined = both || self.take("or");
        self.depth -= 1;
        if !joined {
            return Ok(left);
        }
        let right = self.unit()?;
        match self.tokens.peek() {
            Some(third) if third.is("and") || third.is("or") => Err(third.unexpected()),
            _ if both => Ok(Tree::And(Box::new(left), Box::new(right))),
            _ => Ok(Tree::Or(Box::new(left), Box::new(right))),
        }
    }

    fn unit(&mut self) -> Result<Tree, Problem> {
        if self.take_symbol("(") {
            let inside = self.condition()?;
            self.expect_symbol(")")?;
            return Ok(inside);
        }
        self.leaves += 1;
        if self.leaves > MOST_CRITERIA {
            let details = json!({"limit": MOST_CRITERIA});
            return Err(Problem::bad(
                "LIMIT_EXCEEDED",
                details,
                "criteria limit exceeded",
            ));
        }
        let name = self.name()?;
        let (operator, count) = self.operator()?;
        let (values, inner) = match count {
            Values::None => (Vec::new(), None),
            Values::One => self.values(true)?,
            Values::List => self.values(false)?,
            Values::Pair => {
                let low = self.value()?;
                self.expect("and")?;
                (vec![low, self.value()?], None)
            }
        };
        Ok(Tree::Leaf {
            name,
            operator,
            values,
            inner,
        })
    }

    /// One value or a list of them, or the query that finds them.
    fn values(&mut self, one: bool) -> Result<(Vec<String>, Option<Box<Written>>), Problem> {
        let opens = |token: &Token| token.is_symbol("(");
        if one && !self.tokens.peek().is_some_and(opens) {
            return Ok((vec![self.value()?], None));
        }
        let open = self.next()?;
        if opens(&open) && self.take("select") {
            self.depth += 1;
            if self.depth > DEEPEST {
                return Err(self.lost());
            }
            let inner = self.query()?;
            self.depth -= 1;
            self.expect_symbol(")")?;
            return Ok((Vec::new(), Some(Box::new(inner))));
        }
        if one || !opens(&open) {
            return Err(open.unexpected());
        }
        let mut values = vec![self.value()?];
        while self.take_symbol(",") {
            values.push(self.value()?);
        }
        self.expect_symbol(")")?;
        Ok((values, None))
    }

    fn operator(&mut self) -> Result<(String, Values), Problem> {
        let token = self.next()?;
        let negated = token.is("not");
        let token = if negated { self.next()? } else { token };
        let spelled = |word: &str| {
            if negated {
                format!("not {word}")
            } else {
                word.to_owned()
            }
        };
        let comparison = matches!(
            token.text.as_str(),
            "=" | "!=" | "<>" | ">=" | ">" | "<=" | "<"
        );
        Ok(match token.text.to_ascii_lowercase().as_str() {
            "like" => (spelled("like"), Values::One),
            "in" => (spelled("in"), Values::List),
            "between" => (spelled("between"), Values::Pair),
            "is" if !negated => {
                let not = self.take("not");
                self.expect("null")?;
                (
                    if not { "is not null" } else { "is null" }.to_owned(),
                    Values::None,
                )
            }
            _ if comparison && !negated => (token.text, Values::One),
            _ if negated => {
                return Err(Problem::bad(
                    "SYNTAX_ERROR",
                    json!({"operator": "not"}),
                    "operator not supported",
                ));
            }
            _ if token.kind == Kind::Word => {
                return Err(Problem::bad(
                    "SYNTAX_ERROR",
                    json!({"operator": token.text}),
                    "operator not supported",
                ));
            }
            _ => return Err(token.unexpected()),
        })
    }

    fn value(&mut self) -> Result<String, Problem> {
        let token = self.next()?;
        let bare = token.is("true") || token.is("false");
        match token.kind {
            Kind::Quoted | Kind::Number => Ok(token.text),
            Kind::Word if bare => Ok(token.text.to_ascii_lowercase()),
            _ => Err(token.unexpected()),
        }
    }

    /// A name, which is quoted when it follows a polymorphic lookup.
    fn name(&mut self) -> Result<String, Problem> {
        let token = self.next()?;
        let polymorphic = token.kind == Kind::Quoted && token.text.contains("->");
        let keyword = KEYWORDS.iter().any(|keyword| token.is(keyword));
        if (token.kind == Kind::Word && !keyword) || polymorphic {
            Ok(token.text)
        } else {
            Err(token.unexpected())
        }
    }

    fn next(&mut self) -> Result<Token, Problem> {
        let token = self.tokens.next().ok_or_else(|| self.lost())?;
        self.last = token.text.chars().take(60).collect();
        Ok(token)
    }

    fn lost(&self) -> Problem {
        let details = json!({"near": self.last});
        Problem::bad(
            "SYNTAX_ERROR",
            details,
            "error occured while parsing the query",
        )
    }

    fn take(&mut self, keyword: &str) -> bool {
        let token = self.tokens.next_if(|token| token.is(keyword));
        token.map(|token| self.last = token.text).is_some()
    }

    fn take_symbol(&mut self, symbol: &str) -> bool {
        self.tokens
            .next_if(|token| token.is_symbol(symbol))
            .is_some()
    }

    fn expect(&mut self, keyword: &str) -> Result<(), Problem> {
        let token = self.next()?;
        if token.is(keyword) {
            Ok(())
        } else {
            Err(token.unexpected())
        }
    }

    fn expect_symbol(&mut self, symbol: &str) -> Result<(), Problem> {
        let token = self.next()?;
        if token.is_symbol(symbol) {
            Ok(())
        } else {
            Err(token.unexpected())
        }
    }
}

enum Values {
    None,
    One,
    Pair,
    List,
}

const KEYWORDS: &[&str] = &[
    "select", "from", "where", "and", "or", "not", "in", "like", "between", "is", "null", "group",
    "order", "by", "limit", "offset", "as",
];

const MOST_CRITERIA: usize = 25;
const DEEPEST: usize = 64;
