//! Lists of the v2 APIs: `page[size]`, `page[number]`, `sort` and `filter[…]`.

use std::collections::BTreeSet;

use axum::extract::FromRequestParts;
use axum::http::request::Parts;
use serde::Serialize;
use serde_json::{Value, json};
use utoipa::ToSchema;
use utoipa::openapi::path::Parameter as Described;

use super::problem::{Detail, Parameter, Problem, Source};
use crate::model::{Collected, CollectionRequest, Condition, Operand, Order, Test, Timestamp};

/// Longest text to compare with, in characters.
const TEXT_MAX: usize = 1024;

/// Most texts to compare with at once.
const PARTS_MAX: usize = 100;

/// What a list can be sorted and filtered by.
#[derive(Debug)]
pub struct Collection {
    pub sort: &'static [&'static str],
    pub filter: &'static [(&'static str, Filter)],
    pub filters: Filters,
}

/// How a list's filters stand in the OpenAPI document. They are read alike.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Filters {
    /// Each operator of each member is an argument of its own.
    Flat,
    /// One argument, an object of objects.
    Deep,
}

/// How a member can be filtered.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Filter {
    /// `eq`, `neq`, `oeq`, `contains`, `ocontains`
    Text,
    /// `eq`, `contains`
    SimpleText,
    /// `eq`
    Exact,
    /// `eq`, of a member that is an id and can be looked for by a part of it: `eq`, `contains`
    SimpleId,
    /// `eq`, `neq`, `oeq`
    Id,
    /// `eq`, `lt`, `lte`, `gt`, `gte`
    Time,
    /// `eq`
    Truth,
    /// `eq`, `neq`, `oeq` of words that the database keeps as numbers.
    Code(&'static [(&'static str, i64)]),
}

impl Filter {
    const fn operators(self) -> &'static [&'static str] {
        match self {
            Self::Text => &["eq", "neq", "oeq", "contains", "ocontains"],
            Self::SimpleText | Self::SimpleId => &["eq", "contains"],
            Self::Exact | Self::Truth => &["eq"],
            Self::Id | Self::Code(_) => &["eq", "neq", "oeq"],
            Self::Time => &["eq", "lt", "lte", "gt", "gte"],
        }
    }

    fn operand(self, text: &str, field: &str) -> Result<Operand, Parameter> {
        check_text(text, field)?;
        let wrong = |rule, what: &str| {
            Parameter::new(Source::Query, field, rule, format!("value of \"{field}\" must be {what}"))
        };
        match self {
            Self::Text | Self::SimpleText | Self::Exact => Ok(Operand::Text(text.to_owned())),
            Self::Id | Self::SimpleId => {
                text.parse().map(Operand::Id).map_err(|_| wrong("is_uuid", "a UUID"))
            }
            Self::Time => match text.parse::<jiff::Timestamp>() {
                Ok(time) => Ok(Operand::Time(Timestamp(time.as_millisecond()))),
                Err(_) => Err(wrong("is_date_time", "a time like 2026-01-31T12:00:00Z")),
            },
            Self::Truth => match text {
                "true" => Ok(Operand::Truth(true)),
                "false" => Ok(Operand::Truth(false)),
                _ => Err(wrong("is_boolean", "true or false")),
            },
            Self::Code(words) => match words.iter().find(|(word, _)| *word == text) {
                Some((_, code)) => Ok(Operand::Code(*code)),
                None => {
                    let names: Vec<_> = words.iter().map(|(word, _)| *word).collect();
                    let reason = format!("must be one of [{}]", names.join(", "));
                    let detail = Detail::Choices(names.into_iter().map(Value::from).collect());
                    Err(Parameter { detail, ..Parameter::new(Source::Query, field, "enum", reason) })
                }
            },
        }
    }

    fn test(self, operator: &str, text: &str, field: &str) -> Result<Test, Parameter> {
        let one = || self.operand(text, field);
        let part = |part: &str| check_text(part, field).map(|()| part.to_owned());
        Ok(match operator {
            "eq" => Test::Equal(one()?),
            "neq" => Test::NotEqual(one()?),
            "oeq" => {
                let parts = list(text, field)?.into_iter();
                Test::OneOf(parts.map(|part| self.operand(part, field)).collect::<Result<_, _>>()?)
            }
            "contains" => Test::Contains(part(text)?),
            "ocontains" => {
                let parts = list(text, field)?.into_iter();
                Test::ContainsOneOf(parts.map(part).collect::<Result<_, _>>()?)
            }
            "lt" => Test::Less(one()?),
            "lte" => Test::LessOrEqual(one()?),
            "gt" => Test::Greater(one()?),
            _ => Test::GreaterOrEqual(one()?),
        })
    }
}

