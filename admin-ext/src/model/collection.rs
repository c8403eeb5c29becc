//! What a list of the v2 APIs is asked for: a numbered page, an order, and conditions on its members.

use uuid::Uuid;

use super::ambient::Timestamp;

/// One page of a sorted and filtered list.
#[derive(Clone, PartialEq, Debug)]
pub struct CollectionRequest {
    /// From 1.
    pub number: u64,
    /// 1 to [`CollectionRequest::SIZE_MAX`].
    pub size: u64,
    /// The first decides, the next where it is equal, and so on; then the order of creation.
    pub order: Vec<Order>,
    /// All of them hold.
    pub conditions: Vec<Condition>,
}

impl CollectionRequest {
    pub const SIZE_MAX: u64 = 100;
    pub const SIZE_DEFAULT: u64 = 10;
}

impl Default for CollectionRequest {
    fn default() -> Self {
        Self { number: 1, size: Self::SIZE_DEFAULT, order: Vec::new(), conditions: Vec::new() }
    }
}

/// One member a list is sorted by.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Order {
    /// Its name in the API.
    pub member: &'static str,
    pub descending: bool,
}

/// What a member must be.
#[derive(Clone, PartialEq, Debug)]
pub struct Condition {
    /// Its name in the API.
    pub member: &'static str,
    pub test: Test,
}

/// A test of a member. Texts are compared as they are, substrings whatever their case.
#[derive(Clone, PartialEq, Debug)]
pub enum Test {
    /// There is a value.
    Exists,
    Equal(Operand),
    /// Absent values are equal to nothing.
    NotEqual(Operand),
    /// Equal to one of them.
    OneOf(Vec<Operand>),
    Contains(String),
    /// Contains one of them.
    ContainsOneOf(Vec<String>),
    Less(Operand),
    LessOrEqual(Operand),
    Greater(Operand),
    GreaterOrEqual(Operand),
}

/// What a member is compared with.
#[derive(Clone, PartialEq, Debug)]
pub enum Operand {
    Text(String),
    Id(Uuid),
    Time(Timestamp),
    Truth(bool),
    /// A code the database keeps for a word of the API, such as a status.
    Code(i64),
}

/// One page of a list, and how long the whole list is.
#[derive(Clone, PartialEq, Debug)]
pub struct Collected<T> {
    pub items: Vec<T>,
    pub total: u64,
}
