//! Links within the console that carry arguments, and those from page to page of a list.

use serde::Serialize;
use url::form_urlencoded::Serializer;

use crate::model::Offset;

/// A path with arguments; those that are empty are left out.
#[derive(Clone)]
pub struct Link {
    path: &'static str,
    arguments: Vec<(&'static str, String)>,
}

/// Where a list goes on, and where it began.
#[derive(Serialize)]
pub struct Pages {
    first: Option<String>,
    next: Option<String>,
}

impl Link {
    pub const fn to(path: &'static str) -> Self {
        Self { path, arguments: Vec::new() }
    }

    #[must_use]
    pub fn with(mut self, name: &'static str, value: &str) -> Self {
        if !value.is_empty() {
            self.arguments.push((name, value.to_owned()));
        }
        self
    }

    /// From a page that is the first one, or not, and goes on there, or not.
    pub fn pages(&self, within: bool, next: Option<Offset>) -> Pages {
        Pages {
            first: within.then(|| self.text()),
            next: next.map(|next| self.clone().with("after", &next.to_string()).text()),
        }
    }

    pub fn text(&self) -> String {
        let query = Serializer::new(String::new()).extend_pairs(&self.arguments).finish();
        if query.is_empty() { self.path.to_owned() } else { format!("{}?{query}", self.path) }
    }
}

/// Cuts a text to at most so many bytes.
pub fn cut(text: &mut String, max: usize) {
    if text.len() > max {
        let end = (0..=max).rev().find(|end| text.is_char_boundary(*end)).unwrap_or(0);
        text.truncate(end);
    }
}