/// The parts of a list with commas between them.
fn list<'a>(text: &'a str, field: &str) -> Result<Vec<&'a str>, Parameter> {
    let parts: Vec<_> = text.split(',').map(str::trim).filter(|part| !part.is_empty()).collect();
    if parts.len() <= PARTS_MAX {
        return Ok(parts);
    }
    let reason = format!("value of \"{field}\" must not have more than {PARTS_MAX} parts");
    Err(Parameter::new(Source::Query, field, "max_length", reason))
}

/// What the database cannot look for.
fn check_text(text: &str, field: &str) -> Result<(), Parameter> {
    if text.chars().count() > TEXT_MAX {
        let reason = format!("value of \"{field}\" must not exceed {TEXT_MAX} characters");
        return Err(Parameter::new(Source::Query, field, "max_length", reason));
    }
    if text.contains('\0') {
        let reason = format!("value of \"{field}\" must not contain NUL characters");
        return Err(Parameter::new(Source::Query, field, "invalid", reason));
    }
    Ok(())
}

/// The arguments of a list's query, as they came.
#[derive(Debug)]
pub struct Query(Vec<(String, String)>);

impl<S: Send + Sync> FromRequestParts<S> for Query {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, Problem> {
        let query = parts.uri.query().unwrap_or_default();
        Ok(Self(url::form_urlencoded::parse(query.as_bytes()).into_owned().collect()))
    }
}

impl Query {
    /// The only argument there may be: true or false, and false where it is absent.
    pub fn flag(&self, flag: &str) -> Result<bool, Problem> {
        Ok(self.choice(flag, &["true", "false"])? == Some("true"))
    }

    /// The only argument there may be: one of these, if it is there and not empty. Of several the last counts.
    pub fn choice<'a>(&self, argument: &str, choices: &[&'a str]) -> Result<Option<&'a str>, Problem> {
        let mut chosen = None;
        let mut wrong = Vec::new();
        for (name, value) in &self.0 {
            let known = choices.iter().find(|choice| *choice == value);
            match (name == argument, known) {
                (false, _) => wrong.push(Parameter::unknown(Source::Query, name)),
                (true, None) if !value.is_empty() => {
                    let detail = Detail::Choices(choices.iter().map(|choice| (*choice).into()).collect());
                    let reason = format!("must be one of [{}]", choices.join(", "));
                    wrong.push(Parameter { detail, ..Parameter::new(Source::Query, name, "enum", reason) });
                }
                (true, known) => chosen = known.copied(),
            }
        }
        if wrong.is_empty() { Ok(chosen) } else { Err(Problem::invalid(wrong)) }
    }
}

