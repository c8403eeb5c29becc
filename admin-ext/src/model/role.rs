//! Roles: names that group developers. Nothing here gives a role a meaning; whoever shows content to developers does.

use uuid::Uuid;

use super::Update;
use super::ambient::Timestamp;
use super::rules::{self, Invalid};

#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Role {
    pub id: Uuid,
    /// Unique.
    pub name: String,
    pub comment: Option<String>,
    pub created_at: Timestamp,
}

impl Role {
    pub(crate) fn check(&self) -> Result<(), Invalid> {
        check_name(&self.name)?;
        match &self.comment {
            Some(comment) if comment.len() > rules::DESCRIPTION_MAX => {
                Err(Invalid::new("comment", format!("length must be at most {}", rules::DESCRIPTION_MAX)))
            }
            _ => Ok(()),
        }
    }
}

/// One line. `*` stands for all roles where roles are listed, and a UUID is an id wherever a role is named.
pub fn check_name(name: &str) -> Result<(), Invalid> {
    rules::text("name", name, rules::NAME_MAX)?;
    if name == "*" {
        return Err(Invalid::new("name", "must not be '*'"));
    }
    if Uuid::try_parse(name).is_ok() {
        return Err(Invalid::new("name", "must not be a UUID"));
    }
    Ok(())
}

/// How a path names a role: by id or by name.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum RoleRef {
    Id(Uuid),
    Name(String),
}

impl RoleRef {
    /// A UUID is an id, anything else a name.
    pub fn parse(text: &str) -> Self {
        text.parse().map_or_else(|_| Self::Name(text.to_owned()), Self::Id)
    }
}

/// A role to be made.
#[derive(Clone, Debug)]
pub struct NewRole {
    /// Absent: a random one.
    pub id: Option<Uuid>,
    pub name: String,
    pub comment: Option<String>,
}

/// A change to a role; what is absent stays.
#[derive(Clone, Debug, Default)]
pub struct RolePatch {
    pub name: Option<String>,
    pub comment: Update<String>,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_is_one_line_that_can_be_told_from_an_id_and_from_all_roles() {
        for good in ["QA", "Application Developer", "a/b", "größe", "**"] {
            assert_eq!(check_name(good), Ok(()), "{good}");
        }
        let long = "x".repeat(rules::NAME_MAX + 1);
        let id = "b7794758-394e-46f1-a9a1-f495f2e97a68";
        for bad in ["", "*", "a\nb", "a\u{1f}b", &long, id, &id.to_uppercase(), &id.replace('-', "")] {
            assert!(check_name(bad).is_err(), "{bad}");
        }
    }
}