impl Collection {
    /// A list that can be sorted by these members and filtered so.
    pub const fn new(
        sort: &'static [&'static str],
        filters: Filters,
        filter: &'static [(&'static str, Filter)],
    ) -> Self {
        Self { sort, filter, filters }
    }

    /// What is asked for.
    pub fn read(&self, query: &Query) -> Result<CollectionRequest, Problem> {
        let mut request = CollectionRequest::default();
        let mut wrong = Vec::new();
        let mut known = BTreeSet::new();
        for (name, value) in &query.0 {
            let read = match name.as_str() {
                _ if !known.insert(self.argument(name)) => Err(Parameter::new(
                    Source::Query,
                    name,
                    "invalid",
                    format!("\"{name}\" is there already"),
                )),
                "page[size]" => number(name, value, CollectionRequest::SIZE_DEFAULT).and_then(|size| {
                    let max = CollectionRequest::SIZE_MAX;
                    request.size = size;
                    if size <= max { Ok(()) } else { Err(out_of_range(name, &format!("at most {max}"))) }
                }),
                "page[number]" => number(name, value, 1).map(|number| request.number = number),
                "sort" => self.order(value).map(|order| request.order = order),
                _ => match name.strip_prefix("filter[").and_then(|rest| rest.strip_suffix(']')) {
                    Some(path) => self.condition(name, path, value).map(|it| request.conditions.push(it)),
                    None => Err(Parameter::unknown(Source::Query, name)),
                },
            };
            if let Err(parameter) = read {
                wrong.push(parameter);
            }
        }
        if wrong.is_empty() { Ok(request) } else { Err(Problem::invalid(wrong)) }
    }

    /// What there can be one of: an argument, or an operator of a member.
    fn argument<'a>(&self, name: &'a str) -> &'a str {
        match name.strip_prefix("filter[").and_then(|rest| rest.split_once(']')) {
            Some((member, _)) if self.filters == Filters::Deep => member,
            _ => name,
        }
    }

    fn order(&self, value: &str) -> Result<Vec<Order>, Parameter> {
        let one = |part: &str| {
            let mut words = part.split_whitespace();
            let name = words.next().unwrap_or_default();
            let (name, minus) = match name.strip_prefix('-') {
                Some(name) => (name, true),
                None => (name, false),
            };
            let descending = match words.next() {
                None => minus,
                Some(word) if word.eq_ignore_ascii_case("asc") => false,
                Some(word) if word.eq_ignore_ascii_case("desc") => true,
                Some(_) => return None,
            };
            let member = self.sort.iter().find(|member| **member == name)?;
            words.next().is_none().then_some(Order { member, descending })
        };
        let parts = value.split(',').map(str::trim).filter(|part| !part.is_empty());
        let mut known = BTreeSet::new();
        // Each member once: what is equal by it once is equal by it twice.
        parts
            .map(|part| one(part).filter(|order| known.insert(order.member)))
            .collect::<Option<_>>()
            .ok_or_else(|| {
                let reason =
                    format!("must be one of [{}], each with asc or desc after it", self.sort.join(", "));
                let detail = Detail::Choices(self.sort.iter().map(|name| (*name).into()).collect());
                Parameter { detail, ..Parameter::new(Source::Query, "sort", "enum", reason) }
            })
    }

    fn condition(&self, field: &str, path: &str, value: &str) -> Result<Condition, Parameter> {
        let (name, operator) = match path.split_once("][") {
            Some((name, operator)) => (name, Some(operator)),
            None => (path, None),
        };
        let unknown = || {
            let reason = format!("\"{name}\" is not allowed");
            Parameter::new(Source::Query, format!("filter[{name}]"), "unknown_property", reason)
        };
        let (member, filter) = self.filter.iter().find(|(known, _)| *known == name).ok_or_else(unknown)?;
        let test = match operator {
            // A filter without a value asks whether there is one.
            None if value.is_empty() => Test::Exists,
            None => filter.test("eq", value, field)?,
            Some(operator) if filter.operators().contains(&operator) => {
                filter.test(operator, value, field)?
            }
            Some(operator) => {
                let reason = format!("\"{operator}\" is not allowed");
                return Err(Parameter::new(Source::Query, field, "unknown_property", reason));
            }
        };
        Ok(Condition { member, test })
    }

    /// As OpenAPI has it.
    pub fn described(&self) -> Vec<Described> {
        let text = json!({"type": "string"});
        let mut all = vec![
            argument(
                "page[size]",
                "Most items of the page",
                &json!({"type": "integer", "minimum": 1,
                "maximum": CollectionRequest::SIZE_MAX, "default": CollectionRequest::SIZE_DEFAULT}),
            ),
            argument(
                "page[number]",
                "Which page, from 1",
                &json!({"type": "integer", "minimum": 1, "default": 1}),
            ),
        ];
        if !self.sort.is_empty() {
            let about =
                format!("What to sort by, and `desc` after what is to fall: {}", self.sort.join(", "));
            all.push(argument("sort", &about, &text));
        }
        match self.filters {
            Filters::Flat => {
                for (name, filter) in self.filter {
                    all.push(argument(&format!("filter[{name}]"), "Equal to this", &text));
                    for operator in filter.operators() {
                        all.push(argument(&format!("filter[{name}][{operator}]"), about(operator), &text));
                    }
                }
            }
            Filters::Deep => {
                let member = |(name, filter): &(&str, Filter)| {
                    let operator = |operator: &&str| {
                        json!({"type": "object", "additionalProperties": false, "required": [operator],
                            "properties": {(*operator): {"type": "string", "description": about(operator)}}})
                    };
                    let operators = filter.operators().iter().map(operator);
                    let any: Vec<_> = std::iter::once(text.clone()).chain(operators).collect();
                    ((*name).to_owned(), json!({"oneOf": any}))
                };
                let members: serde_json::Map<_, _> = self.filter.iter().map(member).collect();
                let schema = json!({"type": "object", "additionalProperties": false, "properties": members});
                let deep = json!({"name": "filter", "in": "query", "required": false, "style": "deepObject",
                    "explode": true, "description": "What the items must be; all of it", "schema": schema});
                all.extend(serde_json::from_value::<Described>(deep));
            }
        }
        all
    }
}

fn about(operator: &str) -> &'static str {
    match operator {
        "eq" => "Equal to this",
        "neq" => "Not equal to this",
        "oeq" => "Equal to one of these, separated by commas",
        "contains" => "Contains this, whatever the case",
        "ocontains" => "Contains one of these, separated by commas",
        "lt" => "Before this",
        "lte" => "Not after this",
        "gt" => "After this",
        _ => "Not before this",
    }
}

fn argument(name: &str, about: &str, schema: &Value) -> Described {
    let json =
        json!({"name": name, "in": "query", "required": false, "description": about, "schema": schema});
    serde_json::from_value(json).unwrap_or_default()
}

/// A number from 1 on; an argument without a value is as good as none.
fn number(field: &str, value: &str, default: u64) -> Result<u64, Parameter> {
    if value.is_empty() {
        return Ok(default);
    }
    match value.parse::<i64>() {
        Err(_) => {
            let reason = format!("\"{field}\" must be a number");
            Err(Parameter::new(Source::Query, field, "is_number", reason))
        }
        Ok(number) => u64::try_from(number)
            .ok()
            .filter(|number| *number > 0)
            .ok_or_else(|| out_of_range(field, "at least 1")),
    }
}

fn out_of_range(field: &str, range: &str) -> Parameter {
    Parameter::new(Source::Query, field, "invalid", format!("\"{field}\" must be {range}"))
}

/// A page of a list.
#[derive(Serialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct PageBody<T> {
    data: Vec<T>,
    meta: PageMeta,
}

/// What is around a page.
#[derive(Serialize, ToSchema)]
pub struct PageMeta {
    page: PageNumbers,
}

/// Which page it is, and how many items there are.
#[derive(Serialize, ToSchema)]
pub struct PageNumbers {
    number: u64,
    size: u64,
    /// Of the whole list.
    total: u64,
}

impl<T> PageBody<T> {
    /// The page that was asked for.
    pub fn new<M>(request: &CollectionRequest, collected: Collected<M>, body: impl FnMut(M) -> T) -> Self {
        let Collected { items, total } = collected;
        let page = PageNumbers { number: request.number, size: request.size, total };
        Self { data: items.into_iter().map(body).collect(), meta: PageMeta { page } }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const LIST: Collection = Collection::new(
        &["name", "created_at"],
        Filters::Deep,
        &[
            ("name", Filter::Text),
            ("id", Filter::Id),
            ("created_at", Filter::Time),
            ("status", Filter::Code(&[("on", 1)])),
        ],
    );

    fn read(query: &str) -> Result<CollectionRequest, Vec<(String, &'static str)>> {
        let query = Query(url::form_urlencoded::parse(query.as_bytes()).into_owned().collect());
        LIST.read(&query)
            .map_err(|problem| problem.invalid_parameters.into_iter().map(|it| (it.field, it.rule)).collect())
    }

    #[test]
    fn pages_sorts_and_filters_are_read() {
        let request = read(
            "page[size]=5&page[number]=2&sort=name%20desc,created_at&filter[name][contains]=x&filter[status]=on&filter[id]",
        )
        .unwrap();
        assert_eq!((request.size, request.number), (5, 2));
        let order = |member, descending| Order { member, descending };
        assert_eq!(request.order, [order("name", true), order("created_at", false)]);
        let tests: Vec<_> = request.conditions.into_iter().map(|it| (it.member, it.test)).collect();
        assert_eq!(
            tests,
            [
                ("name", Test::Contains("x".into())),
                ("status", Test::Equal(Operand::Code(1))),
                ("id", Test::Exists),
            ]
        );
        assert_eq!(read("page[size]=&page[number]="), Ok(CollectionRequest::default()));
        assert_eq!(read("sort=-name").unwrap().order, [order("name", true)]);
    }

    #[test]
    fn what_is_wrong_is_named_all_at_once() {
        let wrong = read(
            "page[size]=101&page[number]=x&sort=age&filter[my_attribute]=1&filter[name][like]=1&filter[id]=1&size=1&filter[status]=off",
        )
        .unwrap_err();
        let wrong: Vec<_> = wrong.iter().map(|(field, rule)| (field.as_str(), *rule)).collect();
        assert_eq!(
            wrong,
            [
                ("page[size]", "invalid"),
                ("page[number]", "is_number"),
                ("sort", "enum"),
                ("filter[my_attribute]", "unknown_property"),
                ("filter[name][like]", "unknown_property"),
                ("filter[id]", "is_uuid"),
                ("size", "unknown_property"),
                ("filter[status]", "enum"),
            ]
        );
        for query in ["page[size]=0", "page[size]=-1", "page[number]=0", "sort=name,name%20desc"] {
            assert!(read(query).is_err(), "{query}");
        }
    }

    #[test]
    fn what_no_database_can_look_for_is_refused() {
        let (long, many) = ("x".repeat(TEXT_MAX + 1), "a,".repeat(PARTS_MAX + 1));
        for (query, rule) in [
            ("filter[name]=a&filter[name][neq]=b".to_owned(), "invalid"),
            ("page[size]=1&page[size]=1".to_owned(), "invalid"),
            ("filter[name]=%00".to_owned(), "invalid"),
            ("filter[name][ocontains]=a,%00".to_owned(), "invalid"),
            (format!("filter[name][contains]={long}"), "max_length"),
            (format!("filter[name]={long}"), "max_length"),
            (format!("filter[name][oeq]={many}"), "max_length"),
            (format!("filter[name][ocontains]={many}"), "max_length"),
        ] {
            let wrong = read(&query).unwrap_err();
            let rules: Vec<_> = wrong.iter().map(|(_, rule)| *rule).collect();
            assert_eq!(rules, [rule], "{query}");
        }
    }
}
